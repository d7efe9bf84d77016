/** One measured figure, with what it is measured against. */
export interface Figure {
  readonly what: string;
  readonly value: number;
  readonly unit: string;
  /** Kubernetes v1.20.2 on this class of machine, where it was measured. */
  readonly upstream?: number;
  readonly aim?: number;
  readonly better: 'more' | 'less';
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? (sorted[middle] ?? NaN) : ((sorted[middle - 1] ?? NaN) + (sorted[middle] ?? NaN)) / 2;
}
