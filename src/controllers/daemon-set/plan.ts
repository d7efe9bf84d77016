/**
 * What a daemon set does about its pods, and what it says about itself: pure functions of what the caches hold. First the placement (one pod on
 * every node that fits), then, when that is settled, a step of the rolling update.
 */
import type { DaemonSet, Node, Pod } from '../../api/kinds.ts';
import type { V1DaemonSetStatus } from '../../api/types.ts';
import { resolveIntOrPercent } from '../../machinery/int-or-percent.ts';
import { hasEnded, isAvailable, isReady, readySinceMs } from '../pods.ts';
import { revisionHashLabel } from '../revisions.ts';
import { type NodeFit, nodeFit, targetNode, templateGenerationAnnotation, templateGenerationLabel } from './node-fit.ts';

/** At most so many pods are made or deleted in one pass. */
export const burst = 250;

export interface DaemonView {
  readonly daemonSet: DaemonSet;
  /** Hash of the present template's revision. */
  readonly hash: string;
  /** Every node, by name. */
  readonly fits: ReadonlyMap<string, NodeFit>;
  /** The daemon set's own, whatever their state. */
  readonly pods: readonly Pod[];
  /** The same by the node they are on or meant for, the oldest first. */
  readonly byNode: ReadonlyMap<string, readonly Pod[]>;
  readonly nowMs: number;
}

export function viewDaemonSet(daemonSet: DaemonSet, hash: string, nodes: readonly Node[], pods: readonly Pod[], nowMs: number): DaemonView {
  const fit = nodeFit(daemonSet);
  const byNode = new Map<string, Pod[]>();
  for (const pod of [...pods].sort(oldestFirst)) {
    const node = targetNode(pod);
    if (node === undefined) continue;
    const here = byNode.get(node);
    if (here) here.push(pod);
    else byNode.set(node, [pod]);
  }
  return { daemonSet, hash, fits: new Map(nodes.map((node) => [node.metadata.name, fit(node)])), pods, byNode, nowMs };
}

export interface PlacementPlan {
  /** Names of nodes that need a pod. */
  readonly create: readonly string[];
  readonly delete: readonly Pod[];
  /** Of those to delete, the ones that ended by themselves. */
  readonly ended: readonly { readonly pod: Pod; readonly node: string }[];
}

/** `mayRetry` says whether a failed pod on a node is to be replaced yet: a node that refuses it must not be asked all the time. */
export function planPlacement({ daemonSet, hash, fits, pods, byNode, nowMs }: DaemonView, mayRetry: (node: string) => boolean): PlacementPlan {
  const create: string[] = [];
  const remove: Pod[] = [];
  const ended: { pod: Pod; node: string }[] = [];
  for (const [name, { shouldRun, mayStay }] of fits) {
    const here = byNode.get(name) ?? [];
    if (shouldRun && here.length === 0) create.push(name);
    else if (mayStay) {
      const running: Pod[] = [];
      for (const pod of here) {
        if (pod.metadata.deletionTimestamp !== undefined) continue;
        if (!hasEnded(pod)) running.push(pod);
        else if (pod.status.phase === 'Succeeded' || mayRetry(name)) {
          remove.push(pod);
          ended.push({ pod, node: name });
        }
      }
      remove.push(...(maxSurge(daemonSet, 100) > 0 ? surplusOfSurge(daemonSet, hash, running, nowMs) : running.sort(boundAndOldestFirst).slice(1)));
    } else remove.push(...here.filter(({ metadata }) => metadata.deletionTimestamp === undefined));
  }
  // Pods no node will ever take: the node they are meant for is gone. Bound ones are left to the pod garbage collector.
  for (const pod of pods) {
    const target = targetNode(pod);
    if (!pod.spec.nodeName && target !== undefined && !fits.has(target) && pod.metadata.deletionTimestamp === undefined) remove.push(pod);
  }
  return { create: create.slice(0, burst), delete: remove.slice(0, burst), ended };
}

/** While surging, a node may have one old and one new pod, until the new one serves or the old one does not. */
function surplusOfSurge(daemonSet: DaemonSet, hash: string, running: Pod[], nowMs: number): Pod[] {
  if (running.length <= 1) return [];
  let newest: Pod | undefined;
  let old: Pod | undefined;
  const surplus: Pod[] = [];
  for (const pod of running.sort(boundAndOldestFirst)) {
    if (isUpdated(daemonSet, hash, pod)) {
      if (newest) surplus.push(pod);
      else newest = pod;
    } else if (old) surplus.push(pod);
    else old = pod;
  }
  if (newest && old && (!isReady(old) || isAvailable(newest, daemonSet.spec.minReadySeconds ?? 0, nowMs))) surplus.push(old);
  return surplus;
}

export interface RollingPlan {
  readonly create: readonly string[];
  readonly delete: readonly Pod[];
}

/** One step of the rolling update; nothing for other strategies. */
export function planRollingUpdate({ daemonSet, hash, fits, byNode, nowMs }: DaemonView): RollingPlan {
  if (daemonSet.spec.updateStrategy?.type === 'OnDelete') return { create: [], delete: [] };
  const available = (pod: Pod): boolean => isAvailable(pod, daemonSet.spec.minReadySeconds ?? 0, nowMs);
  const wanted = [...fits].flatMap(([name, { shouldRun }]) => (shouldRun ? [name] : []));
  const surge = maxSurge(daemonSet, wanted.length);
  const unavailableLimit = maxUnavailable(daemonSet, wanted.length, surge);

  const replaceAtOnce: Pod[] = [];
  const candidates: Pod[] = [];
  const surgeAtOnce: string[] = [];
  const surgeCandidates: string[] = [];
  const replaced: Pod[] = [];
  let unavailable = 0;
  let surging = 0;
  for (const node of wanted) if (!byNode.has(node)) unavailable++;
  for (const [node, here] of byNode) {
    const found = oldAndNew(daemonSet, hash, here);
    if (surge === 0) {
      // Both, neither or several: the placement mends that first.
      if (!found || (found.old === undefined) === (found.fresh === undefined)) unavailable++;
      else if (found.fresh) {
        if (!available(found.fresh)) unavailable++;
      } else if (found.old && !available(found.old)) {
        replaceAtOnce.push(found.old);
        unavailable++;
      } else if (found.old) candidates.push(found.old);
    } else if (!found) surging++;
    else if (!found.old) continue;
    else if (!found.fresh) {
      if (available(found.old)) surgeCandidates.push(node);
      else surgeAtOnce.push(node);
    } else if (!available(found.old) || available(found.fresh)) replaced.push(found.old);
    else surging++;
  }
  if (surge === 0) return { create: [], delete: [...replaceAtOnce, ...candidates.slice(0, Math.max(0, unavailableLimit - unavailable))] };
  return { create: [...surgeAtOnce, ...surgeCandidates.slice(0, Math.max(0, surge - surging))], delete: replaced };
}

/** The one old and the one new pod on a node; undefined when there are several of a sort. */
function oldAndNew(daemonSet: DaemonSet, hash: string, here: readonly Pod[]): { old: Pod | undefined; fresh: Pod | undefined } | undefined {
  let old: Pod | undefined;
  let fresh: Pod | undefined;
  for (const pod of here) {
    if (pod.metadata.deletionTimestamp !== undefined) continue;
    if (isUpdated(daemonSet, hash, pod)) {
      if (fresh) return undefined;
      fresh = pod;
    } else {
      if (old) return undefined;
      old = pod;
    }
  }
  return { old, fresh };
}

export function daemonStatus({ daemonSet, hash, fits, byNode, nowMs }: DaemonView): V1DaemonSetStatus {
  let [desired, current, misscheduled, ready, available, updated] = [0, 0, 0, 0, 0, 0];
  for (const [node, { shouldRun }] of fits) {
    const [pod] = byNode.get(node) ?? [];
    if (!shouldRun) {
      if (pod) misscheduled++;
      continue;
    }
    desired++;
    if (!pod) continue;
    current++;
    if (isReady(pod)) ready++;
    if (isAvailable(pod, daemonSet.spec.minReadySeconds ?? 0, nowMs)) available++;
    if (isUpdated(daemonSet, hash, pod)) updated++;
  }
  const { collisionCount, conditions } = daemonSet.status;
  return {
    currentNumberScheduled: current,
    numberMisscheduled: misscheduled,
    desiredNumberScheduled: desired,
    numberReady: ready,
    ...(updated > 0 && { updatedNumberScheduled: updated }),
    ...(available > 0 && { numberAvailable: available }),
    ...(desired - available > 0 && { numberUnavailable: desired - available }),
    observedGeneration: daemonSet.metadata.generation ?? 0,
    ...(collisionCount !== undefined && { collisionCount }),
    ...(conditions !== undefined && { conditions }),
  };
}

/** Ms until the next pod has been ready for `minReadySeconds`. */
export function nextAvailableMs({ daemonSet, pods, nowMs }: DaemonView): number | undefined {
  const minReadyMs = (daemonSet.spec.minReadySeconds ?? 0) * 1000;
  let next: number | undefined;
  for (const pod of pods) {
    const since = readySinceMs(pod);
    if (since === undefined) continue;
    const wait = since + minReadyMs - nowMs;
    if (wait > 0 && (next === undefined || wait < next)) next = wait;
  }
  return next;
}

/** By the revision's hash, or by the older generation label. */
export function isUpdated(daemonSet: DaemonSet, hash: string, { metadata: { labels } }: Pod): boolean {
  if (labels?.[revisionHashLabel] !== undefined) return labels[revisionHashLabel] === hash;
  const generation = daemonSet.metadata.annotations?.[templateGenerationAnnotation];
  return generation !== undefined && labels?.[templateGenerationLabel] === generation;
}

function maxSurge({ spec }: DaemonSet, desired: number): number {
  return spec.updateStrategy?.type === 'OnDelete' ? 0 : resolveIntOrPercent(spec.updateStrategy?.rollingUpdate?.maxSurge ?? 0, desired, true);
}

function maxUnavailable({ spec }: DaemonSet, desired: number, surge: number): number {
  const limit = resolveIntOrPercent(spec.updateStrategy?.rollingUpdate?.maxUnavailable ?? 1, desired, true);
  return limit === 0 && surge === 0 ? 1 : limit;
}

function oldestFirst(a: Pod, b: Pod): number {
  const [at, other] = [a.metadata.creationTimestamp, b.metadata.creationTimestamp];
  if (at !== other) return at < other ? -1 : 1;
  return a.metadata.name < b.metadata.name ? -1 : 1;
}

function boundAndOldestFirst(a: Pod, b: Pod): number {
  return Number(!a.spec.nodeName) - Number(!b.spec.nodeName) || oldestFirst(a, b);
}
