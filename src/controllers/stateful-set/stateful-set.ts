/** Stateful sets: numbered pods of a template, each with a name and volume claims that stay. Upstream's `pkg/controller/statefulset`. */
import { ControllerRevision, PersistentVolumeClaim, Pod, StatefulSet } from '../../api/kinds.ts';
import { equal } from '../../machinery/equal.ts';
import { isReason } from '../../machinery/errors.ts';
import { controllerOf, keyOf, splitKey } from '../../machinery/object.ts';
import { selectorOf } from '../../machinery/selector.ts';
import { carryOutClaim, decideClaim } from '../adoption.ts';
import type { ControllerDefinition, Outcome } from '../controller.ts';
import { isNamespaceTerminating, messageOf } from '../errors.ts';
import { FailedPodBackOff } from '../failed-pod-back-off.ts';
import { indexByController, orphansIn, ownedBy } from '../pods.ts';
import {
  HashCollision,
  carryOutRevisions,
  forgetRevisions,
  planRevisions,
  revisionHashLabel,
  revisionsToForget,
  templateOf,
  watchesRevisionsOf,
} from '../revisions.ts';
import { slowStart } from '../slow-start.ts';
import { claimName, claimOwners, claimsFor, identityCorrection, isStaleClaim, ordinalOf, podName, statefulPod } from './identity.ts';
import { type StatefulStep, type StatefulView, nextAvailableMs, planStatefulSet, statefulStatus } from './plan.ts';

/** On revisions of stateful sets. */
const hashLabel = 'controller.kubernetes.io/hash';

export const statefulSetController: ControllerDefinition = {
  name: 'statefulset-controller',
  serviceAccount: 'statefulset-controller',
  setup(context) {
    const { world, client, events } = context;
    const backOff = new FailedPodBackOff();
    const enqueue = (set: StatefulSet): void => context.enqueue(keyOf(set));
    const sets = context.watch(StatefulSet, { added: enqueue, updated: enqueue, deleted: enqueue });

    function enqueueOwner(pod: Pod): void {
      const owner = controllerOf(pod);
      if (owner?.kind === 'StatefulSet') context.enqueue(`${pod.metadata.namespace}/${owner.name}`);
    }
    function enqueueMatching(pod: Pod): void {
      for (const set of sets.list(pod.metadata.namespace)) if (selectorOf(set.spec.selector).matches(pod.metadata.labels)) enqueue(set);
    }
    const pods = context.watch(Pod, {
      added: (pod) => (controllerOf(pod) ? enqueueOwner(pod) : enqueueMatching(pod)),
      updated(pod, old) {
        if (controllerOf(old)?.uid !== controllerOf(pod)?.uid) enqueueOwner(old);
        if (controllerOf(pod)) enqueueOwner(pod);
        else if (controllerOf(old) || !equal(pod.metadata.labels, old.metadata.labels)) enqueueMatching(pod);
      },
      deleted: enqueueOwner,
    });
    indexByController(pods);

    const enqueueByRevision = (revision: ControllerRevision): void => {
      const key = watchesRevisionsOf(StatefulSet, revision);
      if (key !== undefined) context.enqueue(key);
    };
    const revisions = context.watch(ControllerRevision, { updated: enqueueByRevision, deleted: enqueueByRevision });
    indexByController(revisions);

    // A claim that goes away may be what a new pod waits for.
    const claims = context.watch(PersistentVolumeClaim, {
      deleted(claim) {
        for (const set of sets.list(claim.metadata.namespace)) {
          const mine = (set.spec.volumeClaimTemplates ?? []).some(({ metadata }) =>
            claim.metadata.name.startsWith(`${metadata.name}-${set.metadata.name}-`),
          );
          if (mine) enqueue(set);
        }
      },
    });

    async function reconcile(key: string): Promise<Outcome> {
      const { namespace, name } = splitKey(key);
      const set = sets.get(name, namespace);
      if (!set) return undefined;
      const selector = selectorOf(set.spec.selector);
      const { uid, namespace: home } = set.metadata;

      const podClaim = decideClaim(
        set,
        selector,
        [...ownedBy(pods, uid), ...orphansIn(pods, home)],
        (pod) => ordinalOf(name, pod.metadata.name) !== undefined,
      );
      const revisionClaim = decideClaim(set, selector, [...ownedBy(revisions, uid), ...orphansIn(revisions, home)]);
      const known = await carryOutClaim(client, StatefulSet, set, ControllerRevision, revisionClaim);
      const owned = await carryOutClaim(client, StatefulSet, set, Pod, podClaim);

      let collisionCount = set.status.collisionCount;
      let update: ControllerRevision;
      if (set.metadata.deletionTimestamp !== undefined) return undefined;
      try {
        update = await carryOutRevisions(client, set, planRevisions(set, known, collisionCount, hashLabel));
      } catch (error) {
        if (isNamespaceTerminating(error)) return undefined;
        if (!(error instanceof HashCollision)) throw error;
        collisionCount = (collisionCount ?? 0) + 1;
        await client
          .resource(StatefulSet)
          .namespace(home)
          .updateStatus({ ...set, status: { ...set.status, collisionCount } });
        return undefined;
      }
      const current = known.find(({ metadata }) => metadata.name === set.status.currentRevision) ?? update;

      let retryMs = Number.POSITIVE_INFINITY;
      const nowMs = world.clock.now();
      const backOffKey = (ordinal: number): string => `${uid}/${update.metadata.name}/${ordinal}`;
      const view: StatefulView = {
        set,
        pods: owned,
        currentRevision: current.metadata.name,
        updateRevision: update.metadata.name,
        nowMs,
        waitsForClaims: (ordinal) =>
          claimsOf(set, ordinal).some((claim) => isStaleClaim(claim, podName(set, ordinal), pods.get(podName(set, ordinal), home)?.metadata.uid)),
        backsOff(ordinal) {
          const waitMs = backOff.waitMs(backOffKey(ordinal), nowMs);
          if (waitMs > 0) retryMs = Math.min(retryMs, waitMs);
          return waitMs > 0;
        },
      };
      const steps = planStatefulSet(view);
      for (const step of steps) if (step.do === 'delete' && step.why === 'failed') backOff.failed(backOffKey(step.ordinal), nowMs);
      // Each beside the next, but a quota that refuses one is not asked for hundreds.
      const carriedOut = await slowStart(steps.length, async (index) => {
        const step = steps[index];
        if (step) await carryOut(set, step, [update, current]);
      });
      const status = statefulStatus(view, collisionCount);
      if (!equal(set.status, status))
        await client
          .resource(StatefulSet)
          .namespace(home)
          .updateStatus({ ...set, status });

      const live = new Set([current.metadata.name, update.metadata.name, ...owned.map(({ metadata }) => metadata.labels?.[revisionHashLabel])]);
      await forgetRevisions(
        client,
        revisionsToForget(known, set.spec.revisionHistoryLimit ?? 10, ({ metadata }) => live.has(metadata.name)),
      );
      if (carriedOut.succeeded < steps.length) throw carriedOut.error;
      retryMs = Math.min(retryMs, nextAvailableMs(view) ?? retryMs);
      return Number.isFinite(retryMs) ? { requeueAfterMs: retryMs } : undefined;
    }

    function claimsOf(set: StatefulSet, ordinal: number): readonly PersistentVolumeClaim[] {
      return (set.spec.volumeClaimTemplates ?? []).flatMap(({ metadata }) => {
        const claim = claims.get(claimName(metadata.name, set, ordinal), set.metadata.namespace);
        return claim ? [claim] : [];
      });
    }

    async function carryOut(set: StatefulSet, step: StatefulStep, known: readonly ControllerRevision[]): Promise<void> {
      switch (step.do) {
        case 'create':
          return create(
            set,
            step.ordinal,
            known.find(({ metadata }) => metadata.name === step.revision),
          );
        case 'correct':
          return correct(set, step.pod, step.ordinal);
        case 'delete':
          return remove(set, step);
      }
    }

    async function create(set: StatefulSet, ordinal: number, revision: ControllerRevision | undefined): Promise<void> {
      const template = (revision && templateOf(revision)) ?? set.spec.template;
      await makeClaims(set, ordinal, podName(set, ordinal));
      const draft = statefulPod(set, template, revision?.metadata.name ?? '', ordinal);
      const words = `create Pod ${podName(set, ordinal)} in StatefulSet ${set.metadata.name}`;
      try {
        await client.resource(Pod).namespace(set.metadata.namespace).create(draft);
        events.event(set, 'Normal', 'SuccessfulCreate', `${words} successful`);
      } catch (error) {
        if (isNamespaceTerminating(error)) return;
        if (isReason(error, 'AlreadyExists')) {
          // By our own pod that the cache has not shown yet, or by another that must go first.
          const live = await client.resource(Pod).namespace(set.metadata.namespace).get(podName(set, ordinal));
          if (controllerOf(live)?.uid === set.metadata.uid) return;
        } else events.event(set, 'Warning', 'FailedCreate', `${words} failed error: ${messageOf(error)}`);
        throw error;
      }
    }

    async function makeClaims(set: StatefulSet, ordinal: number, pod: string): Promise<void> {
      for (const draft of claimsFor(set, ordinal)) {
        const name = draft.metadata.name ?? '';
        const existing = claims.get(name, set.metadata.namespace);
        if (existing) {
          if (existing.metadata.deletionTimestamp !== undefined) throw new Error(`pvc ${name} is being deleted`);
          continue;
        }
        const owners = claimOwners(set, { metadata: {} }, undefined, false);
        try {
          await client
            .resource(PersistentVolumeClaim)
            .namespace(set.metadata.namespace)
            .create({ ...draft, metadata: { ...draft.metadata, ...(owners && { ownerReferences: owners }) } });
          events.event(set, 'Normal', 'SuccessfulCreate', `create Claim ${name} Pod ${pod} in StatefulSet ${set.metadata.name} success`);
        } catch (error) {
          if (isReason(error, 'AlreadyExists')) continue;
          const message = `create Claim ${name} for Pod ${pod} in StatefulSet ${set.metadata.name} failed error: ${messageOf(error)}`;
          events.event(set, 'Warning', 'FailedCreate', message);
          throw error;
        }
      }
    }

    async function correct(set: StatefulSet, pod: Pod, ordinal: number): Promise<void> {
      if (pod.status.phase === 'Pending') await makeClaims(set, ordinal, pod.metadata.name);
      await ownClaims(set, pod, ordinal, false);
      const labels = identityCorrection(pod, ordinal);
      if (!labels) return;
      const words = `update Pod ${pod.metadata.name} in StatefulSet ${set.metadata.name}`;
      try {
        await client.resource(Pod).namespace(set.metadata.namespace).patch(pod.metadata.name, { metadata: { labels } });
        events.event(set, 'Normal', 'SuccessfulUpdate', `${words} successful`);
      } catch (error) {
        events.event(set, 'Warning', 'FailedUpdate', `${words} failed error: ${messageOf(error)}`);
        throw error;
      }
    }

    async function ownClaims(set: StatefulSet, pod: Pod, ordinal: number, condemned: boolean): Promise<void> {
      for (const claim of claimsOf(set, ordinal)) {
        const ownerReferences = claimOwners(set, claim, pod, condemned);
        if (!ownerReferences) continue;
        await client
          .resource(PersistentVolumeClaim)
          .namespace(set.metadata.namespace)
          .update({ ...claim, metadata: { ...claim.metadata, ownerReferences } });
      }
    }

    async function remove(set: StatefulSet, { pod, why, ordinal }: StatefulStep & { do: 'delete' }): Promise<void> {
      const { name, uid } = pod.metadata;
      if (why === 'scaled') await ownClaims(set, pod, ordinal, true);
      if (why === 'failed') {
        events.event(set, 'Warning', 'RecreatingFailedPod', `StatefulSet ${keyOf(set)} is recreating failed Pod ${name}`);
      } else if (why === 'ended') {
        events.event(set, 'Normal', 'RecreatingTerminatedPod', `StatefulSet ${keyOf(set)} is recreating terminated Pod ${name}`);
      }
      const words = `delete Pod ${name} in StatefulSet ${set.metadata.name}`;
      try {
        await client.resource(Pod).namespace(set.metadata.namespace).delete(name, { preconditions: { uid } });
        events.event(set, 'Normal', 'SuccessfulDelete', `${words} successful`);
      } catch (error) {
        if (isReason(error, 'NotFound', 'Conflict')) return;
        events.event(set, 'Warning', 'FailedDelete', `${words} failed error: ${messageOf(error)}`);
        throw error;
      }
    }

    return { reconcile };
  },
};
