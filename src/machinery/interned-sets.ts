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

/**
 * The same set: the one that was seen before, if there was one, or else one whose parts below a top-level field (`f:spec`) were seen before. Sorted sets
 * only: order counts.
 */
export function interned(set: FieldSet): FieldSet {
  const result: Record<string, FieldSet> = {};
  let key = '';
  for (const field in set) {
    const parts: Record<string, FieldSet> = {};
    const below = set[field] ?? {};
    key += `#${named(field)}`;
    for (const element in below) {
      const part = below[element] ?? {};
      const text = JSON.stringify(part);
      parts[element] = known(text, part);
      key += named(element) + text;
    }
    result[field] = parts;
  }
  return known(key, result);
}

/** A name, whatever is in it, that ends where it does. */
function named(name: string): string {
  return `${name.length}:${name}`;
}

function known(key: string, part: FieldSet): FieldSet {
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
