/** Daemon sets: one pod of a template on every node that fits. Upstream's `pkg/controller/daemon`. */
import { ControllerRevision, DaemonSet, Node, Pod } from '../../api/kinds.ts';
import { equal } from '../../machinery/equal.ts';
import { isReason } from '../../machinery/errors.ts';
import { controllerOf, keyOf, splitKey } from '../../machinery/object.ts';
import { selectorOf } from '../../machinery/selector.ts';
import { carryOutClaim, decideClaim } from '../adoption.ts';
import type { ControllerDefinition, Outcome } from '../controller.ts';
import { isNamespaceTerminating, messageOf } from '../errors.ts';
import { Expectations } from '../expectations.ts';
import { hasEnded, indexByController, orphansIn, ownedBy } from '../pods.ts';
import {
  HashCollision,
  type RevisionPlan,
  carryOutRevisions,
  forgetRevisions,
  planRevisions,
  revisionHashLabel,
  revisionsToForget,
  watchesRevisionsOf,
} from '../revisions.ts';
import { slowStart } from '../slow-start.ts';
import { FailedPodBackOff } from '../failed-pod-back-off.ts';
import { daemonPod } from './node-fit.ts';
import { type PlacementPlan, daemonStatus, nextAvailableMs, planPlacement, planRollingUpdate, viewDaemonSet } from './plan.ts';

export const daemonSetController: ControllerDefinition = {
  name: 'daemonset-controller',
  serviceAccount: 'daemon-set-controller',
  eventSource: 'daemonset-controller',
  setup(context) {
    const { world, client, events } = context;
    const expectations = new Expectations(world);
    const backOff = new FailedPodBackOff();

    const daemonSets = context.watch(DaemonSet, {
      added: (daemonSet) => context.enqueue(keyOf(daemonSet)),
      updated(daemonSet, old) {
        if (daemonSet.metadata.uid !== old.metadata.uid) expectations.forget(keyOf(old));
        context.enqueue(keyOf(daemonSet));
      },
      deleted(daemonSet) {
        expectations.forget(keyOf(daemonSet));
        context.enqueue(keyOf(daemonSet));
      },
    });

    const enqueueAll = (): void => {
      for (const daemonSet of daemonSets.list()) context.enqueue(keyOf(daemonSet));
    };
    const nodes = context.watch(Node, {
      added: enqueueAll,
      updated(node, old) {
        // A heartbeat moves no pod: only names, labels and taints decide.
        if (!equal(node.metadata.labels, old.metadata.labels) || !equal(node.spec.taints, old.spec.taints)) enqueueAll();
      },
      deleted: enqueueAll,
    });

    function ownerOf(pod: Pod): DaemonSet | undefined {
      const owner = controllerOf(pod);
      if (owner?.kind !== 'DaemonSet') return undefined;
      const daemonSet = daemonSets.get(owner.name, pod.metadata.namespace);
      return daemonSet?.metadata.uid === owner.uid ? daemonSet : undefined;
    }
    function enqueueMatching(pod: Pod): void {
      for (const daemonSet of daemonSets.list(pod.metadata.namespace)) {
        if (selectorOf(daemonSet.spec.selector).matches(pod.metadata.labels)) context.enqueue(keyOf(daemonSet));
      }
    }
    function deleting(pod: Pod): void {
      const daemonSet = ownerOf(pod);
      if (!daemonSet) return;
      expectations.deletionObserved(keyOf(daemonSet), pod.metadata.uid);
      context.enqueue(keyOf(daemonSet));
    }
    const pods = context.watch(Pod, {
      added(pod) {
        const daemonSet = ownerOf(pod);
        // It may be on its way out when it is first seen: it was made all the same.
        if (daemonSet) expectations.creationObserved(keyOf(daemonSet));
        if (pod.metadata.deletionTimestamp !== undefined) return deleting(pod);
        if (daemonSet) {
          context.enqueue(keyOf(daemonSet));
        } else if (!controllerOf(pod)) enqueueMatching(pod);
      },
      updated(pod, old) {
        if (pod.metadata.uid !== old.metadata.uid) deleting(old);
        if (pod.metadata.deletionTimestamp !== undefined) deleting(pod);
        const before = controllerOf(old)?.uid === controllerOf(pod)?.uid ? undefined : ownerOf(old);
        if (before) context.enqueue(keyOf(before));
        const daemonSet = ownerOf(pod);
        if (daemonSet) context.enqueue(keyOf(daemonSet));
        else if (!controllerOf(pod) && (controllerOf(old) || !equal(pod.metadata.labels, old.metadata.labels))) enqueueMatching(pod);
      },
      deleted: deleting,
    });
    indexByController(pods);

    const enqueueOwner = (revision: ControllerRevision): void => {
      const key = watchesRevisionsOf(DaemonSet, revision);
      if (key !== undefined) context.enqueue(key);
    };
    const revisions = context.watch(ControllerRevision, { updated: enqueueOwner, deleted: enqueueOwner });
    indexByController(revisions);

    async function reconcile(key: string): Promise<Outcome> {
      const { namespace, name } = splitKey(key);
      const daemonSet = daemonSets.get(name, namespace);
      if (!daemonSet) {
        expectations.forget(key);
        return undefined;
      }
      const selector = selectorOf(daemonSet.spec.selector);
      if (selector.isEmpty()) {
        events.event(daemonSet, 'Warning', 'SelectingAll', 'This daemon set is selecting all pods. A non-empty selector is required.');
        return undefined;
      }
      if (daemonSet.metadata.deletionTimestamp !== undefined) return undefined;
      const behindMs = expectations.leftMs(key);
      const mayChange = behindMs === 0;

      const known = await claimRevisions(daemonSet);
      const plan = planRevisions(daemonSet, known, daemonSet.status.collisionCount, revisionHashLabel);
      const current = await writeRevision(daemonSet, plan);
      if (!current) return undefined;
      const hash = current.metadata.labels?.[revisionHashLabel] ?? '';

      const candidates = [...ownedBy(pods, daemonSet.metadata.uid), ...orphansIn(pods, daemonSet.metadata.namespace)];
      const claim = decideClaim(daemonSet, selector, candidates, (pod) => !hasEnded(pod));
      const owned = await carryOutClaim(client, DaemonSet, daemonSet, Pod, claim);
      const view = viewDaemonSet(daemonSet, hash, nodes.list(), owned, world.clock.now());

      let failure: { readonly error: unknown } | undefined;
      let retryMs = mayChange ? undefined : behindMs;
      if (mayChange) {
        const nowMs = view.nowMs;
        const backOffKey = (node: string): string => `${daemonSet.metadata.uid}/${daemonSet.metadata.generation}/${node}`;
        const placement = planPlacement(view, (node) => {
          const waitMs = backOff.waitMs(backOffKey(node), nowMs);
          if (waitMs > 0) retryMs = Math.min(waitMs, retryMs ?? waitMs);
          return waitMs === 0;
        });
        sayEnded(daemonSet, placement);
        for (const { pod, node } of placement.ended) if (pod.status.phase === 'Failed') backOff.failed(backOffKey(node), nowMs);
        failure = await carryOut(daemonSet, hash, placement.create, placement.delete);
        // The rolling update counts on a settled placement: what was just asked for must show up first.
        if (failure === undefined && expectations.satisfied(key)) {
          const rolling = planRollingUpdate(view);
          failure = await carryOut(daemonSet, hash, rolling.create, rolling.delete);
        }
        await forgetOld(daemonSet, [...known, current], current, owned);
      }

      const status = daemonStatus(view);
      if (!equal(daemonSet.status, status)) {
        await client
          .resource(DaemonSet)
          .namespace(daemonSet.metadata.namespace)
          .updateStatus({ ...daemonSet, status });
      }
      if (failure) throw failure.error;
      const waits = [nextAvailableMs(view), retryMs].filter((ms) => ms !== undefined);
      return waits.length === 0 ? undefined : { requeueAfterMs: Math.min(...waits) };
    }

    async function claimRevisions(daemonSet: DaemonSet): Promise<readonly ControllerRevision[]> {
      const selector = selectorOf(daemonSet.spec.selector);
      const candidates = [...ownedBy(revisions, daemonSet.metadata.uid), ...orphansIn(revisions, daemonSet.metadata.namespace)];
      return carryOutClaim(client, DaemonSet, daemonSet, ControllerRevision, decideClaim(daemonSet, selector, candidates));
    }

    /** Undefined when the hash collided or the namespace goes: there is nothing to be done now. */
    async function writeRevision(daemonSet: DaemonSet, plan: RevisionPlan): Promise<ControllerRevision | undefined> {
      try {
        const current = await carryOutRevisions(client, daemonSet, plan);
        await forgetRevisions(client, plan.duplicates);
        return current;
      } catch (error) {
        if (isNamespaceTerminating(error)) return undefined;
        if (!(error instanceof HashCollision)) throw error;
        const collisionCount = (daemonSet.status.collisionCount ?? 0) + 1;
        const status = { ...daemonSet.status, collisionCount };
        await client
          .resource(DaemonSet)
          .namespace(daemonSet.metadata.namespace)
          .updateStatus({ ...daemonSet, status });
        return undefined;
      }
    }

    function sayEnded(daemonSet: DaemonSet, { ended }: PlacementPlan): void {
      for (const { pod, node } of ended) {
        const where = `daemon pod ${keyOf(pod)} on node ${node}`;
        if (pod.status.phase === 'Failed') events.event(daemonSet, 'Warning', 'FailedDaemonPod', `Found failed ${where}, will try to kill it`);
        else events.event(daemonSet, 'Normal', 'SucceededDaemonPod', `Found succeeded ${where}, will try to delete it`);
      }
    }

    /** Answers what went wrong, to be thrown when the status is written. */
    async function carryOut(
      daemonSet: DaemonSet,
      hash: string,
      create: readonly string[],
      remove: readonly Pod[],
    ): Promise<{ error: unknown } | undefined> {
      if (create.length === 0 && remove.length === 0) return undefined;
      const key = keyOf(daemonSet);
      const podClient = client.resource(Pod).namespace(daemonSet.metadata.namespace);
      expectations.expect(
        key,
        create.length,
        remove.map(({ metadata }) => metadata.uid),
      );
      const { skipped, error } = await slowStart(create.length, async (index) => {
        try {
          const pod = await podClient.create(daemonPod(daemonSet, create[index] ?? '', hash));
          events.event(daemonSet, 'Normal', 'SuccessfulCreate', `Created pod: ${pod.metadata.name}`);
        } catch (error) {
          expectations.creationObserved(key);
          if (isNamespaceTerminating(error)) return;
          events.event(daemonSet, 'Warning', 'FailedCreate', `Error creating: ${messageOf(error)}`);
          throw error;
        }
      });
      if (skipped > 0) expectations.creationObserved(key, skipped);
      const results = await Promise.allSettled(
        remove.map(async ({ metadata: { name, uid } }) => {
          try {
            await podClient.delete(name, { preconditions: { uid } });
            events.event(daemonSet, 'Normal', 'SuccessfulDelete', `Deleted pod: ${name}`);
          } catch (error) {
            expectations.deletionObserved(key, uid);
            if (isReason(error, 'NotFound', 'Conflict')) return;
            events.event(daemonSet, 'Warning', 'FailedDelete', `Error deleting: ${messageOf(error)}`);
            throw error;
          }
        }),
      );
      if (error !== undefined) return { error };
      const failed = results.find((result) => result.status === 'rejected');
      return failed && { error: failed.reason };
    }

    async function forgetOld(
      daemonSet: DaemonSet,
      known: readonly ControllerRevision[],
      current: ControllerRevision,
      owned: readonly Pod[],
    ): Promise<void> {
      const live = new Set(owned.map(({ metadata }) => metadata.labels?.[revisionHashLabel]));
      const isLive = (revision: ControllerRevision): boolean =>
        revision.metadata.name === current.metadata.name || live.has(revision.metadata.labels?.[revisionHashLabel]);
      await forgetRevisions(client, revisionsToForget(known, daemonSet.spec.revisionHistoryLimit ?? 10, isLive));
    }

    return { reconcile };
  },
};
