/**
 * Writes pods' statuses to the API: only what changed, the latest only, one request at a time for one pod, again after a failure. Upstream: the
 * kubelet's status manager.
 */
import { Pod } from '../api/node-kinds.ts';
import type { V1PodCondition, V1PodStatus } from '../api/types.ts';
import type { Client } from '../client/client.ts';
import { equal } from '../machinery/equal.ts';
import { isReason } from '../machinery/errors.ts';
import type { World } from '../world/world.ts';

export interface StatusWriter {
  /** Writes soon; a later call for the same pod takes its place. */
  write(pod: Pod, status: V1PodStatus): void;
  /** Resolves when the last status given for the pod is in the API, or the pod is not. */
  flush(uid: string): Promise<void>;
  /** The same for all pods. */
  flushAll(): Promise<void>;
  forget(uid: string): void;
  close(): void;
}

interface Entry {
  pod: Pod;
  wanted: V1PodStatus;
  /** What the API holds, as far as known. */
  known: V1PodStatus;
  knownVersion: number;
  running: Promise<void> | undefined;
}

const firstRetryMs = 500;
const maxRetryMs = 10_000;

export function createStatusWriter(client: Client, world: World): StatusWriter {
  const log = world.log.child('status-writer');
  const entries = new Map<string, Entry>();
  const closed = new AbortController();

  async function run(uid: string, entry: Entry): Promise<void> {
    let retryMs = firstRetryMs;
    while (!closed.signal.aborted && entries.get(uid) === entry) {
      const { pod, wanted } = entry;
      const change = statusChange(entry.known, wanted);
      if (!change) return;
      const { name, namespace } = pod.metadata;
      try {
        const patch = { metadata: { uid }, status: change };
        const answer = await client
          .resource(Pod)
          .namespace(namespace)
          .patch(name, patch, { type: 'strategic', subresource: 'status', signal: closed.signal });
        entry.known = answer.status;
        entry.knownVersion = versionOf(answer);
        // What the API made of it need not be what was sent; the same change is not sent again for ever.
        if (entry.wanted === wanted) return;
        retryMs = firstRetryMs;
      } catch (error) {
        if (closed.signal.aborted || isReason(error, 'NotFound')) return;
        // A conflict says that the name belongs to another pod by now.
        if (isReason(error, 'Conflict') && /uid/i.test(error.message)) return;
        log.warn('writing a pod status failed', { pod: `${namespace}/${name}`, error: String(error) });
        await world.clock.sleep(retryMs, closed.signal).catch(() => {});
        retryMs = Math.min(retryMs * 2, maxRetryMs);
      }
    }
  }

  /** What happens to a pod in one go is written in one. */
  function endOfTurn(): Promise<void> {
    return new Promise((resolve) => {
      world.clock.after(0, resolve);
    });
  }

  return {
    write(pod, status) {
      const { uid } = pod.metadata;
      let entry = entries.get(uid);
      if (!entry) entries.set(uid, (entry = { pod, wanted: status, known: pod.status, knownVersion: versionOf(pod), running: undefined }));
      entry.pod = pod;
      entry.wanted = status;
      if (versionOf(pod) > entry.knownVersion) {
        entry.known = pod.status;
        entry.knownVersion = versionOf(pod);
      }
      const mine = entry;
      mine.running ??= endOfTurn()
        .then(() => run(uid, mine))
        .finally(() => (mine.running = undefined));
    },
    async flush(uid) {
      await entries.get(uid)?.running;
    },
    async flushAll() {
      for (const { running } of entries.values()) await running;
    },
    forget: (uid) => void entries.delete(uid),
    close() {
      closed.abort();
      entries.clear();
    },
  };
}

/** A strategic merge patch from one status to another; undefined when there is nothing to change. */
export function statusChange(known: V1PodStatus, wanted: V1PodStatus): Record<string, unknown> | undefined {
  const change: Record<string, unknown> = {};
  const before = new Map<string, unknown>(Object.entries(known));
  const after = new Map<string, unknown>(Object.entries(wanted));
  for (const [field, value] of after) {
    if (field === 'conditions') {
      // Merged by type: conditions that others set stay.
      const conditions = [...changedConditions(known.conditions ?? [], wanted.conditions ?? []), ...passedConditions(known, wanted)];
      if (conditions.length > 0) change.conditions = conditions;
    } else if (!equal(value, before.get(field))) {
      // Lists merged by key would keep old entries: they are replaced.
      change[field] = (field === 'podIPs' || field === 'hostIPs') && Array.isArray(value) ? [{ $patch: 'replace' }, ...value] : value;
    }
  }
  for (const field of ['reason', 'message']) if (before.get(field) !== undefined && after.get(field) === undefined) change[field] = null;
  return Object.keys(change).length === 0 ? undefined : change;
}

function changedConditions(known: readonly V1PodCondition[], wanted: readonly V1PodCondition[]): object[] {
  return wanted.flatMap((condition) => {
    const before = known.find(({ type }) => type === condition.type);
    if (before && sameCondition(before, condition)) return [];
    return [
      {
        ...condition,
        ...(before?.reason !== undefined && condition.reason === undefined && { reason: null }),
        ...(before?.message !== undefined && condition.message === undefined && { message: null }),
      },
    ];
  });
}

/** Conditions that a kubelet takes away again when they are over; others stay as they are. */
const passing = ['PodResizePending', 'PodResizeInProgress'];

function passedConditions(known: V1PodStatus, wanted: V1PodStatus): object[] {
  const isThere = ({ conditions = [] }: V1PodStatus, type: string): boolean => conditions.some((condition) => condition.type === type);
  return passing.filter((type) => isThere(known, type) && !isThere(wanted, type)).map((type) => ({ $patch: 'delete', type }));
}

/** Probe times belong to others; a scheduler's PodScheduled is left as it is. */
function sameCondition(a: V1PodCondition, b: V1PodCondition): boolean {
  if (a.status !== b.status || a.observedGeneration !== b.observedGeneration) return false;
  return (a.reason ?? '') === (b.reason ?? '') && (a.message ?? '') === (b.message ?? '');
}

function versionOf(pod: Pod): number {
  return Number(pod.metadata.resourceVersion);
}
