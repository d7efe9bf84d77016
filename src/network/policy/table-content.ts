/**
 * What an nftables table of ours holds, as data, and the way from one content to another as the lines of one transaction: only what differs, so that
 * counters keep counting and sets that stay are not touched.
 */
import type { Count } from '../../nftables/counters.ts';

export interface TableContent {
  /** Names of counters that outlive the rules that count with them. */
  readonly counters: ReadonlySet<string>;
  readonly sets: ReadonlyMap<string, SetContent>;
  /** Rules by chain. */
  readonly chains: ReadonlyMap<string, readonly string[]>;
  /** Elements with their verdicts, by a map that the table has from the start; of a set, with `''`. */
  readonly maps: ReadonlyMap<string, ReadonlyMap<string, string>>;
}

export interface SetContent {
  readonly type: string;
  readonly elements: ReadonlySet<string>;
}

export const emptyContent: TableContent = { counters: new Set(), sets: new Map(), chains: new Map(), maps: new Map() };

/** `table` with its family: `inet k8ts-policies`. Empty when nothing differs. New counters go on from what was `counted` under their names. */
export function tableChanges(table: string, from: TableContent, to: TableContent, counted: ReadonlyMap<string, Count> = new Map()): string {
  // Order counts within a transaction: what is referred to is there before and goes after what refers to it.
  const lines = [
    ...[...to.counters].filter((name) => !from.counters.has(name)).map((name) => newCounter(table, name, counted.get(name))),
    ...[...to.sets].flatMap(([name, set]) => (from.sets.has(name) ? [] : [`add set ${table} ${name} { type ${set.type}; }`])),
    ...[...to.sets].flatMap(([name, set]) => setChanges(table, name, from.sets.get(name), set)),
    ...[...to.chains.keys()].filter((name) => !from.chains.has(name)).map((name) => `add chain ${table} ${name}`),
    ...[...to.chains].flatMap(([name, rules]) => chainChanges(table, name, from.chains.get(name), rules)),
    ...mapChanges(table, from.maps, to.maps),
  ];
  const chainsGone = [...from.chains.keys()].filter((name) => !to.chains.has(name));
  lines.push(...chainsGone.map((name) => `flush chain ${table} ${name}`), ...chainsGone.map((name) => `delete chain ${table} ${name}`));
  for (const name of from.sets.keys()) if (!to.sets.has(name)) lines.push(`delete set ${table} ${name}`);
  for (const name of from.counters) if (!to.counters.has(name)) lines.push(`delete counter ${table} ${name}`);
  return lines.map((line) => `${line}\n`).join('');
}

function newCounter(table: string, name: string, counted: Count | undefined): string {
  return `add counter ${table} ${name}${counted ? ` { packets ${counted.packets} bytes ${counted.bytes} }` : ''}`;
}

function setChanges(table: string, name: string, from: SetContent | undefined, to: SetContent): string[] {
  const gone = [...(from?.elements ?? [])].filter((element) => !to.elements.has(element));
  const added = [...to.elements].filter((element) => from?.elements.has(element) !== true);
  return [...elements('delete', table, name, gone), ...elements('add', table, name, added)];
}

function chainChanges(table: string, name: string, from: readonly string[] | undefined, to: readonly string[]): string[] {
  if (from?.length === to.length && to.every((rule, index) => rule === from[index])) return [];
  return [...(from ? [`flush chain ${table} ${name}`] : []), ...to.map((rule) => `add rule ${table} ${name} ${rule}`)];
}

function mapChanges(table: string, from: TableContent['maps'], to: TableContent['maps']): string[] {
  const lines: string[] = [];
  for (const name of new Set([...from.keys(), ...to.keys()])) {
    const [old, wanted] = [from.get(name) ?? new Map<string, string>(), to.get(name) ?? new Map<string, string>()];
    const gone = [...old].filter(([key, verdict]) => wanted.get(key) !== verdict).map(([key]) => key);
    const added = [...wanted]
      .filter(([key, verdict]) => old.get(key) !== verdict)
      .map(([key, verdict]) => (verdict === '' ? key : `${key} : ${verdict}`));
    lines.push(...elements('delete', table, name, gone), ...elements('add', table, name, added));
  }
  return lines;
}

function elements(verb: 'add' | 'delete', table: string, name: string, list: readonly string[]): string[] {
  return list.length === 0 ? [] : [`${verb} element ${table} ${name} { ${list.join(', ')} }`];
}
