/** Keeps the status of disruption budgets, by which the API server grants or refuses evictions. Upstream's `pkg/controller/disruption`. */
import {
  CustomResourceDefinition,
  Deployment,
  Pod,
  PodDisruptionBudget,
  ReplicaSet,
  ReplicationController,
  StatefulSet,
  allKinds,
} from '../../api/kinds.ts';
import { apiVersionOf, type Kind } from '../../api/kind.ts';
import { type KubeObject, type OwnerReference, controllerOf, keyOf, splitKey } from '../../machinery/object.ts';
import { selectorOf } from '../../machinery/selector.ts';
import { timestamp } from '../../world/world.ts';
import { conditionOf, judgedBy } from '../conditions.ts';
import { type ControllerDefinition, type Outcome, onAny } from '../controller.ts';
import { kindOfDefinition } from '../custom-kinds.ts';
import { ignoreGone } from '../errors.ts';
import { budgetStatus, failSafe, needsScale, sameStatus } from './budget.ts';

/** Before the key of a pod that is said to be disrupted. */
const markedPrefix = 'marked:';
/** So long after that was said it should be on its way out. */
const staleMarkMs = 2 * 60_000;

interface Scaled extends KubeObject {
  spec: { replicas?: number };
}

export const disruptionController: ControllerDefinition = {
  name: 'disruption-controller',
  serviceAccount: 'disruption-controller',
  eventSource: 'controllermanager',
  setup(context) {
    const { client, world, events } = context;
    const enqueue = (budget: PodDisruptionBudget): void => context.enqueue(keyOf(budget));
    const budgets = context.watch(PodDisruptionBudget, { added: enqueue, updated: enqueue });
    const pods = context.watch(
      Pod,
      onAny((pod) => {
        if (markedSinceMs(pod) !== undefined) context.enqueue(markedPrefix + keyOf(pod));
        for (const budget of budgets.list(pod.metadata.namespace)) {
          if (selectorOf(budget.spec.selector).matches(pod.metadata.labels)) enqueue(budget);
        }
      }),
    );

    const definitions = context.watch(CustomResourceDefinition);

    // A change of scale alone moves what a percentage means.
    const enqueueNamespace = (object: KubeObject): void => {
      for (const budget of budgets.list(object.metadata.namespace)) if (needsScale(budget)) enqueue(budget);
    };
    const scaled = {
      updated(object: Scaled, old: Scaled): void {
        if (object.spec.replicas !== old.spec.replicas) enqueueNamespace(object);
      },
    };
    const deployments = context.watch<Deployment>(Deployment, scaled);
    const replicaSets = context.watch<ReplicaSet>(ReplicaSet, scaled);
    const replicationControllers = context.watch<ReplicationController>(ReplicationController, scaled);
    const statefulSets = context.watch<StatefulSet>(StatefulSet, scaled);

    /** What stands at the top of the pod's controllers, and how many it wants. */
    async function scaleOf(owner: OwnerReference, namespace: string): Promise<{ uid: string; replicas: number }> {
      const found = (object: Scaled | undefined): { uid: string; replicas: number } => ({
        uid: owner.uid,
        replicas: object?.metadata.uid === owner.uid ? (object.spec.replicas ?? 1) : 0,
      });
      switch (owner.kind) {
        case 'ReplicaSet': {
          const replicaSet = replicaSets.get(owner.name, namespace);
          const above = replicaSet && controllerOf(replicaSet);
          const deployment = above?.kind === 'Deployment' ? deployments.get(above.name, namespace) : undefined;
          if (deployment && deployment.metadata.uid === above?.uid) return { uid: above.uid, replicas: deployment.spec.replicas ?? 1 };
          return found(replicaSet);
        }
        case 'ReplicationController':
          return found(replicationControllers.get(owner.name, namespace));
        case 'StatefulSet':
          return found(statefulSets.get(owner.name, namespace));
        default:
          return { uid: owner.uid, replicas: await scaleOfOther(owner, namespace) };
      }
    }

    /** Any other kind with a scale subresource, such as a custom one. */
    async function scaleOfOther(owner: OwnerReference, namespace: string): Promise<number> {
      const kind =
        allKinds.find((candidate) => candidate.scale && apiVersionOf(candidate) === owner.apiVersion && candidate.kind === owner.kind) ??
        scalableCustomKind(owner, definitions.list());
      if (!kind) throw new Error(`${owner.kind}.${groupOf(owner.apiVersion)} does not implement the scale subresource`);
      const scale = await client.resource(kind).namespace(namespace).getSubresource<{ spec: { replicas?: number } }>(owner.name, 'scale');
      return scale.spec.replicas ?? 0;
    }

    async function totalScale(budget: PodDisruptionBudget, selected: readonly Pod[]): Promise<number> {
      const owners = new Map<string, OwnerReference>();
      let unmanaged = false;
      for (const pod of selected) {
        const owner = controllerOf(pod);
        if (owner) owners.set(owner.uid, owner);
        else unmanaged = true;
      }
      if (unmanaged) {
        const selector = selectorOf(budget.spec.selector).toString();
        events.event(
          budget,
          'Warning',
          'UnmanagedPods',
          `Pods selected by this PodDisruptionBudget (selector: ${selector}) were found to be unmanaged. As a result, the status of the PDB cannot be calculated correctly, which may result in undefined behavior. To account for these pods please set ".spec.minAvailable" field of the PDB to an integer value.`,
        );
      }
      const scales = await Promise.all([...owners.values()].map((owner) => scaleOf(owner, budget.metadata.namespace)));
      // Several replica sets of one deployment count once.
      return [...new Map(scales.map(({ uid, replicas }) => [uid, replicas])).values()].reduce((sum, replicas) => sum + replicas, 0);
    }

    /** A pod that was to be disrupted and was not, for long, is no longer said to be. */
    async function unmark(key: string): Promise<Outcome> {
      const { namespace = '', name } = splitKey(key);
      const pod = pods.get(name, namespace);
      const markedMs = pod && markedSinceMs(pod);
      if (!pod || markedMs === undefined) return undefined;
      const nowMs = world.clock.now();
      const leftMs = markedMs + staleMarkMs - nowMs;
      if (leftMs > 0) return { requeueAfterMs: leftMs };
      const condition = {
        type: 'DisruptionTarget',
        status: 'False',
        reason: '',
        message: '',
        lastTransitionTime: timestamp(nowMs),
        ...judgedBy(pod),
      };
      const change = { metadata: { uid: pod.metadata.uid }, status: { conditions: [condition] } };
      await client.resource(Pod).namespace(namespace).patch(name, change, { type: 'strategic', subresource: 'status' }).catch(ignoreGone);
      return undefined;
    }

    return {
      async reconcile(key) {
        if (key.startsWith(markedPrefix)) return unmark(key.slice(markedPrefix.length));
        const { namespace, name } = splitKey(key);
        const budget = budgets.get(name, namespace);
        if (!budget) return;
        const selector = selectorOf(budget.spec.selector);
        const selected = pods.list(namespace).filter((pod) => selector.matches(pod.metadata.labels));
        const nowMs = world.clock.now();
        const now = timestamp(nowMs);
        let scale: number | undefined;
        let failure: Error | undefined;
        try {
          scale = needsScale(budget) ? await totalScale(budget, selected) : undefined;
        } catch (error) {
          failure = error instanceof Error ? error : new Error(String(error));
          events.event(budget, 'Warning', 'CalculateExpectedPodCountFailed', `Failed to calculate the number of expected pods: ${failure.message}`);
        }
        if (selected.length === 0) events.event(budget, 'Normal', 'NoPods', 'No matching pods found');
        const { status, requeueAfterMs, notDeleted } =
          failure === undefined ? budgetStatus({ budget, pods: selected, scale, nowMs, now }) : failSafe(budget, failure, now);
        for (const pod of notDeleted) events.event(pod, 'Warning', 'NotDeleted', `Pod was expected by PDB ${key} to be deleted but it wasn't`);
        if (!sameStatus(status, budget.status)) {
          await client
            .resource(PodDisruptionBudget)
            .namespace(budget.metadata.namespace)
            .updateStatus({ ...budget, status });
        }
        if (failure !== undefined) throw failure;
        return requeueAfterMs === undefined ? undefined : { requeueAfterMs };
      },
    };
  },
};

/** Since when the pod is said to be disrupted without being deleted, in epoch ms. */
function markedSinceMs({ metadata, status }: Pod): number | undefined {
  if (metadata.deletionTimestamp !== undefined) return undefined;
  const condition = conditionOf(status.conditions, 'DisruptionTarget');
  if (condition?.status !== 'True' || status.phase === 'Succeeded' || status.phase === 'Failed') return undefined;
  return condition.lastTransitionTime === undefined ? 0 : Date.parse(condition.lastTransitionTime);
}

/** The custom kind of an owner, at the version it is named by, if its definition has a scale subresource there. */
function scalableCustomKind(owner: OwnerReference, definitions: readonly CustomResourceDefinition[]): Kind | undefined {
  const group = groupOf(owner.apiVersion);
  const definition = definitions.find(({ spec }) => spec.group === group && spec.names.kind === owner.kind);
  const kind = definition && kindOfDefinition(definition);
  const version = definition?.spec.versions.find(({ name, served }) => served && owner.apiVersion === `${group}/${name}`);
  return kind && version?.subresources?.scale ? { ...kind, version: version.name } : undefined;
}

function groupOf(apiVersion: string): string {
  return apiVersion.includes('/') ? (apiVersion.split('/')[0] ?? '') : '';
}
