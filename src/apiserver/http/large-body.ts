/**
 * Sends a large body piece by piece, each when the connection has taken the one before. Given all at once, TLS would make an encrypted copy of the
 * whole, and the client would wait for its first byte until the last was encrypted.
 */
import type { HttpResponse } from './connection.ts';

/** Bodies from here on are worth it. */
export const largeBodyFromBytes = 256 * 1024;
/** Long enough that what a piece costs beyond its bytes does not count, short enough to stay in the processor's cache on its way. */
const pieceBytes = 512 * 1024;

/** The headers are written already, and may not have been sent. */
export function sendLargeBody(response: HttpResponse, bytes: Uint8Array): void {
  // Together with the first piece they would be copied into one buffer.
  response.flushHeaders?.();
  let sent = 0;
  const sendOn = (): void => {
    while (sent + pieceBytes < bytes.length) {
      const piece = bytes.subarray(sent, sent + pieceBytes);
      sent += pieceBytes;
      if (!response.write(piece)) return;
    }
    response.off('drain', sendOn);
    response.end(bytes.subarray(sent));
  };
  response.on('drain', sendOn);
  sendOn();
}
