/** What a node says of its containers' use at one moment, and what two such readings mean: pure. */

export interface Sample {
  readonly timeMs: number;
  /** Counts up for ever. */
  readonly cpuNanoseconds: number;
  /** Billionths of a core at this moment, from a source that knows; otherwise it takes two readings. */
  readonly cpuNanoCores?: number;
  readonly memoryBytes: number;
}

export interface ContainerSample extends Sample {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
  /** 0 when nobody said. */
  readonly startedMs: number;
}

export interface NodeReading {
  readonly node: Sample;
  readonly containers: readonly ContainerSample[];
}

export interface MeasuredUsage {
  readonly timeMs: number;
  readonly windowMs: number;
  readonly nanoCores: number;
  readonly memoryBytes: number;
}

/** A shorter time gives noise. */
const shortestWindowMs = 500;
/** What is said of a source that knows rates by itself. */
const ownWindowMs = 15_000;

/** Undefined while there is nothing to compare with. */
export function measure(last: Sample, before: Sample | undefined): MeasuredUsage | undefined {
  const { timeMs, memoryBytes, cpuNanoCores } = last;
  if (cpuNanoCores !== undefined) return { timeMs, windowMs: ownWindowMs, nanoCores: cpuNanoCores, memoryBytes };
  if (before === undefined) return undefined;
  const windowMs = timeMs - before.timeMs;
  const nanoseconds = last.cpuNanoseconds - before.cpuNanoseconds;
  if (windowMs < shortestWindowMs || nanoseconds < 0) return undefined;
  return { timeMs, windowMs, nanoCores: Math.round((nanoseconds * 1000) / windowMs), memoryBytes };
}

/** Of a container: one that started since the reading before is compared with its own start. */
export function measureContainer(last: ContainerSample, before: ContainerSample | undefined, beforeMs: number): MeasuredUsage | undefined {
  const isSame = before !== undefined && before.startedMs === last.startedMs;
  if (isSame) return measure(last, before);
  const { startedMs } = last;
  const atStart = startedMs > 0 && startedMs >= beforeMs ? { timeMs: startedMs, cpuNanoseconds: 0, memoryBytes: 0 } : undefined;
  return measure(last, atStart);
}

export function placeOf({ namespace, pod, container }: Pick<ContainerSample, 'namespace' | 'pod' | 'container'>): string {
  return `${namespace}/${pod}/${container}`;
}
