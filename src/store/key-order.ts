/** Keys in the order of their UTF-8 bytes, which is what every medium sorts by, compared without encoding them. */

/** Negative, zero or positive, like `Buffer.compare` of both keys' UTF-8. */
export function compareKeys(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const unitA = a.charCodeAt(i);
    const unitB = b.charCodeAt(i);
    if (unitA !== unitB) return byteRank(unitA) - byteRank(unitB);
  }
  return a.length - b.length;
}

/** UTF-16 puts surrogates (code points past U+FFFF) before U+E000; UTF-8 puts them last. */
function byteRank(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800;
}
