/** Which part of a container's log is shown, at the moment of asking: what `PodLogOptions` come to. */
import { parsePodLogOptions, UnreadableOption, validatePodLogOptions } from '../../machinery/pod-log-options.ts';
import { HttpError } from './responses.ts';

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

/** Throws a 400 for what cannot be read, and a 422 for what makes no sense. */
export function logOptionsOf(query: URLSearchParams, nowMs: number): LogOptions {
  const options = readable(withTail(query));
  const [error] = validatePodLogOptions(options);
  if (error !== undefined) throw new HttpError(422, String(error));
  const { follow, previous, timestamps, tailLines, limitBytes, sinceSeconds, sinceTimeMs, stream } = options;
  return {
    follow,
    previous,
    timestamps,
    tailLines,
    limitBytes,
    sinceMs: sinceSeconds === undefined ? sinceTimeMs : nowMs - sinceSeconds * 1000,
    stream: stream === 'Stdout' ? 'stdout' : stream === 'Stderr' ? 'stderr' : undefined,
  };
}

function readable(query: URLSearchParams): ReturnType<typeof parsePodLogOptions> {
  try {
    return parsePodLogOptions(query);
  } catch (error) {
    if (error instanceof UnreadableOption) throw new HttpError(400, error.message);
    throw error;
  }
}

/** Older callers say `tail`, and `tail=all` for no bound. */
function withTail(query: URLSearchParams): URLSearchParams {
  const tail = query.get('tail') ?? '';
  if (tail === '') return query;
  const plain = new URLSearchParams(query);
  if (tail === 'all') plain.delete('tailLines');
  else plain.set('tailLines', tail);
  return plain;
}
