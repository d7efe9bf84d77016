/** Says how far a long pull has come, now and then: soon at first, then more and more seldom, and never the same twice. */
import type { Clock } from '../../world/world.ts';
import type { PullProgress } from '../runtime/runtime.ts';

export interface ProgressOptions {
  readonly clock: Clock;
  /** Undefined while it is not known. */
  readonly read: () => Promise<PullProgress | undefined>;
  readonly tell: (progress: PullProgress) => void;
}

/** A pull that is over before is told of once, when it is over. */
const firstAfterMs = 5000;
const longestEveryMs = 120_000;

/** Answers the way to stop. */
export function tellProgress({ clock, read, tell }: ProgressOptions): () => void {
  let stopped = false;
  let toldBytes = -1;
  let everyMs = firstAfterMs;
  let timer = clock.after(everyMs, look);

  function look(): void {
    read()
      .then((progress) => {
        if (stopped || !progress || progress.doneBytes === toldBytes) return;
        toldBytes = progress.doneBytes;
        tell(progress);
      })
      // Whoever cannot say how far it is pulls all the same.
      .catch(() => {})
      .finally(() => {
        if (stopped) return;
        everyMs = Math.min(everyMs * 2, longestEveryMs);
        timer = clock.after(everyMs, look);
      });
  }

  return () => {
    stopped = true;
    timer.cancel();
  };
}

/** `37% (14 MiB of 38 MiB)`. */
export function progressWords({ doneBytes, totalBytes }: PullProgress): string {
  // Never all of it: it is not unpacked yet.
  const percent = totalBytes === 0 ? 0 : Math.min(99, Math.floor((doneBytes * 100) / totalBytes));
  return `${percent}% (${mebibytes(doneBytes)} of ${mebibytes(totalBytes)} MiB)`;
}

function mebibytes(bytes: number): string {
  const amount = bytes / 2 ** 20;
  return amount < 10 ? amount.toFixed(1) : String(Math.round(amount));
}
