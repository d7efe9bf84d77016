/** IPv4 and IPv6 addresses and CIDR blocks as numbers: parsing (as strict as Go's `net/netip`), canonical text, and counting within a block. */

export class IpError extends Error {
  override readonly name = 'IpError';
}

export interface IpAddress {
  readonly family: 4 | 6;
  /** The address as an unsigned number of 32 or 128 bits. */
  readonly bits: bigint;
}

/** A block of addresses. `address` is as written: `10.0.0.5/24` keeps its host part; {@link networkOf} drops it. */
export interface Cidr {
  readonly address: IpAddress;
  readonly prefixLength: number;
}

export function widthOf(family: 4 | 6): number {
  return family === 4 ? 32 : 128;
}

/** Throws {@link IpError}. No leading zeros, no zones. */
export function parseIp(text: string): IpAddress {
  const address = tryParseIp(text);
  if (address === undefined) throw new IpError(`invalid IP address: ${JSON.stringify(text)}`);
  return address;
}

export function tryParseIp(text: string): IpAddress | undefined {
  if (text.includes(':')) {
    const bits = parseV6(text);
    return bits === undefined ? undefined : { family: 6, bits };
  }
  const bits = parseV4(text);
  return bits === undefined ? undefined : { family: 4, bits };
}

export function isIp(text: string): boolean {
  return tryParseIp(text) !== undefined;
}

/** Throws {@link IpError}. */
export function parseCidr(text: string): Cidr {
  const cidr = tryParseCidr(text);
  if (cidr === undefined) throw new IpError(`invalid CIDR address: ${text}`);
  return cidr;
}

export function tryParseCidr(text: string): Cidr | undefined {
  const slash = text.indexOf('/');
  if (slash < 0) return undefined;
  const address = tryParseIp(text.slice(0, slash));
  const length = text.slice(slash + 1);
  if (address === undefined || !/^(0|[1-9]\d{0,2})$/.test(length)) return undefined;
  const prefixLength = Number(length);
  return prefixLength > widthOf(address.family) ? undefined : { address, prefixLength };
}

/** The blocks in a list such as `10.244.0.0/16,fd00:1::/56`, as clusters of two families have them. */
export function splitCidrs(list: string): string[] {
  return list
    .split(',')
    .map((text) => text.trim())
    .filter((text) => text !== '');
}

/** Whether an address or a block that is known to be one is of IPv6. */
export function isV6(text: string): boolean {
  return text.includes(':');
}

/** Canonical text: IPv6 in lower case, its longest run of zero groups as `::` (RFC 5952). */
export function formatIp({ family, bits }: IpAddress): string {
  if (family === 4) return [24n, 16n, 8n, 0n].map((shift) => String((bits >> shift) & 0xffn)).join('.');
  if (bits >> 32n === 0xffffn) return `::ffff:${formatIp({ family: 4, bits: bits & 0xffff_ffffn })}`;
  const groups = Array.from({ length: 8 }, (_, i) => Number((bits >> BigInt(112 - 16 * i)) & 0xffffn));
  const run = longestZeroRun(groups);
  const hex = groups.map((group) => group.toString(16));
  if (run.length < 2) return hex.join(':');
  return `${hex.slice(0, run.start).join(':')}::${hex.slice(run.start + run.length).join(':')}`;
}

export function formatCidr({ address, prefixLength }: Cidr): string {
  return `${formatIp(address)}/${prefixLength}`;
}

/** The block with the host part of its address cleared. */
export function networkOf({ address, prefixLength }: Cidr): Cidr {
  const hostBits = BigInt(widthOf(address.family) - prefixLength);
  return { address: { family: address.family, bits: (address.bits >> hostBits) << hostBits }, prefixLength };
}

/** How many addresses the block holds. */
export function sizeOf({ address, prefixLength }: Cidr): bigint {
  return 1n << BigInt(widthOf(address.family) - prefixLength);
}

export function contains(cidr: Cidr, address: IpAddress): boolean {
  if (cidr.address.family !== address.family) return false;
  const hostBits = BigInt(widthOf(address.family) - cidr.prefixLength);
  return cidr.address.bits >> hostBits === address.bits >> hostBits;
}

/** True when the two blocks share an address. */
export function overlaps(a: Cidr, b: Cidr): boolean {
  return a.prefixLength <= b.prefixLength ? contains(a, b.address) : contains(b, a.address);
}

/** The n-th address of the block, counted from its network address; throws {@link IpError} beyond its end. */
export function nthIp(cidr: Cidr, n: bigint | number): IpAddress {
  const offset = BigInt(n);
  if (offset < 0n || offset >= sizeOf(cidr))
    throw new IpError(`can't generate IP with index ${offset} from subnet, subnet too small: ${formatCidr(cidr)}`);
  return { family: cidr.address.family, bits: networkOf(cidr).address.bits + offset };
}

/** The n-th block of `prefixLength` inside `cidr`, as node address ranges are cut from the cluster's. */
export function nthSubnet(cidr: Cidr, prefixLength: number, n: bigint | number): Cidr {
  const { family } = cidr.address;
  const offset = BigInt(n);
  const count = prefixLength < cidr.prefixLength ? 0n : 1n << BigInt(prefixLength - cidr.prefixLength);
  if (prefixLength > widthOf(family) || offset < 0n || offset >= count)
    throw new IpError(`${formatCidr(cidr)} has no subnet /${prefixLength} number ${offset}`);
  return { address: { family, bits: networkOf(cidr).address.bits + (offset << BigInt(widthOf(family) - prefixLength)) }, prefixLength };
}

/** Where the address stands in the block, the inverse of {@link nthIp}. */
export function indexOfIp(cidr: Cidr, address: IpAddress): bigint {
  return address.bits - networkOf(cidr).address.bits;
}

function parseV4(text: string): bigint | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (match === null) return undefined;
  let bits = 0n;
  for (const part of match.slice(1)) {
    const value = Number(part);
    if (value > 255 || (part.length > 1 && part.startsWith('0'))) return undefined;
    bits = (bits << 8n) | BigInt(value);
  }
  return bits;
}

function parseV6(text: string): bigint | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const [left = '', right] = halves;
  const head = parseGroups(left, right === undefined);
  const tail = right === undefined ? [] : parseGroups(right, true);
  if (head === undefined || tail === undefined) return undefined;
  const missing = 8 - head.length - tail.length;
  if (right === undefined ? missing !== 0 : missing < 1) return undefined;
  let bits = 0n;
  for (const group of [...head, ...Array.from({ length: missing }, () => 0), ...tail]) bits = (bits << 16n) | BigInt(group);
  return bits;
}

/** 16-bit groups; the last may be an IPv4 address, standing for two. */
function parseGroups(text: string, isEnd: boolean): number[] | undefined {
  if (text === '') return [];
  const groups: number[] = [];
  const parts = text.split(':');
  for (const [i, part] of parts.entries()) {
    if (part.includes('.')) {
      const v4 = isEnd && i === parts.length - 1 ? parseV4(part) : undefined;
      if (v4 === undefined) return undefined;
      groups.push(Number(v4 >> 16n), Number(v4 & 0xffffn));
    } else if (/^[0-9a-fA-F]{1,4}$/.test(part)) groups.push(Number.parseInt(part, 16));
    else return undefined;
  }
  return groups;
}

function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  for (let start = 0; start < groups.length; start++) {
    let length = 0;
    while (groups[start + length] === 0) length++;
    if (length > best.length) best = { start, length };
    start += length;
  }
  return best;
}
