/** Connects two byte streams both ways. */
import type { Duplex } from 'node:stream';

/** Resolves when both are closed. An end on one side ends the other; a break on one side breaks the other. */
export function joinStreams(a: Duplex, b: Duplex): Promise<void> {
  return new Promise((resolve) => {
    let open = 2;
    const follow = (stream: Duplex, other: Duplex): void => {
      stream.on('error', () => undefined);
      stream.once('close', () => {
        // What was read of it is still on its way to the other.
        if (stream.readableEnded) other.end(() => other.destroy());
        else other.destroy();
        if (--open === 0) resolve();
      });
    };
    follow(a, b);
    follow(b, a);
    a.pipe(b);
    b.pipe(a);
  });
}
