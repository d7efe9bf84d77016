/**
 * Which UDP flows must be forgotten when a Service's rules change: a flow has no end that anybody could see, so that conntrack would lead its packets
 * where they went before for as long as they come.
 */
import { type Backend, showBackend } from './backends.ts';
import type { StaleFlows, UdpFlow } from './conntrack.ts';
import type { Family } from './base-rules.ts';
import type { ServiceRules } from './service-rules.ts';

export function staleFlows(family: Family, from: ServiceRules, to: ServiceRules): StaleFlows[] {
  const stale: StaleFlows[] = [];
  for (const [target, before] of from.udp) {
    const left = new Set((to.udp.get(target) ?? []).map(showBackend));
    for (const endpoint of before) if (!left.has(showBackend(endpoint))) stale.push({ family, target, endpoint });
  }
  for (const [target, now] of to.udp) {
    const before: readonly Backend[] = from.udp.get(target) ?? [];
    // Packets that came while nobody served went wherever the host sends strangers' packets, and so would all that follow.
    if (now.length > 0 && before.length === 0) stale.push({ family, target });
  }
  return stale;
}

/** The same for a proxy that starts, and does not know what was before: whatever leads to an endpoint that is none, and what leads nowhere. */
export function staleAtStart(family: Family, flows: readonly UdpFlow[], rules: Iterable<ServiceRules>): StaleFlows[] {
  const endpoints = new Map<string, readonly Backend[]>();
  for (const { udp } of rules) for (const [target, backends] of udp) endpoints.set(target, backends);
  const stale = new Map<string, StaleFlows>();
  for (const { address, port, answeredBy } of flows) {
    const ours = endpoints.has(`${address}|${port}`);
    const target = ours ? `${address}|${port}` : `|${port}`;
    const backends = endpoints.get(target);
    // Of flows to a node port some are others': one that was not led on may be to any machine's port of that number.
    if (!backends || backends.some((backend) => backend.address === answeredBy) || (!ours && answeredBy === address)) continue;
    stale.set(`${target} ${answeredBy}`, { family, target, endpoint: { address: answeredBy } });
  }
  return [...stale.values()];
}
