/** What every verb works with, and the call it works on. */
import { ApiError } from '../../machinery/errors.ts';
import type { World } from '../../world/world.ts';
import type { AdmissionChain } from '../admission/admission.ts';
import type { ServiceAllocator } from '../allocation/service-allocator.ts';
import type { Registry } from '../registry/registry.ts';
import type { ServedKind } from '../registry/served-kind.ts';
import { objectPath } from '../registry/storage-key.ts';
import type { Call } from '../request.ts';

/** The parts of the server that outlive a call. */
export interface Storage {
  readonly world: World;
  readonly registry: Registry;
  readonly admission: AdmissionChain;
  readonly services: ServiceAllocator;
}

/** One request for objects of a kind that is served here. */
export interface ObjectCall extends Call {
  readonly served: ServedKind;
}

/** The name in the path, which writes of one object need. */
export function nameOf(call: Call): string {
  if (call.target.name === undefined) throw methodNotServed();
  return call.target.name;
}

/** Which objects a call is about, by their path: one, those of a name space, or all; none for one that is yet to be created. */
export function mattersTo({ verb, target: { namespace, name } }: Call): (path: string) => boolean {
  if (verb === 'create' && name === undefined) return () => false;
  if (name !== undefined) {
    const own = objectPath(namespace, name);
    return (path) => path === own;
  }
  return namespace === undefined ? () => true : (path) => path.startsWith(`${namespace}/`);
}

/** The resource is there, but not for this verb. */
export function methodNotServed(): ApiError {
  return new ApiError('MethodNotAllowed', 'the server does not allow this method on the requested resource', {});
}
