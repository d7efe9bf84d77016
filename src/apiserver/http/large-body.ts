/**
 * Sends a large body piece by piece, each when the connection has taken the one before. Given all at once, TLS would make an encrypted copy of the
 * whole, and the client would wait for its first byte until the last was encrypted.
 */
import type { HttpResponse } from './connection.ts';
import { Unjoined } from './list-bytes.ts';

/** Bodies from here on are worth it. */
export const largeBodyFromBytes = 256 * 1024;
/** Long enough that what a piece costs beyond its bytes does not count, short enough to stay in the processor's cache on its way. */
const pieceBytes = 512 * 1024;
/** Buffers kept for the next body to be put together in. */
const maxSpare = 8;

const spare: Buffer[] = [];

/** The headers are written already, and may not have been sent. */
export function sendLargeBody(response: HttpResponse, body: Uint8Array | Unjoined): void {
  // Together with the first piece they would be copied into one buffer.
  response.flushHeaders?.();
  const writeNext = body instanceof Unjoined ? joining(response, body) : cutting(response, body);
  let sent = 0;
  const sendOn = (): void => {
    while (sent < body.length) {
      sent += pieceBytes;
      if (!writeNext() && sent < body.length) return;
    }
    response.off('drain', sendOn);
    response.end();
  };
  response.on('drain', sendOn);
  sendOn();
}

function cutting(response: HttpResponse, bytes: Uint8Array): () => boolean {
  let at = 0;
  return () => response.write(bytes.subarray(at, (at += pieceBytes)));
}

/** A buffer goes to the next body only when the connection has done with it; one that is closed may never say so, and keeps it. */
function joining(response: HttpResponse, body: Unjoined): () => boolean {
  const read = body.reader();
  return () => {
    const buffer = spare.pop() ?? Buffer.allocUnsafeSlow(pieceBytes);
    const length = read(buffer);
    const isWhole = length === buffer.length;
    return response.write(isWhole ? buffer : buffer.subarray(0, length), (error) => {
      if (!error && spare.length < maxSpare) spare.push(buffer);
    });
  };
}
