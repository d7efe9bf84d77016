/**
 * When a node is short of something: `memory.available<100Mi`, `nodefs.available<10%`. Hard thresholds hold at once, soft ones after a grace period.
 * https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/
 */
import { parseDuration } from '../../machinery/duration.ts';
import { isQuantity, parseQuantity } from '../../machinery/quantity.ts';

export const signals = [
  'memory.available',
  'allocatableMemory.available',
  'nodefs.available',
  'nodefs.inodesFree',
  'imagefs.available',
  'imagefs.inodesFree',
  'containerfs.available',
  'containerfs.inodesFree',
  'pid.available',
] as const;
export type Signal = (typeof signals)[number];

/** An absolute amount, or a share of the capacity. */
export type Amount = { readonly value: number; readonly text: string } | { readonly percent: number; readonly text: string };

export interface Threshold {
  readonly signal: Signal;
  readonly amount: Amount;
  /** 0 for a hard one. */
  readonly graceMs: number;
  /** Once met, so much more than the amount has to be there again. */
  readonly minimumReclaim: Amount | undefined;
}

export interface ThresholdSettings {
  readonly hard: Readonly<Record<string, string>>;
  readonly soft?: Readonly<Record<string, string>>;
  readonly softGracePeriods?: Readonly<Record<string, string>>;
  readonly minimumReclaim?: Readonly<Record<string, string>>;
}

/** Upstream's, for a node on Linux. */
export const defaultHardThresholds: Readonly<Record<string, string>> = {
  'memory.available': '100Mi',
  'nodefs.available': '10%',
  'nodefs.inodesFree': '5%',
  'imagefs.available': '15%',
  'imagefs.inodesFree': '5%',
};

export class ThresholdError extends Error {
  override readonly name = 'ThresholdError';
}

/** Throws `ThresholdError`. A threshold of 0% never holds, and is left out. */
export function thresholdsOf({ hard, soft = {}, softGracePeriods = {}, minimumReclaim = {} }: ThresholdSettings): readonly Threshold[] {
  for (const name of [...Object.keys(softGracePeriods), ...Object.keys(minimumReclaim)]) signalOf(name);
  const reclaimOf = (signal: Signal): Amount | undefined =>
    minimumReclaim[signal] === undefined ? undefined : amountOf(signal, minimumReclaim[signal]);
  const all = [
    ...Object.entries(hard).map(([name, text]): Threshold => {
      const signal = signalOf(name);
      return { signal, amount: amountOf(signal, text), graceMs: 0, minimumReclaim: reclaimOf(signal) };
    }),
    ...Object.entries(soft).map(([name, text]): Threshold => {
      const signal = signalOf(name);
      const period = softGracePeriods[name];
      if (period === undefined) throw new ThresholdError(`grace period must be specified for the soft eviction threshold ${name}`);
      const graceMs = graceOf(name, period);
      return { signal, amount: amountOf(signal, text), graceMs, minimumReclaim: reclaimOf(signal) };
    }),
  ];
  return all.filter(({ amount }) => !('percent' in amount && amount.percent === 0));
}

/** Reads a flag's `memory.available<100Mi,nodefs.available<10%`; `separator` is `=` for grace periods and reclaims. Throws `ThresholdError`. */
export function parseSignalList(text: string, separator: '<' | '='): Record<string, string> {
  const list: Record<string, string> = {};
  for (const part of text.split(',').filter((word) => word !== '')) {
    const at = part.indexOf(separator);
    if (at < 0) throw new ThresholdError(`invalid eviction threshold ${JSON.stringify(part)}: expected <signal>${separator}<value>`);
    const name = part.slice(0, at);
    signalOf(name);
    if (list[name] !== undefined) throw new ThresholdError(`duplicate eviction threshold for signal ${name}`);
    list[name] = part.slice(at + 1);
  }
  return list;
}

export function valueOf(amount: Amount, capacity: number): number {
  return 'percent' in amount ? Math.floor((capacity * amount.percent) / 100) : amount.value;
}

function signalOf(name: string): Signal {
  const signal = signals.find((known) => known === name);
  if (signal === undefined) throw new ThresholdError(`unsupported eviction signal ${JSON.stringify(name)}: one of ${signals.join(', ')}`);
  return signal;
}

function graceOf(name: string, period: string): number {
  try {
    const graceMs = parseDuration(period);
    if (graceMs >= 0) return graceMs;
  } catch {
    // Told of below.
  }
  throw new ThresholdError(`invalid grace period ${JSON.stringify(period)} for eviction signal ${name}`);
}

function amountOf(signal: Signal, text: string): Amount {
  if (text.endsWith('%')) {
    const percent = Number(text.slice(0, -1));
    if (text === '%' || !Number.isFinite(percent) || percent < 0 || percent >= 100)
      throw new ThresholdError(`eviction percentage threshold ${signal} must be >= 0% and < 100%: ${JSON.stringify(text)}`);
    return { percent, text };
  }
  if (!isQuantity(text)) throw new ThresholdError(`invalid eviction threshold ${JSON.stringify(text)} for ${signal}: is no quantity`);
  const value = parseQuantity(text).value();
  if (value < 0) throw new ThresholdError(`eviction threshold ${signal} must be positive: ${JSON.stringify(text)}`);
  return { value, text };
}
