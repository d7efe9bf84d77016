/** UPDATE (PUT): the client's object in place of the stored one, or as a new one for the few kinds that allow it. */
import { badRequest, invalid, notFound } from '../../machinery/errors.ts';
import { invalidValue } from '../../machinery/field-error.ts';
import type { Kind } from '../../api/kind.ts';
import { type AnyObject, bodyTypeOf, decodeAs, parseBody } from '../registry/decoding.ts';
import { objectPath } from '../registry/storage-key.ts';
import type { ObjectAnswer } from '../request.ts';
import { changeObject } from './change.ts';
import { checkNamespace, createDecoded, startStatus } from './create.ts';
import { objectAnswer } from './get.ts';
import { nameOf, type ObjectCall, type Storage } from './storage.ts';
import type { UpdateStrategy } from './strategy.ts';
import { writeOptionsOf } from './write-options.ts';

/** Upstream's `AllowCreateOnUpdate`. */
const createdByUpdate: ReadonlySet<string> = new Set([
  '/endpoints',
  '/events',
  '/limitranges',
  '/services',
  'coordination.k8s.io/leases',
  'discovery.k8s.io/endpointslices',
  'events.k8s.io/events',
  'rbac.authorization.k8s.io/clusterrolebindings',
  'rbac.authorization.k8s.io/clusterroles',
  'rbac.authorization.k8s.io/rolebindings',
  'rbac.authorization.k8s.io/roles',
]);

export function isCreatedByUpdate(kind: Pick<Kind, 'group' | 'resource'>): boolean {
  return createdByUpdate.has(`${kind.group}/${kind.resource}`);
}

/** Kinds whose updates must say which version they are of, besides all custom ones: those without upstream's `AllowUnconditionalUpdate`. */
const neverUnconditional: ReadonlySet<string> = new Set([
  'admissionregistration.k8s.io/mutatingadmissionpolicies',
  'admissionregistration.k8s.io/mutatingadmissionpolicybindings',
  'admissionregistration.k8s.io/mutatingwebhookconfigurations',
  'admissionregistration.k8s.io/validatingadmissionpolicies',
  'admissionregistration.k8s.io/validatingadmissionpolicybindings',
  'admissionregistration.k8s.io/validatingwebhookconfigurations',
  'apiextensions.k8s.io/customresourcedefinitions',
  'apiregistration.k8s.io/apiservices',
  'coordination.k8s.io/leases',
  'node.k8s.io/runtimeclasses',
  'policy/poddisruptionbudgets',
  'storage.k8s.io/csidrivers',
  'storage.k8s.io/csinodes',
  'storage.k8s.io/csistoragecapacities',
  'storage.k8s.io/volumeattachments',
]);

function requireVersion(kind: Kind, name: string, { metadata }: AnyObject): void {
  if (metadata.resourceVersion && metadata.resourceVersion !== '0') return;
  if (kind.custom === undefined && !neverUnconditional.has(`${kind.group}/${kind.resource}`)) return;
  throw invalid(kind, name, [invalidValue('metadata.resourceVersion', 0, 'must be specified for an update')]);
}

export async function update(storage: Storage, call: ObjectCall, strategy: UpdateStrategy): Promise<ObjectAnswer> {
  const options = writeOptionsOf(call, 'UpdateOptions');
  const { served, target } = call;
  const { kind } = served;
  const name = nameOf(call);
  const type = bodyTypeOf(served);
  const body = parseBody(call, kind.kind);
  // Decoded again for every attempt: what is stored belongs to the cache afterwards.
  const decode = (warnings: string[]) => {
    const object = decodeAs(body, type, options.fieldValidation, warnings);
    checkNamespace(call, object);
    kind.defaults?.(object);
    return object;
  };
  const first = decode(call.warnings);
  if (first.metadata.name && first.metadata.name !== name) {
    throw badRequest(`the name of the object (${first.metadata.name}) does not match the name on the URL (${name})`);
  }
  const missing = (): Error => notFound(kind, name);

  const entry = served.cache.get(objectPath(target.namespace, name));
  if (!entry) {
    if (strategy.subresource !== '' || first.metadata.resourceVersion || !isCreatedByUpdate(kind)) throw missing();
    startStatus(kind, first);
    return objectAnswer(201, await createDecoded(storage, call, first, options, undefined));
  }
  requireVersion(kind, name, first);
  let fresh: typeof first | undefined = first;
  const encoded = await changeObject(
    storage,
    call,
    entry,
    {
      options,
      strategy,
      desired: () => {
        const object = fresh ?? decode([]);
        fresh = undefined;
        return { object, uid: object.metadata.uid };
      },
    },
    missing,
  );
  return objectAnswer(200, encoded);
}
