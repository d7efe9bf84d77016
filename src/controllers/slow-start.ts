/**
 * Many calls of one sort, begun carefully: one, then two, then four at a time while they succeed. A quota or an admission webhook that refuses
 * the first refuses only the first. Within a batch they run side by side.
 */
export interface SlowStart {
  readonly succeeded: number;
  /** Never tried, because one before failed. */
  readonly skipped: number;
  readonly error: unknown;
}

export async function slowStart(count: number, call: (index: number) => Promise<void>): Promise<SlowStart> {
  let succeeded = 0;
  let begun = 0;
  for (let size = 1; begun < count; size *= 2) {
    const batch = Array.from({ length: Math.min(size, count - begun) }, (_, i) => call(begun + i));
    begun += batch.length;
    const results = await Promise.allSettled(batch);
    const failed = results.find((result) => result.status === 'rejected');
    succeeded += results.filter((result) => result.status === 'fulfilled').length;
    if (failed) return { succeeded, skipped: count - begun, error: failed.reason };
  }
  return { succeeded, skipped: 0, error: undefined };
}
