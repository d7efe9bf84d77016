/**
 * What readings and thresholds add up to: which thresholds hold and call for action, and which node conditions are shown. A pure function; what it has to
 * remember from one look to the next is its state. Upstream: the eviction manager's `synchronize`.
 */
import { type Signal, type Threshold, valueOf } from './thresholds.ts';

export interface Reading {
  readonly available: number;
  readonly capacity: number;
}

export type Readings = ReadonlyMap<Signal, Reading>;

export type PressureCondition = 'MemoryPressure' | 'DiskPressure' | 'PIDPressure';

export const conditionOf: Readonly<Record<Signal, PressureCondition>> = {
  'memory.available': 'MemoryPressure',
  'allocatableMemory.available': 'MemoryPressure',
  'nodefs.available': 'DiskPressure',
  'nodefs.inodesFree': 'DiskPressure',
  'imagefs.available': 'DiskPressure',
  'imagefs.inodesFree': 'DiskPressure',
  'containerfs.available': 'DiskPressure',
  'containerfs.inodesFree': 'DiskPressure',
  'pid.available': 'PIDPressure',
};

export interface PressureState {
  /** When each threshold was first seen to hold, without a break since. */
  readonly sinceMs: ReadonlyMap<Threshold, number>;
  readonly conditionSeenMs: ReadonlyMap<PressureCondition, number>;
  /** Those that called for action at the last look: they hold until their minimum is reclaimed. */
  readonly acted: ReadonlySet<Threshold>;
}

export const noPressure: PressureState = { sinceMs: new Map(), conditionSeenMs: new Map(), acted: new Set() };

export interface Pressure {
  readonly state: PressureState;
  readonly conditions: ReadonlySet<PressureCondition>;
  /** What calls for action, memory first. */
  readonly met: readonly Threshold[];
}

export function pressureOf(
  before: PressureState,
  thresholds: readonly Threshold[],
  readings: Readings,
  nowMs: number,
  transitionMs: number,
): Pressure {
  const holding = thresholds.filter((threshold) => holds(threshold, readings, before.acted.has(threshold)));
  const sinceMs = new Map(holding.map((threshold) => [threshold, before.sinceMs.get(threshold) ?? nowMs]));
  const conditionSeenMs = new Map(before.conditionSeenMs);
  for (const { signal } of holding) conditionSeenMs.set(conditionOf[signal], nowMs);
  const conditions = new Set<PressureCondition>(holding.map(({ signal }) => conditionOf[signal]));
  // A condition stays for a while after the last time it held, so that it does not flap.
  for (const [condition, seenMs] of conditionSeenMs) if (nowMs - seenMs < transitionMs) conditions.add(condition);
  const met = holding.filter((threshold) => nowMs - (sinceMs.get(threshold) ?? nowMs) >= threshold.graceMs);
  return {
    state: { sinceMs, conditionSeenMs, acted: new Set(met) },
    conditions,
    met: met.toSorted((a, b) => Number(isOfMemory(b)) - Number(isOfMemory(a))),
  };
}

function isOfMemory({ signal }: Threshold): boolean {
  return conditionOf[signal] === 'MemoryPressure';
}

function holds({ signal, amount, minimumReclaim }: Threshold, readings: Readings, acted: boolean): boolean {
  const reading = readings.get(signal);
  if (!reading) return false;
  const more = acted && minimumReclaim ? valueOf(minimumReclaim, reading.capacity) : 0;
  return reading.available < valueOf(amount, reading.capacity) + more;
}
