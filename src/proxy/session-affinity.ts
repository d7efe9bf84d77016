/**
 * `sessionAffinity: ClientIP` as chains and sets: each endpoint has a chain that notes the client in a set before it sends it on, and who stands in a set
 * goes there again until its time is over. Follows https://kubernetes.io/docs/reference/networking/virtual-ips/#session-affinity
 */
import type { Service } from '../api/kinds.ts';
import { type Backend, showBackend } from './backends.ts';
import type { Family } from './base-rules.ts';

const addresses = { ip: 'ipv4_addr', ip6: 'ipv6_addr' } as const;

/** How long a Service remembers a client; undefined when it does not. */
export function affinitySeconds({ spec }: Service): number | undefined {
  return spec.sessionAffinity === 'ClientIP' ? (spec.sessionAffinityConfig?.clientIP?.timeoutSeconds ?? 10_800) : undefined;
}

export interface Remembering {
  /** What leads to one of the backends: where the client went before, else any. */
  readonly rules: readonly string[];
  /** The backends' chains, by name. */
  readonly chains: ReadonlyMap<string, readonly string[]>;
  /** Definitions by set name. */
  readonly sets: ReadonlyMap<string, string>;
}

/** `id` tells the Service's port from others. */
export function remembering(family: Family, id: string, protocol: string, backends: readonly Backend[], seconds: number): Remembering {
  const chains = new Map<string, readonly string[]>();
  const sets = new Map<string, string>();
  const known: string[] = [];
  const targets: string[] = [];
  for (const [index, backend] of backends.entries()) {
    const name = `${id}/${plain(backend)}`;
    // A set's timeout cannot be changed in place: with another timeout it is another set, and its clients are forgotten.
    const [chain, clients] = [`endpoint-${name}`, `clients-${name}/${seconds}s`];
    sets.set(clients, `type ${addresses[family]}; flags dynamic,timeout; timeout ${seconds}s;`);
    chains.set(chain, [`update @${clients} { ${family} saddr }`, `meta l4proto ${protocol} dnat to ${showBackend(backend)}`]);
    known.push(`${family} saddr @${clients} goto ${chain}`);
    targets.push(`${index} : goto ${chain}`);
  }
  return { rules: [...known, `numgen random mod ${backends.length} vmap { ${targets.join(', ')} }`], chains, sets };
}

/** A colon is not for names. */
function plain({ address, port }: Backend): string {
  return `${address.replaceAll(':', '_')}/${port}`;
}
