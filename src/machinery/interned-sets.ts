/**
 * Sets of fields that many objects have alike: a thousand pods of one template, written by the same few managers, name the same fields. Each different part
 * of a set is kept once, as long as it keeps coming up.
 */
import type { FieldSet } from './field-set.ts';

/** Of each generation. Parts that hold something of one object alone (its address, its owner) come up once, and are gone with their generation. */
const maxParts = 500;
/** Smaller parts cost less than looking for them. */
const minLength = 40;

let current = new Map<string, FieldSet>();
let previous = new Map<string, FieldSet>();

/** The same set, with every part below a top-level field (`f:spec`) the one that was seen before, if there was one. Sorted sets only: order counts. */
export function interned(set: FieldSet): FieldSet {
  const result: Record<string, FieldSet> = {};
  for (const field in set) {
    const parts: Record<string, FieldSet> = {};
    const below = set[field] ?? {};
    for (const element in below) parts[element] = known(below[element] ?? {});
    result[field] = parts;
  }
  return result;
}

function known(part: FieldSet): FieldSet {
  const key = JSON.stringify(part);
  if (key.length < minLength) return part;
  let found = current.get(key);
  if (found !== undefined) return found;
  found = previous.get(key) ?? part;
  if (current.size >= maxParts) {
    previous = current;
    current = new Map();
  }
  current.set(key, found);
  return found;
}
