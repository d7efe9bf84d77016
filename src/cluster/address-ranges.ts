/**
 * The ranges of addresses a cluster lives in: its pods', its Services' and, where it is dual-stack, those of the link between nodes on one host. Chosen once;
 * every range in use hangs on them. As upstream's flags take them: one range, or one of each family, the IPv4 one first.
 */
import { createHash } from 'node:crypto';
import { formatCidr, formatIp, networkOf, nthIp, overlaps, parseCidr, splitCidrs, tryParseCidr } from '../machinery/ip.ts';
import { ClusterError } from './cluster-error.ts';

export interface AddressRanges {
  /** Of pods: `10.244.0.0/16`, or `10.244.0.0/16,fd00:10:244::/56`. */
  readonly clusterCidr: string;
  /** Of Services, in the same form. */
  readonly serviceCidr: string;
  /** IPv6 addresses on the link between nodes on one host; absent in a cluster of one family. */
  readonly linkCidr6?: string;
}

export interface RangeChoices {
  readonly clusterCidr?: string;
  readonly serviceClusterIpRange?: string;
  /** IPv6 beside IPv4, in ranges of this cluster's own where none are given. */
  readonly dualStack?: boolean;
}

/** What a range may look like: as upstream bounds it, for nodes get a /24 or a /64 of the pods', and Services are counted one by one. */
const bounds = {
  clusterCidr: { flag: '--cluster-cidr', 4: [8, 24], 6: [48, 64] },
  serviceCidr: { flag: '--service-cluster-ip-range', 4: [12, 28], 6: [108, 124] },
} as const;

/** Where the ranges are to be: `place` keeps clusters on one host apart, and `linkCidr` is taken by the nodes on it. */
export interface Surroundings {
  readonly place: number;
  readonly dataDir: string;
  readonly linkCidr: string;
}

/** Throws {@link ClusterError} for ranges that do not work. */
export function newRanges(choices: RangeChoices, { place, dataDir, linkCidr }: Surroundings): AddressRanges {
  const pods = choices.clusterCidr === undefined ? undefined : checked(choices.clusterCidr, 'clusterCidr');
  const services = choices.serviceClusterIpRange === undefined ? undefined : checked(choices.serviceClusterIpRange, 'serviceCidr');
  const isDual = choices.dualStack === true || (pods?.length ?? 0) > 1 || (services?.length ?? 0) > 1;
  for (const [key, given] of [['clusterCidr', pods] as const, ['serviceCidr', services] as const])
    if (isDual && given?.length === 1)
      throw new ClusterError(`${bounds[key].flag} ${given.join(',')}: a dual-stack cluster needs an IPv6 range, too`);
  const own = uniqueLocal(dataDir);
  const v6 = (range: string): string[] => (isDual ? [range] : []);
  const ranges = {
    clusterCidr: (pods ?? [`10.${128 + ((116 + place) % 128)}.0.0/16`, ...v6(`${own}:100::/56`)]).join(','),
    serviceCidr: (services ?? [`10.${(96 + place) % 128}.0.0/16`, ...v6(`${own}:f000::/112`)]).join(','),
    ...(isDual && { linkCidr6: `${own}:200::/64` }),
  };
  refuseOverlaps(ranges, linkCidr);
  return ranges;
}

/** What is kept, if the choices agree with it. Throws {@link ClusterError} otherwise: addresses are in use, in objects and on nodes. */
export function keptRanges(kept: AddressRanges, choices: RangeChoices, dataDir: string): AddressRanges {
  const { clusterCidr, serviceCidr, linkCidr6 } = kept;
  const wanted = {
    clusterCidr: choices.clusterCidr === undefined ? clusterCidr : checked(choices.clusterCidr, 'clusterCidr').join(','),
    serviceCidr: choices.serviceClusterIpRange === undefined ? serviceCidr : checked(choices.serviceClusterIpRange, 'serviceCidr').join(','),
  };
  for (const key of ['clusterCidr', 'serviceCidr'] as const)
    if (wanted[key] !== kept[key])
      throw new ClusterError(`the cluster in ${dataDir} was made with ${bounds[key].flag} ${kept[key]}: give another --data-dir`);
  if (choices.dualStack === true && !isDualStack(kept))
    throw new ClusterError(`the cluster in ${dataDir} was made with IPv4 only: give another --data-dir for --dual-stack`);
  return { clusterCidr, serviceCidr, ...(linkCidr6 !== undefined && { linkCidr6 }) };
}

export function isDualStack({ clusterCidr }: Pick<AddressRanges, 'clusterCidr'>): boolean {
  return splitCidrs(clusterCidr).length > 1;
}

/** The addresses within the (first) Service range that have a fixed meaning: the first is the API server's, the tenth the DNS server's. */
export function fixedServiceAddresses(serviceCidr: string): { readonly apiServer: string; readonly dns: string } {
  const range = parseCidr(splitCidrs(serviceCidr)[0] ?? '');
  return { apiServer: formatIp(nthIp(range, 1)), dns: formatIp(nthIp(range, 10)) };
}

/** The ranges of a flag, as they are written down. */
function checked(text: string, key: keyof typeof bounds): readonly string[] {
  const { flag } = bounds[key];
  const ranges = splitCidrs(text).map((range) => {
    const cidr = tryParseCidr(range);
    if (!cidr) throw new ClusterError(`${flag} ${text}: "${range}" is no range of addresses such as 10.244.0.0/16`);
    return networkOf(cidr);
  });
  if (ranges.length === 0 || ranges.length > 2) throw new ClusterError(`${flag} ${text}: one range, or one of each family`);
  for (const [index, range] of ranges.entries()) {
    const family = index === 0 ? 4 : 6;
    if (range.address.family !== family) throw new ClusterError(`${flag} ${text}: an IPv4 range comes first, and an IPv6 one may follow`);
    const [shortest, longest] = bounds[key][family];
    if (range.prefixLength < shortest || range.prefixLength > longest)
      throw new ClusterError(`${flag} ${text}: the prefix of an IPv${family} range has ${shortest} to ${longest} bits, not ${range.prefixLength}`);
  }
  return ranges.map(formatCidr);
}

function refuseOverlaps({ clusterCidr, serviceCidr, linkCidr6 }: AddressRanges, linkCidr: string): void {
  const all = [...splitCidrs(clusterCidr), ...splitCidrs(serviceCidr), linkCidr, ...(linkCidr6 === undefined ? [] : [linkCidr6])].map(parseCidr);
  all.forEach((range, index) => {
    const other = all.slice(index + 1).find((candidate) => overlaps(range, candidate));
    if (other)
      throw new ClusterError(`the ranges ${formatCidr(range)} and ${formatCidr(other)} overlap: pods, Services and nodes need ranges of their own`);
  });
}

/** A prefix of 48 bits for networks that are nobody else's (RFC 4193): the same for a data directory, so that it can be foretold. */
function uniqueLocal(dataDir: string): string {
  const digits = createHash('sha256').update(dataDir).digest('hex');
  return formatPrefix([`fd${digits.slice(0, 2)}`, digits.slice(2, 6), digits.slice(6, 10)]);
}

/** Without leading zeros, as addresses are written. */
function formatPrefix(groups: readonly string[]): string {
  return groups.map((group) => Number.parseInt(group, 16).toString(16)).join(':');
}
