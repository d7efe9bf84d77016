/**
 * The service proxy: watches Services and endpoint slices and keeps this node's nftables as they say. A change is applied at once; what arrives
 * while nft runs goes into the next transaction together.
 */
import { EndpointSlice, Service } from '../api/kinds.ts';
import type { Informers } from '../client/informer.ts';
import type { World } from '../world/world.ts';
import { baseRules } from './base-rules.ts';
import { forgetUdpFlows, nft } from './nft.ts';
import { noRules, ruleChanges } from './rule-changes.ts';
import { type Place, type ServiceRules, serviceRules } from './service-rules.ts';

export interface ProxyOptions extends Place {
  readonly world: World;
  readonly informers: Informers;
  /** The nftables table this proxy owns, in the `ip` family. */
  readonly table: string;
  /** How a script reaches the kernel; nft, unless a test listens. */
  readonly apply?: (script: string) => Promise<void>;
}

export interface Proxy {
  /** Resolves when the rules of all Services known at the start hold. */
  readonly ready: Promise<void>;
  /** Stops following changes; the rules stay, so that connections survive a restart. */
  close(): Promise<void>;
}

const retryMs = 1_000;

export function startProxy(options: ProxyOptions): Proxy {
  const { world, informers, table, apply = nft } = options;
  const log = world.log.child('proxy');
  const services = informers.of(Service);
  const slices = informers.of(EndpointSlice);
  slices.addIndex('service', (slice) => [`${slice.metadata.namespace}/${slice.metadata.labels?.['kubernetes.io/service-name'] ?? ''}`]);
  const applied = new Map<string, ServiceRules>();
  const dirty = new Set<string>();
  const closing = new AbortController();
  let fresh = true;
  let started = false;
  let running: Promise<void> | undefined;

  const touchSlice = (slice: EndpointSlice): void =>
    touch(`${slice.metadata.namespace}/${slice.metadata.labels?.['kubernetes.io/service-name'] ?? ''}`);
  const touchService = (service: Service): void => touch(`${service.metadata.namespace}/${service.metadata.name}`);
  const unsubscribe = [
    services.subscribe({ added: touchService, updated: touchService, deleted: touchService }),
    slices.subscribe({ added: touchSlice, updated: touchSlice, deleted: touchSlice }),
  ];
  const ready = Promise.all([services.synced, slices.synced]).then(() => {
    started = true;
    return go();
  });

  function touch(key: string): void {
    dirty.add(key);
    if (started) void go();
  }

  function go(): Promise<void> {
    running ??= drain().finally(() => (running = undefined));
    return running;
  }

  async function drain(): Promise<void> {
    while ((dirty.size > 0 || fresh) && !closing.signal.aborted) {
      const keys = [...dirty];
      dirty.clear();
      const changes = keys.map((key) => ({ key, from: applied.get(key) ?? noRules, to: wanted(key) }));
      const script = (fresh ? baseRules(table) : '') + ruleChanges(table, changes);
      try {
        if (script !== '') await apply(script);
        fresh = false;
      } catch (error) {
        if (closing.signal.aborted) return;
        // Someone changed our table, or nft is missing: start over with the whole table, which needs nothing to be as we left it.
        log.error('nftables refused the rules; writing them all anew', { error: String(error) });
        for (const key of applied.keys()) dirty.add(key);
        for (const key of keys) dirty.add(key);
        applied.clear();
        fresh = true;
        await world.clock.sleep(retryMs, closing.signal).catch(() => undefined);
        continue;
      }
      for (const { key, from, to } of changes) {
        if (to === noRules) applied.delete(key);
        else applied.set(key, to);
        await cutStaleFlows(from, to);
      }
    }
  }

  function wanted(key: string): ServiceRules {
    const slash = key.indexOf('/');
    const service = services.get(key.slice(slash + 1), key.slice(0, slash));
    return service ? serviceRules(service, slices.byIndex('service', key), options) : noRules;
  }

  async function cutStaleFlows(from: ServiceRules, to: ServiceRules): Promise<void> {
    for (const [address, endpoints] of from.udp) {
      const left = to.udp.get(address) ?? [];
      for (const endpoint of endpoints) if (!left.includes(endpoint)) await forgetUdpFlows(address, endpoint);
    }
  }

  return {
    ready,
    async close() {
      closing.abort();
      for (const stop of unsubscribe) stop();
      await running;
    },
  };
}

/** Takes the table off the host; one that is not there is no error. */
export async function removeProxyRules(table: string): Promise<void> {
  // Named and then deleted, in one transaction: there is something to delete in either case.
  await nft(`table ip ${table} {}\ndelete table ip ${table}\n`).catch(() => undefined);
}
