/** The addresses of simulated pods on one node. */

export interface AddressPool {
  /** From now on out of this range. */
  use(podCidr: string): void;
  take(): string;
  give(ip: string): void;
}

/** Addresses of the node's pod CIDR, the lowest free one first; 10.88.0.0/16 until one is set. */
export function addressPool(inUse: readonly string[]): AddressPool {
  let base = toNumber('10.88.0.0');
  let size = 65536;
  const taken = new Set<string>(inUse);
  return {
    use(podCidr) {
      const [network, bits] = podCidr.split('/');
      if (network === undefined || network.includes(':')) return;
      base = toNumber(network);
      size = 2 ** (32 - Number(bits ?? '24'));
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
    give: (ip) => void taken.delete(ip),
  };
}

function toNumber(address: string): number {
  return address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
}

function toAddress(value: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join('.');
}
