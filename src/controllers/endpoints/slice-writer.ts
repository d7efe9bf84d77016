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

/** What new slices carry, and how the annotations of those that change do. */
export interface SliceMarks {
  readonly labels: Record<string, string>;
  readonly annotations: (before: Readonly<Record<string, string>> | undefined) => Record<string, string>;
}

export interface SliceWriter {
  /** The slices of a service that this controller manages; undefined while the cache is behind: its key comes back by then. */
  slicesOf(key: string): readonly EndpointSlice[] | undefined;
  carryOut(key: string, owner: SliceOwner, plan: SlicePlan, marks: SliceMarks): Promise<void>;
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
    slicesOf(key) {
      const behindMs = expectations.leftMs(key);
      if (behindMs === 0) return slices.byIndex(byServiceIndex, key).filter(mine);
      context.enqueueAfter(key, behindMs);
      return undefined;
    },
    forget: (key) => expectations.forget(key),
    async carryOut(key, owner, plan, { labels, annotations }) {
      const { namespace, name } = owner.metadata;
      const sliceClient = client.resource(EndpointSlice).namespace(namespace);
      const annotated = (before: Readonly<Record<string, string>> | undefined): { annotations?: Record<string, string> } => {
        const wanted = annotations(before);
        return Object.keys(wanted).length > 0 ? { annotations: wanted } : {};
      };
      if (plan.create.length > 0) expectations.expectCreations(key, plan.create.length);
      const writes = [
        ...plan.create.map(async (content) => {
          try {
            await sliceClient.create({
              metadata: { generateName: `${name}-`, namespace, labels, ...annotated(undefined), ownerReferences: [controllerReference(owner)] },
              ...content,
            });
          } catch (error) {
            expectations.creationObserved(key);
            if (!isNamespaceTerminating(error)) throw error;
          }
        }),
        ...plan.update.map((slice) => {
          const { annotations: before, ...metadata } = slice.metadata;
          return sliceClient.update({ ...slice, metadata: { ...metadata, ...annotated(before) } });
        }),
        ...plan.delete.map((slice) => sliceClient.delete(slice.metadata.name, { preconditions: { uid: slice.metadata.uid } }).catch(ignoreGone)),
      ];
      const failed = (await Promise.allSettled(writes)).find((result) => result.status === 'rejected');
      if (failed) throw failed.reason;
    },
  };
}
