/** Builds the storing half of the API server: opens the watch caches over the store and leads each call to its verb. */
import { allKinds, Pod } from '../../api/kinds.ts';
import { ApiError, internalError, notFoundPath } from '../../machinery/errors.ts';
import { Compacted, FutureRevision, StoreFailure } from '../../store/store.ts';
import { AdmissionMetrics } from '../admission/admission-metrics.ts';
import { AdmissionChain } from '../admission/admission.ts';
import { connectionRequest } from '../admission/connection.ts';
import { admissionPlugins } from '../admission/plugins.ts';
import { AddressRepair } from '../allocation/address-repair.ts';
import { ServiceAllocator } from '../allocation/service-allocator.ts';
import { definitionDefaults } from '../custom-resources/default-values.ts';
import { CustomResources } from '../custom-resources/custom-resources.ts';
import { Registry } from '../registry/registry.ts';
import type { Answer, Call } from '../request.ts';
import type { Verbs, VerbsOptions } from '../verbs.ts';
import { createFirst } from './create-first.ts';
import { create } from './create.ts';
import { deleteCollection } from './delete-collection.ts';
import { deleteObject } from './delete.ts';
import { get } from './get.ts';
import { list } from './list.ts';
import { patch } from './patch.ts';
import { mattersTo, methodNotServed, type ObjectCall, type Storage } from './storage.ts';
import { wholeObject } from './strategy.ts';
import { handleSubresource } from './subresources.ts';
import { createBinding } from './subresources/binding.ts';
import { update } from './update.ts';
import { watch } from './watch.ts';

export async function createVerbs(options: VerbsOptions): Promise<Verbs> {
  const { world, store } = options;
  const registry = await Registry.open({
    world,
    store,
    kinds: [...allKinds, ...(options.computedKinds ?? [])],
    freeze: options.freeze ?? false,
    sharesValues: options.sharesValues ?? false,
  });
  const authorizer = options.authorizer ?? (() => undefined);
  const metrics = new AdmissionMetrics(world);
  const { plugins, close: closePlugins } = admissionPlugins({ registry, world, authorizer, metrics, ...options.admissionPlugins });
  const admission = new AdmissionChain([...plugins, definitionDefaults], metrics);
  const services = new ServiceAllocator({ registry, world, serviceCidr: options.serviceCidr, nodePortRange: options.nodePortRange });
  const storage: Storage = { world, registry, admission, services };
  const addressRepair = new AddressRepair(storage);
  addressRepair.start();
  const customResources = new CustomResources(storage);
  customResources.start();

  return {
    async handle(call) {
      try {
        return await route(storage, call);
      } catch (error) {
        throw asApiError(storage, error);
      }
    },
    async createFirst(objects) {
      try {
        return await createFirst(storage, objects);
      } catch (error) {
        throw asApiError(storage, error);
      }
    },
    async admitConnection(call) {
      const { group, version, resource } = call.target;
      const kind = registry.kindAt(group, version, resource);
      if (!kind) throw notFoundPath();
      const request = connectionRequest(kind, call);
      try {
        await admission.admit(request);
        await admission.validate(request);
      } catch (error) {
        throw asApiError(storage, error);
      }
    },
    admissionMetrics: metrics.source,
    objects: registry,
    count: (kind, namespace) => registry.servedKind(kind).cache.list(namespace).length,
    observe: (kind, listener) => registry.servedKind(kind).cache.onEvent(({ current, previous }) => listener(current, previous)),
    podsOn: (nodeName) =>
      registry
        .servedKind(Pod)
        .cache.onNode(nodeName)
        .map((entry) => entry.object as Pod),
    kindAt: (group, version, resource) => registry.kindAt(group, version, resource),
    kinds: () => registry.kinds(),
    kindsGeneration: () => registry.kindsGeneration(),
    async close() {
      await customResources.close();
      closePlugins();
      await addressRepair.close();
      registry.close();
    },
  };
}

async function route(storage: Storage, call: Call): Promise<Answer> {
  const { target } = call;
  const served = storage.registry.served(target.group, target.version, target.resource);
  if (!served) {
    if (target.group === '' && target.resource === 'bindings' && call.verb === 'create') return createBinding(storage, call);
    throw notFoundPath();
  }
  const objectCall: ObjectCall = { ...call, served };
  if (served.kind.deprecationWarning !== undefined) call.warnings.push(served.kind.deprecationWarning);
  if (served.converted) await served.converted.caughtUp(mattersTo(call));
  if (target.subresource !== undefined) return handleSubresource(storage, objectCall, target.subresource);
  if (call.verb === 'connect' || !served.kind.verbs.includes(call.verb)) throw methodNotServed();
  switch (call.verb) {
    case 'get':
      return get(storage, objectCall);
    case 'list':
      return list(storage, objectCall);
    case 'watch':
      return watch(storage, objectCall);
    case 'create':
      if (target.name !== undefined) throw methodNotServed();
      return create(storage, objectCall);
    case 'update':
      return update(storage, objectCall, wholeObject);
    case 'patch':
      return patch(storage, objectCall, wholeObject);
    case 'delete':
      return deleteObject(storage, objectCall);
    case 'deletecollection':
      return deleteCollection(storage, objectCall);
  }
}

/** Nothing but an `ApiError` leaves: what the store cannot do is told as such, a bug is logged and told without its inside. */
function asApiError(storage: Storage, error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof StoreFailure) return internalError(`the store failed: ${error.message}`);
  if (error instanceof FutureRevision)
    return new ApiError('Timeout', `Too large resource version: the current one is ${error.current}`, { retryAfterSeconds: 1 });
  if (error instanceof Compacted)
    return new ApiError('Expired', `The resourceVersion for the provided list is too old. The oldest kept is ${error.oldest}.`);
  storage.world.log.error('a request failed in an unforeseen way', {
    error: error instanceof Error ? (error.stack ?? error.message) : String(error),
  });
  return internalError('an unforeseen error; see the server log');
}
