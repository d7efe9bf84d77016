/**
 * The bridge that a node's pods hang on. The CNI plugin makes it with the first pod; where pods have IPv6 it is made before, for the kernel lets the address of a
 * new bridge answer only after two seconds (duplicate address detection), in which the node's first pods would reach nobody.
 */
import { formatIp, isV6, nthIp, parseCidr } from '../machinery/ip.ts';
import type { Run } from './command.ts';

export interface PodBridge {
  readonly name: string;
  /** The bridge's for good: it would take one of its ports' otherwise, and another when that goes. */
  readonly mac: string;
  readonly mtu: number;
  readonly podCidrs: readonly string[];
}

/** The node looks for its pods on the link by an address of the link. */
const linkLocal = 'fe80::1';

/** The first address of a range is its pods' gateway, as the plugin has it; it adds that of IPv4 itself. What is there already stays. */
export async function prepareBridge({ name, mac, mtu, podCidrs }: PodBridge, run: Run): Promise<void> {
  const ranges = podCidrs.filter(isV6).map(parseCidr);
  if (ranges.length === 0) return;
  const exists = await run('ip', ['link', 'show', name]).then(
    () => true,
    () => false,
  );
  if (!exists) await run('ip', ['link', 'add', name, 'address', mac, 'mtu', String(mtu), 'type', 'bridge']);
  const addresses = ranges.map((range) => `address replace ${formatIp(nthIp(range, 1))}/${range.prefixLength} dev ${name} nodad`);
  await run('ip', ['-batch', '-'], [...addresses, `address replace ${linkLocal}/64 dev ${name} nodad`, `link set ${name} up`].join('\n'));
}
