/**
 * Keeps this machine's routes, and the tunnel's neighbours, as a plan of peers says. Nothing is learned and nothing flooded: each MAC address and each way is
 * written down from a Node object, and taken away with it.
 */
import { contains, isV6, parseCidr, splitCidrs, tryParseCidr } from '../machinery/ip.ts';
import type { Run } from './command.ts';
import { type Peer, tunnelAddress, deviceMac } from './peers.ts';

/** The number in the kernel's table that tells our routes from others'. */
const routeProtocol = '142';
/** Bytes of the outer headers: Ethernet, IPv4, UDP and VXLAN. */
export const tunnelOverhead = 50;

export interface NodeRoutesOptions {
  readonly run: Run;
  readonly id: string;
  readonly nodeName: string;
  /** Where the tunnel ends here: an IPv4 address. */
  readonly nodeIp: string;
  readonly clusterCidr: string;
  readonly podCidrs: readonly string[];
  readonly vni: number;
  readonly port: number;
  /** Of the device packets leave by; the tunnel's is smaller. */
  readonly linkMtu: number;
}

export function tunnelName(id: string): string {
  return `k8tsv${id}`;
}

export class NodeRoutes {
  readonly #options: NodeRoutesOptions;
  #applied: readonly Peer[] | undefined;
  #hasTunnel = false;

  constructor(options: NodeRoutesOptions) {
    this.#options = options;
  }

  /** Makes it so; what stands already is left alone. Rejects when the machine refuses; the next call starts over. */
  async apply(peers: readonly Peer[]): Promise<void> {
    const { run } = this.#options;
    try {
      if (!this.#hasTunnel && peers.some(({ kind }) => kind === 'vxlan')) await this.#makeTunnel();
      const before = this.#applied ?? (await this.#found());
      const script = changes(before, peers, tunnelName(this.#options.id));
      // What is to go may be gone already, with its device: that must not keep the rest from being done.
      if (script.gone.length > 0) await run('ip', ['-force', '-batch', '-'], script.gone.join('\n')).catch(() => undefined);
      if (script.goneEntries.length > 0) await run('bridge', ['-force', '-batch', '-'], script.goneEntries.join('\n')).catch(() => undefined);
      if (script.entries.length > 0) await run('bridge', ['-batch', '-'], script.entries.join('\n'));
      if (script.come.length > 0) await run('ip', ['-batch', '-'], script.come.join('\n'));
      this.#applied = peers;
    } catch (error) {
      this.#applied = undefined;
      this.#hasTunnel = false;
      throw error;
    }
  }

  /** Kept over a restart when it is as it should be: traffic flows meanwhile. */
  async #makeTunnel(): Promise<void> {
    const { run, id, nodeName, nodeIp, podCidrs, vni, port, linkMtu } = this.#options;
    const name = tunnelName(id);
    const mac = deviceMac(nodeName, id);
    const details = await run('ip', ['-details', 'link', 'show', name]).catch(() => '');
    const same = [`vxlan id ${vni} `, `local ${nodeIp} `, `dstport ${port} `, ' noudpcsum ', mac, `mtu ${linkMtu - tunnelOverhead} `].every((part) =>
      details.includes(part),
    );
    if (!same) {
      if (details !== '') await run('ip', ['link', 'delete', name]);
      // Packets inside have checksums of their own. One of the outer header is wrong after translation of addresses, between nodes on one host.
      const kind = ['type', 'vxlan', 'id', String(vni), 'local', nodeIp, 'dstport', String(port), 'nolearning', 'noudpcsum'];
      await run('ip', ['link', 'add', name, 'address', mac, 'mtu', String(linkMtu - tunnelOverhead), ...kind]);
    }
    const addresses = podCidrs.map(
      (range) => `address replace ${tunnelAddress(range)}/${isV6(range) ? '128' : '32'} dev ${name}${isV6(range) ? ' nodad' : ''}`,
    );
    await run('ip', ['-batch', '-'], [...addresses, `link set ${name} up`].join('\n'));
    this.#hasTunnel = true;
  }

  /** The ways an earlier run left. */
  async #found(): Promise<Peer[]> {
    const { run, id, clusterCidr } = this.#options;
    const name = tunnelName(id);
    const routes = await ourRoutes(run);
    const neighbours = new Map(
      jsonRows(await run('ip', ['-json', 'neigh', 'show', 'dev', name]).catch(() => '')).map((row) => [textOf(row, 'dst'), textOf(row, 'lladdr')]),
    );
    return routes.flatMap((row): Peer[] => {
      const [podCidr, gateway] = [textOf(row, 'dst'), textOf(row, 'gateway')];
      if (!isWithin(clusterCidr, podCidr)) return [];
      if (textOf(row, 'dev') !== name) return [{ kind: 'direct', podCidr, gateway }];
      // Where the tunnel ended is not asked: without it the entry differs from any wanted one, and is written anew.
      return [{ kind: 'vxlan', podCidr, gateway, mac: neighbours.get(gateway) ?? '', publicIp: '' }];
    });
  }
}

interface Changes {
  readonly gone: readonly string[];
  readonly goneEntries: readonly string[];
  readonly entries: readonly string[];
  readonly come: readonly string[];
}

/** Lines for `ip -batch` and `bridge -batch` that lead from one plan to another. Routes that change are replaced in place, so that no packet meets none. */
export function changes(before: readonly Peer[], after: readonly Peer[], tunnel: string): Changes {
  const text = (peer: Peer): string =>
    JSON.stringify([peer.podCidr, peer.gateway, ...(peer.kind === 'vxlan' ? [peer.publicIp, peer.port, peer.mac] : [])]);
  const stays = new Set(before.map(text));
  const wanted = new Set(after.map(text));
  const ranges = new Set(after.map(({ podCidr }) => podCidr));
  const macs = new Set(after.map((peer) => (peer.kind === 'vxlan' ? peer.mac : '')));
  const neighbours = new Set(after.map((peer) => (peer.kind === 'vxlan' ? peer.gateway : '')));
  const [gone, goneEntries, entries, come]: [string[], string[], string[], string[]] = [[], [], [], []];
  for (const peer of before) {
    if (wanted.has(text(peer))) continue;
    if (!ranges.has(peer.podCidr)) gone.push(`route delete ${peer.podCidr} proto ${routeProtocol}`);
    if (peer.kind !== 'vxlan') continue;
    if (!neighbours.has(peer.gateway)) gone.push(`neigh delete ${peer.gateway} dev ${tunnel}`);
    if (peer.mac !== '' && !macs.has(peer.mac)) goneEntries.push(`fdb delete ${peer.mac} dev ${tunnel} self`);
  }
  for (const peer of after) {
    if (stays.has(text(peer))) continue;
    if (peer.kind === 'direct') {
      come.push(`route replace ${peer.podCidr} via ${peer.gateway} proto ${routeProtocol}`);
    } else {
      const end = peer.port === undefined ? peer.publicIp : `${peer.publicIp} port ${peer.port}`;
      entries.push(`fdb replace ${peer.mac} dev ${tunnel} dst ${end} self permanent`);
      come.push(
        `neigh replace ${peer.gateway} lladdr ${peer.mac} dev ${tunnel} nud permanent`,
        `route replace ${peer.podCidr} via ${peer.gateway} dev ${tunnel} onlink proto ${routeProtocol}`,
      );
    }
  }
  // Both families' ways to a node end at one entry.
  return { gone, goneEntries: [...new Set(goneEntries)], entries: [...new Set(entries)], come };
}

/** Takes tunnel and routes off the machine; what is not there is no error. */
export async function removeNodeRoutes(id: string, clusterCidr: string, run: Run): Promise<void> {
  await run('ip', ['link', 'delete', tunnelName(id)]).catch(() => undefined);
  const routes = await ourRoutes(run).catch(() => []);
  const ours = routes.map((row) => textOf(row, 'dst')).filter((range) => isWithin(clusterCidr, range));
  for (const range of ours) await run('ip', ['route', 'delete', range, 'proto', routeProtocol]).catch(() => undefined);
}

function isWithin(clusterCidr: string, range: string): boolean {
  const inner = tryParseCidr(range);
  return inner !== undefined && splitCidrs(clusterCidr).some((outer) => contains(parseCidr(outer), inner.address));
}

/** Of both families; a kernel without IPv6 has none of that. */
async function ourRoutes(run: Run): Promise<Row[]> {
  const show = ['-json', 'route', 'show', 'proto', routeProtocol];
  return [...jsonRows(await run('ip', show)), ...jsonRows(await run('ip', ['-6', ...show]).catch(() => ''))];
}

type Row = Readonly<Record<string, unknown>>;

function jsonRows(text: string): Row[] {
  const rows: unknown = text.trim() === '' ? [] : JSON.parse(text);
  return Array.isArray(rows) ? rows.filter((row): row is Row => typeof row === 'object' && row !== null) : [];
}

function textOf(row: Row, name: string): string {
  const value = row[name];
  return typeof value === 'string' ? value : '';
}
