/**
 * Which node holds a load balancer's address: an address of the pool is nobody's until a node takes it (`address-holder.ts`). Each has one node, chosen
 * alike by all of them from those that are ready, so that nothing has to be agreed on. As MetalLB's layer 2 mode does.
 */
import { createHash } from 'node:crypto';
import type { EndpointSlice, Node, Service } from '../api/kinds.ts';
import { readyHere } from './backends.ts';

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
