/**
 * How server-side apply reads a configuration (which fields it sets), lays it over the live object, and takes away what is no longer applied.
 * Follows upstream's structured-merge-diff.
 */
import { type FieldSet, childrenOf, emptySet, isMember, nodeOf, printElement } from './field-set.ts';
import { PatchError } from './patch-error.ts';
import type { ListSchema, Schema } from './schema.ts';
import { type Fields, defaultOf, elementOf, granularFields, granularList, indexItems, isBare, isNamed, schemaAt } from './structure.ts';

/** The fields a configuration sets: its leaves, its list items, its empty maps. Throws {@link PatchError} on items that cannot be told apart. */
export function fieldsOf(value: Fields, schema: Schema): FieldSet {
  return collectFields(value, schema, '');
}

function collectFields(value: Fields, schema: Schema, path: string): FieldSet {
  const result: Record<string, FieldSet> = {};
  for (const [key, item] of Object.entries(value)) {
    if (item === undefined) continue;
    const below = schemaAt(schema, key);
    const node = collect(item, below, !isNamed(schema, key), `${path}.${key}`);
    if (node !== undefined) result[`f:${key}`] = node;
  }
  return result;
}

function collect(value: unknown, schema: Schema, member: boolean, path: string): FieldSet | undefined {
  const fields = granularFields(value, schema);
  if (fields !== undefined) {
    const children = collectFields(fields, schema, path);
    return nodeOf(member || Object.keys(fields).length === 0, children);
  }
  const list = granularList(value, schema);
  if (list === undefined) return emptySet;
  const result: Record<string, FieldSet> = {};
  for (const [i, item] of list.list.entries()) {
    const element = elementOf(item, list.schema);
    if (element === undefined) {
      const missing = list.schema.mapKeys.find(
        (key) => (item as Fields | null)?.[key] === undefined && defaultOf(list.schema.items, key) === undefined,
      );
      throw new PatchError(
        `${path}: element ${i}: associative list with keys has an element that omits key field ${JSON.stringify(missing ?? '')} (and doesn't have default value)`,
        'malformed',
      );
    }
    if (result[element] !== undefined) throw new PatchError(`${path}: duplicate entries for key ${printElement(element)}`, 'malformed');
    result[element] = collect(item, list.schema.items, true, path) ?? emptySet;
  }
  return nodeOf(member, result);
}

/** `live` with the fields of `applied` laid over it; shares what stays. A null in `applied` removes a leaf and leaves the rest alone. */
export function mergeFields(live: Fields, applied: Fields, schema: Schema): Record<string, unknown> {
  const result: Record<string, unknown> = { ...live };
  for (const [key, value] of Object.entries(applied)) {
    if (value === undefined) continue;
    const merged = mergeValues(Object.hasOwn(live, key) ? live[key] : undefined, value, schemaAt(schema, key));
    if (merged === undefined) delete result[key];
    else if (key === '__proto__') Object.defineProperty(result, key, { value: merged, enumerable: true, configurable: true, writable: true });
    else result[key] = merged;
  }
  return result;
}

function mergeValues(live: unknown, applied: unknown, schema: Schema): unknown {
  const liveFields = granularFields(live, schema);
  const liveList = granularList(live, schema);
  if (applied === null) return liveFields === undefined && liveList === undefined ? undefined : live;
  const appliedFields = granularFields(applied, schema);
  if (appliedFields !== undefined) return mergeFields(liveFields ?? {}, appliedFields, schema);
  const appliedList = granularList(applied, schema);
  return appliedList === undefined ? applied : mergeItems(liveList?.list ?? [], appliedList.list, appliedList.schema);
}

/** Applied items keep the order they were applied in; live ones that were not applied, repeated and unnamed ones among them, keep their place. */
function mergeItems(live: readonly unknown[], applied: readonly unknown[], schema: ListSchema): unknown[] {
  const liveItems = indexItems(live, schema);
  const appliedItems = indexItems(applied, schema);
  const shared = [...appliedItems.keys()].filter((element) => liveItems.has(element));
  const result: unknown[] = [];
  let sharedNext = 0;
  let liveNext = 0;
  /** Up to the live twin of the next shared item; the twins of others come where they were applied. */
  const takeLive = (): void => {
    for (; liveNext < live.length; liveNext++) {
      const element = elementOf(live[liveNext], schema);
      if (element === undefined || !appliedItems.has(element)) result.push(live[liveNext]);
      else if (element === shared[sharedNext]) return;
    }
  };
  for (const [element, item] of appliedItems) {
    takeLive();
    result.push(mergeItem(liveItems.get(element), item, schema));
    if (element === shared[sharedNext]) sharedNext++;
  }
  takeLive();
  return result;
}

function mergeItem(live: unknown, applied: unknown, schema: ListSchema): unknown {
  return schema.listType === 'set' ? applied : mergeValues(live, applied, schema.items);
}

/** `value` without the fields that were applied before (`last`) and that nobody owns now (`owned`); shares what stays. */
export function prune(value: Fields, schema: Schema, last: FieldSet, owned: FieldSet): Record<string, unknown> {
  const result: Record<string, unknown> = { ...value };
  for (const [element, node] of Object.entries(childrenOf(last))) {
    const key = element.slice(2);
    if (!element.startsWith('f:') || !Object.hasOwn(result, key)) continue;
    const claim = owned[element];
    if (claim !== undefined || (!isMember(node) && !isNamed(schema, key))) {
      result[key] = pruneValue(result[key], schemaAt(schema, key), node, claim ?? emptySet);
    } else {
      // A field the schema names goes with the last of what was owned in it, a key of a map only when it was owned itself.
      delete result[key];
    }
    if (result[key] === undefined) delete result[key];
  }
  return result;
}

function pruneValue(value: unknown, schema: Schema, last: FieldSet, owned: FieldSet): unknown {
  const fields = granularFields(value, schema);
  if (fields !== undefined) {
    const pruned = prune(fields, schema, last, owned);
    return isBare(pruned) && !isBare(fields) && !isMember(owned) ? undefined : pruned;
  }
  const list = granularList(value, schema);
  if (list === undefined) return value;
  const result: unknown[] = [];
  for (const item of list.list) {
    const element = elementOf(item, list.schema);
    const node = element === undefined ? undefined : last[element];
    if (element === undefined || node === undefined) {
      result.push(item);
      continue;
    }
    const claim = owned[element];
    if (isMember(node) && (claim === undefined || !isMember(claim))) continue;
    result.push(pruneValue(item, list.schema.items, node, claim ?? emptySet));
  }
  return result.length === 0 && list.list.length > 0 ? undefined : result;
}
