/** The address ranges services get their cluster IPs from, one for each IP family of the cluster. */
import { contains, type Cidr, formatCidr, formatIp, indexOfIp, networkOf, nthIp, parseCidr, sizeOf, tryParseIp } from '../../machinery/ip.ts';
import type { Random } from '../../world/world.ts';
import { Pool, staticBand } from './pool.ts';

export type IpFamily = 'IPv4' | 'IPv6';

/** A range larger than this is used in its first part only. */
const maxAddresses = 1 << 20;

export class AddressRange {
  readonly family: IpFamily;
  readonly #cidr: Cidr;
  readonly #pool: Pool;
  readonly #size: number;

  constructor(cidr: string, random: Random) {
    this.#cidr = networkOf(parseCidr(cidr));
    this.family = this.#cidr.address.family === 4 ? 'IPv4' : 'IPv6';
    const total = Number(sizeOf(this.#cidr) < BigInt(maxAddresses) ? sizeOf(this.#cidr) : maxAddresses);
    // Neither the network's own address nor the broadcast address.
    this.#size = Math.max(0, this.family === 'IPv4' ? total - 2 : total - 1);
    this.#pool = new Pool(this.#size, staticBand(this.#size, 16, 16, 256), random);
  }

  toString(): string {
    return formatCidr(this.#cidr);
  }

  /** Position of an address in the range; undefined when it is outside. */
  numberOf(ip: string): number | undefined {
    const address = tryParseIp(ip);
    if (!address || !contains(this.#cidr, address)) return undefined;
    const number = Number(indexOfIp(this.#cidr, address)) - 1;
    return number >= 0 && number < this.#size ? number : undefined;
  }

  isFree(number: number): boolean {
    return this.#pool.isFree(number);
  }

  hold(number: number, owner: string): void {
    this.#pool.hold(number, owner);
  }

  release(number: number, owner: string): void {
    this.#pool.release(number, owner);
  }

  /** A free address, held from now on; undefined when none is left. */
  take(owner: string): { ip: string; number: number } | undefined {
    const number = this.#pool.pick();
    if (number === undefined) return undefined;
    this.#pool.hold(number, owner);
    return { ip: formatIp(nthIp(this.#cidr, number + 1)), number };
  }
}
