/** Words of merge patches (RFC 7386). */

/** An empty list leaves no trace on the object, as if it had never been there. */
export function orNone<T>(list: readonly T[]): readonly T[] | null {
  return list.length > 0 ? list : null;
}
