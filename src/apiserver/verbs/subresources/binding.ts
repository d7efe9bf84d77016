/** `pods/binding` (and the older `bindings`): the scheduler's decision, written to the pod exactly once. */
import { Pod } from '../../../api/kinds.ts';
import { schemaOf } from '../../../api/schemas.ts';
import type { V1Binding, V1PodCondition } from '../../../api/types.ts';
import { badRequest, conflict, invalid, notFound } from '../../../machinery/errors.ts';
import { type FieldError, notSupported, required } from '../../../machinery/field-error.ts';
import { timestamp } from '../../../world/world.ts';
import { type AnyObject, type BodyType, decodeAs, parseBody } from '../../registry/decoding.ts';
import { objectPath } from '../../registry/storage-key.ts';
import type { Call, StatusAnswer } from '../../request.ts';
import { changeObject, type Desired } from '../change.ts';
import { nameOf, type ObjectCall, type Storage } from '../storage.ts';
import type { UpdateStrategy } from '../strategy.ts';
import { writeOptionsOf } from '../write-options.ts';

const bindingType: BodyType = { kind: 'Binding', apiVersion: 'v1', schema: schemaOf('V1Binding') };
const podBinding = { group: '', resource: 'pods/binding' };

/** The node's name is the one field of a pod that changes here; nothing else was sent, so there is nothing else to check. */
const nodeName: UpdateStrategy = { subresource: 'binding', countsGeneration: false, tracked: false, merge: (desired) => desired, validate: () => [] };

/** POST to `bindings`: the binding's own name says which pod. */
export async function createBinding(storage: Storage, call: Call): Promise<StatusAnswer> {
  const served = storage.registry.servedKind(Pod);
  const options = writeOptionsOf(call, 'CreateOptions');
  const { name } = decodeAs(parseBody(call, 'Binding'), bindingType, options.fieldValidation, []).metadata;
  if (!name) throw invalid({ group: '', kind: 'Binding' }, '', [required('metadata.name')]);
  return createPodBinding(storage, { ...call, served, target: { ...call.target, resource: 'pods', name } });
}

export async function createPodBinding(storage: Storage, call: ObjectCall): Promise<StatusAnswer> {
  const options = writeOptionsOf(call, 'CreateOptions');
  const binding = decodeAs(parseBody(call, 'Binding'), bindingType, options.fieldValidation, call.warnings) as AnyObject & V1Binding;
  const name = nameOf(call);
  if (binding.metadata.name && binding.metadata.name !== name) {
    throw badRequest(`the name of the object (${binding.metadata.name}) does not match the name on the URL (${name})`);
  }
  const errors = bindingErrors(binding);
  if (errors.length > 0) throw invalid({ group: '', kind: 'Binding' }, name, errors);
  const missing = (): Error => notFound(podBinding, name);
  const entry = call.served.cache.get(objectPath(call.target.namespace, name));
  if (!entry) throw missing();
  const desired = (live: AnyObject): Desired => ({
    object: bound(live as AnyObject & Pod, binding, timestamp(storage.world.clock.now())) as AnyObject & Pod,
  });
  await changeObject(storage, call, entry, { options, strategy: nodeName, desired }, missing);
  return { type: 'status', code: 201, body: { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 } };
}

function bindingErrors({ target }: V1Binding): FieldError[] {
  const errors: FieldError[] = [];
  if (target.kind && target.kind !== 'Node') errors.push(notSupported('target.kind', target.kind, ['Node', '<empty>']));
  if (!target.name) errors.push(required('target.name'));
  return errors;
}

/** The pod on its node; a `Conflict` when it has one already, or is not to be started any more. */
export function bound(pod: Pod, binding: V1Binding, now: string): Pod {
  const { name } = pod.metadata;
  const refuse = (why: string): Error => conflict(podBinding, name, why);
  const { uid, resourceVersion, annotations } = binding.metadata ?? {};
  if (uid && uid !== pod.metadata.uid) throw refuse(`Precondition failed: UID in precondition: ${uid}, UID in object meta: ${pod.metadata.uid}`);
  if (resourceVersion && resourceVersion !== pod.metadata.resourceVersion) throw conflict(podBinding, name);
  if (pod.metadata.deletionTimestamp !== undefined) throw refuse(`pod ${name} is being deleted, cannot be assigned to a host`);
  if (pod.spec.nodeName) throw refuse(`pod ${name} is already assigned to node ${JSON.stringify(pod.spec.nodeName)}`);
  if (pod.spec.schedulingGates?.length) throw refuse(`pod ${name} has non-empty .spec.schedulingGates`);

  const others = (pod.status.conditions ?? []).filter((condition) => condition.type !== 'PodScheduled');
  const before = pod.status.conditions?.find((condition) => condition.type === 'PodScheduled');
  const scheduled: V1PodCondition = {
    ...(before?.observedGeneration !== undefined && { observedGeneration: before.observedGeneration }),
    type: 'PodScheduled',
    status: 'True',
    lastTransitionTime: before?.status === 'True' ? (before.lastTransitionTime ?? now) : now,
  };
  // All that a binding leaves alone is shared with the pod as it was.
  return {
    ...pod,
    metadata: { ...pod.metadata, ...(annotations && { annotations: { ...pod.metadata.annotations, ...annotations } }) },
    spec: { ...pod.spec, nodeName: binding.target.name ?? '' },
    status: { ...pod.status, conditions: [...others, scheduled] },
  };
}
