/**
 * Lines of a container's log as CRI runtimes write them: `2016-10-06T00:17:09.669794202Z stdout F content`. The tag `P` marks a piece of a line that
 * was too long for one; `F` its end. See https://github.com/kubernetes/design-proposals-archive/blob/main/node/kubelet-cri-logging.md.
 */

export interface LogLine {
  /** As written, with nanoseconds. */
  readonly timestamp: string;
  readonly stream: 'stdout' | 'stderr';
  /** More of the same line follows. */
  readonly partial: boolean;
  /** Without a line break. */
  readonly content: Buffer;
}

const blank = 0x20;

/** `line` is without its line break. Undefined when it is not in the format, as after a crash in the middle of a write. */
export function parseLogLine(line: Buffer): LogLine | undefined {
  const afterTime = line.indexOf(blank);
  const afterStream = line.indexOf(blank, afterTime + 1);
  const afterTags = line.indexOf(blank, afterStream + 1);
  if (afterTime <= 0 || afterStream < 0 || afterTags < 0) return undefined;
  const stream = line.toString('latin1', afterTime + 1, afterStream);
  if (stream !== 'stdout' && stream !== 'stderr') return undefined;
  // Tags may be several, separated by colons; the first tells about the line.
  const tag = line.toString('latin1', afterStream + 1, afterTags).split(':')[0];
  return { timestamp: line.toString('latin1', 0, afterTime), stream, partial: tag === 'P', content: line.subarray(afterTags + 1) };
}
