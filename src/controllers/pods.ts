/** Facts about pods that several controllers decide by, and how a pod is made from a template. */
import { Pod } from '../api/kinds.ts';
import type { V1PodCondition, V1PodTemplateSpec } from '../api/types.ts';
import type { Informer, InformerHandler } from '../client/informer.ts';
import { type Draft, type KubeObject, type OwnerReference, controllerOf } from '../machinery/object.ts';
import type { ControllerContext } from './controller.ts';
import { conditionOf } from './conditions.ts';

/** Counts toward a controller's replicas: not ended and not on its way out. */
export function isActive(pod: Pod): boolean {
  return !hasEnded(pod) && pod.metadata.deletionTimestamp === undefined;
}

export function hasEnded(pod: Pod): boolean {
  return pod.status.phase === 'Succeeded' || pod.status.phase === 'Failed';
}

/** On its way out, and still holding its place. */
export function isTerminating(pod: Pod): boolean {
  return !hasEnded(pod) && pod.metadata.deletionTimestamp !== undefined;
}

export function readyCondition(pod: Pod): V1PodCondition | undefined {
  return conditionOf(pod.status.conditions, 'Ready');
}

export function isReady(pod: Pod): boolean {
  return readyCondition(pod)?.status === 'True';
}

/** Since when the pod is ready, in epoch ms; undefined when it is not. */
export function readySinceMs(pod: Pod): number | undefined {
  const ready = readyCondition(pod);
  if (ready?.status !== 'True') return undefined;
  return ready.lastTransitionTime === undefined ? 0 : Date.parse(ready.lastTransitionTime);
}

/** Ready for at least so long. */
export function isAvailable(pod: Pod, minReadySeconds: number, nowMs: number): boolean {
  const since = readySinceMs(pod);
  return since !== undefined && (minReadySeconds === 0 || since + minReadySeconds * 1000 <= nowMs);
}

/** The pod a controller makes from its template; the server picks the name and fills in the rest. */
export function podFromTemplate(template: V1PodTemplateSpec, namespace: string, namePrefix: string, owner: OwnerReference): Draft<Pod> {
  const { labels, annotations, finalizers } = template.metadata ?? {};
  return {
    metadata: {
      generateName: namePrefix,
      namespace,
      ...(labels && { labels }),
      ...(annotations && { annotations }),
      ...(finalizers && { finalizers }),
      ownerReferences: [owner],
    },
    spec: template.spec ?? { containers: [] },
  };
}

/** The reference by which an object's controller is known. */
export function controllerReference(owner: KubeObject): OwnerReference {
  return {
    apiVersion: owner.apiVersion,
    kind: owner.kind,
    name: owner.metadata.name,
    uid: owner.metadata.uid,
    controller: true,
    blockOwnerDeletion: true,
  };
}

const indexed = new WeakMap<object, Set<string>>();

/** Adds an index once, however many controllers ask for it. */
export function sharedIndex<T extends KubeObject>(informer: Informer<T>, name: string, values: (object: T) => readonly string[]): void {
  let names = indexed.get(informer);
  if (!names) indexed.set(informer, (names = new Set()));
  if (names.has(name)) return;
  names.add(name);
  informer.addIndex(name, values);
}

const byControllerIndex = 'controllers/by-controller';
const byNodeIndex = 'controllers/by-node';

/** Finds objects by the UID of their controller, or orphans by `orphan/<namespace>`. */
export function indexByController<T extends KubeObject>(informer: Informer<T>): void {
  sharedIndex(informer, byControllerIndex, (object) => [controllerOf(object)?.uid ?? `orphan/${object.metadata.namespace}`]);
}

export function ownedBy<T extends KubeObject>(informer: Informer<T>, uid: string): readonly T[] {
  return informer.byIndex(byControllerIndex, uid);
}

export function orphansIn<T extends KubeObject>(informer: Informer<T>, namespace: string): readonly T[] {
  return informer.byIndex(byControllerIndex, `orphan/${namespace}`);
}

/** The pods' cache, indexed by the node they are bound to. */
export function watchPodsByNode(context: ControllerContext, handler?: InformerHandler<Pod>): Informer<Pod> {
  const pods = context.watch(Pod, handler);
  sharedIndex(pods, byNodeIndex, (pod) => (pod.spec.nodeName === undefined || pod.spec.nodeName === '' ? [] : [pod.spec.nodeName]));
  return pods;
}

export function podsOnNode(pods: Informer<Pod>, node: string): readonly Pod[] {
  return pods.byIndex(byNodeIndex, node);
}
