/** Deployments: declarative updates for pods and replica sets. Upstream's `pkg/controller/deployment`. */
import { Deployment, Pod, ReplicaSet } from '../../api/kinds.ts';
import type { V1DeploymentStatus } from '../../api/types.ts';
import { equal } from '../../machinery/equal.ts';
import { isReason } from '../../machinery/errors.ts';
import { controllerOf, keyOf, splitKey } from '../../machinery/object.ts';
import { selectorOf } from '../../machinery/selector.ts';
import { timestamp } from '../../world/world.ts';
import { carryOutClaim, decideClaim } from '../adoption.ts';
import { withCondition } from '../conditions.ts';
import type { ControllerDefinition, Outcome } from '../controller.ts';
import { isNamespaceTerminating, messageOf } from '../errors.ts';
import { hasEnded, indexByController, orphansIn, ownedBy } from '../pods.ts';
import { type Part, revisionAnnotation, sameTemplate } from './parts.ts';
import { type DeploymentPlan, type Resize, planDeployment } from './plan.ts';
import { hasDeadline, progressing } from './status.ts';

const createFailed = 'ReplicaSetCreateError';

export const deploymentController: ControllerDefinition = {
  name: 'deployment-controller',
  serviceAccount: 'deployment-controller',
  setup(context) {
    const { world, client, events } = context;

    const deployments = context.watch(Deployment, {
      added: (deployment) => context.enqueue(keyOf(deployment)),
      updated: (deployment) => context.enqueue(keyOf(deployment)),
    });

    function enqueueOwner(replicaSet: ReplicaSet): void {
      const owner = controllerOf(replicaSet);
      if (owner?.kind === 'Deployment') context.enqueue(`${replicaSet.metadata.namespace}/${owner.name}`);
    }
    function enqueueMatching(replicaSet: ReplicaSet): void {
      for (const deployment of deployments.list(replicaSet.metadata.namespace)) {
        if (selectorOf(deployment.spec.selector).matches(replicaSet.metadata.labels)) context.enqueue(keyOf(deployment));
      }
    }
    const replicaSets = context.watch(ReplicaSet, {
      added: (replicaSet) => (controllerOf(replicaSet) ? enqueueOwner(replicaSet) : enqueueMatching(replicaSet)),
      updated(replicaSet, old) {
        if (controllerOf(old)?.uid !== controllerOf(replicaSet)?.uid) enqueueOwner(old);
        if (controllerOf(replicaSet)) enqueueOwner(replicaSet);
        else if (controllerOf(old) || !equal(old.metadata.labels, replicaSet.metadata.labels)) enqueueMatching(replicaSet);
      },
      deleted: enqueueOwner,
    });
    indexByController(replicaSets);

    // Only Recreate waits for pods themselves; everything else is in the replica sets' statuses.
    function enqueueIfRecreate(pod: Pod): void {
      const owner = controllerOf(pod);
      if (owner?.kind !== 'ReplicaSet') return;
      const replicaSet = replicaSets.get(owner.name, pod.metadata.namespace);
      const deployment = replicaSet && deployments.get(controllerOf(replicaSet)?.name ?? '', pod.metadata.namespace);
      if (deployment?.spec.strategy?.type === 'Recreate') context.enqueue(keyOf(deployment));
    }
    const pods = context.watch(Pod, {
      updated(pod, old) {
        if (hasEnded(pod) && !hasEnded(old)) enqueueIfRecreate(pod);
      },
      deleted: enqueueIfRecreate,
    });
    indexByController(pods);

    async function reconcile(key: string): Promise<Outcome> {
      const { namespace, name } = splitKey(key);
      const deployment = deployments.get(name, namespace);
      if (!deployment) return undefined;
      const selector = selectorOf(deployment.spec.selector);
      if (selector.isEmpty()) return selectsEverything(deployment);

      const candidates = [...ownedBy(replicaSets, deployment.metadata.uid), ...orphansIn(replicaSets, deployment.metadata.namespace)];
      const owned = await carryOutClaim(client, Deployment, deployment, ReplicaSet, decideClaim(deployment, selector, candidates));
      const plan = planDeployment({
        deployment,
        replicaSets: owned,
        runningPodsOf: (replicaSet) => ownedBy(pods, replicaSet.metadata.uid).filter((pod) => !hasEnded(pod)).length,
        nowMs: world.clock.now(),
      });
      return carryOut(deployment, plan);
    }

    async function carryOut(deployment: Deployment, plan: DeploymentPlan): Promise<Outcome> {
      if (plan.create && !(await createReplicaSet(deployment, plan))) return undefined;
      await Promise.all(plan.update.map((resize) => update(deployment, resize)));
      await Promise.all(
        plan.delete.map((replicaSet) =>
          client
            .resource(ReplicaSet)
            .namespace(replicaSet.metadata.namespace)
            .delete(replicaSet.metadata.name, { preconditions: { uid: replicaSet.metadata.uid } })
            .catch((error: unknown) => {
              if (!isReason(error, 'NotFound')) throw error;
            }),
        ),
      );

      let latest = deployment;
      if (plan.revision !== undefined) {
        const annotations = { ...deployment.metadata.annotations, [revisionAnnotation]: plan.revision };
        latest = await deploymentsOf(deployment).update({ ...deployment, metadata: { ...deployment.metadata, annotations } });
      }
      if (!sameStatus(deployment.status, plan.status)) await deploymentsOf(latest).updateStatus({ ...latest, status: plan.status });
      return plan.requeueAfterMs === undefined ? undefined : { requeueAfterMs: plan.requeueAfterMs };
    }

    /** False when the cache turned out to be behind: its next event brings the deployment back here. */
    async function createReplicaSet(deployment: Deployment, plan: DeploymentPlan): Promise<boolean> {
      const draft = plan.create;
      if (!draft) return true;
      const replicaSetClient = client.resource(ReplicaSet).namespace(deployment.metadata.namespace);
      try {
        await replicaSetClient.create(draft);
        if (draft.spec.replicas) recordScaling(deployment, draft.metadata.name, 0, draft.spec.replicas);
        return true;
      } catch (error) {
        if (isReason(error, 'AlreadyExists')) {
          const live = await replicaSetClient.get(draft.metadata.name);
          const ours = controllerOf(live)?.uid === deployment.metadata.uid;
          if (ours && live.spec.template && sameTemplate(live.spec.template, deployment.spec.template)) return false;
          // Another template has the same hash: count up, so that the next try hashes to another name.
          const collisionCount = (deployment.status.collisionCount ?? 0) + 1;
          await deploymentsOf(deployment).updateStatus({ ...deployment, status: { ...deployment.status, collisionCount } });
          throw error;
        }
        if (isNamespaceTerminating(error)) return false;
        const message = `Failed to create new replica set "${draft.metadata.name}": ${messageOf(error)}`;
        events.event(deployment, 'Warning', createFailed, message);
        if (hasDeadline(deployment)) {
          const conditions = withCondition(deployment.status.conditions, progressing('False', createFailed, message, timestamp(world.clock.now())));
          const status: V1DeploymentStatus = { ...deployment.status, conditions: [...conditions] };
          if (!sameStatus(deployment.status, status)) await deploymentsOf(deployment).updateStatus({ ...deployment, status });
        }
        throw error;
      }
    }

    async function update(deployment: Deployment, { before, after }: Resize): Promise<void> {
      await client.resource(ReplicaSet).namespace(after.metadata.namespace).update(after);
      const from = before.spec.replicas ?? 1;
      const to = after.spec.replicas ?? 1;
      if (from !== to) recordScaling(deployment, after.metadata.name, from, to);
    }

    function recordScaling(deployment: Deployment, name: Part['name'], from: number, to: number): void {
      const direction = to > from ? 'up' : 'down';
      events.event(deployment, 'Normal', 'ScalingReplicaSet', `Scaled ${direction} replica set ${name} from ${from} to ${to}`);
    }

    async function selectsEverything(deployment: Deployment): Promise<Outcome> {
      events.event(deployment, 'Warning', 'SelectingAll', 'This deployment is selecting all pods. A non-empty selector is required.');
      const observedGeneration = deployment.metadata.generation ?? 0;
      if ((deployment.status.observedGeneration ?? 0) < observedGeneration) {
        await deploymentsOf(deployment).updateStatus({ ...deployment, status: { ...deployment.status, observedGeneration } });
      }
    }

    const deploymentsOf = (deployment: Deployment): ReturnType<ReturnType<typeof client.resource<Deployment>>['namespace']> =>
      client.resource(Deployment).namespace(deployment.metadata.namespace);

    return { reconcile };
  },
};

/** Zero and absent are the same count. */
function sameStatus(a: V1DeploymentStatus, b: V1DeploymentStatus): boolean {
  return (
    a.observedGeneration === b.observedGeneration &&
    (a.replicas ?? 0) === (b.replicas ?? 0) &&
    (a.updatedReplicas ?? 0) === (b.updatedReplicas ?? 0) &&
    (a.readyReplicas ?? 0) === (b.readyReplicas ?? 0) &&
    (a.availableReplicas ?? 0) === (b.availableReplicas ?? 0) &&
    (a.unavailableReplicas ?? 0) === (b.unavailableReplicas ?? 0) &&
    (a.terminatingReplicas ?? -1) === (b.terminatingReplicas ?? -1) &&
    a.collisionCount === b.collisionCount &&
    equal(a.conditions ?? [], b.conditions ?? [])
  );
}
