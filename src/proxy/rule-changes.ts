/**
 * From the rules a Service had to the rules it should have, as the lines of one nftables transaction: only what differs. Within a transaction
 * order counts: chains exist before something leads to them, and nothing leads to a chain when it goes.
 */
import { mapTypes } from './base-rules.ts';
import type { MapName, ServiceRules } from './service-rules.ts';

export const noRules: ServiceRules = {
  chains: new Map(),
  elements: { 'service-ips': new Map(), 'node-ports': new Map(), 'no-endpoint-ips': new Map(), 'no-endpoint-node-ports': new Map() },
  sets: new Map(),
  clusterIps: [],
  udp: new Map(),
};

const mapNames = Object.keys(mapTypes) as readonly MapName[];

/** Several Services' changes; empty when nothing differs. */
export function ruleChanges(table: string, changes: readonly { readonly from: ServiceRules; readonly to: ServiceRules }[]): string {
  const t = `ip ${table}`;
  const sets: string[] = [];
  const chains: string[] = [];
  const rules: string[] = [];
  const elementsGone: string[] = [];
  const elementsNew: string[] = [];
  const emptied: string[] = [];
  const gone: string[] = [];
  for (const { from, to } of changes) {
    for (const [name, definition] of to.sets) {
      const before = from.sets.get(name);
      if (before === undefined) sets.push(`add set ${t} ${name} { ${definition} }`);
      // A set's timeout cannot be changed in place; its clients are forgotten with it.
      else if (before !== definition) gone.push(`delete set ${t} ${name}`, `add set ${t} ${name} { ${definition} }`);
    }
    for (const [name, lines] of to.chains) {
      const before = from.chains.get(name);
      if (!before) chains.push(`add chain ${t} ${name}`);
      if (before && before.join('\n') === lines.join('\n')) continue;
      if (before) rules.push(`flush chain ${t} ${name}`);
      for (const line of lines) rules.push(`add rule ${t} ${name} ${line}`);
    }
    for (const map of mapNames) {
      const [old, wanted] = [from.elements[map], to.elements[map]];
      for (const [key, verdict] of old) if (wanted.get(key) !== verdict) elementsGone.push(`delete element ${t} ${map} { ${key} }`);
      for (const [key, verdict] of wanted) if (old.get(key) !== verdict) elementsNew.push(`add element ${t} ${map} { ${key} : ${verdict} }`);
    }
    for (const address of from.clusterIps) if (!to.clusterIps.includes(address)) elementsGone.push(`delete element ${t} cluster-ips { ${address} }`);
    for (const address of to.clusterIps) if (!from.clusterIps.includes(address)) elementsNew.push(`add element ${t} cluster-ips { ${address} }`);
    for (const name of from.chains.keys()) {
      if (to.chains.has(name)) continue;
      emptied.push(`flush chain ${t} ${name}`);
      gone.push(`delete chain ${t} ${name}`);
    }
    for (const name of from.sets.keys()) if (!to.sets.has(name)) gone.push(`delete set ${t} ${name}`);
  }
  return [...sets, ...chains, ...rules, ...elementsGone, ...elementsNew, ...emptied, ...gone].map((line) => `${line}\n`).join('');
}
