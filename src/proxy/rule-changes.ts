/**
 * From the rules Services had to the rules they should have, as the lines of one nftables transaction: only what differs. Within a transaction order
 * counts: chains exist before something leads to them, and nothing leads to a chain when it goes.
 */
import { mapNames } from './base-rules.ts';
import type { ServiceRules } from './service-rules.ts';
import { type ChainPlace, sharedRules } from './shared-chains.ts';

export const noRules: ServiceRules = {
  chains: new Map(),
  shared: new Set(),
  elements: {},
  sets: new Map(),
  clusterIps: [],
  hairpins: [],
  udp: new Map(),
};

export interface RuleChange {
  readonly from: ServiceRules;
  readonly to: ServiceRules;
}

export interface RuleTable extends ChainPlace {
  readonly table: string;
}

/** What Services have in common, and how many have it: it is added with the first and goes with the last. */
export class Shares {
  readonly hairpins: Map<string, number>;
  readonly chains: Map<string, number>;

  constructor(from?: Shares) {
    this.hairpins = new Map(from?.hairpins);
    this.chains = new Map(from?.chains);
  }
}

/** Several Services' changes, empty when nothing differs. `shares` is brought up to date. */
export function ruleChanges(place: RuleTable, changes: readonly RuleChange[], shares: Shares): string {
  const table = `${place.family} ${place.table}`;
  const sets: string[] = [];
  const chains: string[] = [];
  const rules: string[] = [];
  const emptied: string[] = [];
  const gone: string[] = [];
  const elements = new ElementChanges(table);
  const before = new Shares(shares);

  const newChain = (name: string, lines: readonly string[]): void => {
    chains.push(`add chain ${table} ${name}`);
    for (const line of lines) rules.push(`add rule ${table} ${name} ${line}`);
  };
  const goneChain = (name: string): void => {
    emptied.push(`flush chain ${table} ${name}`);
    gone.push(`delete chain ${table} ${name}`);
  };

  for (const { from, to } of changes) {
    for (const [name, definition] of to.sets) if (!from.sets.has(name)) sets.push(`add set ${table} ${name} { ${definition} }`);
    for (const [name, lines] of to.chains) {
      const old = from.chains.get(name);
      if (!old) newChain(name, lines);
      else if (old.join('\n') !== lines.join('\n')) {
        rules.push(`flush chain ${table} ${name}`, ...lines.map((line) => `add rule ${table} ${name} ${line}`));
      }
    }
    for (const name of from.chains.keys()) if (!to.chains.has(name)) goneChain(name);
    for (const name of from.sets.keys()) if (!to.sets.has(name)) gone.push(`delete set ${table} ${name}`);
    for (const map of mapNames) elements.ofMap(map, from.elements[map] ?? nothing, to.elements[map] ?? nothing);
    elements.ofSet('cluster-ips', from.clusterIps, to.clusterIps);
    count(shares.hairpins, from.hairpins, to.hairpins);
    count(shares.chains, from.shared, to.shared);
  }
  for (const name of shares.chains.keys()) if (!before.chains.has(name)) newChain(name, sharedRules(name, place));
  for (const name of before.chains.keys()) if (!shares.chains.has(name)) goneChain(name);
  elements.ofSet('hairpins', [...before.hairpins.keys()].map(toItself), [...shares.hairpins.keys()].map(toItself));
  return [...sets, ...chains, ...rules, ...elements.lines(), ...emptied, ...gone].map((line) => `${line}\n`).join('');
}

const nothing: ReadonlyMap<string, string> = new Map();

function toItself(address: string): string {
  return `${address} . ${address}`;
}

/** One command takes away what goes from a map, and one adds what comes, however many Services change. */
class ElementChanges {
  readonly #table: string;
  readonly #gone = new Map<string, string[]>();
  readonly #new = new Map<string, string[]>();

  constructor(table: string) {
    this.#table = table;
  }

  ofMap(name: string, from: ReadonlyMap<string, string>, to: ReadonlyMap<string, string>): void {
    for (const [key, value] of from) if (to.get(key) !== value) append(this.#gone, name, key);
    for (const [key, value] of to) if (from.get(key) !== value) append(this.#new, name, `${key} : ${value}`);
  }

  ofSet(name: string, from: readonly string[], to: readonly string[]): void {
    const [old, wanted] = [new Set(from), new Set(to)];
    for (const key of old) if (!wanted.has(key)) append(this.#gone, name, key);
    for (const key of wanted) if (!old.has(key)) append(this.#new, name, key);
  }

  lines(): string[] {
    return [
      ...[...this.#gone].map(([name, list]) => `delete element ${this.#table} ${name} { ${list.join(', ')} }`),
      ...[...this.#new].map(([name, list]) => `add element ${this.#table} ${name} { ${list.join(', ')} }`),
    ];
  }
}

function append(lists: Map<string, string[]>, name: string, text: string): void {
  const list = lists.get(name);
  if (list) list.push(text);
  else lists.set(name, [text]);
}

function count(shares: Map<string, number>, from: Iterable<string>, to: Iterable<string>): void {
  for (const [names, by] of [[from, -1] as const, [to, 1] as const]) {
    for (const name of names) {
      const left = (shares.get(name) ?? 0) + by;
      if (left === 0) shares.delete(name);
      else shares.set(name, left);
    }
  }
}
