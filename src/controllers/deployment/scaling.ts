/**
 * How a deployment's replica sets change size: rolling from old to new within `maxSurge` and `maxUnavailable`, all down before up (Recreate), or
 * each by its share when the deployment itself is scaled in the middle of a rollout. Changes the parts on paper; upstream's `rolling.go`,
 * `recreate.go` and `sync.go`.
 */
import type { Deployment } from '../../api/kinds.ts';
import { resolveIntOrPercent } from '../../machinery/int-or-percent.ts';
import { type Part, desiredReplicasAnnotation, isScaledUp, maxReplicasAnnotation, olderFirst, totalAvailable, totalReplicas } from './parts.ts';

export interface Limits {
  /** What the deployment asks for. */
  readonly wanted: number;
  readonly surge: number;
  readonly unavailable: number;
  readonly rolling: boolean;
}

export function limitsOf({ spec }: Deployment): Limits {
  const wanted = spec.replicas ?? 1;
  if (spec.strategy?.type === 'Recreate') return { wanted, surge: 0, unavailable: 0, rolling: false };
  const { maxSurge = '25%', maxUnavailable = '25%' } = spec.strategy?.rollingUpdate ?? {};
  const surge = resolveIntOrPercent(maxSurge, wanted, true);
  let unavailable = resolveIntOrPercent(maxUnavailable, wanted, false);
  // Small shares of few replicas can both round to none; then nothing could ever move.
  if (surge === 0 && unavailable === 0) unavailable = 1;
  return { wanted, surge, unavailable: Math.min(unavailable, wanted), rolling: true };
}

/** Resizes on paper, and notes what size the deployment had in mind: by that a later pass sees that the deployment itself was scaled. */
export function resize(part: Part, replicas: number, limits: Limits): void {
  part.replicas = replicas;
  part.annotations = {
    ...part.annotations,
    [desiredReplicasAnnotation]: String(limits.wanted),
    [maxReplicasAnnotation]: String(limits.wanted + limits.surge),
  };
}

function resizeIfOther(part: Part, replicas: number, limits: Limits): boolean {
  if (part.replicas === replicas) return false;
  resize(part, replicas, limits);
  return true;
}

/** As many as the new replica set may have now, with all others as they are. */
export function sizeOfCurrent(all: readonly Part[], currentReplicas: number, limits: Limits): number {
  if (!limits.rolling) return limits.wanted;
  const room = limits.wanted + limits.surge - totalReplicas(all);
  if (room <= 0) return currentReplicas;
  return currentReplicas + Math.min(room, limits.wanted - currentReplicas);
}

/** One step of a rolling update: the new one up as far as there is room; if it is there already, old ones down as far as enough stay available. */
export function roll(current: Part, old: readonly Part[], limits: Limits): void {
  if (growCurrent(current, old, limits)) return;
  shrinkOld(current, old, limits);
}

function growCurrent(current: Part, old: readonly Part[], limits: Limits): boolean {
  if (current.replicas >= limits.wanted) return resizeIfOther(current, limits.wanted, limits);
  return resizeIfOther(current, sizeOfCurrent([current, ...old], current.replicas, limits), limits);
}

function shrinkOld(current: Part, old: readonly Part[], limits: Limits): void {
  const all = [current, ...old];
  if (totalReplicas(old) === 0) return;
  const minAvailable = limits.wanted - limits.unavailable;
  const currentUnavailable = current.replicas - current.observed.available;
  const mayGo = totalReplicas(all) - minAvailable - currentUnavailable;
  if (mayGo <= 0) return;

  // Pods that serve no one go first: they do not count against availability.
  let gone = 0;
  const sorted = old.filter(isScaledUp).sort(olderFirst);
  for (const part of sorted) {
    const broken = part.replicas - part.observed.available;
    const count = Math.min(mayGo - gone, broken);
    if (count <= 0) continue;
    resize(part, part.replicas - count, limits);
    gone += count;
  }

  let spare = totalAvailable(all) - minAvailable;
  for (const part of sorted) {
    const count = Math.min(spare, part.replicas);
    if (count <= 0) continue;
    resize(part, part.replicas - count, limits);
    spare -= count;
  }
}

/** Everything old to zero; true when something had to change. */
export function stopOld(old: readonly Part[], limits: Limits): boolean {
  let changed = false;
  for (const part of old) changed = resizeIfOther(part, 0, limits) || changed;
  return changed;
}

export function wasScaled(all: readonly Part[], limits: Limits): boolean {
  return all.some((part) => {
    const desired = numberIn(part.annotations[desiredReplicasAnnotation]);
    return isScaledUp(part) && desired !== undefined && desired !== limits.wanted;
  });
}

/** The deployment was scaled (or is paused): the only live replica set takes it all, several each take their share. */
export function scale(current: Part | undefined, old: readonly Part[], limits: Limits): void {
  const all = current ? [current, ...old] : [...old];
  const live = all.filter(isScaledUp);
  const only = live.length > 1 ? undefined : (live[0] ?? current ?? [...old].sort(olderFirst).at(-1));
  if (only) {
    resizeIfOther(only, limits.wanted, limits);
    return;
  }
  if (current && isSaturated(current, limits)) {
    stopOld(old.filter(isScaledUp), limits);
    return;
  }
  if (limits.rolling) scaleByShare(live, limits);
}

function isSaturated(current: Part, limits: Limits): boolean {
  return (
    numberIn(current.annotations[desiredReplicasAnnotation]) === limits.wanted &&
    current.replicas === limits.wanted &&
    current.observed.available === limits.wanted
  );
}

function scaleByShare(live: readonly Part[], limits: Limits): void {
  const allowed = limits.wanted > 0 ? limits.wanted + limits.surge : 0;
  const toAdd = allowed - totalReplicas(live);
  const towardNew = toAdd > 0 ? -1 : 1;
  const biggestFirst = [...live].sort((a, b) => b.replicas - a.replicas || towardNew * olderFirst(a, b));
  let added = 0;
  const sizes = biggestFirst.map((part) => {
    const share = shareOf(part, toAdd, added, limits);
    added += share;
    return part.replicas + share;
  });
  // Rounding leaves a rest, which the biggest takes.
  sizes[0] = Math.max(0, (sizes[0] ?? 0) + toAdd - added);
  biggestFirst.forEach((part, i) => resize(part, sizes[i] ?? 0, limits));
}

function shareOf(part: Part, toAdd: number, added: number, limits: Limits): number {
  const left = toAdd - added;
  if (part.replicas === 0 || toAdd === 0 || left === 0) return 0;
  const share = wholeShare(part, limits);
  return toAdd > 0 ? Math.min(share, left) : Math.max(share, left);
}

function wholeShare(part: Part, limits: Limits): number {
  if (limits.wanted === 0) return -part.replicas;
  const before = numberIn(part.annotations[maxReplicasAnnotation]);
  if (!before) return 0;
  return Math.round((part.replicas * (limits.wanted + limits.surge)) / before) - part.replicas;
}

function numberIn(text: string | undefined): number | undefined {
  return text !== undefined && /^[0-9]+$/.test(text) ? Number(text) : undefined;
}
