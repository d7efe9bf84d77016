/**
 * The cgroups of pods, by quality of service: `/kubepods/pod<uid>`, `/kubepods/burstable/pod<uid>`, `/kubepods/besteffort/pod<uid>`, below a prefix of
 * the cluster's own. On cgroup v2 one tree; on v1 and hybrid hosts the same path in every controller's tree.
 */
import { existsSync } from 'node:fs';
import { mkdir, readFile, readdir, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Pod } from '../api/kinds.ts';
import type { Log } from '../world/world.ts';
import { type CgroupLimits, type CgroupSetting, cgroupSettings, limitIn } from './cgroup-settings.ts';
import { qosClass } from './qos.ts';
import { cpuShares, milli, podRequest, podResources } from './resources.ts';
import type { LinuxResources } from './runtime/runtime.ts';

export interface Cgroups {
  /** The pod's parent for its sandbox and containers, as the runtime wants it. */
  parentOf(pod: Pod): string;
  /** That of all pods together. */
  readonly root: string;
  /** Makes it, or gives one that is there the pod's present limits. */
  create(pod: Pod): Promise<void>;
  /** Raises the limits of one that is there to at least these, and lowers none: before what is in it grows. */
  widen(pod: Pod, resources: LinuxResources): Promise<void>;
  /** Gives burstable pods together the CPU share they asked for, and best-effort ones together what is left. */
  shareOut(pods: readonly Pod[]): Promise<void>;
  /** Holds all pods together to this. */
  limitAll(limits: CgroupLimits): Promise<void>;
  /** Whether there is a cgroup of this path below the mountpoint. */
  has(path: string): boolean;
  /** Holds a cgroup of others to this. */
  limitExisting(path: string, limits: CgroupLimits): Promise<void>;
  remove(pod: Pod): Promise<void>;
  /** Removes those of pods that are not on the node any more. */
  removeOthers(known: { has(uid: string): boolean }): Promise<void>;
}

export interface CgroupsOptions {
  /** `/sys/fs/cgroup`. */
  readonly mountpoint?: string;
  /** Path below the mountpoint, from `/`; `/` for upstream's layout. Two clusters on one host need two. */
  readonly prefix?: string;
  readonly podPidsLimit?: number;
  readonly log: Log;
}

/** Of cgroup v1's controllers, those that runtimes put containers in. */
const v1Controllers = [
  'cpu',
  'cpuacct',
  'cpuset',
  'memory',
  'devices',
  'freezer',
  'blkio',
  'pids',
  'hugetlb',
  'net_cls',
  'net_prio',
  'perf_event',
  'systemd',
];

export function podCgroupPath(prefix: string, pod: Pod): string {
  const qos = qosClass(pod);
  return join(prefix, 'kubepods', qos === 'Guaranteed' ? '' : qos.toLowerCase(), `pod${pod.metadata.uid}`);
}

export function realCgroups({ mountpoint = '/sys/fs/cgroup', prefix = '/', podPidsLimit, log }: CgroupsOptions): Cgroups {
  const unified = existsSync(join(mountpoint, 'cgroup.controllers'));
  const roots = unified ? [mountpoint] : v1Controllers.map((name) => join(mountpoint, name)).filter((root) => existsSync(join(root, 'cgroup.procs')));
  const made = new Set<string>();

  async function make(root: string, path: string): Promise<void> {
    let current = root;
    for (const part of path.split('/').filter((name) => name !== '')) {
      if (unified) await enableControllers(current);
      current = join(current, part);
      if (made.has(current)) continue;
      await mkdir(current, { recursive: true });
      if (root.endsWith('/cpuset')) await inheritCpuset(current);
      made.add(current);
    }
  }

  async function enableControllers(directory: string): Promise<void> {
    if (made.has(`${directory}#controllers`)) return;
    const available = (await readFile(join(directory, 'cgroup.controllers'), 'utf8')).trim().split(' ');
    for (const name of available) await put(join(directory, 'cgroup.subtree_control'), `+${name}`);
    made.add(`${directory}#controllers`);
  }

  /** A limit that this kernel or container of ours may not set is no reason not to run the pod; its containers carry limits of their own. */
  async function put(file: string, value: string | number): Promise<void> {
    try {
      await writeFile(file, String(value));
    } catch (error) {
      log.debug('writing a cgroup setting failed', { file, value, error: String(error) });
    }
  }

  /** An empty cpuset takes no process. */
  async function inheritCpuset(directory: string): Promise<void> {
    for (const name of ['cpuset.cpus', 'cpuset.mems']) {
      if ((await readFile(join(directory, name), 'utf8')).trim() !== '') continue;
      await put(join(directory, name), (await readFile(join(directory, '..', name), 'utf8')).trim());
    }
  }

  function fileOf(path: string, { controller, file }: CgroupSetting): string {
    return join(mountpoint, controller, path, file);
  }

  async function limit(path: string, limits: CgroupLimits): Promise<void> {
    for (const setting of cgroupSettings(unified, limits)) await put(fileOf(path, setting), setting.value);
  }

  async function remove(path: string): Promise<void> {
    for (const root of roots) {
      await removeTree(join(root, path), log);
      made.delete(join(root, path));
    }
  }

  return {
    parentOf: (pod) => podCgroupPath(prefix, pod),
    root: join(prefix, 'kubepods'),
    async create(pod) {
      const path = podCgroupPath(prefix, pod);
      await Promise.all(roots.map((root) => make(root, path)));
      await limit(path, { ...podResources(pod), ...(podPidsLimit !== undefined && { pids: podPidsLimit }) });
    },
    async widen(pod, resources) {
      const path = podCgroupPath(prefix, pod);
      for (const setting of cgroupSettings(unified, resources)) {
        if (setting.limit === undefined) continue;
        const file = fileOf(path, setting);
        const present = limitIn(await readFile(file, 'utf8').catch(() => 'max'));
        if (present < setting.limit) await put(file, setting.value);
      }
    },
    async shareOut(pods) {
      const millis = pods.filter((pod) => qosClass(pod) === 'Burstable').reduce((sum, pod) => sum + podRequest(pod, 'cpu', milli), 0);
      await Promise.all(roots.flatMap((root) => ['burstable', 'besteffort'].map((qos) => make(root, join(prefix, 'kubepods', qos)))));
      await limit(join(prefix, 'kubepods', 'burstable'), { cpuShares: cpuShares(millis) });
      await limit(join(prefix, 'kubepods', 'besteffort'), { cpuShares: cpuShares(0) });
    },
    async limitAll(limits) {
      await Promise.all(roots.map((root) => make(root, join(prefix, 'kubepods'))));
      await limit(join(prefix, 'kubepods'), limits);
    },
    has: (path) => roots.some((root) => existsSync(join(root, path))),
    limitExisting: limit,
    remove: (pod) => remove(podCgroupPath(prefix, pod)),
    async removeOthers(known) {
      const root = roots[0];
      if (root === undefined) return;
      for (const qos of ['', 'burstable', 'besteffort']) {
        const parent = join(prefix, 'kubepods', qos);
        for (const entry of await directoriesIn(join(root, parent))) {
          if (entry.startsWith('pod') && !known.has(entry.slice(3))) await remove(join(parent, entry));
        }
      }
    },
  };
}

/** A simulated node's, and one without root's: only the names. */
export function noCgroups(prefix = '/'): Cgroups {
  return {
    parentOf: (pod) => podCgroupPath(prefix, pod),
    root: join(prefix, 'kubepods'),
    create: async () => {},
    widen: async () => {},
    shareOut: async () => {},
    limitAll: async () => {},
    has: () => true,
    limitExisting: async () => {},
    remove: async () => {},
    removeOthers: async () => {},
  };
}

async function directoriesIn(path: string): Promise<readonly string[]> {
  try {
    return (await readdir(path, { withFileTypes: true })).filter((entry) => entry.isDirectory()).map(({ name }) => name);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

async function removeTree(path: string, log: Log): Promise<void> {
  for (const child of await directoriesIn(path)) await removeTree(join(path, child), log);
  try {
    await rmdir(path);
  } catch (error) {
    if (!isMissing(error)) log.debug('removing a cgroup failed', { path, error: String(error) });
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}
