/**
 * The addresses Services may get: the ranges in use now, and who holds which address. Ranges come and go (they are ServiceCIDR objects) and may overlap; who
 * holds an address is known whether a range has it or not.
 */
import {
  contains,
  type Cidr,
  formatCidr,
  formatIp,
  indexOfIp,
  type IpAddress,
  networkOf,
  nthIp,
  parseCidr,
  sizeOf,
  tryParseIp,
} from '../../machinery/ip.ts';
import type { Random } from '../../world/world.ts';
import { Pool, staticBand } from './pool.ts';

export type IpFamily = 'IPv4' | 'IPv6';

/** Of a range larger than this only the first part is given out; what lies behind can be asked for. */
const maxAddresses = 1 << 20;

class AddressRange {
  readonly family: IpFamily;
  readonly #cidr: Cidr;
  readonly #pool: Pool;
  readonly #total: bigint;
  readonly #size: number;

  constructor(cidr: string, random: Random) {
    this.#cidr = networkOf(parseCidr(cidr));
    this.family = this.#cidr.address.family === 4 ? 'IPv4' : 'IPv6';
    // Neither the network's own address nor the broadcast address.
    const unusable = this.family === 'IPv4' ? 2n : 1n;
    const whole = sizeOf(this.#cidr);
    this.#total = whole > unusable ? whole - unusable : 0n;
    this.#size = Number(this.#total < BigInt(maxAddresses) ? this.#total : maxAddresses);
    this.#pool = new Pool(this.#size, staticBand(this.#size, 16, 16, 256), random);
  }

  toString(): string {
    return formatCidr(this.#cidr);
  }

  contains(address: IpAddress): boolean {
    return contains(this.#cidr, address);
  }

  /** False for the network's own address and the broadcast address. */
  isUsable(address: IpAddress): boolean {
    const index = indexOfIp(this.#cidr, address) - 1n;
    return this.contains(address) && index >= 0n && index < this.#total;
  }

  mark(address: IpAddress, state: 'held' | 'free'): void {
    if (!this.contains(address)) return;
    const index = indexOfIp(this.#cidr, address) - 1n;
    if (index < 0n || index >= BigInt(this.#size)) return;
    if (state === 'held') this.#pool.hold(Number(index), '');
    else this.#pool.release(Number(index), '');
  }

  /** An address nobody holds; undefined when none is left. */
  pick(): string | undefined {
    const number = this.#pool.pick();
    return number === undefined ? undefined : formatIp(nthIp(this.#cidr, number + 1));
  }
}

export class ServiceAddresses {
  readonly #random: Random;
  #ranges: readonly AddressRange[] = [];
  /** By address in canonical text. */
  readonly #holders = new Map<string, Set<string>>();

  constructor(random: Random) {
    this.#random = random;
  }

  /** Gives addresses out of these ranges from now on, the first ones first. */
  useRanges(cidrs: readonly string[]): void {
    const known = new Map(this.#ranges.map((range) => [range.toString(), range]));
    this.#ranges = [...new Set(cidrs)].map((cidr) => {
      const range = new AddressRange(cidr, this.#random);
      const present = known.get(range.toString());
      if (present) return present;
      for (const ip of this.#holders.keys()) {
        const address = tryParseIp(ip);
        if (address) range.mark(address, 'held');
      }
      return range;
    });
  }

  hold(ip: string, owner: string): void {
    const address = tryParseIp(ip);
    if (!address) return;
    const key = formatIp(address);
    const holders = this.#holders.get(key);
    if (holders) {
      holders.add(owner);
      return;
    }
    this.#holders.set(key, new Set([owner]));
    for (const range of this.#ranges) range.mark(address, 'held');
  }

  release(ip: string, owner: string): void {
    const address = tryParseIp(ip);
    if (!address) return;
    const key = formatIp(address);
    const holders = this.#holders.get(key);
    if (!holders?.delete(owner) || holders.size > 0) return;
    this.#holders.delete(key);
    for (const range of this.#ranges) range.mark(address, 'free');
  }

  holdersOf(ip: string): ReadonlySet<string> {
    return this.#holders.get(ip) ?? nobody;
  }

  /** Why an address cannot be had, in upstream's words; undefined when it can. */
  refusal(ip: string): string | undefined {
    const address = tryParseIp(ip);
    const around = address ? this.#ranges.filter((range) => range.contains(address)) : [];
    const [first] = around;
    if (!address || !first) return 'the provided network does not match the current range';
    if (!around.some((range) => range.isUsable(address)))
      return `the provided IP (${ip}) is not in the valid range. The range of valid IPs is ${first.toString()}`;
    return this.#holders.has(formatIp(address)) ? 'provided IP is already allocated' : undefined;
  }

  /** An address nobody held, held from now on; undefined when none is left. */
  take(family: string, owner: string): string | undefined {
    for (const range of this.#ranges) {
      const ip = range.family === family ? range.pick() : undefined;
      if (ip === undefined) continue;
      this.hold(ip, owner);
      return ip;
    }
    return undefined;
  }
}

const nobody: ReadonlySet<string> = new Set();
