/**
 * Which UDP flows must be forgotten when a Service's rules change: a flow has no end that anybody could see, so that conntrack would lead its packets
 * where they went before for as long as they come.
 */
import { type Backend, showBackend } from './backends.ts';
import type { StaleFlows } from './nft.ts';
import type { Family, ServiceRules } from './service-rules.ts';

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
