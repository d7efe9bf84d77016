/**
 * `pods/eviction`: a delete that respects the pod's disruption budget. See
 * https://kubernetes.io/docs/concepts/scheduling-eviction/api-eviction/
 */
import { type Pod, PodDisruptionBudget } from '../../../api/kinds.ts';
import { schemaOf } from '../../../api/schemas.ts';
import type { V1Eviction, V1PodCondition } from '../../../api/types.ts';
import { clone } from '../../../machinery/clone.ts';
import { type ApiError, badRequest, conflict, forbidden, internalError, notFound, tooManyRequests } from '../../../machinery/errors.ts';
import { selectorOf } from '../../../machinery/selector.ts';
import { timestamp } from '../../../world/world.ts';
import { type AnyObject, type BodyType, decodeAs, parseBody } from '../../registry/decoding.ts';
import type { Entry } from '../../registry/encoding.ts';
import { objectPath } from '../../registry/storage-key.ts';
import type { StatusAnswer } from '../../request.ts';
import { changeObject, type Desired } from '../change.ts';
import { checkDeleteOptions, type DeleteOptions } from '../delete-options.ts';
import { removeOrMark } from '../delete.ts';
import { nameOf, type ObjectCall, type Storage } from '../storage.ts';
import { statusOnly, type UpdateStrategy } from '../strategy.ts';
import { type WriteOptions, writeOptionsOf } from '../write-options.ts';

const evictionType: BodyType = { kind: 'Eviction', apiVersion: 'policy/v1', schema: schemaOf('V1Eviction') };

/** Clients from before v1.22 send it in this version, which says the same. */
const olderEvictionType: BodyType = { ...evictionType, apiVersion: 'policy/v1beta1' };

/** Evictions the budget's controller has not yet seen done; more mean it is gone. */
const maxDisruptedPods = 2_000;
const retryAfterSeconds = 10;

export async function createEviction(storage: Storage, call: ObjectCall): Promise<StatusAnswer> {
  const options = writeOptionsOf(call, 'CreateOptions');
  const body = parseBody(call, 'Eviction');
  const eviction = decodeAs(body, isOlder(body) ? olderEvictionType : evictionType, options.fieldValidation, call.warnings) as AnyObject & V1Eviction;
  const name = nameOf(call);
  if (eviction.metadata.name && eviction.metadata.name !== name) throw badRequest('name in URL does not match name in Eviction object');
  const deleteOptions = checkDeleteOptions({ ...eviction.deleteOptions });
  const dryRun = options.dryRun || deleteOptions.dryRun;
  const entry = call.served.cache.get(objectPath(call.target.namespace, name));
  if (!entry) throw notFound(call.served.kind, name);

  const pod = entry.object as Pod;
  const budget = needsBudget(pod) ? budgetOf(storage, pod) : undefined;
  const chargesBudget = budget !== undefined && (isReady(pod) || !evictableWhenUnready(budget));
  if (chargesBudget) await chargeBudget(storage, call, budget, name, { ...options, dryRun });
  await evict(storage, call, entry, { ...deleteOptions, dryRun }, { ...options, dryRun }, chargesBudget);
  return { type: 'status', code: 201, body: { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 } };
}

function isOlder(body: unknown): boolean {
  return typeof body === 'object' && body !== null && 'apiVersion' in body && body.apiVersion === olderEvictionType.apiVersion;
}

/** A pod that runs nothing any more, or nothing yet, is not what a budget protects. */
function needsBudget(pod: Pod): boolean {
  const { phase } = pod.status;
  return pod.metadata.deletionTimestamp === undefined && phase !== 'Succeeded' && phase !== 'Failed' && phase !== 'Pending';
}

function budgetOf(storage: Storage, pod: Pod): PodDisruptionBudget | undefined {
  const matching = storage.registry
    .list(PodDisruptionBudget, pod.metadata.namespace)
    .filter((budget) => selectorOf(budget.spec.selector).matches(pod.metadata.labels));
  if (matching.length > 1) throw internalError('This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.');
  return matching[0];
}

function isReady(pod: Pod): boolean {
  return pod.status.conditions?.some((condition) => condition.type === 'Ready' && condition.status === 'True') ?? false;
}

/** A running pod that is not ready counts for nothing; it may go when the budget says so, or is met without it. */
function evictableWhenUnready({ spec, status }: PodDisruptionBudget): boolean {
  if (spec.unhealthyPodEvictionPolicy === 'AlwaysAllow') return true;
  const { currentHealthy = 0, desiredHealthy = 0 } = status;
  return currentHealthy >= desiredHealthy && desiredHealthy > 0;
}

async function chargeBudget(storage: Storage, call: ObjectCall, budget: PodDisruptionBudget, podName: string, options: WriteOptions): Promise<void> {
  const served = storage.registry.servedKind(PodDisruptionBudget);
  const { name, namespace } = budget.metadata;
  const entry = served.cache.get(objectPath(namespace, name));
  if (!entry) return;
  const budgetCall: ObjectCall = {
    ...call,
    served,
    verb: 'update',
    target: { ...call.target, group: served.kind.group, version: served.kind.version, resource: served.kind.resource, name, subresource: 'status' },
  };
  const now = timestamp(storage.world.clock.now());
  // Others evicting under the same budget change it too: each attempt judges what is there then.
  const desired = (live: AnyObject): Desired => ({
    object: charged(live as AnyObject & PodDisruptionBudget, podName, now) as AnyObject & PodDisruptionBudget,
  });
  // A budget that is gone protects nothing.
  await changeObject(storage, budgetCall, entry, { options, strategy: statusOnly, desired }, () => conflict(served.kind, name));
}

/** The budget with one disruption less, or the refusal. */
export function charged(budget: PodDisruptionBudget, podName: string, now: string): PodDisruptionBudget {
  const { name, generation = 0 } = budget.metadata;
  const { status } = budget;
  const { disruptionsAllowed = 0, desiredHealthy = 0, currentHealthy = 0 } = status;
  if ((status.observedGeneration ?? 0) < generation)
    throw refused(`The disruption budget ${name} is still being processed by the server.`, retryAfterSeconds);
  if (disruptionsAllowed < 0) throw forbidden(PodDisruptionBudget, name, 'pdb disruptions allowed is negative');
  if (Object.keys(status.disruptedPods ?? {}).length > maxDisruptedPods) {
    throw forbidden(PodDisruptionBudget, name, 'DisruptedPods map too big - too many evictions not confirmed by PDB controller');
  }
  if (disruptionsAllowed === 0) {
    throw refused(`The disruption budget ${name} needs ${desiredHealthy} healthy pods and has ${currentHealthy} currently`, 0);
  }
  const result = clone(budget);
  result.status.disruptionsAllowed = disruptionsAllowed - 1;
  result.status.disruptedPods = { ...result.status.disruptedPods, [podName]: now };
  const others = (result.status.conditions ?? []).filter((condition) => condition.type !== 'DisruptionAllowed');
  if (result.status.disruptionsAllowed === 0) {
    result.status.conditions = [
      ...others,
      {
        type: 'DisruptionAllowed',
        status: 'False',
        reason: 'InsufficientPods',
        message: '',
        lastTransitionTime: now,
        observedGeneration: status.observedGeneration ?? 0,
      },
    ];
  }
  return result;
}

function refused(why: string, afterSeconds: number): ApiError {
  return tooManyRequests("Cannot evict pod as it would violate the pod's disruption budget.", afterSeconds, [
    { reason: 'DisruptionBudget', message: why },
  ]);
}

const disruptionCondition: UpdateStrategy = { ...statusOnly, validate: () => [] };

/** Says on the pod why it goes, then deletes it, provided that it still is the pod that was judged. */
async function evict(
  storage: Storage,
  call: ObjectCall,
  entry: Entry,
  deleteOptions: DeleteOptions,
  options: WriteOptions,
  judged: boolean,
): Promise<void> {
  const { served } = call;
  const missing = (): Error => notFound(served.kind, entry.name);
  const now = timestamp(storage.world.clock.now());
  const desired = (live: AnyObject): Desired => ({ object: withDisruption(live as AnyObject & Pod, now) as AnyObject & Pod });
  await changeObject(storage, call, entry, { options, strategy: disruptionCondition, desired }, missing);
  const current = served.cache.get(entry.path);
  if (!current) throw missing();
  const preconditions =
    judged && deleteOptions.preconditions.uid === undefined
      ? { ...deleteOptions.preconditions, uid: entry.object.metadata.uid }
      : deleteOptions.preconditions;
  await removeOrMark(storage, call, current, { ...deleteOptions, preconditions });
}

function withDisruption(pod: Pod, now: string): Pod {
  const result = clone(pod);
  const others = (result.status.conditions ?? []).filter((condition) => condition.type !== 'DisruptionTarget');
  const condition: V1PodCondition = {
    type: 'DisruptionTarget',
    status: 'True',
    reason: 'EvictionByEvictionAPI',
    message: 'Eviction API: evicting',
    lastTransitionTime: now,
    ...(pod.metadata.generation !== undefined && { observedGeneration: pod.metadata.generation }),
  };
  result.status.conditions = [...others, condition];
  return result;
}
