/** Deep copies and freezing of JSON values. Objects from a cache are shared and must never change; whoever wants to change one clones it first. */

/** A deep copy of a JSON value; `undefined` fields are dropped, as encoding would. */
export function clone<T>(value: T): T {
  return copy(value) as T;
}

function copy(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) {
    const list: unknown[] = [];
    for (const item of value) list.push(copy(item));
    return list;
  }
  const result: Record<string, unknown> = {};
  for (const key in value) {
    const item = (value as Record<string, unknown>)[key];
    if (item === undefined) continue;
    const copied = typeof item === 'object' ? copy(item) : item;
    if (key === '__proto__') Object.defineProperty(result, key, { value: copied, enumerable: true, configurable: true, writable: true });
    else result[key] = copied;
  }
  return result;
}

/** Freezes a value and all it holds; returns it. For tests, and for values that are shared for the life of the process. */
export function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const item of Object.values(value)) deepFreeze(item);
  }
  return value;
}
