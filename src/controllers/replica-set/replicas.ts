/**
 * Keeps as many pods of a template as asked for: the one algorithm behind replica sets and replication controllers. Upstream's
 * `pkg/controller/replicaset`.
 */
import type { Kind } from '../../api/kind.ts';
import { Pod } from '../../api/kinds.ts';
import { isReason } from '../../machinery/errors.ts';
import { equal } from '../../machinery/equal.ts';
import { type KubeObject, type NamespacedObjectMeta, controllerOf, keyOf, splitKey } from '../../machinery/object.ts';
import type { Selector } from '../../machinery/selector.ts';
import { timestamp } from '../../world/world.ts';
import { carryOutClaim, decideClaim } from '../adoption.ts';
import type { Controller, ControllerContext, Outcome } from '../controller.ts';
import { isNamespaceTerminating, messageOf } from '../errors.ts';
import { FailedPodBackOff } from '../failed-pod-back-off.ts';
import { Expectations } from '../expectations.ts';
import { controllerReference, hasEnded, indexByController, isActive, isTerminating, orphansIn, ownedBy, podFromTemplate } from '../pods.ts';
import { slowStart } from '../slow-start.ts';
import { type Failure, type ReplicaSpec, type ReplicaStatus, nextAvailableMs, planReplicas, replicaStatus } from './plan.ts';

export interface ReplicaKeeper extends KubeObject {
  metadata: NamespacedObjectMeta;
  spec: ReplicaSpec & { selector?: object };
  status: ReplicaStatus;
}

/** From so many pods on, what happens to them is looked at together: for so long a pod, and at most so long. */
const manyPods = 50;
const collectMsPerPod = 0.05;
const longestCollectMs = 1_000;

/** Other pods of the keeper may do well: what its refused ones are waited for is not long. */
const longestBackOffMs = 60_000;

/** Where the two kinds differ. */
export interface ReplicaKind<T extends ReplicaKeeper> {
  readonly kind: Kind<T>;
  readonly selector: (keeper: T) => Selector;
  readonly reportsTerminating: boolean;
}

export function keepReplicas<T extends ReplicaKeeper>(context: ControllerContext, replicaKind: ReplicaKind<T>): Controller {
  const { world, client, events } = context;
  const { kind } = replicaKind;
  const expectations = new Expectations(world);
  const backOff = new FailedPodBackOff(longestBackOffMs);
  /** UIDs of keepers some of whose pods were refused since pods were made last. */
  const refused = new Set<string>();

  const keepers = context.watch(kind, {
    added: (keeper) => context.enqueue(keyOf(keeper)),
    updated: (keeper, old) => {
      // A new object of an old name owes nothing to its predecessor's expectations.
      if (keeper.metadata.uid !== old.metadata.uid) expectations.forget(keyOf(old));
      if (keeper.metadata.generation === old.metadata.generation) podChanged(keeper);
      else context.enqueue(keyOf(keeper));
    },
    deleted: (keeper) => {
      expectations.forget(keyOf(keeper));
      refused.delete(keeper.metadata.uid);
      context.enqueue(keyOf(keeper));
    },
  });
  indexByController(keepers);

  /** The keeper that controls the pod; undefined for other kinds', or one of the same name that is not the owner. */
  function keeperOf(pod: Pod): T | undefined {
    const owner = controllerOf(pod);
    if (!owner || owner.kind !== kind.kind) return undefined;
    const keeper = keepers.get(owner.name, pod.metadata.namespace);
    return keeper?.metadata.uid === owner.uid ? keeper : undefined;
  }

  function enqueueMatching(pod: Pod): void {
    for (const keeper of keepers.list(pod.metadata.namespace)) {
      if (replicaKind.selector(keeper).matches(pod.metadata.labels)) context.enqueue(keyOf(keeper));
    }
  }

  function deleting(pod: Pod): void {
    const keeper = keeperOf(pod);
    if (!keeper) return;
    expectations.deletionObserved(keyOf(keeper), pod.metadata.uid);
    podChanged(keeper);
  }

  /** A look at a keeper costs as much as it has pods, and each of them changes several times as it starts: of many, changes are collected a while. */
  function podChanged(keeper: T): void {
    // Of a new keeper the status knows of none yet, of one that ends the specification.
    const replicas = Math.max(keeper.status.replicas, keeper.spec.replicas ?? 1);
    if (replicas < manyPods) context.enqueue(keyOf(keeper));
    else context.enqueueAfter(keyOf(keeper), Math.min(replicas * collectMsPerPod, longestCollectMs));
  }

  const pods = context.watch(Pod, {
    added(pod) {
      const keeper = keeperOf(pod);
      // It may be on its way out when it is first seen: it was made all the same.
      if (keeper) expectations.creationObserved(keyOf(keeper));
      if (pod.metadata.deletionTimestamp !== undefined) return deleting(pod);
      if (keeper) {
        podChanged(keeper);
      } else if (!controllerOf(pod)) {
        enqueueMatching(pod);
      }
    },
    updated(pod, old) {
      if (pod.metadata.uid !== old.metadata.uid) deleting(old);
      if (pod.metadata.deletionTimestamp !== undefined) deleting(pod);
      const owner = controllerOf(pod);
      if (owner && wasRefused(pod) && !wasRefused(old)) refused.add(owner.uid);
      const oldOwner = controllerOf(old);
      if (oldOwner && oldOwner.uid !== owner?.uid) {
        const keeper = keeperOf(old);
        if (keeper) context.enqueue(keyOf(keeper));
      }
      if (owner) {
        const keeper = keeperOf(pod);
        if (keeper) podChanged(keeper);
      } else if (oldOwner || !equal(pod.metadata.labels, old.metadata.labels)) {
        enqueueMatching(pod);
      }
    },
    deleted: deleting,
  });
  indexByController(pods);

  /** Active pods of every keeper with the same controller: what crowding on a node is counted over. */
  function relatedPods(keeper: T): readonly Pod[] {
    const owner = controllerOf(keeper);
    const siblings = owner ? ownedBy(keepers, owner.uid) : [keeper];
    return siblings.flatMap((sibling) => ownedBy(pods, sibling.metadata.uid).filter(isActive));
  }

  /** How long pods that were refused are not made anew. */
  function pauseMs({ metadata: { uid } }: T): number {
    if (!refused.has(uid)) return 0;
    const waitMs = backOff.waitMs(uid, world.clock.now());
    if (waitMs > 0) return waitMs;
    backOff.failed(uid, world.clock.now());
    refused.delete(uid);
    return 0;
  }

  /** Creates and deletes; what went wrong becomes an event, a condition and (by the caller) a retry. */
  async function carryOut(keeper: T, active: readonly Pod[]): Promise<{ failure: Failure; error: unknown } | { waitMs: number } | undefined> {
    const key = keyOf(keeper);
    const { namespace } = keeper.metadata;
    const plan = planReplicas(
      keeper.spec.replicas ?? 1,
      active,
      active.length > (keeper.spec.replicas ?? 1) ? relatedPods(keeper) : [],
      world.clock.now(),
    );
    const podClient = client.resource(Pod).namespace(namespace);

    if (plan.create > 0) {
      const waitMs = pauseMs(keeper);
      if (waitMs > 0) return { waitMs };
      expectations.expectCreations(key, plan.create);
      const draft = podFromTemplate(keeper.spec.template ?? {}, namespace, `${keeper.metadata.name}-`, controllerReference(keeper));
      const { skipped, error } = await slowStart(plan.create, async () => {
        try {
          const pod = await podClient.create(draft);
          events.event(keeper, 'Normal', 'SuccessfulCreate', `Created pod: ${pod.metadata.name}`);
        } catch (error) {
          expectations.creationObserved(key);
          // A namespace on its way out takes nothing new, and will take this keeper too.
          if (isNamespaceTerminating(error)) return;
          events.event(keeper, 'Warning', 'FailedCreate', `Error creating: ${messageOf(error)}`);
          throw error;
        }
      });
      if (skipped > 0) expectations.creationObserved(key, skipped);
      if (error !== undefined) return { failure: { reason: 'FailedCreate', message: messageOf(error) }, error };
    }

    if (plan.delete.length > 0) {
      expectations.expectDeletions(
        key,
        plan.delete.map((pod) => pod.metadata.uid),
      );
      const results = await Promise.allSettled(
        plan.delete.map(async (pod) => {
          try {
            await podClient.delete(pod.metadata.name, { preconditions: { uid: pod.metadata.uid } });
            events.event(keeper, 'Normal', 'SuccessfulDelete', `Deleted pod: ${pod.metadata.name}`);
          } catch (error) {
            expectations.deletionObserved(key, pod.metadata.uid);
            if (isReason(error, 'NotFound', 'Conflict')) return;
            events.event(keeper, 'Warning', 'FailedDelete', `Error deleting: ${messageOf(error)}`);
            throw error;
          }
        }),
      );
      const failed = results.find((result) => result.status === 'rejected');
      if (failed) return { failure: { reason: 'FailedDelete', message: messageOf(failed.reason) }, error: failed.reason };
    }
    return undefined;
  }

  async function reconcile(key: string): Promise<Outcome> {
    const { namespace, name } = splitKey(key);
    const keeper = keepers.get(name, namespace);
    if (!keeper) {
      expectations.forget(key);
      return undefined;
    }
    const behindMs = expectations.leftMs(key);
    const mayChange = behindMs === 0;
    const owned = ownedBy(pods, keeper.metadata.uid);
    const orphans = orphansIn(pods, keeper.metadata.namespace);
    const selector = replicaKind.selector(keeper);
    const claim = decideClaim(keeper, selector, [...owned, ...orphans], (pod) => !hasEnded(pod));
    const claimed = await carryOutClaim(client, kind, keeper, Pod, claim);
    const active = claimed.filter(isActive);

    const outcome = mayChange && keeper.metadata.deletionTimestamp === undefined ? await carryOut(keeper, active) : undefined;
    const failed = outcome && 'failure' in outcome ? outcome : undefined;

    const nowMs = world.clock.now();
    const terminating = replicaKind.reportsTerminating ? claimed.filter(isTerminating).length : undefined;
    const status = replicaStatus(
      keeper.status,
      { spec: keeper.spec, generation: keeper.metadata.generation ?? 0 },
      active,
      terminating,
      failed?.failure,
      nowMs,
      timestamp(nowMs),
    );
    if (!sameStatus(keeper.status, status))
      await client
        .resource(kind)
        .namespace(keeper.metadata.namespace)
        .updateStatus({ ...keeper, status });
    if (failed) throw failed.error;

    const waits = [
      nextAvailableMs(active, keeper.spec.minReadySeconds ?? 0, nowMs) ?? [],
      outcome && 'waitMs' in outcome ? outcome.waitMs : [],
      mayChange ? [] : behindMs,
    ].flat();
    return waits.length === 0 ? undefined : { requeueAfterMs: Math.min(...waits) };
  }

  return { reconcile };
}

/** By its kubelet: it ended before anything of it ran. */
function wasRefused({ status }: Pod): boolean {
  return status.phase === 'Failed' && !status.containerStatuses?.length;
}

/** Zero and absent are the same count. */
function sameStatus(a: ReplicaStatus, b: ReplicaStatus): boolean {
  return (
    a.replicas === b.replicas &&
    (a.fullyLabeledReplicas ?? 0) === (b.fullyLabeledReplicas ?? 0) &&
    (a.readyReplicas ?? 0) === (b.readyReplicas ?? 0) &&
    (a.availableReplicas ?? 0) === (b.availableReplicas ?? 0) &&
    (a.terminatingReplicas ?? -1) === (b.terminatingReplicas ?? -1) &&
    a.observedGeneration === b.observedGeneration &&
    equal(a.conditions ?? [], b.conditions ?? [])
  );
}
