/**
 * How each other node's pods are reached: over the link that both nodes are on, or through a VXLAN tunnel. A pure function of the Node objects, which carry
 * what flannel's do: the address tunnels end at and the MAC address behind it. See https://github.com/flannel-io/flannel/blob/master/Documentation/backends.md
 */
import { createHash } from 'node:crypto';
import type { Node } from '../api/kinds.ts';
import { contains, formatIp, isV6, parseCidr, tryParseCidr, tryParseIp } from '../machinery/ip.ts';

/** `auto` takes the link where there is one and VXLAN elsewhere, as flannel's DirectRouting does. */
export type PodNetworkMode = 'auto' | 'vxlan' | 'host-routes' | 'none';

export const annotation = {
  backendType: 'flannel.alpha.coreos.com/backend-type',
  backendData: 'flannel.alpha.coreos.com/backend-data',
  publicIp: 'flannel.alpha.coreos.com/public-ip',
  /** All addresses the node itself answers on, of both families, the public one first: it may be on several links. */
  addresses: 'network.k8ts.io/addresses',
  /** `address:port` where the tunnel of a node behind another machine is reached by those that are not on its link. */
  tunnelDoor: 'network.k8ts.io/tunnel-door',
} as const;

/** Where a tunnel is reached over UDP. */
export interface TunnelEnd {
  readonly address: string;
  readonly port: number;
}

/** A way to one range of pods. */
export type Peer =
  | { readonly kind: 'direct'; readonly podCidr: string; readonly gateway: string }
  | {
      readonly kind: 'vxlan';
      readonly podCidr: string;
      /** Where the tunnel ends. */
      readonly publicIp: string;
      /** When it is not the port that all tunnels have. */
      readonly port?: number;
      /** The tunnel's address on the other side, and the MAC address behind it. */
      readonly gateway: string;
      readonly mac: string;
    };

export interface Self {
  readonly nodeName: string;
  /** Ranges of the devices this node has, as `10.0.0.5/24`: whoever lies in one can be reached without a router. */
  readonly links: readonly string[];
  readonly mode: PodNetworkMode;
  /** This node's pods have IPv6 addresses. */
  readonly v6: boolean;
}

/** The ranges of a node's pods: none before it was given any, else one, or one of each family. */
export function podCidrsOf({ spec }: Node): readonly string[] {
  if (spec.podCIDRs !== undefined && spec.podCIDRs.length > 0) return spec.podCIDRs;
  return spec.podCIDR === undefined || spec.podCIDR === '' ? [] : [spec.podCIDR];
}

/** One way to each range of pods of other nodes that can be reached; sorted, so that equal states give equal plans. */
export function planPeers(self: Self, nodes: readonly Node[]): readonly Peer[] {
  if (self.mode === 'none') return [];
  return nodes
    .filter(({ metadata }) => metadata.name !== self.nodeName && metadata.deletionTimestamp === undefined)
    .flatMap((node) => podCidrsOf(node).flatMap((podCidr) => peerOf(self, node, podCidr) ?? []))
    .sort((a, b) => (a.podCidr < b.podCidr ? -1 : 1));
}

/** Where nodes share a link of one family only, the other family's packets take the tunnel, whose outer headers are always IPv4. */
function peerOf({ links, mode, v6 }: Self, node: Node, podCidr: string): Peer | undefined {
  if (tryParseCidr(podCidr) === undefined || (isV6(podCidr) && !v6)) return undefined;
  const addresses = addressesOf(node);
  const near = addresses.filter((address) => isV6(address) === isV6(podCidr));
  const gateway = mode === 'vxlan' ? undefined : near.find((address) => links.some((link) => isOnLink(link, address)));
  if (gateway !== undefined) return { kind: 'direct', podCidr, gateway };
  const publicIp = addresses.find((address) => !isV6(address));
  const mac = macOf(node);
  if (mode === 'host-routes' || publicIp === undefined || mac === undefined) return undefined;
  const door = links.some((link) => isOnLink(link, publicIp)) ? undefined : doorOf(node);
  const end = door === undefined ? { publicIp } : { publicIp: door.address, port: door.port };
  return { kind: 'vxlan', podCidr, ...end, gateway: tunnelAddress(podCidr), mac };
}

function doorOf({ metadata }: Node): TunnelEnd | undefined {
  const [, address = '', port = ''] = /^([\d.]+):(\d{1,5})$/.exec(metadata.annotations?.[annotation.tunnelDoor] ?? '') ?? [];
  return tryParseIp(address) && Number(port) > 0 && Number(port) < 65_536 ? { address, port: Number(port) } : undefined;
}

/** What a node says of itself comes first; the Node's addresses are there before it said anything. */
function addressesOf({ metadata, status }: Node): string[] {
  const annotated = [metadata.annotations?.[annotation.publicIp] ?? '', ...(metadata.annotations?.[annotation.addresses] ?? '').split(',')];
  const internal = (status.addresses ?? []).filter(({ type }) => type === 'InternalIP').map(({ address }) => address);
  return [...annotated, ...internal].filter((address) => tryParseIp(address) !== undefined);
}

function macOf({ metadata }: Node): string | undefined {
  try {
    const data: unknown = JSON.parse(metadata.annotations?.[annotation.backendData] ?? '{}');
    const mac = typeof data === 'object' && data !== null && 'VtepMAC' in data ? data.VtepMAC : undefined;
    return typeof mac === 'string' && /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(mac) ? mac : undefined;
  } catch {
    // Somebody else's words; without a MAC address there is no way.
    return undefined;
  }
}

function isOnLink(link: string, address: string): boolean {
  const [range, other] = [parseCidr(link), tryParseIp(address)];
  return other !== undefined && other.family === range.address.family && contains(range, other) && formatIp(range.address) !== address;
}

/** The first address of a node's range, which no pod gets. */
export function tunnelAddress(podCidr: string): string {
  return podCidr.slice(0, podCidr.indexOf('/'));
}

/** A MAC address for a device of the node, the same at every start: others need not learn it anew. Locally administered, unicast. */
export function deviceMac(nodeName: string, id: string): string {
  const digits = createHash('sha256').update(`${id}/${nodeName}`).digest('hex').slice(0, 10);
  return ['0a', ...(digits.match(/../g) ?? [])].join(':');
}

interface OwnWords {
  readonly mac: string;
  readonly vni: number;
  readonly addresses: readonly string[];
  readonly door?: TunnelEnd;
}

/** What this node says of itself. */
export function annotationsOf({ mac, vni, addresses, door }: OwnWords): Record<string, string> {
  return {
    [annotation.backendType]: 'vxlan',
    [annotation.backendData]: JSON.stringify({ VNI: vni, VtepMAC: mac }),
    [annotation.publicIp]: addresses[0] ?? '',
    [annotation.addresses]: addresses.join(','),
    ...(door && { [annotation.tunnelDoor]: `${door.address}:${door.port}` }),
  };
}
