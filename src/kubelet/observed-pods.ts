/**
 * What the runtime has, per pod: sandboxes and containers, newest first. Events from the runtime refresh single entries; a slow relist finds what
 * events missed. Upstream: the kubelet's pod lifecycle event generator and its runtime cache.
 */
import type { Timer, World } from '../world/world.ts';
import { podUidLabel } from './labels.ts';
import type { ContainerRuntime, ContainerStatus, SandboxStatus } from './runtime/runtime.ts';

export interface ObservedPod {
  /** Newest first. */
  readonly sandboxes: readonly SandboxStatus[];
  /** Every instance of every container, newest first. */
  readonly containers: readonly ContainerStatus[];
}

export const nothingObserved: ObservedPod = { sandboxes: [], containers: [] };

export interface ObservedPods {
  /** The first list; throws when the runtime cannot be reached. */
  start(): Promise<void>;
  pod(uid: string): ObservedPod;
  uids(): Iterable<string>;
  /** Reads one sandbox or container anew: after the kubelet changed it itself, or an event told of it. */
  refreshSandbox(id: string): Promise<SandboxStatus | undefined>;
  refreshContainer(id: string): Promise<ContainerStatus | undefined>;
  relist(): Promise<void>;
  /** When the runtime last answered a full list; 0 before the first. */
  lastRelistMs(): number;
  close(): void;
}

export interface ObservedPodsOptions {
  readonly world: World;
  readonly runtime: ContainerRuntime;
  readonly relistMs?: number;
  /** Something about this pod changed. */
  readonly onChange: (uid: string) => void;
}

interface Entry {
  sandboxes: SandboxStatus[];
  containers: ContainerStatus[];
  view: ObservedPod | undefined;
}

export function createObservedPods({ world, runtime, relistMs = 10_000, onChange }: ObservedPodsOptions): ObservedPods {
  const log = world.log.child('observed-pods');
  const entries = new Map<string, Entry>();
  const podOf = new Map<string, string>();
  /** Containers of which the runtime told that they ran out of memory. */
  const outOfMemory = new Set<string>();
  const closed = new AbortController();
  const reads = new Map<string, Promise<unknown>>();
  let relistedMs = 0;
  let timer: Timer | undefined;
  let relisting: Promise<void> | undefined;

  function entryOf(uid: string): Entry {
    let entry = entries.get(uid);
    if (!entry) entries.set(uid, (entry = { sandboxes: [], containers: [], view: undefined }));
    return entry;
  }

  function put<T extends { id: string; createdAtMs: number; attempt: number }>(list: T[], item: T): T[] {
    return [...list.filter(({ id }) => id !== item.id), item].sort((a, b) => b.createdAtMs - a.createdAtMs || b.attempt - a.attempt);
  }

  function putSandbox(sandbox: SandboxStatus): void {
    const entry = entryOf(sandbox.uid);
    podOf.set(sandbox.id, sandbox.uid);
    entry.sandboxes = put(entry.sandboxes, sandbox);
    entry.view = undefined;
    onChange(sandbox.uid);
  }

  function putContainer(container: ContainerStatus, uid: string): void {
    const entry = entryOf(uid);
    podOf.set(container.id, uid);
    entry.containers = put(entry.containers, container);
    entry.view = undefined;
    onChange(uid);
  }

  /** A runtime may note that memory was the cause only after it has told of the exit. */
  function withCause(container: ContainerStatus): ContainerStatus {
    const isCause = container.exitCode === 137 && container.reason === 'Error' && outOfMemory.has(container.id);
    return isCause ? { ...container, reason: 'OOMKilled' } : container;
  }

  function forget(id: string): void {
    const uid = podOf.get(id);
    podOf.delete(id);
    outOfMemory.delete(id);
    const entry = uid === undefined ? undefined : entries.get(uid);
    if (uid === undefined || !entry) return;
    entry.sandboxes = entry.sandboxes.filter((sandbox) => sandbox.id !== id);
    entry.containers = entry.containers.filter((container) => container.id !== id);
    entry.view = undefined;
    if (entry.sandboxes.length === 0 && entry.containers.length === 0) entries.delete(uid);
    onChange(uid);
  }

  /** Reads of one id never overlap, so an older answer cannot overwrite a newer one. */
  function serially<T>(id: string, read: () => Promise<T>): Promise<T> {
    const previous = reads.get(id) ?? Promise.resolve();
    const next = previous.then(read, read);
    reads.set(id, next);
    const done = (): void => {
      if (reads.get(id) === next) reads.delete(id);
    };
    return next.finally(done);
  }

  function refreshSandbox(id: string): Promise<SandboxStatus | undefined> {
    return serially(id, async () => {
      try {
        const sandbox = await runtime.podSandboxStatus(id);
        if (!closed.signal.aborted) putSandbox(sandbox);
        return sandbox;
      } catch (error) {
        if (isNotFound(error)) forget(id);
        else log.debug('reading a sandbox failed', { id, error: String(error) });
        return undefined;
      }
    });
  }

  function refreshContainer(id: string): Promise<ContainerStatus | undefined> {
    return serially(id, async () => {
      try {
        const container = withCause(await runtime.containerStatus(id));
        const uid = container.labels[podUidLabel] ?? podOf.get(container.sandboxId);
        if (uid !== undefined && !closed.signal.aborted) putContainer(container, uid);
        return container;
      } catch (error) {
        if (isNotFound(error)) forget(id);
        else log.debug('reading a container failed', { id, error: String(error) });
        return undefined;
      }
    });
  }

  async function relistNow(): Promise<void> {
    const [sandboxes, containers] = await Promise.all([runtime.listPodSandboxes(), runtime.listContainers()]);
    const seen = new Set<string>();
    const stale: Promise<unknown>[] = [];
    for (const sandbox of sandboxes) {
      seen.add(sandbox.id);
      const known = entries.get(sandbox.uid)?.sandboxes.find(({ id }) => id === sandbox.id);
      if (known?.ready !== sandbox.ready) stale.push(refreshSandbox(sandbox.id));
    }
    for (const container of containers) {
      seen.add(container.id);
      const uid = podOf.get(container.id);
      const known = uid === undefined ? undefined : entries.get(uid)?.containers.find(({ id }) => id === container.id);
      if (known?.state !== container.state) stale.push(refreshContainer(container.id));
    }
    // What was recorded while the lists were under way is not in them: only what the runtime then denies is forgotten.
    for (const id of podOf.keys()) {
      if (seen.has(id)) continue;
      const isSandbox = entries.get(podOf.get(id) ?? '')?.sandboxes.some((sandbox) => sandbox.id === id);
      stale.push(isSandbox ? refreshSandbox(id) : refreshContainer(id));
    }
    await Promise.all(stale);
    relistedMs = world.clock.now();
  }

  function relist(): Promise<void> {
    relisting ??= relistNow().finally(() => (relisting = undefined));
    return relisting;
  }

  return {
    async start() {
      runtime.events(({ id, type }) => {
        const uid = podOf.get(id);
        if (uid === undefined) return;
        if (type === 'removed') return forget(id);
        if (type === 'oom') outOfMemory.add(id);
        const isSandbox = entries.get(uid)?.sandboxes.some((sandbox) => sandbox.id === id);
        void (isSandbox ? refreshSandbox(id) : refreshContainer(id));
      }, closed.signal);
      await relist();
      timer = world.clock.every(relistMs, () => {
        relist().catch((error: unknown) => log.warn('listing the runtime failed', { error: String(error) }));
      });
    },
    pod(uid) {
      const entry = entries.get(uid);
      if (!entry) return nothingObserved;
      return (entry.view ??= { sandboxes: entry.sandboxes, containers: entry.containers });
    },
    uids: () => entries.keys(),
    refreshSandbox,
    refreshContainer,
    relist,
    lastRelistMs: () => relistedMs,
    close() {
      timer?.cancel();
      closed.abort();
    },
  };
}

/** CRI answers with gRPC's NotFound, code 5. */
function isNotFound(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return ('code' in error && error.code === 5) || /code = NotFound|not found/i.test(error.message);
}
