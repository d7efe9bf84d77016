/**
 * What one cluster is: where its data lives, which port, addresses and names it uses. Decided once, at the first `up`, and kept in
 * `cluster.json`, so that a restart finds the same cluster.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { homedir, hostname, networkInterfaces } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { AddressPool } from '../controllers/load-balancer/pool.ts';
import type { PodNetworkFacts } from '../kubeadm/cluster-facts.ts';
import type { PodNetworkMode } from '../kubeadm/pod-network-modes.ts';
import { type AddressRanges, isDualStack, keptRanges, newRanges, type RangeChoices } from './address-ranges.ts';
import { ClusterError } from './cluster-error.ts';
import { freeLink, linkGateway } from './nodes/link-addresses.ts';

export { ClusterError };

/** Raised when the files' layout changes; data of a newer version is refused, data of an older one is carried over. */
export const dataVersion = 1;

export type RuntimeName = 'containerd' | 'simulated';

export interface ClusterConfig extends AddressRanges {
  readonly dataVersion: number;
  readonly dataDir: string;
  /** Six hex digits of the data directory's path: part of every device, table and cgroup this cluster makes. */
  readonly id: string;
  readonly port: number;
  readonly bindAddress: string;
  readonly runtime: RuntimeName;
  /** `lmdb`, `memory` or `etcd=URL,…`. */
  readonly store: string;
  readonly controlPlaneOnly: boolean;
  readonly tokenAuthFile: string | undefined;
  readonly nodeName: string;
  readonly nodeIp: string;
  /** The host's IPv6 address, in a dual-stack cluster on a host that has one. */
  readonly nodeIp6?: string;
  readonly clusterDomain: string;
  readonly kubeletPort: number;
  readonly dnsPort: number;
  /** Addresses, ranges and CIDRs for Services of type LoadBalancer; the nodes' own addresses when absent or empty. */
  readonly loadBalancerPool?: readonly string[];
  /** How many revisions the store keeps behind the newest; the store's default when absent. */
  readonly historyRevisions?: number;
  /** Where nodes on the host serve Ingresses; 80 and 443 when absent. */
  readonly ingressHttpPort?: number;
  readonly ingressHttpsPort?: number;
  /** How many processes a pod may have; any number when absent. */
  readonly podMaxPids?: number;
  /** A file with a KubeletConfiguration for the cluster's nodes. */
  readonly kubeletConfig?: string;
  /** Nodes in namespaces of their own that `up` started with, in place of one on the host; absent for that one. */
  readonly nodes?: number;
  /** Addresses of the link between nodes on this host; the host has the first. Absent in clusters of before. */
  readonly linkCidr?: string;
  readonly podNetwork?: PodNetworkMode;
  /** Where all nodes reach the API server, chosen by the user. */
  readonly advertise?: string;
}

/** What the command line may choose; the rest follows. Absent means "as before, or the default". */
export interface ClusterChoices extends RangeChoices {
  readonly dataDir?: string;
  readonly port?: number;
  readonly bindAddress?: string;
  readonly runtime?: RuntimeName;
  readonly store?: string;
  readonly controlPlaneOnly?: boolean;
  readonly tokenAuthFile?: string;
  readonly loadBalancerPool?: readonly string[];
  readonly historyRevisions?: number;
  readonly ingressHttpPort?: number;
  readonly ingressHttpsPort?: number;
  readonly podMaxPids?: number;
  /** A file with a KubeletConfiguration for the cluster's nodes. */
  readonly kubeletConfig?: string;
  readonly nodes?: number;
  readonly podNetwork?: PodNetworkMode;
  readonly advertiseAddress?: string;
}

export function isRoot(): boolean {
  return process.getuid?.() === 0;
}

export function defaultDataDir(): string {
  if (isRoot()) return '/var/lib/k8ts';
  return join(process.env['XDG_DATA_HOME'] ?? join(homedir(), '.local', 'share'), 'k8ts');
}

function configPath(dataDir: string): string {
  return join(dataDir, 'cluster.json');
}

/** The config of an existing cluster; undefined when there is none. Throws {@link ClusterError} for one that this version cannot read. */
export function readConfig(dataDir: string): ClusterConfig | undefined {
  const path = configPath(dataDir);
  if (!existsSync(path)) return undefined;
  let config: unknown;
  try {
    config = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new ClusterError(
      `${path} cannot be read (${error instanceof Error ? error.message : String(error)}): restore it, or start afresh with another --data-dir`,
    );
  }
  refuseNewer(config, dataDir);
  if (!isConfig(config)) throw new ClusterError(`${path} does not describe a cluster: restore it, or start afresh with another --data-dir`);
  return config;
}

function refuseNewer(config: unknown, dataDir: string): void {
  if (typeof config !== 'object' || config === null || !('dataVersion' in config) || typeof config.dataVersion !== 'number') return;
  if (config.dataVersion > dataVersion) {
    throw new ClusterError(
      `${dataDir} was written by a newer k8ts (data version ${config.dataVersion}, this one knows ${dataVersion}): use that version, or another --data-dir`,
    );
  }
}

/** Everything that {@link chooseConfig} writes; what may be undefined is not looked at. */
const requiredFields: readonly { readonly name: keyof ClusterConfig; readonly type: 'string' | 'number' | 'boolean' }[] = [
  { name: 'dataVersion', type: 'number' },
  { name: 'dataDir', type: 'string' },
  { name: 'id', type: 'string' },
  { name: 'port', type: 'number' },
  { name: 'bindAddress', type: 'string' },
  { name: 'runtime', type: 'string' },
  { name: 'store', type: 'string' },
  { name: 'controlPlaneOnly', type: 'boolean' },
  { name: 'nodeName', type: 'string' },
  { name: 'nodeIp', type: 'string' },
  { name: 'serviceCidr', type: 'string' },
  { name: 'clusterCidr', type: 'string' },
  { name: 'clusterDomain', type: 'string' },
  { name: 'kubeletPort', type: 'number' },
  { name: 'dnsPort', type: 'number' },
];

function isConfig(value: unknown): value is ClusterConfig {
  if (typeof value !== 'object' || value === null) return false;
  const fields = new Map(Object.entries(value));
  return requiredFields.every(({ name, type }) => typeof fields.get(name) === type);
}

/** Joins what is kept with what the command line says. Nothing is written: a choice that turns out not to work is not kept. */
export function chooseConfig(choices: ClusterChoices): ClusterConfig {
  const dataDir = resolve(choices.dataDir ?? defaultDataDir());
  const kept = readConfig(dataDir);
  if (kept?.runtime !== undefined && choices.runtime !== undefined && kept.runtime !== choices.runtime) {
    throw new ClusterError(`the cluster in ${dataDir} runs its pods with ${kept.runtime}: give another --data-dir for --runtime ${choices.runtime}`);
  }
  const runtime = choices.runtime ?? kept?.runtime ?? (isRoot() ? 'containerd' : 'simulated');
  if (runtime === 'containerd' && !isRoot() && choices.controlPlaneOnly !== true) {
    throw new ClusterError('real containers need root: run with sudo, or with --runtime simulated');
  }
  if (choices.nodes !== undefined && choices.nodes > 1) checkNodeChoices(choices, runtime);
  const port = choices.port ?? kept?.port ?? 6443;
  const place = placeOf(port);
  const store = choices.store ?? kept?.store ?? 'lmdb';
  if (store !== 'lmdb' && store !== 'memory') throw new ClusterError(`--store ${store} is not there yet: lmdb (the default) and memory are`);
  const tokenAuthFile = choices.tokenAuthFile === undefined ? kept?.tokenAuthFile : resolve(choices.tokenAuthFile);
  if (tokenAuthFile !== undefined && !existsSync(tokenAuthFile)) throw new ClusterError(`the token file ${tokenAuthFile} is not there`);
  const historyRevisions = choices.historyRevisions ?? kept?.historyRevisions;
  const ingressHttpPort = choices.ingressHttpPort ?? kept?.ingressHttpPort;
  const ingressHttpsPort = choices.ingressHttpsPort ?? kept?.ingressHttpsPort;
  const podMaxPids = choices.podMaxPids ?? kept?.podMaxPids;
  const kubeletConfig = choices.kubeletConfig === undefined ? kept?.kubeletConfig : resolve(choices.kubeletConfig);
  if (kubeletConfig !== undefined && !existsSync(kubeletConfig)) throw new ClusterError(`the kubelet's configuration ${kubeletConfig} is not there`);
  const nodes = choices.nodes === undefined ? kept?.nodes : choices.nodes > 1 ? choices.nodes : undefined;
  const podNetwork = choices.podNetwork ?? kept?.podNetwork;
  const advertise = choices.advertiseAddress ?? kept?.advertise;
  if (advertise !== undefined && isIP(advertise) !== 4) throw new ClusterError(`--advertise-address ${advertise}: give an IPv4 address of this host`);
  const linkCidr = kept?.linkCidr ?? freeLink(place);
  const ranges = kept === undefined ? newRanges(choices, { place, dataDir, linkCidr }) : keptRanges(kept, choices, dataDir);
  const nodeIp6 = isDualStack(ranges) ? hostAddress6() : undefined;
  return {
    dataVersion,
    dataDir,
    id: createHash('sha256').update(dataDir).digest('hex').slice(0, 6),
    port,
    bindAddress: choices.bindAddress ?? kept?.bindAddress ?? '0.0.0.0',
    runtime,
    store,
    controlPlaneOnly: choices.controlPlaneOnly ?? kept?.controlPlaneOnly ?? false,
    tokenAuthFile,
    nodeName: kept?.nodeName ?? hostname().toLowerCase(),
    nodeIp: hostAddress(),
    ...(nodeIp6 !== undefined && { nodeIp6 }),
    ...ranges,
    clusterDomain: kept?.clusterDomain ?? 'cluster.local',
    // Nothing remembers these two, so that another --port also leads away from a port that is taken.
    kubeletPort: kept?.port === port ? kept.kubeletPort : 10250 + 10 * place,
    dnsPort: kept?.port === port ? kept.dnsPort : 10053 + 10 * place,
    loadBalancerPool: checkedPool(choices.loadBalancerPool ?? kept?.loadBalancerPool ?? []),
    linkCidr,
    ...(historyRevisions !== undefined && { historyRevisions }),
    ...(ingressHttpPort !== undefined && { ingressHttpPort }),
    ...(ingressHttpsPort !== undefined && { ingressHttpsPort }),
    ...(podMaxPids !== undefined && { podMaxPids }),
    ...(kubeletConfig !== undefined && { kubeletConfig }),
    ...(nodes !== undefined && { nodes }),
    ...(podNetwork !== undefined && { podNetwork }),
    ...(advertise !== undefined && { advertise }),
  };
}

/** Nodes in namespaces are made by root, run real containers, and come to the API server over their link. */
function checkNodeChoices({ nodes, bindAddress, controlPlaneOnly }: ClusterChoices, runtime: RuntimeName): void {
  if (controlPlaneOnly === true) throw new ClusterError(`--nodes ${nodes} and --control-plane-only exclude each other`);
  if (runtime !== 'containerd') throw new ClusterError(`--nodes ${nodes} needs real containers: run as root and without --runtime simulated`);
  if (bindAddress !== undefined && bindAddress !== '0.0.0.0') {
    throw new ClusterError(`--nodes ${nodes} needs an API server on every address of the host: leave --bind-address out`);
  }
}

/** The pool as written. Throws {@link ClusterError} for what is no address, range or CIDR. */
export function checkedPool(entries: readonly string[]): readonly string[] {
  try {
    return new AddressPool(entries).entries;
  } catch (error) {
    throw new ClusterError(`--load-balancer-pool: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Makes the data directory and writes the config into it, for later starts. */
export function keepConfig(config: ClusterConfig): void {
  try {
    makeDirectory(config.dataDir);
    writeAtomically(configPath(config.dataDir), `${JSON.stringify(config, undefined, 2)}\n`);
  } catch (error) {
    throw new ClusterError(
      `the data directory ${config.dataDir} cannot be written (${error instanceof Error ? error.message : String(error)}): choose another with --data-dir`,
    );
  }
}

/** One step at a time: Node's recursive mkdir never ends in file systems that answer "no such file" to it, as /proc does. */
function makeDirectory(path: string): void {
  if (existsSync(path)) return;
  makeDirectory(dirname(path));
  mkdirSync(path, { mode: 0o755 });
}

/** The cluster has a node on the host itself, outside of any namespace. */
export function hasHostNode({ controlPlaneOnly, nodes }: ClusterConfig): boolean {
  return !controlPlaneOnly && nodes === undefined;
}

/**
 * Where nodes and pods reach the API server, if nothing else was chosen. The host's address on its nodes' link stays when the host moves to another network;
 * without such nodes it is the one that other machines reach, too.
 */
export function advertiseAddress({ advertise, nodes, nodeIp, linkCidr }: ClusterConfig): string {
  if (advertise !== undefined) return advertise;
  return linkCidr !== undefined && (nodes !== undefined || nodeIp === '127.0.0.1') ? linkGateway(linkCidr) : nodeIp;
}

/** How pods reach pods of other nodes. Clusters on one host have VXLANs of different numbers. */
export function podNetworkOf({ port, podNetwork = 'auto' }: ClusterConfig): PodNetworkFacts {
  return { mode: podNetwork, vni: 1 + placeOf(port), port: 8472 };
}

/**
 * Clusters on one host differ in their API port, so the port also picks their address ranges and other ports: no registry of clusters is needed.
 * 6443 is place 0, with upstream's usual ranges (10.96.0.0/16 for Services, 10.244.0.0/16 for pods).
 */
function placeOf(port: number): number {
  return (((port - 6443) % 128) + 128) % 128;
}

/** The address others reach this host by: the first global IPv4 one; loopback where there is none. */
export function hostAddress(): string {
  for (const [device, addresses] of Object.entries(networkInterfaces())) {
    if (device.startsWith('k8ts')) continue;
    for (const address of addresses ?? []) if (address.family === 'IPv4' && !address.internal) return address.address;
  }
  return '127.0.0.1';
}

/** The same of IPv6; undefined where the host has addresses of its links only. */
export function hostAddress6(): string | undefined {
  const devices = Object.entries(networkInterfaces()).filter(([device]) => !device.startsWith('k8ts'));
  const addresses = devices.flatMap(([, list = []]) => list);
  return addresses.find(({ family, internal, address }) => family === 'IPv6' && !internal && !/^fe[89ab]/i.test(address))?.address;
}

/** Whole or not at all: a crash leaves the old file. */
export function writeAtomically(path: string, text: string, mode = 0o644): void {
  const temporary = `${path}.${process.pid}.tmp`;
  writeFileSync(temporary, text, { mode, flush: true });
  renameSync(temporary, path);
}
