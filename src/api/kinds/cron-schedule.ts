/** Whether a text is a cron schedule, and what is wrong when not: five fields with their ranges, or a descriptor such as `@daily`. */
import { DurationError, parseDuration } from '../../machinery/duration.ts';

interface Field {
  readonly min: number;
  readonly max: number;
  /** Words for the numbers from `min` on. */
  readonly words?: readonly string[];
}

const fields: readonly Field[] = [
  { min: 0, max: 59 },
  { min: 0, max: 23 },
  { min: 1, max: 31 },
  { min: 1, max: 12, words: ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'] },
  { min: 0, max: 6, words: ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] },
];
const descriptors = ['@yearly', '@annually', '@monthly', '@weekly', '@daily', '@midnight', '@hourly'];

/** Undefined for a schedule that can be kept. */
export function scheduleFault(schedule: string): string | undefined {
  const text = schedule.replace(/^(CRON_)?TZ=\S+\s*/, '');
  if (text.startsWith('@')) return descriptorFault(text);
  const parts = text.trim().split(/\s+/);
  if (parts.length !== fields.length) return `expected exactly 5 fields, found ${parts.length}: [${parts.join(' ')}]`;
  for (const [index, part] of parts.entries()) {
    const field = fields[index];
    const fault =
      field &&
      part
        .split(',')
        .map((range) => rangeFault(range, field))
        .find((found) => found !== undefined);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

function descriptorFault(text: string): string | undefined {
  if (descriptors.includes(text)) return undefined;
  if (!text.startsWith('@every ')) return `unrecognized descriptor: ${text}`;
  try {
    parseDuration(text.slice('@every '.length));
    return undefined;
  } catch (error) {
    if (error instanceof DurationError) return `failed to parse duration ${text}: ${error.message}`;
    throw error;
  }
}

function rangeFault(range: string, field: Field): string | undefined {
  const [span = '', step, ...moreSteps] = range.split('/');
  if (moreSteps.length > 0) return `too many slashes: ${range}`;
  const [low = '', high, ...moreBounds] = span.split('-');
  if (moreBounds.length > 0) return `too many hyphens: ${range}`;
  const everything = low === '*' || low === '?';
  const from = everything ? field.min : numberOf(low, field);
  const to = everything ? field.max : high === undefined ? (step === undefined ? from : field.max) : numberOf(high, field);
  if (typeof from === 'string') return from;
  if (typeof to === 'string') return to;
  if (step !== undefined) {
    const by = numberOf(step, { min: 0, max: 0 });
    if (typeof by === 'string') return by;
    if (by === 0) return `step of range should be a positive number: ${range}`;
  }
  if (from < field.min) return `beginning of range (${from}) below minimum (${field.min}): ${range}`;
  if (to > field.max) return `end of range (${to}) above maximum (${field.max}): ${range}`;
  return from > to ? `beginning of range (${from}) beyond end of range (${to}): ${range}` : undefined;
}

function numberOf(text: string, { min, words = [] }: Field): number | string {
  const word = words.indexOf(text.toLowerCase());
  if (word >= 0) return min + word;
  return /^\d{1,9}$/.test(text) ? Number(text) : `failed to parse int from ${text}: strconv.Atoi: parsing ${JSON.stringify(text)}: invalid syntax`;
}
