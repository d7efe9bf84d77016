/** Which part of a container's log is asked for, as `PodLogOptions` has it, read from a request's query. */

export interface LogOptions {
  readonly follow: boolean;
  readonly previous: boolean;
  /** Prefix each line with its time. */
  readonly timestamps: boolean;
  /** Only the last so many lines. */
  readonly tailLines: number | undefined;
  /** Nothing before this time; milliseconds since the epoch. */
  readonly sinceMs: number | undefined;
  readonly limitBytes: number | undefined;
  readonly stream: 'stdout' | 'stderr' | undefined;
}

/** Throws `LogOptionError` in upstream's words. */
export function parseLogOptions(query: URLSearchParams, nowMs: number): LogOptions {
  const sinceSeconds = wholeNumber(query, 'sinceSeconds', 1);
  const sinceTime = query.get('sinceTime') ?? '';
  if (sinceSeconds !== undefined && sinceTime !== '') throw new LogOptionError('at most one of `sinceTime` or `sinceSeconds` may be specified');
  const stream = query.get('stream') ?? '';
  return {
    follow: flag(query, 'follow'),
    previous: flag(query, 'previous'),
    timestamps: flag(query, 'timestamps'),
    tailLines: wholeNumber(query, 'tailLines', 0),
    sinceMs: sinceSeconds === undefined ? parseTime(sinceTime) : nowMs - sinceSeconds * 1000,
    limitBytes: wholeNumber(query, 'limitBytes', 1),
    stream: stream === 'Stdout' ? 'stdout' : stream === 'Stderr' ? 'stderr' : undefined,
  };
}

export class LogOptionError extends Error {}

/** Upstream's query conversion: present without a value is true. */
function flag(query: URLSearchParams, name: string): boolean {
  const value = query.get(name);
  return value !== null && value !== 'false' && value !== '0';
}

function wholeNumber(query: URLSearchParams, name: string, least: number): number | undefined {
  const text = query.get(name) ?? '';
  if (text === '') return undefined;
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new LogOptionError(`${name}: Invalid value: ${JSON.stringify(text)}: must be a whole number`);
  if (value < least) throw new LogOptionError(`${name}: Invalid value: ${value}: must be greater than ${least === 0 ? 'or equal to 0' : '0'}`);
  return value;
}

function parseTime(text: string): number | undefined {
  if (text === '') return undefined;
  const ms = Date.parse(text);
  if (Number.isNaN(ms)) throw new LogOptionError(`sinceTime: Invalid value: ${JSON.stringify(text)}: must be an RFC 3339 time`);
  return ms;
}
