/** Times and durations in expressions: texts to values and back, and arithmetic within the bounds CEL sets. */
import { CelError } from './errors.ts';
import { Duration } from './values.ts';

const nanosPer: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1_000n,
  µs: 1_000n,
  μs: 1_000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
};

const maxNanos = 9223372036854775807n;
const minTime = Date.parse('0001-01-01T00:00:00Z');
const maxTime = Date.parse('9999-12-31T23:59:59.999Z');

/** `1h30m`, `1.5s`, as Go writes durations. */
export function durationOf(text: string): Duration {
  const match = /^([+-]?)((?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+|0)$/.exec(text);
  if (!match) throw new CelError(`invalid duration: ${JSON.stringify(text)}`);
  let total = 0n;
  for (const [, whole = '', fraction = '', unit = ''] of (match[2] ?? '').matchAll(/(\d*)(?:\.(\d*))?(ns|us|µs|μs|ms|s|m|h)/g)) {
    const each = nanosPer[unit] ?? 0n;
    total += BigInt(whole === '' ? 0 : whole) * each;
    if (fraction !== '') total += (BigInt(fraction.slice(0, 18)) * each) / 10n ** BigInt(Math.min(18, fraction.length));
  }
  return bounded(match[1] === '-' ? -total : total);
}

export function tryDuration(text: string): Duration | undefined {
  try {
    return durationOf(text);
  } catch (error) {
    if (error instanceof CelError) return undefined;
    throw error;
  }
}

export function bounded(nanoseconds: bigint): Duration {
  if (nanoseconds > maxNanos || nanoseconds < -maxNanos - 1n) throw new CelError('duration overflow');
  return new Duration(nanoseconds);
}

/** Seconds with as many decimals as needed: `90s`, `1.5s`. */
export function durationText({ nanoseconds }: Duration): string {
  const magnitude = nanoseconds < 0n ? -nanoseconds : nanoseconds;
  const decimals = (magnitude % 1_000_000_000n).toString().padStart(9, '0').replace(/0+$/, '');
  return `${nanoseconds < 0n ? '-' : ''}${magnitude / 1_000_000_000n}${decimals === '' ? '' : `.${decimals}`}s`;
}

export function timestampOf(text: string): Date {
  const isTime = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:Z|[+-]\d{2}:\d{2})$/.test(text);
  const ms = isTime ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(ms)) throw new CelError(`invalid timestamp: ${JSON.stringify(text)}`);
  return atTime(ms);
}

export function atTime(ms: number): Date {
  if (ms < minTime || ms > maxTime) throw new CelError('timestamp overflow');
  return new Date(ms);
}

export function timestampText(time: Date): string {
  return time.toISOString().replace(/\.?0*Z$/, 'Z');
}

export function later(time: Date, { nanoseconds }: Duration, sign: 1 | -1): Date {
  return atTime(time.getTime() + (sign * Number(nanoseconds)) / 1e6);
}

export function between(a: Date, b: Date): Duration {
  return bounded(BigInt(a.getTime() - b.getTime()) * 1_000_000n);
}

/** The time's calendar fields, as UTC fields of a date shifted to the zone: a name, or `+02:00`. */
export function inZone(time: Date, zone: string | undefined): Date {
  if (zone === undefined || zone === '' || zone === 'UTC') return time;
  const offset = /^([+-]?)(\d{2}):(\d{2})$/.exec(zone);
  if (offset) {
    const minutes = Number(offset[2]) * 60 + Number(offset[3]);
    return new Date(time.getTime() + (offset[1] === '-' ? -minutes : minutes) * 60_000);
  }
  try {
    const parts = new Intl.DateTimeFormat('en-US', {
      timeZone: zone,
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    }).formatToParts(time);
    const part = (type: string): number => Number(parts.find((candidate) => candidate.type === type)?.value);
    const shifted = Date.UTC(part('year'), part('month') - 1, part('day'), part('hour'), part('minute'), part('second'), time.getUTCMilliseconds());
    return new Date(shifted);
  } catch {
    throw new CelError(`unknown time zone ${zone}`);
  }
}

export function dayOfYear(time: Date): number {
  return Math.floor((time.getTime() - Date.UTC(time.getUTCFullYear(), 0, 1)) / 86_400_000);
}
