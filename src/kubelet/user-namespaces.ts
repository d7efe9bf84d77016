/**
 * Users of a pod's own (`hostUsers: false`): each such pod is given a block of the host's user and group ids that no other pod of the node has, so that its root
 * is nobody outside. The block is written into the pod's directory, as upstream does, and goes with it; what is taken is read from there, so that a kubelet that
 * starts anew gives away none twice. https://kubernetes.io/docs/concepts/workloads/pods/user-namespaces/
 */
import type { Pod } from '../api/kinds.ts';
import type { Disk } from './disk.ts';
import { podDirectories } from './pod-directories.ts';
import type { IdMapping } from './runtime/runtime.ts';
import { ConfigError } from './start-error.ts';

/** As many ids as files and processes commonly know; the first block is the host's own. */
const idsPerPod = 65_536;
const fileName = 'userns';
const mostFileBytes = 4096;

export interface UserNamespaces {
  /** The pod's ids; undefined for one on the host's users. Throws `ConfigError` when the node has none left, or the pod's own file is spoiled. */
  of(pod: Pod): Promise<IdMapping | undefined>;
}

export function createUserNamespaces({ disk, rootDir, maxPods }: { disk: Disk; rootDir: string; maxPods: number }): UserNamespaces {
  /** One at a time, lest two pods find the same block free. */
  let last: Promise<unknown> = Promise.resolve();

  async function kept(uid: string): Promise<IdMapping | undefined> {
    const text = await disk.readTail(`${podDirectories(rootDir, uid).root}/${fileName}`, mostFileBytes);
    return text === undefined ? undefined : parseMapping(text, uid);
  }

  async function taken(): Promise<Set<number>> {
    const others = await Promise.all((await disk.list(`${rootDir}/pods`)).map(kept));
    return new Set(others.map((mapping) => mapping?.hostId ?? 0));
  }

  async function given(uid: string): Promise<IdMapping> {
    const before = await kept(uid);
    if (before) return before;
    const used = await taken();
    const mapping = Array.from({ length: maxPods }, (_, index) => blockAt(index)).find(({ hostId }) => !used.has(hostId));
    if (!mapping) throw new ConfigError(`could not find an empty slot to allocate a user namespace: all ${maxPods} are taken`);
    await disk.writeFile(`${podDirectories(rootDir, uid).root}/${fileName}`, formatMapping(mapping), 0o644);
    return mapping;
  }

  return {
    of(pod) {
      if (pod.spec.hostUsers !== false) return Promise.resolve(undefined);
      const turn = last.then(() => given(pod.metadata.uid));
      last = turn.catch(() => undefined);
      return turn;
    },
  };
}

function blockAt(index: number): IdMapping {
  return { hostId: (index + 1) * idsPerPod, containerId: 0, length: idsPerPod };
}

function formatMapping(mapping: IdMapping): string {
  return JSON.stringify({ uidMappings: [mapping], gidMappings: [mapping] });
}

/** Another block instead would leave the files of the pod's running containers to nobody. */
function parseMapping(text: string, uid: string): IdMapping {
  try {
    const { uidMappings }: { uidMappings?: readonly Partial<IdMapping>[] } = JSON.parse(text);
    const { hostId, containerId, length } = uidMappings?.[0] ?? {};
    if (hostId !== undefined && hostId >= idsPerPod && hostId % idsPerPod === 0 && containerId === 0 && length === idsPerPod) {
      return { hostId, containerId, length };
    }
  } catch {
    // Said below.
  }
  throw new ConfigError(`the file that keeps the user namespace of pod ${uid} is spoiled`);
}
