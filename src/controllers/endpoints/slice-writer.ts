/** Carries out a plan of slices, and knows which of the slices it made the cache has not shown yet. */
import { EndpointSlice } from '../../api/kinds.ts';
import type { Informer } from '../../client/informer.ts';
import type { KubeObject, NamespacedObjectMeta } from '../../machinery/object.ts';
import type { ControllerContext } from '../controller.ts';
import { ignoreGone, isNamespaceTerminating } from '../errors.ts';
import { Expectations } from '../expectations.ts';
import { controllerReference, sharedIndex } from '../pods.ts';
import { type SlicePlan, managedByLabel, serviceNameLabel } from './slices.ts';

const byServiceIndex = 'controllers/slices-by-service';

interface SliceOwner extends KubeObject {
  metadata: NamespacedObjectMeta;
}

export interface SliceWriter {
  /** The slices of a service that this controller manages; undefined while the cache is behind. */
  slicesOf(key: string): readonly EndpointSlice[] | undefined;
  carryOut(key: string, owner: SliceOwner, plan: SlicePlan, labels: Record<string, string>): Promise<void>;
  forget(key: string): void;
}

export function createSliceWriter(context: ControllerContext, managedBy: string): SliceWriter {
  const { client } = context;
  const expectations = new Expectations(context.world);
  const mine = (slice: EndpointSlice): boolean => slice.metadata.labels?.[managedByLabel] === managedBy;
  const keyOfService = (slice: EndpointSlice): string => `${slice.metadata.namespace}/${slice.metadata.labels?.[serviceNameLabel] ?? ''}`;

  const slices: Informer<EndpointSlice> = context.watch(EndpointSlice, {
    added(slice) {
      if (!mine(slice)) return;
      expectations.creationObserved(keyOfService(slice));
      context.enqueue(keyOfService(slice));
    },
    updated(slice, old) {
      // Someone else took the labels off, or put them on: both services must look.
      if (mine(old)) context.enqueue(keyOfService(old));
      if (mine(slice)) context.enqueue(keyOfService(slice));
    },
    deleted(slice) {
      if (mine(slice)) context.enqueue(keyOfService(slice));
    },
  });
  sharedIndex(slices, byServiceIndex, (slice) => [keyOfService(slice)]);

  return {
    slicesOf: (key) => (expectations.satisfied(key) ? slices.byIndex(byServiceIndex, key).filter(mine) : undefined),
    forget: (key) => expectations.forget(key),
    async carryOut(key, owner, plan, labels) {
      const { namespace, name } = owner.metadata;
      const sliceClient = client.resource(EndpointSlice).namespace(namespace);
      if (plan.create.length > 0) expectations.expectCreations(key, plan.create.length);
      const writes = [
        ...plan.create.map(async (content) => {
          try {
            await sliceClient.create({
              metadata: { generateName: `${name}-`, namespace, labels, ownerReferences: [controllerReference(owner)] },
              ...content,
            });
          } catch (error) {
            expectations.creationObserved(key);
            if (!isNamespaceTerminating(error)) throw error;
          }
        }),
        ...plan.update.map((slice) => sliceClient.update(slice)),
        ...plan.delete.map((slice) => sliceClient.delete(slice.metadata.name, { preconditions: { uid: slice.metadata.uid } }).catch(ignoreGone)),
      ];
      const failed = (await Promise.allSettled(writes)).find((result) => result.status === 'rejected');
      if (failed) throw failed.reason;
    },
  };
}
