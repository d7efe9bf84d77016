/** Ranges of whole numbers, for addresses and ports: blocks with exceptions become what nftables can look up, ranges in order that do not touch. */
import { formatIp, networkOf, parseCidr, sizeOf, type Cidr } from './ip.ts';

/** Both ends are included. */
export interface Range {
  readonly first: bigint;
  readonly last: bigint;
}

export function rangeOfCidr(cidr: Cidr): Range {
  const first = networkOf(cidr).address.bits;
  return { first, last: first + sizeOf(cidr) - 1n };
}

/** Sorted; what overlaps or touches is one range. */
export function union(ranges: readonly Range[]): Range[] {
  const joined: Range[] = [];
  for (const range of ranges.toSorted((a, b) => (a.first < b.first ? -1 : a.first > b.first ? 1 : 0))) {
    const before = joined.at(-1);
    if (before === undefined || range.first > before.last + 1n) joined.push(range);
    else if (range.last > before.last) joined[joined.length - 1] = { first: before.first, last: range.last };
  }
  return joined;
}

/** `range` without `holes`. */
export function without(range: Range, holes: readonly Range[]): Range[] {
  const left: Range[] = [];
  let first = range.first;
  for (const hole of union(holes)) {
    if (hole.last < first) continue;
    if (hole.first > range.last) break;
    if (hole.first > first) left.push({ first, last: hole.first - 1n });
    first = hole.last + 1n;
  }
  if (first <= range.last) left.push({ first, last: range.last });
  return left;
}

/** A policy's `ipBlock` as ranges, and of which family. */
export function rangesOfBlock({ cidr, except = [] }: { readonly cidr: string; readonly except?: readonly string[] }): {
  readonly family: 4 | 6;
  readonly ranges: readonly Range[];
} {
  const block = parseCidr(cidr);
  return {
    family: block.address.family,
    ranges: without(
      rangeOfCidr(block),
      except.map((hole) => rangeOfCidr(parseCidr(hole))),
    ),
  };
}

export function addressRangeText(family: 4 | 6, { first, last }: Range): string {
  const text = formatIp({ family, bits: first });
  return first === last ? text : `${text}-${formatIp({ family, bits: last })}`;
}

export function portRangeText({ first, last }: Range): string {
  return first === last ? String(first) : `${first}-${last}`;
}
