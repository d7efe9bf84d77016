/**
 * Upgraded connections (WebSocket, SPDY): the client's request is repeated to the backend, and once both agree to change protocols their bytes are
 * passed on as they are, both ways.
 */
import type { ClientRequest, IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { serviceUnavailable } from '../../machinery/errors.ts';
import { writeRawError } from '../http/raw-error.ts';

/** Owns `socket` from here on. `head` is what the client sent ahead. */
export function tunnel(backend: ClientRequest, socket: Duplex, head: Buffer): void {
  const giveUp = (): void => {
    backend.destroy();
    socket.destroy();
  };
  socket.on('error', giveUp);
  socket.on('close', giveUp);
  backend.on('error', (error) => {
    if (socket.writable) writeRawError(socket, serviceUnavailable(`error dialing backend: ${error.message}`));
  });
  backend.on('upgrade', (answer, backendSocket, backendHead) => {
    backendSocket.setNoDelay(true);
    socket.write(rawHead(answer));
    if (backendHead.length > 0) socket.write(backendHead);
    if (head.length > 0) backendSocket.write(head);
    backendSocket.on('error', () => socket.destroy());
    backendSocket.on('close', () => socket.destroy());
    socket.on('close', () => backendSocket.destroy());
    backendSocket.pipe(socket);
    socket.pipe(backendSocket);
  });
  // The backend refused: its answer is the client's.
  backend.on('response', (answer) => {
    socket.write(rawHead(answer, { connection: 'close' }));
    answer.on('error', giveUp);
    answer.pipe(socket);
  });
  backend.end();
}

function rawHead(answer: IncomingMessage, extra: Readonly<Record<string, string>> = {}): string {
  const lines = [`HTTP/1.1 ${answer.statusCode ?? 502} ${answer.statusMessage ?? ''}`];
  for (let i = 0; i + 1 < answer.rawHeaders.length; i += 2) {
    const name = answer.rawHeaders[i] ?? '';
    // The body is passed on decoded and ends with the connection.
    const dropped = answer.statusCode !== 101 && ['connection', 'transfer-encoding', 'keep-alive'].includes(name.toLowerCase());
    if (!dropped) lines.push(`${name}: ${answer.rawHeaders[i + 1] ?? ''}`);
  }
  for (const [name, value] of Object.entries(extra)) lines.push(`${name}: ${value}`);
  return `${lines.join('\r\n')}\r\n\r\n`;
}
