/**
 * Deletes what has lost all its owners, lets foreground deletion finish and orphaning happen. Keys are UIDs. Nothing is deleted on the word of the
 * caches alone: the object and the owner it misses are read live first. Upstream's `pkg/controller/garbagecollector`.
 */
import type { Kind } from '../../api/kind.ts';
import { Event, EventsV1Event, allKinds } from '../../api/kinds.ts';
import type { ResourceClient } from '../../client/client.ts';
import type { InformerHandler } from '../../client/informer.ts';
import { isReason } from '../../machinery/errors.ts';
import type { KubeObject, OwnerReference } from '../../machinery/object.ts';
import type { ControllerDefinition, Outcome } from '../controller.ts';
import { followCustomKinds } from '../custom-kind-caches.ts';
import { ignoreGone } from '../errors.ts';
import { orNone } from '../merge.ts';
import { type OwnerState, decide } from './decide.ts';
import { OwnerGraph, groupOf, isNamedBy, orphansDependents, sameOwners, waitsForDependents } from './graph.ts';

/** UIDs never come back, so one found absent stays so; this many are remembered. */
const absentMemory = 1000;

export const garbageCollector: ControllerDefinition = {
  name: 'garbage-collector-controller',
  serviceAccount: 'generic-garbage-collector',
  setup(context) {
    const { client, events } = context;
    const graph = new OwnerGraph();
    const kinds = new Map<string, Kind>();
    const absent = new Set<string>();

    const handlerFor = (kind: Kind): InformerHandler<KubeObject> => ({
      added(object) {
        graph.put(kind, object);
        if (needsLook(object)) context.enqueue(object.metadata.uid);
        if (waitsForDependents(object)) enqueueDependents(object.metadata.uid);
      },
      updated(object, old) {
        if (object.metadata.uid !== old.metadata.uid) forget(old);
        const before = graph.get(object.metadata.uid)?.object.metadata.ownerReferences;
        graph.put(kind, object);
        if (!sameOwners(before, object.metadata.ownerReferences)) for (const owner of before ?? []) enqueueIfWaiting(owner.uid);
        if (needsLook(object)) context.enqueue(object.metadata.uid);
        if (waitsForDependents(object) && !waitsForDependents(old)) enqueueDependents(object.metadata.uid);
      },
      deleted: forget,
    });

    /** Is on its way out by foreground or orphaning, or names an owner that is not seen as it is named. */
    function needsLook(object: KubeObject): boolean {
      if (waitsForDependents(object) || orphansDependents(object)) return true;
      for (const reference of object.metadata.ownerReferences ?? []) {
        const owner = graph.get(reference.uid);
        if (!owner || !isNamedBy(owner, reference, object.metadata.namespace) || waitsForDependents(owner.object)) return true;
      }
      return false;
    }
    function forget(object: KubeObject): void {
      graph.remove(object.metadata.uid);
      enqueueDependents(object.metadata.uid);
      for (const owner of object.metadata.ownerReferences ?? []) enqueueIfWaiting(owner.uid);
    }
    function enqueueDependents(uid: string): void {
      for (const dependent of graph.dependentsOf(uid)) context.enqueue(dependent.object.metadata.uid);
    }
    function enqueueIfWaiting(uid: string): void {
      const owner = graph.get(uid);
      if (owner && (waitsForDependents(owner.object) || orphansDependents(owner.object))) context.enqueue(uid);
    }

    const remember = (kind: Kind): void => {
      kinds.set(`${kind.group}/${kind.kind}`, kind);
    };
    for (const kind of allKinds.filter(isCollected)) {
      remember(kind);
      context.watch(kind, handlerFor(kind));
    }

    const forgetKind = ({ group, kind }: Pick<Kind, 'group' | 'kind'>): void => void kinds.delete(`${group}/${kind}`);
    followCustomKinds(
      context,
      (kind) => {
        remember(kind);
        return handlerFor(kind);
      },
      forgetKind,
    );

    function clientOf(kind: Kind, namespace: string | undefined): ResourceClient<KubeObject> {
      const resource = client.resource(kind);
      return kind.namespaced && namespace !== undefined ? resource.namespace(namespace) : resource;
    }

    async function stateOf(object: KubeObject, reference: OwnerReference): Promise<OwnerState> {
      const { namespace } = object.metadata;
      const cached = graph.get(reference.uid);
      if (cached && isNamedBy(cached, reference, namespace)) return waitsForDependents(cached.object) ? 'waiting' : 'there';
      const memory = `${reference.uid}/${namespace ?? ''}`;
      if (absent.has(memory)) return 'absent';
      const kind = kinds.get(`${groupOf(reference.apiVersion)}/${reference.kind}`);
      if (!kind) return 'unknown';
      if (cached && kind.namespaced && cached.object.metadata.namespace !== namespace) {
        const owner = `[${reference.apiVersion}/${reference.kind}, namespace: ${namespace ?? ''}, name: ${reference.name}, uid: ${reference.uid}]`;
        events.event(object, 'Warning', 'OwnerRefInvalidNamespace', `ownerRef ${owner} does not exist in namespace "${namespace ?? ''}"`);
      }
      // An object of the whole cluster cannot be owned from within a namespace; whose it is cannot be told.
      if (kind.namespaced && namespace === undefined) return 'unknown';
      const live = await read(kind, namespace, reference.name);
      if (live?.metadata.uid === reference.uid) return waitsForDependents(live) ? 'waiting' : 'there';
      if (absent.size >= absentMemory) absent.clear();
      absent.add(memory);
      return 'absent';
    }

    async function read(kind: Kind, namespace: string | undefined, name: string): Promise<KubeObject | undefined> {
      try {
        return await clientOf(kind, namespace).get(name);
      } catch (error) {
        if (isReason(error, 'NotFound')) return undefined;
        throw error;
      }
    }

    async function reconcile(uid: string): Promise<Outcome> {
      const vertex = graph.get(uid);
      if (!vertex || !needsLook(vertex.object)) return;
      const { kind } = vertex;
      const object = await read(kind, vertex.object.metadata.namespace, vertex.object.metadata.name);
      // Gone, or another of its name: the caches will say so.
      if (!object || object.metadata.uid !== uid) return;

      const references = object.metadata.ownerReferences ?? [];
      const states = await Promise.all(references.map((reference) => stateOf(object, reference)));
      const owners = new Map(references.map(({ uid: owner }, i) => [owner, states[i] ?? 'unknown']));
      const dependents = graph.dependentsOf(uid).map((dependent) => dependent.object);
      const action = decide({ object, owners, dependents });

      const objects = clientOf(kind, object.metadata.namespace);
      const { name, resourceVersion } = object.metadata;
      switch (action.type) {
        case 'keep':
          return;
        case 'drop-owners':
          await patchMetadata(objects, object, { ownerReferences: orNone(references.filter((reference) => !action.uids.includes(reference.uid))) });
          return;
        case 'drop-finalizer':
          await patchMetadata(objects, object, {
            finalizers: orNone((object.metadata.finalizers ?? []).filter((finalizer) => finalizer !== action.finalizer)),
          });
          return;
        case 'await-dependents':
          for (const dependent of action.dependents) if (!waitsForDependents(dependent)) context.enqueue(dependent.metadata.uid);
          return;
        case 'orphan-dependents':
          await Promise.all(action.dependents.map((dependent) => dropOwner(dependent.metadata.uid, uid)));
          // The finalizer goes when the caches show that no one depends on it any more.
          return { requeueAfterMs: 1000 };
        case 'delete': {
          if (action.unblock) {
            await patchMetadata(objects, object, { ownerReferences: references.map((reference) => ({ ...reference, blockOwnerDeletion: false })) });
          }
          // Judged by the owners this version has: if it changed since, it is judged again.
          const preconditions = action.unblock ? { uid } : { uid, resourceVersion };
          await objects.delete(name, { propagationPolicy: action.policy, preconditions }).catch((error: unknown) => {
            if (!isReason(error, 'NotFound')) throw error;
          });
        }
      }
    }

    async function dropOwner(dependentUid: string, ownerUid: string): Promise<void> {
      const dependent = graph.get(dependentUid);
      if (!dependent) return;
      const { namespace, name, ownerReferences = [] } = dependent.object.metadata;
      await patchMetadata(clientOf(dependent.kind, namespace), dependent.object, {
        ownerReferences: orNone(ownerReferences.filter((reference) => reference.uid !== ownerUid)),
      }).catch((error: unknown) => {
        if (isReason(error, 'Conflict')) throw error;
        ignoreGone(error);
      });
      context.world.log.debug('orphaned', { kind: dependent.kind.kind, namespace, name });
    }

    /** Only if the object is still the one that was looked at. */
    async function patchMetadata(objects: ResourceClient<KubeObject>, { metadata }: KubeObject, change: object): Promise<void> {
      await objects.patch(metadata.name, { metadata: { uid: metadata.uid, resourceVersion: metadata.resourceVersion, ...change } });
    }

    return { reconcile };
  },
};

/** Everything that is stored and can go, except events, which expire by themselves. */
function isCollected(kind: Kind): boolean {
  const isEvent = kind.resource === Event.resource && (kind.group === Event.group || kind.group === EventsV1Event.group);
  return !isEvent && !kind.virtual && !kind.storedAs && (['list', 'watch', 'delete'] as const).every((verb) => kind.verbs.includes(verb));
}
