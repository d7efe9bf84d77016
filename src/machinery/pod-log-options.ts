/** `PodLogOptions` as they stand in a request's query: which part of a container's log is asked for. Read alike by the API server and by kubelets. */
import { type FieldError, forbiddenField, invalidValue, notSupported } from './field-error.ts';

export interface PodLogOptions {
  readonly follow: boolean;
  readonly previous: boolean;
  /** Prefix each line with its time. */
  readonly timestamps: boolean;
  /** Only the last so many lines. */
  readonly tailLines: number | undefined;
  readonly sinceSeconds: number | undefined;
  readonly sinceTimeMs: number | undefined;
  readonly limitBytes: number | undefined;
  readonly stream: string | undefined;
}

/** Something is not even of its type. */
export class UnreadableOption extends Error {
  override readonly name = 'UnreadableOption';
}

/** Throws `UnreadableOption`. */
export function parsePodLogOptions(query: URLSearchParams): PodLogOptions {
  return {
    follow: flag(query, 'follow'),
    previous: flag(query, 'previous'),
    timestamps: flag(query, 'timestamps'),
    tailLines: wholeNumber(query, 'tailLines'),
    sinceSeconds: wholeNumber(query, 'sinceSeconds'),
    sinceTimeMs: time(query, 'sinceTime'),
    limitBytes: wholeNumber(query, 'limitBytes'),
    stream: query.get('stream') || undefined,
  };
}

const streams = ['All', 'Stderr', 'Stdout'];

export function validatePodLogOptions({ tailLines, limitBytes, sinceSeconds, sinceTimeMs, stream }: PodLogOptions): FieldError[] {
  const errors: FieldError[] = [];
  if (tailLines !== undefined && tailLines < 0) errors.push(invalidValue('tailLines', tailLines, 'must be greater than or equal to 0'));
  if (limitBytes !== undefined && limitBytes < 1) errors.push(invalidValue('limitBytes', limitBytes, 'must be greater than 0'));
  if (sinceSeconds !== undefined && sinceTimeMs !== undefined) {
    errors.push(forbiddenField('', 'at most one of `sinceTime` or `sinceSeconds` may be specified'));
  } else if (sinceSeconds !== undefined && sinceSeconds < 1) {
    errors.push(invalidValue('sinceSeconds', sinceSeconds, 'must be greater than 0'));
  }
  if (stream !== undefined && !streams.includes(stream)) errors.push(notSupported('stream', stream, streams));
  if (stream !== undefined && stream !== 'All' && tailLines !== undefined) {
    errors.push(forbiddenField('', '`tailLines` and specific `stream` are mutually exclusive for now'));
  }
  return errors;
}

/** Upstream's query conversion: present without a value is true. */
function flag(query: URLSearchParams, name: string): boolean {
  const value = query.get(name);
  return value !== null && value !== 'false' && value !== '0';
}

function wholeNumber(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name) ?? '';
  if (text === '') return undefined;
  const value = Number(text);
  if (!/^[+-]?\d+$/.test(text) || !Number.isSafeInteger(value)) throw new UnreadableOption(`${name}: ${JSON.stringify(text)} is no whole number`);
  return value;
}

function time(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name) ?? '';
  if (text === '') return undefined;
  const ms = Date.parse(text);
  if (Number.isNaN(ms)) throw new UnreadableOption(`${name}: ${JSON.stringify(text)} is no RFC 3339 time`);
  return ms;
}
