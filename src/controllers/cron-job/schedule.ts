/**
 * Cron schedules: five fields (minute, hour, day of month, month, day of week) with lists, ranges, steps and names, or a word such as `@hourly`.
 * Follows robfig/cron v3, which upstream uses: when both days are restricted either may match, and `?` means `*`.
 */
import { type TimeZone, timeZone } from './time-zone.ts';

export interface Schedule {
  /** The first moment after `afterMs` (epoch ms); undefined when there is none within five years. */
  next(afterMs: number): number | undefined;
}

export class ScheduleError extends Error {}

interface Field {
  readonly name: string;
  readonly min: number;
  readonly max: number;
  readonly names?: readonly string[];
}

const months = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const days = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];
const minuteField: Field = { name: 'minute', min: 0, max: 59 };
const hourField: Field = { name: 'hour', min: 0, max: 23 };
const dayField: Field = { name: 'day of month', min: 1, max: 31 };
const monthField: Field = { name: 'month', min: 1, max: 12, names: months };
const weekdayField: Field = { name: 'day of week', min: 0, max: 6, names: days };

const words: Readonly<Record<string, string>> = {
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
  '@monthly': '0 0 1 * *',
  '@weekly': '0 0 * * 0',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@hourly': '0 * * * *',
};

const dayMs = 86_400_000;
const searchYears = 5;

/** Throws {@link ScheduleError}. `zone` is an IANA name; UTC when absent. */
export function parseSchedule(text: string, zone = 'UTC'): Schedule {
  const trimmed = text.trim();
  const every = /^@every\s+(\S+)$/.exec(trimmed);
  if (every) return everySchedule(every[1] ?? '');
  if (trimmed.startsWith('@') && words[trimmed] === undefined) throw new ScheduleError(`unrecognized descriptor: ${trimmed}`);
  const fields = (words[trimmed] ?? trimmed).split(/\s+/);
  if (trimmed === '' || fields.length !== 5) throw new ScheduleError(`expected exactly 5 fields, found ${fields.length}: [${fields.join(' ')}]`);
  const [minute, hour, day, month, weekday] = fields as [string, string, string, string, string];
  const parts = {
    minutes: parseField(minute, minuteField),
    hours: parseField(hour, hourField),
    days: parseField(day, dayField),
    months: parseField(month, monthField),
    weekdays: parseField(weekday, weekdayField),
    anyDay: isStar(day) || isStar(weekday),
  };
  return fieldSchedule(parts, timeZone(zone));
}

function isStar(field: string): boolean {
  return field.split(',').some((part) => /^[*?](\/1)?$/.test(part));
}

function parseField(text: string, field: Field): ReadonlySet<number> {
  const values = new Set<number>();
  for (const part of text.split(',')) for (const value of parsePart(part, field)) values.add(value);
  return values;
}

function parsePart(part: string, field: Field): number[] {
  const [range = '', stepText, ...more] = part.split('/');
  if (more.length > 0) throw new ScheduleError(`too many slashes: ${part}`);
  const step = stepText === undefined ? 1 : wholeNumber(stepText, part);
  if (step === 0) throw new ScheduleError(`step of range should be a positive number: ${part}`);
  let first: number;
  let last: number;
  if (range === '*' || range === '?') [first, last] = [field.min, field.max];
  else {
    const [from = '', to, ...extra] = range.split('-');
    if (extra.length > 0) throw new ScheduleError(`too many hyphens: ${part}`);
    first = valueOf(from, field);
    // `5/15` means from five on.
    last = to === undefined ? (stepText === undefined ? first : field.max) : valueOf(to, field);
  }
  if (first < field.min) throw new ScheduleError(`beginning of range (${first}) below minimum (${field.min}): ${part}`);
  if (last > field.max) throw new ScheduleError(`end of range (${last}) above maximum (${field.max}): ${part}`);
  if (first > last) throw new ScheduleError(`beginning of range (${first}) beyond end of range (${last}): ${part}`);
  const values: number[] = [];
  for (let value = first; value <= last; value += step) values.push(value);
  return values;
}

function valueOf(text: string, field: Field): number {
  const named = field.names?.indexOf(text.toLowerCase()) ?? -1;
  return named >= 0 ? named + field.min : wholeNumber(text, text);
}

function wholeNumber(text: string, part: string): number {
  if (!/^\d+$/.test(text)) throw new ScheduleError(`failed to parse int from ${JSON.stringify(text)} in ${JSON.stringify(part)}`);
  return Number(text);
}

interface Parts {
  readonly minutes: ReadonlySet<number>;
  readonly hours: ReadonlySet<number>;
  readonly days: ReadonlySet<number>;
  readonly months: ReadonlySet<number>;
  readonly weekdays: ReadonlySet<number>;
  /** One of the two day fields is `*`: both must match. Otherwise either. */
  readonly anyDay: boolean;
}

/**
 * Walks local days, then minutes of real time within the day: an hour that daylight saving skips has no minutes, one that it repeats has them twice.
 */
function fieldSchedule(parts: Parts, zone: TimeZone): Schedule {
  const dayMatches = (year: number, month: number, day: number): boolean => {
    if (!parts.months.has(month)) return false;
    const weekday = new Date(Date.UTC(year, month - 1, day)).getUTCDay();
    const [byDay, byWeekday] = [parts.days.has(day), parts.weekdays.has(weekday)];
    return parts.anyDay ? byDay && byWeekday : byDay || byWeekday;
  };
  return {
    next(afterMs) {
      let atMs = (Math.floor(afterMs / 60_000) + 1) * 60_000;
      const endMs = afterMs + searchYears * 366 * dayMs;
      while (atMs < endMs) {
        const { year, month, day, hour, minute } = zone.local(atMs);
        if (!dayMatches(year, month, day)) {
          atMs = zone.startOfDay(year, month, day + 1);
          continue;
        }
        if (parts.hours.has(hour)) {
          if (parts.minutes.has(minute)) return atMs;
          atMs += 60_000;
        } else atMs += (60 - minute) * 60_000;
      }
      return undefined;
    },
  };
}

const durationUnits: Readonly<Record<string, number>> = { ns: 1e-6, us: 1e-3, µs: 1e-3, ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** `@every 1h30m`: whole seconds, at least one. */
function everySchedule(text: string): Schedule {
  let ms = 0;
  let rest = text;
  while (rest !== '') {
    const match = /^(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/.exec(rest);
    if (!match) throw new ScheduleError(`failed to parse duration @every ${text}: time: invalid duration ${JSON.stringify(text)}`);
    ms += Number(match[1]) * (durationUnits[match[2] ?? ''] ?? 0);
    rest = rest.slice(match[0].length);
  }
  const delayMs = Math.max(1000, Math.floor(ms / 1000) * 1000);
  return { next: (afterMs) => Math.floor(afterMs / 1000) * 1000 + delayMs };
}
