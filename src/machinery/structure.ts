/**
 * How a value's schema divides it: which maps and objects are taken key by key, which lists item by item, and by what path element each part is
 * known. The ground of server-side apply; follows upstream's structured-merge-diff.
 */
import { keyElement } from './field-set.ts';
import type { ListSchema, Schema } from './schema.ts';

export type Fields = Readonly<Record<string, unknown>>;

const any: Schema = { type: 'any' };

/** Map keys that clients may leave out, where the schema itself does not say what they then are. */
const keyDefaults: Readonly<Record<string, string>> = { protocol: 'TCP', name: '' };

/** A map or object whose keys merge one by one. Values without a schema are such maps when they look like one. */
export function granularFields(value: unknown, schema: Schema): Fields | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  if (schema.type === 'any') return value as Fields;
  return (schema.type === 'object' || schema.type === 'map') && schema.mapType === 'granular' ? (value as Fields) : undefined;
}

export function granularList(value: unknown, schema: Schema): { readonly list: readonly unknown[]; readonly schema: ListSchema } | undefined {
  return schema.type === 'list' && schema.listType !== 'atomic' && Array.isArray(value) ? { list: value, schema } : undefined;
}

export function schemaAt(schema: Schema, key: string): Schema {
  if (schema.type === 'map') return schema.values;
  if (schema.type !== 'object' || !Object.hasOwn(schema.properties, key)) return any;
  return schema.properties[key]?.schema ?? any;
}

/** True for a field the schema names, false for a key of a map. */
export function isNamed(schema: Schema, key: string): boolean {
  return schema.type === 'object' && Object.hasOwn(schema.properties, key);
}

/** The path element of a list item; undefined when it lacks a key. */
export function elementOf(item: unknown, schema: ListSchema): string | undefined {
  if (schema.listType === 'set') return `v:${JSON.stringify(item)}`;
  if (typeof item !== 'object' || item === null) return undefined;
  const keys: Record<string, unknown> = {};
  for (const key of schema.mapKeys) {
    const value = (item as Fields)[key] ?? defaultOf(schema.items, key);
    if (value === undefined) return undefined;
    keys[key] = value;
  }
  return keyElement(keys);
}

export function defaultOf(schema: Schema, key: string): unknown {
  const property = schema.type === 'object' && Object.hasOwn(schema.properties, key) ? schema.properties[key] : undefined;
  return property?.default ?? (property?.required === true ? undefined : keyDefaults[key]);
}

/** Items by path element. A repeated or unnamed item is left out: only validation can deal with it. */
export function indexItems(list: readonly unknown[] | undefined, schema: ListSchema): Map<string, unknown> {
  const items = new Map<string, unknown>();
  for (const item of list ?? []) {
    const element = elementOf(item, schema);
    if (element !== undefined && !items.has(element)) items.set(element, item);
  }
  return items;
}

export function isBare(fields: Fields | undefined): boolean {
  if (fields !== undefined) for (const _ in fields) return false;
  return true;
}
