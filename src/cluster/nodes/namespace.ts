/** A node's network namespace: a device `eth0` with the node's address, whose other end is plugged into the link; pulled out, the node is cut off. */
import { existsSync } from 'node:fs';
import { type Run, runCommand } from '../../network/command.ts';
import type { Link } from './link.ts';
import { linkAddress6 } from './link-addresses.ts';

export interface NodeNamespace {
  /** Below `/run/netns`, for `ip netns exec`. */
  readonly name: string;
  /** The host's end of its cable. */
  readonly device: string;
  readonly address: string;
}

/** Names carry the cluster's id; a device has 15 characters, so the node's number on the link stands for its name. */
export function namespaceOf(clusterId: string, nodeName: string, address: string): NodeNamespace {
  return { name: `k8ts-${clusterId}-${nodeName}`, device: `k8tsn${clusterId}${address.slice(address.lastIndexOf('.') + 1)}`, address };
}

export function namespaceExists({ name }: Pick<NodeNamespace, 'name'>): boolean {
  return existsSync(`/run/netns/${name}`);
}

/** Makes namespace and cable, plugged in; whatever an earlier run left under these names goes first. */
export async function makeNamespace(namespace: NodeNamespace, link: Link, run: Run = runCommand): Promise<void> {
  const { name, device, address } = namespace;
  await removeNamespace(namespace, run);
  await run('ip', ['netns', 'add', name]);
  try {
    await run('ip', ['link', 'add', device, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name]);
    await run('ip', ['link', 'set', device, 'master', link.device, 'up']);
    const address6 = link.v6 === undefined ? [] : [`address add ${linkAddress6(link.v6.cidr, address)}/64 dev eth0 nodad`];
    const route6 = link.v6 === undefined ? [] : [`route add default via ${link.v6.gateway}`];
    const route4 = `route add default via ${link.gateway}`;
    const inside = ['link set lo up', `address add ${address}/24 dev eth0`, ...address6, 'link set eth0 up', route4, ...route6];
    await run('ip', ['-netns', name, '-batch', '-'], inside.join('\n'));
  } catch (error) {
    await removeNamespace(namespace, run);
    throw error;
  }
}

/** With both ends of its cable there. */
export async function isWhole(namespace: NodeNamespace, run: Run = runCommand): Promise<boolean> {
  if (!namespaceExists(namespace)) return false;
  return Promise.all([run('ip', ['-netns', namespace.name, 'link', 'show', 'eth0']), run('ip', ['link', 'show', namespace.device])]).then(
    () => true,
    () => false,
  );
}

/** Ends what still runs inside, and takes the namespace and its devices away. */
export async function removeNamespace({ name, device }: NodeNamespace, run: Run = runCommand): Promise<void> {
  if (namespaceExists({ name })) {
    await killInside(name, run);
    await run('ip', ['netns', 'delete', name]);
  }
  // A namespace lives as long as a socket of it; its cable does not.
  await run('ip', ['link', 'delete', device]).catch(() => undefined);
}

async function killInside(name: string, run: Run): Promise<void> {
  const pids = (await run('ip', ['netns', 'pids', name]).catch(() => '')).split('\n').filter((pid) => pid !== '');
  for (const pid of pids) {
    try {
      process.kill(Number(pid), 'SIGKILL');
    } catch {
      // It ended by itself.
    }
  }
}

/** Pulls the cable out; both sides learn of it by silence. */
export async function unplug({ device }: NodeNamespace, run: Run = runCommand): Promise<void> {
  await run('ip', ['link', 'set', device, 'down']);
}

export async function plugIn({ device }: NodeNamespace, run: Run = runCommand): Promise<void> {
  await run('ip', ['link', 'set', device, 'up']);
}

export async function isPluggedIn({ device }: NodeNamespace, run: Run = runCommand): Promise<boolean> {
  const details = await run('ip', ['-brief', 'link', 'show', device]).catch(() => '');
  return /[<,]UP[,>]/.test(details);
}

/** A command that runs another inside; mounts, processes and files are the host's. */
export function inside({ name }: Pick<NodeNamespace, 'name'>): readonly string[] {
  return ['nsenter', `--net=/run/netns/${name}`, '--'];
}
