/** The entries of `metadata.managedFields`: one set of fields for each manager, read, checked and written back in upstream's order. */
import { interned } from './interned-sets.ts';
import { type FieldSet, difference, intersection, isEmptySet, parseFieldSet, sorted, union } from './field-set.ts';
import type { ManagedFieldsEntry } from './object.ts';

type Fields = Readonly<Record<string, unknown>>;

/** More updating managers than this are merged into one, the oldest first. */
const maxUpdateManagers = 10;
const ancientChanges = 'ancient-changes';

/** One manager's part of `managedFields`, its set checked. */
export interface Entry {
  readonly manager: string;
  readonly operation: string;
  readonly apiVersion: string;
  readonly subresource: string;
  readonly time: string;
  readonly fields: FieldSet;
  /** What it was read from, printed again as it was while its fields are the same. */
  readonly source?: ManagedFieldsEntry;
}

export function managedFieldsOf(object: Fields | undefined): ManagedFieldsEntry[] {
  const list = (object?.['metadata'] as { managedFields?: ManagedFieldsEntry[] } | undefined)?.managedFields;
  return Array.isArray(list) ? list : [];
}

export function entriesOf(object: Fields | undefined): Entry[] {
  return parseEntries(managedFieldsOf(object));
}

/** Sets are checked once for each stored object they came with. */
const parsed = new WeakMap<object, FieldSet>();

/** All entries, or none when one of them is malformed, as upstream then starts over. */
export function parseEntries(list: readonly ManagedFieldsEntry[]): Entry[] {
  const entries: Entry[] = [];
  for (const source of list) {
    const { manager = '', operation = '', apiVersion = '', subresource = '', time = '', fieldsV1 } = source;
    if ((operation !== 'Apply' && operation !== 'Update') || fieldsV1 === undefined) return [];
    let fields = parsed.get(fieldsV1);
    if (fields === undefined) {
      fields = parseFieldSet(fieldsV1);
      if (fields === undefined) return [];
      parsed.set(fieldsV1, fields);
    }
    entries.push({ manager, operation, apiVersion, subresource, time, fields, source });
  }
  return entries;
}

/** Appliers first, then by time, then by name. */
export function printEntries(entries: readonly Entry[]): ManagedFieldsEntry[] {
  return entries.toSorted(compareEntries).map((entry) => {
    const { manager, operation, apiVersion, subresource, time, fields, source } = entry;
    if (source !== undefined) return source;
    const fieldsV1 = interned(sorted(fields));
    parsed.set(fieldsV1, fieldsV1);
    return {
      manager,
      operation,
      apiVersion,
      ...(time !== '' && { time }),
      fieldsType: 'FieldsV1',
      fieldsV1,
      ...(subresource !== '' && { subresource }),
    };
  });
}

function compareEntries(a: Entry, b: Entry): number {
  return (
    order(a.operation, b.operation) ||
    order(a.time, b.time) ||
    order(a.manager, b.manager) ||
    order(a.apiVersion, b.apiVersion) ||
    order(a.subresource, b.subresource)
  );
}

export function order(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

export function losing(entry: Entry, taken: FieldSet): Entry {
  if (isEmptySet(taken) || isEmptySet(intersection(entry.fields, taken))) return entry;
  const { source: _, ...rest } = entry;
  return { ...rest, fields: difference(entry.fields, taken) };
}

/** The oldest updaters of a crowd become one for each version. */
export function capped(entries: readonly Entry[]): readonly Entry[] {
  const updaters = entries.filter((entry) => entry.operation === 'Update').sort(compareEntries);
  let surplus = updaters.length - maxUpdateManagers;
  const kept = new Set(entries);
  const oldest = new Map<string, Entry>();
  for (const entry of updaters) {
    if (surplus <= 0) break;
    const { apiVersion, time } = entry;
    const bucket = oldest.get(apiVersion);
    if (bucket !== undefined) {
      kept.delete(bucket);
      kept.delete(entry);
      surplus--;
    }
    const fields = bucket === undefined ? entry.fields : union(bucket.fields, entry.fields);
    const merged = bucket === undefined ? entry : { manager: ancientChanges, operation: 'Update', apiVersion, subresource: '', time, fields };
    kept.add(merged);
    oldest.set(apiVersion, merged);
  }
  return [...kept];
}
