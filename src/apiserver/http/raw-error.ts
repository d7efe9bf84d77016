/** A refusal where no HTTP response object is: on a connection that was to change protocols, or whose request could not be read. */
import type { Duplex } from 'node:stream';
import type { ApiError } from '../../machinery/errors.ts';

/** Answers on a bare socket, and ends it. */
export function writeRawError(socket: Duplex, error: ApiError): void {
  const body = JSON.stringify(error.toStatus());
  const head = `HTTP/1.1 ${error.code} ${error.reason}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n`;
  socket.end(head + body);
}
