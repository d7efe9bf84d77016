/** What differs between two states of an object, as sets of fields: how ownership follows changes. Follows upstream's structured-merge-diff. */
import { equal } from './equal.ts';
import { type FieldSet, emptySet, nodeOf } from './field-set.ts';
import type { ListSchema, Schema } from './schema.ts';
import { type Fields, granularFields, granularList, indexItems, isBare, schemaAt } from './structure.ts';

type Builder = Record<string, FieldSet>;

export interface Comparison {
  readonly added: FieldSet;
  readonly removed: FieldSet;
  readonly modified: FieldSet;
}

/** Collects what differs among the children of one node. */
interface Found {
  added: Builder | undefined;
  removed: Builder | undefined;
  modified: Builder | undefined;
}

/** What differs between two states; an absent `before` is a new object's. */
export function compare(before: Fields | undefined, after: Fields, schema: Schema): Comparison {
  const found: Found = { added: undefined, removed: undefined, modified: undefined };
  compareFields(before, after, schema, found, true, true);
  return { added: found.added ?? emptySet, removed: found.removed ?? emptySet, modified: found.modified ?? emptySet };
}

/** `oldThere` and `newThere` say whether the object with these fields counts as there, though it may hold none. */
function compareFields(
  before: Fields | undefined,
  after: Fields | undefined,
  schema: Schema,
  found: Found,
  oldThere: boolean,
  newThere: boolean,
): void {
  for (const key in after) {
    const value = after[key];
    if (value === undefined || value === null) continue;
    const old = before !== undefined && Object.hasOwn(before, key) ? (before[key] ?? undefined) : undefined;
    if (old === value) continue;
    const always = old === undefined && oldThere && isAlwaysThere(schema, key);
    compareValues(`f:${key}`, old, value, schemaAt(schema, key), found, always || old !== undefined, true);
  }
  for (const key in before) {
    const old = before[key];
    if (old === undefined || old === null) continue;
    const value = after !== undefined && Object.hasOwn(after, key) ? after[key] : undefined;
    if (value !== undefined && value !== null) continue;
    compareValues(`f:${key}`, old, undefined, schemaAt(schema, key), found, true, newThere && isAlwaysThere(schema, key));
  }
}

/** Fields that upstream's types hold by value: the object around them has them even when they say nothing, so filling them does not add them. */
function isAlwaysThere(schema: Schema, key: string): boolean {
  if (schema.type !== 'object') return false;
  return (
    key === 'metadata' ||
    key === 'spec' ||
    key === 'status' ||
    key === 'strategy' ||
    key === 'updateStrategy' ||
    schema.properties[key]?.required === true
  );
}

function compareValues(element: string, before: unknown, after: unknown, schema: Schema, found: Found, oldThere: boolean, newThere: boolean): void {
  const oldFields = granularFields(before, schema);
  const newFields = granularFields(after, schema);
  const below: Found = { added: undefined, removed: undefined, modified: undefined };
  if (fitsBoth(before, oldFields, after, newFields) && !(isBare(oldFields) && isBare(newFields))) {
    compareFields(oldFields, newFields, schema, below, oldThere, newThere);
  } else {
    const oldList = granularList(before, schema);
    const newList = granularList(after, schema);
    const list = newList ?? oldList;
    const empty = (oldList?.list.length ?? 0) === 0 && (newList?.list.length ?? 0) === 0;
    if (list === undefined || empty || !fitsBoth(before, oldList, after, newList)) {
      if (before === undefined) (found.added ??= {})[element] = emptySet;
      else if (after === undefined) (found.removed ??= {})[element] = emptySet;
      else if (!equal(before, after)) (found.modified ??= {})[element] = emptySet;
      return;
    }
    compareItems(oldList?.list, newList?.list, list.schema, below);
  }
  const added = nodeOf(!oldThere, below.added);
  if (added !== undefined) (found.added ??= {})[element] = added;
  const removed = nodeOf(!newThere, below.removed);
  if (removed !== undefined) (found.removed ??= {})[element] = removed;
  if (below.modified !== undefined) (found.modified ??= {})[element] = below.modified;
}

function compareItems(before: readonly unknown[] | undefined, after: readonly unknown[] | undefined, schema: ListSchema, found: Found): void {
  const oldItems = indexItems(before, schema);
  const newItems = indexItems(after, schema);
  for (const [element, value] of newItems) {
    const old = oldItems.get(element);
    if (old !== value) compareValues(element, old, value, schema.items, found, old !== undefined, true);
  }
  for (const [element, value] of oldItems) if (!newItems.has(element)) compareValues(element, value, undefined, schema.items, found, true, false);
}

/** Both sides are of the granular form, or absent, and one is there. */
function fitsBoth(before: unknown, oldForm: unknown, after: unknown, newForm: unknown): boolean {
  if (oldForm === undefined && newForm === undefined) return false;
  return (before === undefined || oldForm !== undefined) && (after === undefined || newForm !== undefined);
}
