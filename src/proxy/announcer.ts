/**
 * Makes the addresses of load balancers answer on this node's links: an address of the pool is nobody's until a node takes it. Each has one node, chosen
 * alike by all of them from those that are ready, so that nothing has to be agreed on; it holds the address on a device of its own, and the kernel
 * answers for it on whichever link it is asked. As MetalLB's layer 2 mode does.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import type { EndpointSlice, Node, Service } from '../api/kinds.ts';
import type { Log } from '../world/world.ts';
import { readyHere } from './backends.ts';

const run = promisify(execFile);

const excludeLabel = 'node.kubernetes.io/exclude-from-external-load-balancers';

/** The addresses that `nodeName` should hold. Those that are nodes' own answer already. */
export function announcedBy(
  nodeName: string,
  services: readonly Service[],
  nodes: readonly Node[],
  slicesOf: (service: Service) => readonly EndpointSlice[],
): Set<string> {
  const own = new Set(nodes.flatMap(({ status }) => (status.addresses ?? []).map(({ address }) => address)));
  const able = nodes.filter(isAble).map(({ metadata }) => metadata.name);
  const announced = new Set<string>();
  for (const service of services) {
    if (service.spec.type !== 'LoadBalancer') continue;
    for (const { ip, ipMode } of service.status.loadBalancer?.ingress ?? []) {
      if (ip === undefined || ipMode === 'Proxy' || own.has(ip)) continue;
      const local = service.spec.externalTrafficPolicy === 'Local';
      const willing = local ? able.filter((name) => readyHere(slicesOf(service), name) > 0) : able;
      if (chosen(ip, willing) === nodeName) announced.add(ip);
    }
  }
  return announced;
}

function isAble({ metadata, status }: Node): boolean {
  return (
    metadata.labels?.[excludeLabel] === undefined && status.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') === true
  );
}

/** By rendezvous: when a node goes, only its own addresses move. */
function chosen(ip: string, names: readonly string[]): string | undefined {
  let [best, highest]: [string | undefined, string] = [undefined, ''];
  for (const name of names) {
    const weight = createHash('sha256').update(`${ip} ${name}`).digest('hex');
    if (weight > highest) [best, highest] = [name, weight];
  }
  return best;
}

/** The device that holds them; made when there is something to hold. */
export class AddressHolder {
  readonly #device: string;
  readonly #log: Log;
  #held = new Set<string>();
  #made = false;

  constructor(device: string, log: Log) {
    this.#device = device;
    this.#log = log;
  }

  async hold(wanted: ReadonlySet<string>): Promise<void> {
    const gone = [...this.#held].filter((address) => !wanted.has(address));
    const added = [...wanted].filter((address) => !this.#held.has(address));
    if (gone.length === 0 && added.length === 0) return;
    try {
      if (!this.#made) {
        // What an earlier run left is not known to be wanted.
        await removeDevice(this.#device);
        await run('ip', ['link', 'add', this.#device, 'type', 'bridge']);
        await run('ip', ['link', 'set', this.#device, 'up']);
        this.#made = true;
      }
      for (const address of gone) await run('ip', ['address', 'delete', withLength(address), 'dev', this.#device]);
      for (const address of added) await run('ip', ['address', 'replace', withLength(address), 'dev', this.#device]);
      this.#held = new Set(wanted);
    } catch (error) {
      this.#log.error("load balancers' addresses could not be taken", { device: this.#device, error: String(error) });
      this.#made = false;
      this.#held = new Set();
    }
  }
}

export async function removeDevice(device: string): Promise<void> {
  await run('ip', ['link', 'delete', device]).catch(() => undefined);
}

function withLength(address: string): string {
  return address.includes(':') ? `${address}/128` : `${address}/32`;
}
