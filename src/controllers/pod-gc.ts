/** Pods that no kubelet will clear away: too many ended ones, those of nodes that no longer exist, and those deleted before they had a node. Upstream's `podgc`. */
import { Node, Pod } from '../api/kinds.ts';
import type { V1PodCondition } from '../api/types.ts';
import { isReason } from '../machinery/errors.ts';
import { timestamp } from '../world/world.ts';
import { judgedBy } from './conditions.ts';
import type { ControllerDefinition } from './controller.ts';
import { ignoreGone } from './errors.ts';
import { hasEnded } from './pods.ts';

const periodMs = 20_000;
/** A node must be missing for so long: its pods may be seen before it is. */
const quarantineMs = 40_000;
const outOfServiceTaint = 'node.kubernetes.io/out-of-service';
const everything = 'pods';

export interface PodGcPlan {
  /** Ended ones past the threshold: deleted as they are. */
  readonly remove: readonly Pod[];
  /** On their way out, and nobody else will finish them: first marked as failed, so that who counts them sees how they ended. */
  readonly stuck: readonly Pod[];
  /** Bound to a node that is not there: first marked as failed. */
  readonly orphaned: readonly Pod[];
}

export function planPodGc(pods: readonly Pod[], nodes: ReadonlyMap<string, Node>, missing: (node: string) => boolean, threshold: number): PodGcPlan {
  const ended = pods.filter((pod) => hasEnded(pod) && pod.metadata.deletionTimestamp === undefined);
  const evictedFirst = (pod: Pod): number => (pod.status.phase === 'Failed' && pod.status.reason === 'Evicted' ? 0 : 1);
  const tooMany =
    threshold > 0
      ? [...ended]
          .sort((a, b) => evictedFirst(a) - evictedFirst(b) || Date.parse(a.metadata.creationTimestamp) - Date.parse(b.metadata.creationTimestamp))
          .slice(0, Math.max(0, ended.length - threshold))
      : [];
  const stuck = pods.filter((pod) => {
    if (pod.metadata.deletionTimestamp === undefined) return false;
    if (!pod.spec.nodeName) return true;
    const node = nodes.get(pod.spec.nodeName);
    return node !== undefined && isOutOfService(node);
  });
  const orphaned = pods.filter((pod) => pod.spec.nodeName && !nodes.has(pod.spec.nodeName) && missing(pod.spec.nodeName));
  return { remove: tooMany, stuck, orphaned };
}

function isOutOfService(node: Node): boolean {
  const ready = node.status.conditions?.find((condition) => condition.type === 'Ready')?.status === 'True';
  return !ready && (node.spec.taints ?? []).some(({ key }) => key === outOfServiceTaint);
}

export const podGarbageCollector: ControllerDefinition = {
  name: 'pod-garbage-collector-controller',
  serviceAccount: 'pod-garbage-collector',
  setup(context) {
    const { client, world, options } = context;
    /** Since when a node that pods are bound to is missing. */
    const missingSince = new Map<string, number>();
    const isStuck = (pod: Pod): boolean => pod.metadata.deletionTimestamp !== undefined && !pod.spec.nodeName;
    const pods = context.watch(Pod, {
      added: (pod) => isStuck(pod) && context.enqueue(everything),
      updated: (pod) => isStuck(pod) && context.enqueue(everything),
    });
    const nodes = context.watch(Node, { deleted: () => context.enqueue(everything) });
    context.every(periodMs, () => context.enqueue(everything));

    async function isGone(name: string): Promise<boolean> {
      try {
        await client.resource(Node).get(name);
        return false;
      } catch (error) {
        if (isReason(error, 'NotFound')) return true;
        throw error;
      }
    }

    /** Nodes missing long enough, and live too. */
    async function confirmedMissing(known: ReadonlyMap<string, Node>, nowMs: number): Promise<ReadonlySet<string>> {
      const bound = new Set(pods.list().flatMap(({ spec }) => (spec.nodeName ? [spec.nodeName] : [])));
      for (const name of missingSince.keys()) if (known.has(name) || !bound.has(name)) missingSince.delete(name);
      const confirmed = new Set<string>();
      for (const name of bound) {
        if (known.has(name)) continue;
        const since = missingSince.get(name);
        if (since === undefined) missingSince.set(name, nowMs);
        else if (nowMs - since >= quarantineMs && (await isGone(name))) confirmed.add(name);
      }
      return confirmed;
    }

    async function remove(pod: Pod): Promise<void> {
      const { namespace, name, uid } = pod.metadata;
      await client.resource(Pod).namespace(namespace).delete(name, { gracePeriodSeconds: 0, preconditions: { uid } }).catch(ignoreGone);
    }

    async function markFailed(pod: Pod, conditions: readonly V1PodCondition[]): Promise<void> {
      if (hasEnded(pod)) return;
      await client
        .resource(Pod)
        .namespace(pod.metadata.namespace)
        .patch(
          pod.metadata.name,
          { status: { phase: 'Failed', ...(conditions.length > 0 && { conditions }) } },
          { type: 'strategic', subresource: 'status' },
        )
        .catch(ignoreGone);
    }

    return {
      async reconcile() {
        const known = new Map(nodes.list().map((node) => [node.metadata.name, node]));
        const missing = await confirmedMissing(known, world.clock.now());
        const plan = planPodGc(pods.list(), known, (node) => missing.has(node), options.terminatedPodThreshold);
        await Promise.all(plan.remove.map(remove));
        const nodeGone = (pod: Pod): V1PodCondition => ({
          type: 'DisruptionTarget',
          status: 'True',
          reason: 'DeletionByPodGC',
          message: 'PodGC: node no longer exists',
          lastTransitionTime: timestamp(world.clock.now()),
          ...judgedBy(pod),
        });
        const fail = async (pod: Pod, conditions: readonly V1PodCondition[]): Promise<void> => {
          await markFailed(pod, conditions);
          await remove(pod);
        };
        await Promise.all([...plan.stuck.map((pod) => fail(pod, [])), ...plan.orphaned.map((pod) => fail(pod, [nodeGone(pod)]))]);
        return missingSince.size > 0 ? { requeueAfterMs: quarantineMs } : undefined;
      },
    };
  },
};
