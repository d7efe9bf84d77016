/** Leads calls for stored subresources to what serves them. Logs, exec, proxies, tokens and reviews are not stored and served elsewhere. */
import type { Kind } from '../../api/kind.ts';
import { notFoundPath } from '../../machinery/errors.ts';
import type { Answer } from '../request.ts';
import { get } from './get.ts';
import { patch } from './patch.ts';
import { methodNotServed, type ObjectCall, type Storage } from './storage.ts';
import {
  approvalConditions,
  certificateStatus,
  containerResources,
  ephemeralContainers,
  namespaceFinalizers,
  statusOnly,
  type UpdateStrategy,
} from './strategy.ts';
import { createPodBinding } from './subresources/binding.ts';
import { createEviction } from './subresources/eviction.ts';
import { getScale, patchScale, updateScale } from './subresources/scale.ts';
import { update } from './update.ts';

/** Subresources that read and write the object itself, or a part of it. */
const strategies: Readonly<Record<string, UpdateStrategy>> = {
  status: statusOnly,
  finalize: namespaceFinalizers,
  approval: approvalConditions,
  ephemeralcontainers: ephemeralContainers,
  resize: containerResources,
};

function strategyOf({ group, resource }: Kind, subresource: string): UpdateStrategy | undefined {
  if (subresource === 'status' && group === 'certificates.k8s.io' && resource === 'certificatesigningrequests') return certificateStatus;
  return strategies[subresource];
}

export async function handleSubresource(storage: Storage, call: ObjectCall, subresource: string): Promise<Answer> {
  const { kind } = call.served;
  if (!Object.hasOwn(kind.subresources, subresource)) throw notFoundPath();
  const strategy = strategyOf(kind, subresource);
  if (strategy) {
    switch (call.verb) {
      case 'get':
        return get(storage, call);
      case 'update':
        return update(storage, call, strategy);
      case 'patch':
        return patch(storage, call, strategy);
      default:
        throw methodNotServed();
    }
  }
  switch (`${call.verb} ${subresource}`) {
    case 'get scale':
      return getScale(call);
    case 'update scale':
      return updateScale(storage, call);
    case 'patch scale':
      return patchScale(storage, call);
    case 'create binding':
      return createPodBinding(storage, call);
    case 'create eviction':
      return createEviction(storage, call);
    default:
      throw methodNotServed();
  }
}
