/** The addresses of simulated pods on one node. */
import { type Cidr, formatIp, isV6, nthIp, parseCidr, splitCidrs } from '../../machinery/ip.ts';

export interface AddressPool {
  /** From now on out of this range, or of these with a comma between them: one of each family. */
  use(podCidrs: string): void;
  take(): string;
  /** All that a pod has whose IPv4 address this is: an IPv6 one with the same number in its range, where there is such a range. */
  all(ip: string): string[];
  give(ip: string): void;
}

/** Addresses of the node's pod CIDR, the lowest free one first; 10.88.0.0/16 until one is set. */
export function addressPool(inUse: readonly string[]): AddressPool {
  let base = toNumber('10.88.0.0');
  let size = 65536;
  let range6: Cidr | undefined;
  const taken = new Set<string>(inUse);
  return {
    use(podCidrs) {
      for (const podCidr of splitCidrs(podCidrs)) {
        if (isV6(podCidr)) {
          range6 = parseCidr(podCidr);
          continue;
        }
        const [network = '', bits] = podCidr.split('/');
        base = toNumber(network);
        size = 2 ** (32 - Number(bits ?? '24'));
      }
    },
    take() {
      for (let offset = 2; offset < size - 1; offset++) {
        const ip = toAddress(base + offset);
        if (taken.has(ip)) continue;
        taken.add(ip);
        return ip;
      }
      throw new Error('failed to set up sandbox: no IP addresses available in range set');
    },
    all(ip) {
      const offset = toNumber(ip) - base;
      return range6 === undefined || offset < 0 || offset >= size ? [ip] : [ip, formatIp(nthIp(range6, offset))];
    },
    give: (ip) => void taken.delete(ip),
  };
}

function toNumber(address: string): number {
  return address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
}

function toAddress(value: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join('.');
}
