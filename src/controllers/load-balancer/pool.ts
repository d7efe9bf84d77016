/** The addresses that Services of type LoadBalancer may be given, as configured: single addresses, `first-last` ranges and CIDRs. */
import { contains, formatIp, type IpAddress, nthIp, parseCidr, parseIp, sizeOf, tryParseCidr } from '../../machinery/ip.ts';

interface Range {
  readonly first: IpAddress;
  readonly size: bigint;
}

/** So many addresses of a range are looked at before it counts as full. */
const mostTried = 1n << 16n;

export class AddressPool {
  /** As they were written. */
  readonly entries: readonly string[];
  readonly #ranges: readonly Range[];

  /** Throws for what is none of the three forms. */
  constructor(entries: readonly string[]) {
    this.entries = entries;
    this.#ranges = entries.map(rangeOf);
  }

  isEmpty(): boolean {
    return this.#ranges.length === 0;
  }

  has(text: string): boolean {
    const address = parseIp(text);
    return this.#ranges.some(({ first, size }) => first.family === address.family && address.bits >= first.bits && address.bits < first.bits + size);
  }

  /** The first address of the family that `taken` does not refuse; undefined when there is none. */
  free(family: 4 | 6, taken: (address: string) => boolean): string | undefined {
    for (const { first, size } of this.#ranges) {
      if (first.family !== family) continue;
      for (let n = 0n; n < size && n < mostTried; n++) {
        const address = formatIp({ family, bits: first.bits + n });
        if (!taken(address)) return address;
      }
    }
    return undefined;
  }
}

function rangeOf(entry: string): Range {
  const [from, to, more] = entry.split('-').map((part) => part.trim());
  if (from !== undefined && to !== undefined && more === undefined) {
    const [first, last] = [parseIp(from), parseIp(to)];
    if (first.family !== last.family || last.bits < first.bits)
      throw new Error(`"${entry}" is not a range of addresses: the second must not be below the first`);
    return { first, size: last.bits - first.bits + 1n };
  }
  if (tryParseCidr(entry) === undefined) return { first: parseIp(entry), size: 1n };
  const cidr = parseCidr(entry);
  const size = sizeOf(cidr);
  // A network's own and its broadcast address are nobody's.
  const edges = cidr.address.family === 4 && size > 2n ? 1n : 0n;
  const network = nthIp({ ...cidr, address: networkStart(cidr.address, size) }, edges);
  if (!contains(cidr, network)) throw new Error(`"${entry}" is not a range of addresses`);
  return { first: network, size: size - 2n * edges };
}

function networkStart({ family, bits }: IpAddress, size: bigint): IpAddress {
  return { family, bits: bits - (bits % size) };
}
