/** gzip for big answers, when the client takes it. */
import { constants, gzip } from 'node:zlib';
import type { HttpRequest } from './connection.ts';

/** Below this the time costs more than the bytes; upstream's threshold too. */
const fromBytes = 128 * 1024;

export function shouldCompress(length: number, request: HttpRequest): boolean {
  if (length <= fromBytes) return false;
  const encodings = request.headers['accept-encoding'];
  return encodings !== undefined && encodings.includes('gzip');
}

/** Compressed once for as long as the plain bytes live. */
const compressedBytes = new WeakMap<Uint8Array, Uint8Array>();

/** Calls back with undefined when memory does not allow it: the plain bytes do as well. */
export function compress(bytes: Uint8Array, done: (compressed: Uint8Array | undefined) => void): void {
  const known = compressedBytes.get(bytes);
  if (known !== undefined) {
    done(known);
    return;
  }
  gzip(bytes, { level: constants.Z_BEST_SPEED }, (error, compressed) => {
    if (error === null) compressedBytes.set(bytes, compressed);
    done(error === null ? compressed : undefined);
  });
}
