/**
 * Strategic merge patches: like JSON Merge Patch, but lists of named things merge item by item, and directives (`$patch`, `$retainKeys`,
 * `$setElementOrder/…`, `$deleteFromPrimitiveList/…`) say what the rest cannot. Which list merges by which key comes from the schema.
 * https://github.com/kubernetes/community/blob/master/contributors/devel/sig-api-machinery/strategic-merge-patch.md
 */
import { clone } from './clone.ts';
import { equal } from './equal.ts';
import { PatchError } from './patch-error.ts';
import type { ObjectSchema, Property, Schema } from './schema.ts';

type Fields = Record<string, unknown>;

const setElementOrder = '$setElementOrder/';
const deleteFromPrimitiveList = '$deleteFromPrimitiveList/';

/** Returns a new value; parts the patch leaves alone are shared with `document`. Throws {@link PatchError}. */
export function applyStrategicMerge(document: object, patch: unknown, schema: ObjectSchema): Fields {
  if (!isFields(patch)) throw new PatchError('cannot restore struct from: the patch is not an object', 'malformed');
  return mergeFields(document as Fields, patch, schema);
}

function mergeFields(original: Fields, patch: Fields, schema: Schema | undefined): Fields {
  switch (patch['$patch']) {
    case undefined:
    case 'merge':
      break;
    case 'replace':
      return withoutDirectives(patch);
    case 'delete':
      return {};
    default:
      throw new PatchError(`unknown patch type: ${JSON.stringify(patch['$patch'])} in map: ${JSON.stringify(patch)}`, 'malformed');
  }
  const result: Fields = retain(original, patch);
  const order = new Map<string, readonly unknown[]>();
  for (const [key, value] of Object.entries(patch)) {
    if (key === '$patch' || key === '$retainKeys') continue;
    if (key.startsWith(setElementOrder)) {
      if (!Array.isArray(value)) throw new PatchError(`invalid patch format of setElementOrder list`, 'malformed');
      order.set(key.slice(setElementOrder.length), value);
    } else if (key.startsWith(deleteFromPrimitiveList)) removeScalars(result, key.slice(deleteFromPrimitiveList.length), value);
  }
  for (const [key, value] of Object.entries(patch)) {
    if (key === '$patch' || key === '$retainKeys' || key.startsWith(setElementOrder) || key.startsWith(deleteFromPrimitiveList)) continue;
    if (value === null) delete result[key];
    else setOwn(result, key, mergeValue(Object.hasOwn(result, key) ? result[key] : undefined, value, propertyOf(schema, key)));
  }
  for (const [key, keys] of order) {
    const merged = result[key];
    if (!Array.isArray(merged)) continue;
    const originalList = original[key];
    const mergeKey = mergeKeyOf(propertyOf(schema, key));
    setOwn(result, key, arrange(merged, keys, Array.isArray(originalList) ? originalList : [], mergeKey));
  }
  return result;
}

/** `$retainKeys` lists the only keys that stay: how a union changes its member. */
function retain(original: Fields, patch: Fields): Fields {
  const keys = patch['$retainKeys'];
  if (keys === undefined) return { ...original };
  if (!Array.isArray(keys)) throw new PatchError('invalid patch format of retainKeys', 'malformed');
  for (const key of Object.keys(patch)) {
    if (!key.startsWith('$') && patch[key] !== null && !keys.includes(key)) throw new PatchError('invalid patch format of retainKeys', 'malformed');
  }
  return Object.fromEntries(Object.entries(original).filter(([key]) => keys.includes(key)));
}

function removeScalars(target: Fields, key: string, values: unknown): void {
  if (!Array.isArray(values)) throw new PatchError('invalid patch format of delete primitive list', 'malformed');
  const list = target[key];
  if (Array.isArray(list)) target[key] = list.filter((item) => !values.includes(item));
}

function mergeValue(original: unknown, patch: unknown, property: Place): unknown {
  if (isFields(patch)) {
    if (!isFields(original)) return withoutDirectives(patch);
    return property.strategy.includes('replace') ? withoutDirectives(patch) : mergeFields(original, patch, property.schema);
  }
  if (Array.isArray(patch)) {
    if (!property.strategy.includes('merge')) return withoutDirectivesIn(patch);
    return mergeLists(Array.isArray(original) ? original : [], patch, property);
  }
  return patch;
}

function mergeLists(original: readonly unknown[], patch: readonly unknown[], property: Place): unknown[] {
  const items = property.schema?.type === 'list' ? property.schema.items : undefined;
  const mergeKey = mergeKeyOf(property);
  if (mergeKey === undefined) {
    if (patch.some(isFields)) throw new PatchError('merge key is not declared for a list of objects', 'malformed');
    const merged = [...original];
    for (const value of patch) if (!merged.includes(value)) merged.push(value);
    return arrange(merged, patch, original, undefined);
  }
  const plain: Fields[] = [];
  let merged: unknown[] = [...original];
  let replaces = false;
  for (const item of patch) {
    if (!isFields(item)) throw new PatchError(`expected a list of objects with key ${mergeKey}, found ${JSON.stringify(item)}`, 'malformed');
    const directive = item['$patch'];
    if (directive === undefined || directive === 'merge') {
      if (directive === 'merge' && Object.keys(item).length === 1) throw noMergeKey(item, mergeKey);
      plain.push(item);
    } else if (directive === 'replace') replaces = true;
    else if (directive === 'delete') {
      if (!Object.hasOwn(item, mergeKey)) throw noMergeKey(item, mergeKey);
      merged = merged.filter((other) => !sameItem(other, item, mergeKey));
    } else throw new PatchError(`unknown patch type: ${JSON.stringify(directive)} in map: ${JSON.stringify(item)}`, 'malformed');
  }
  if (replaces) return plain.map(withoutDirectives);
  for (const item of plain) {
    if (!Object.hasOwn(item, mergeKey)) throw noMergeKey(item, mergeKey);
    const index = merged.findIndex((other) => sameItem(other, item, mergeKey));
    const existing = merged[index];
    if (index >= 0 && isFields(existing)) merged[index] = mergeFields(existing, item, items);
    else merged.push(withoutDirectives(item));
  }
  return arrange(merged, plain, original, mergeKey);
}

function noMergeKey(item: Fields, mergeKey: string): PatchError {
  return new PatchError(`map: ${JSON.stringify(item)} does not contain declared merge key: ${mergeKey}`, 'malformed');
}

/** Items named in `wanted` come in that order; the others keep their place among those they were with in `original`. New ones come first. */
function arrange(merged: readonly unknown[], wanted: readonly unknown[], original: readonly unknown[], mergeKey: string | undefined): unknown[] {
  const indexIn = (list: readonly unknown[], item: unknown): number => list.findIndex((other) => sameItem(other, item, mergeKey));
  const ranked = merged.map((item) => ({ item, wantedAt: indexIn(wanted, item), originalAt: indexIn(original, item) }));
  const named = ranked.filter(({ wantedAt }) => wantedAt >= 0).sort((a, b) => a.wantedAt - b.wantedAt);
  const others = ranked.filter(({ wantedAt }) => wantedAt < 0).sort((a, b) => a.originalAt - b.originalAt);
  const result: unknown[] = [];
  let next = 0;
  for (const { item, originalAt } of named) {
    const place = Math.max(originalAt, 0);
    for (; next < others.length && (others[next]?.originalAt ?? 0) < place; next++) result.push(others[next]?.item);
    result.push(item);
  }
  for (; next < others.length; next++) result.push(others[next]?.item);
  return result;
}

function sameItem(a: unknown, b: unknown, mergeKey: string | undefined): boolean {
  if (mergeKey === undefined) return a === b;
  return isFields(a) && isFields(b) && Object.hasOwn(a, mergeKey) && equal(a[mergeKey], b[mergeKey]);
}

/** A part of a patch that has nothing to merge with: a copy without directives and nulls. */
function withoutDirectives(patch: Fields): Fields {
  const result: Fields = {};
  if (patch['$patch'] === 'delete') return result;
  for (const [key, value] of Object.entries(patch)) {
    if (value === null || key === '$patch' || key === '$retainKeys' || key.startsWith(setElementOrder) || key.startsWith(deleteFromPrimitiveList))
      continue;
    setOwn(result, key, isFields(value) ? withoutDirectives(value) : Array.isArray(value) ? withoutDirectivesIn(value) : value);
  }
  return result;
}

function withoutDirectivesIn(list: readonly unknown[]): unknown[] {
  const result: unknown[] = [];
  for (const item of list) {
    if (!isFields(item)) result.push(clone(item));
    else if (item['$patch'] !== 'delete' && !(item['$patch'] === 'replace' && Object.keys(item).length === 1)) result.push(withoutDirectives(item));
  }
  return result;
}

/** What the schema says about a field. */
interface Place {
  readonly schema: Schema | undefined;
  readonly strategy: Property['patchStrategy'];
  readonly mergeKey: string | undefined;
}

const unknownPlace: Place = { schema: undefined, strategy: [], mergeKey: undefined };

function propertyOf(schema: Schema | undefined, key: string): Place {
  if (schema?.type === 'map') return { schema: schema.values, strategy: [], mergeKey: undefined };
  if (schema?.type !== 'object' || !Object.hasOwn(schema.properties, key)) return unknownPlace;
  const property = schema.properties[key];
  return property === undefined ? unknownPlace : { schema: property.schema, strategy: property.patchStrategy, mergeKey: property.mergeKey };
}

function mergeKeyOf(place: Place): string | undefined {
  if (place.mergeKey !== undefined && place.mergeKey !== '') return place.mergeKey;
  return undefined;
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function setOwn(record: Fields, key: string, value: unknown): void {
  if (key === '__proto__') Object.defineProperty(record, key, { value, enumerable: true, configurable: true, writable: true });
  else record[key] = value;
}
