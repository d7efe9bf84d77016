/**
 * Deletes pods whose devices got a `NoExecute` taint that their claim does not tolerate, at once or when its patience ends. Drivers put taints into their
 * ResourceSlices. Upstream's `devicetainteviction`; DeviceTaintRules are an API that is off by default.
 */
import { Pod, ResourceClaim, ResourceSlice } from '../../api/kinds.ts';
import { equal } from '../../machinery/equal.ts';
import { keyOf, splitKey } from '../../machinery/object.ts';
import { timestamp } from '../../world/world.ts';
import type { ControllerDefinition } from '../controller.ts';
import { disruptPod } from '../disrupt-pod.ts';
import { hasEnded, sharedIndex } from '../pods.ts';
import { claimNamesOf, usesClaims } from '../resource-claim/plan.ts';
import { claimEvictionTime, taintsIn } from './eviction-time.ts';

const claimsByPoolIndex = 'controllers/claims-by-device-pool';
const slicesByPoolIndex = 'controllers/slices-by-device-pool';

const poolKey = (driver: string, pool: string): string => `${driver}/${pool}`;

export const deviceTaintEvictionController: ControllerDefinition = {
  name: 'device-taint-eviction-controller',
  serviceAccount: 'device-taint-eviction-controller',
  setup(context) {
    const { client, events, world } = context;
    /** By UID of pods that will have to go: since when that is known. */
    const waiting = new Map<string, number>();

    const pods = context.watch(Pod, {
      added(pod) {
        if (concerns(pod)) context.enqueue(keyOf(pod));
      },
      updated(pod, old) {
        if (concerns(pod) && (pod.spec.nodeName !== old.spec.nodeName || !equal(claimNamesOf(pod), claimNamesOf(old)))) context.enqueue(keyOf(pod));
      },
      deleted: (pod) => waiting.delete(pod.metadata.uid),
    });
    const enqueueUsers = ({ metadata: { namespace }, status }: ResourceClaim): void => {
      for (const { resource, name } of status?.reservedFor ?? []) if (resource === 'pods') context.enqueue(`${namespace}/${name}`);
    };
    const claims = context.watch(ResourceClaim, {
      added: enqueueUsers,
      updated(claim, old) {
        if (!equal(claim.status, old.status)) enqueueUsers(claim);
      },
    });
    sharedIndex(claims, claimsByPoolIndex, ({ status }) => [
      ...new Set((status?.allocation?.devices?.results ?? []).map(({ driver, pool }) => poolKey(driver, pool))),
    ]);
    const poolChanged = ({ spec: { driver, pool } }: ResourceSlice): void =>
      claims.byIndex(claimsByPoolIndex, poolKey(driver, pool.name)).forEach(enqueueUsers);
    const slices = context.watch(ResourceSlice, { added: poolChanged, updated: poolChanged, deleted: poolChanged });
    sharedIndex(slices, slicesByPoolIndex, ({ spec: { driver, pool } }) => [poolKey(driver, pool.name)]);

    /** The first of its claims to drive the pod out. */
    function evictionTime(pod: Pod, seenMs: number): number | undefined {
      const times = claimNamesOf(pod).flatMap((name) => {
        const claim = claims.get(name, pod.metadata.namespace);
        if (!claim?.status?.reservedFor?.some(({ uid }) => uid === pod.metadata.uid)) return [];
        return (
          claimEvictionTime(claim, (result) => taintsIn(slices.byIndex(slicesByPoolIndex, poolKey(result.driver, result.pool)), result), seenMs) ?? []
        );
      });
      return times.length === 0 ? undefined : Math.min(...times);
    }

    return {
      async reconcile(key) {
        const { namespace = '', name } = splitKey(key);
        const pod = pods.get(name, namespace);
        if (!pod || !concerns(pod) || pod.metadata.deletionTimestamp !== undefined) return undefined;
        const { uid } = pod.metadata;
        const nowMs = world.clock.now();
        const seenMs = waiting.get(uid) ?? nowMs;
        const atMs = evictionTime(pod, seenMs);
        if (atMs === undefined) {
          if (waiting.delete(uid)) events.event(pod, 'Normal', 'DeviceTaintManagerEviction', 'Cancelling deletion');
          return undefined;
        }
        if (atMs > nowMs) {
          waiting.set(uid, seenMs);
          return { requeueAfterMs: atMs - nowMs };
        }
        events.event(pod, 'Normal', 'DeviceTaintManagerEviction', 'Marking for deletion');
        const message = 'Device Taint manager: deleting due to NoExecute taint';
        await disruptPod(client, pod, { reason: 'DeletionByDeviceTaintManager', message, now: timestamp(nowMs) });
        waiting.delete(uid);
        return undefined;
      },
    };
  },
};

/** Pods that run, or are about to, on claimed devices. */
function concerns(pod: Pod): boolean {
  return usesClaims(pod) && Boolean(pod.spec.nodeName) && !hasEnded(pod);
}
