/**
 * A container's log as messages of a WebSocket: each part of it one message, after an empty one that says the connection stands. Upstream's `wsstream.Reader`,
 * with its two subprotocols: bytes as they are, or base64 for clients that take only text.
 */
import type { ClientRequest, IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import { type ApiError, badRequest, serviceUnavailable } from '../../machinery/errors.ts';
import { writeRawError } from '../http/raw-error.ts';

const binary = 'binary.k8s.io';
const base64 = 'base64.binary.k8s.io';

/** While a client has so much unread, no more is read for it. */
const unreadBound = 256 * 1024;

export interface LogSocketOptions {
  readonly request: IncomingMessage;
  /** Owned from here on. */
  readonly socket: Duplex;
  readonly head: Buffer;
  /** Makes the request whose answer holds the log; absent when nothing was written yet. */
  readonly ask: (() => ClientRequest) | undefined;
  /** What the client is told when the kubelet refuses. */
  readonly refusal: (answer: IncomingMessage) => Promise<ApiError>;
}

const server = new WebSocketServer({
  noServer: true,
  clientTracking: false,
  maxPayload: 64 * 1024,
  handleProtocols: (offered) => [binary, base64].find((protocol) => offered.has(protocol)) ?? false,
});

/** Throws a 400 before anything is written when the client asks for other subprotocols only. */
export function sendLogOverWebSocket({ request, socket, head, ask, refusal }: LogSocketOptions): void {
  const offered = (request.headers['sec-websocket-protocol'] ?? '').split(',').flatMap((protocol) => protocol.trim() || []);
  if (offered.length > 0 && !offered.some((protocol) => protocol === binary || protocol === base64)) {
    throw badRequest(`requested protocol(s) are not supported: [${offered.join(' ')}]; supports [ ${base64} ${binary}]`);
  }
  const accept = (log?: IncomingMessage): void =>
    server.handleUpgrade(request, socket, head, (webSocket) => {
      webSocket.on('error', () => webSocket.terminate());
      webSocket.send(Buffer.alloc(0));
      if (log) copy(log, webSocket);
      else webSocket.close(1000);
    });
  if (!ask) {
    accept();
    return;
  }
  const backend = ask();
  socket.on('close', () => backend.destroy());
  backend.on('error', (error) => {
    if (socket.writable) writeRawError(socket, serviceUnavailable(`error trying to reach service: ${error.message}`));
  });
  backend.on('response', (answer) => {
    if (answer.statusCode === 200) {
      accept(answer);
      return;
    }
    refusal(answer)
      .catch((error: unknown) => serviceUnavailable(String(error)))
      .then((error) => writeRawError(socket, error))
      .catch(() => socket.destroy());
  });
  backend.end();
}

function copy(log: IncomingMessage, webSocket: WebSocket): void {
  const asText = webSocket.protocol === base64;
  const sent = (): void => {
    if (log.isPaused() && webSocket.bufferedAmount < unreadBound) log.resume();
  };
  log.on('data', (part: Buffer) => {
    if (webSocket.readyState !== webSocket.OPEN) return;
    webSocket.send(asText ? part.toString('base64') : part, { binary: !asText }, sent);
    if (webSocket.bufferedAmount >= unreadBound) log.pause();
  });
  log.on('end', () => webSocket.close(1000));
  log.on('error', () => webSocket.terminate());
  webSocket.on('close', () => log.destroy());
}
