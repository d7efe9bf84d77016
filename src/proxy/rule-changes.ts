/**
 * From the rules a Service had to the rules it should have, as the lines of one nftables transaction: only what differs. Within a transaction
 * order counts: chains exist before something leads to them, and nothing leads to a chain when it goes.
 */
import { mapNames } from './base-rules.ts';
import type { ServiceRules } from './service-rules.ts';

export const noRules: ServiceRules = {
  chains: new Map(),
  elements: { 'service-ips': new Map(), 'node-ports': new Map(), 'no-endpoint-ips': new Map(), 'no-endpoint-node-ports': new Map() },
  sets: new Map(),
  clusterIps: [],
  hairpins: [],
  udp: new Map(),
};

export interface RuleChange {
  readonly from: ServiceRules;
  readonly to: ServiceRules;
}

/** How many Services have put an address into a set they share: it is added with the first and goes with the last. */
export type Shares = Map<string, number>;

/** Several Services' changes, empty when nothing differs. `table` with its family: `ip services`. `hairpins` is brought up to date. */
export function ruleChanges(table: string, changes: readonly RuleChange[], hairpins: Shares = new Map()): string {
  const sets: string[] = [];
  const chains: string[] = [];
  const rules: string[] = [];
  const elementsGone: string[] = [];
  const elementsNew: string[] = [];
  const emptied: string[] = [];
  const gone: string[] = [];
  const before = new Set(hairpins.keys());
  for (const { from, to } of changes) {
    for (const [name, definition] of to.sets) {
      if (!from.sets.has(name)) sets.push(`add set ${table} ${name} { ${definition} }`);
    }
    for (const [name, lines] of to.chains) {
      const old = from.chains.get(name);
      if (!old) chains.push(`add chain ${table} ${name}`);
      if (old && old.join('\n') === lines.join('\n')) continue;
      if (old) rules.push(`flush chain ${table} ${name}`);
      for (const line of lines) rules.push(`add rule ${table} ${name} ${line}`);
    }
    for (const map of mapNames) {
      const [old, wanted] = [from.elements[map], to.elements[map]];
      for (const [key, verdict] of old) if (wanted.get(key) !== verdict) elementsGone.push(`delete element ${table} ${map} { ${key} }`);
      for (const [key, verdict] of wanted) if (old.get(key) !== verdict) elementsNew.push(`add element ${table} ${map} { ${key} : ${verdict} }`);
    }
    for (const address of from.clusterIps)
      if (!to.clusterIps.includes(address)) elementsGone.push(`delete element ${table} cluster-ips { ${address} }`);
    for (const address of to.clusterIps) if (!from.clusterIps.includes(address)) elementsNew.push(`add element ${table} cluster-ips { ${address} }`);
    for (const name of from.chains.keys()) {
      if (to.chains.has(name)) continue;
      emptied.push(`flush chain ${table} ${name}`);
      gone.push(`delete chain ${table} ${name}`);
    }
    for (const name of from.sets.keys()) if (!to.sets.has(name)) gone.push(`delete set ${table} ${name}`);
    for (const address of from.hairpins) count(hairpins, address, -1);
    for (const address of to.hairpins) count(hairpins, address, 1);
  }
  for (const address of before) if (!hairpins.has(address)) elementsGone.push(`delete element ${table} hairpins { ${address} . ${address} }`);
  for (const address of hairpins.keys()) if (!before.has(address)) elementsNew.push(`add element ${table} hairpins { ${address} . ${address} }`);
  return [...sets, ...chains, ...rules, ...elementsGone, ...elementsNew, ...emptied, ...gone].map((line) => `${line}\n`).join('');
}

function count(shares: Shares, address: string, by: number): void {
  const left = (shares.get(address) ?? 0) + by;
  if (left === 0) shares.delete(address);
  else shares.set(address, left);
}
