/**
 * Several byte streams over one WebSocket, as `kubectl exec` and `attach` use them: a message's first byte is the channel. The base64 kinds are for
 * clients that can only send text: the first character is the channel's digit, the rest is encoded. Version 5 adds a message that closes a channel.
 */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';

/** Best first. Empty is a client that names none, which means the first version. */
export const channelProtocols = [
  'v5.channel.k8s.io',
  'v4.channel.k8s.io',
  'v4.base64.channel.k8s.io',
  'channel.k8s.io',
  'base64.channel.k8s.io',
] as const;

const closeChannel = 255;
const largestMessage = 32 * 1024 * 1024;

export interface ChannelHandlers {
  /** May answer a promise: no more is read until it resolves. */
  data(channel: number, data: Buffer): void | Promise<void>;
  /** The client will send nothing more on this channel. */
  end(channel: number): void;
  closed(): void;
}

export class ChannelSocket {
  readonly protocol: string;
  readonly #socket: WebSocket;

  constructor(socket: WebSocket, protocol: string) {
    this.#socket = socket;
    this.protocol = protocol;
    socket.on('error', () => socket.terminate());
  }

  listen(handlers: ChannelHandlers): void {
    this.#socket.on('message', (message: Buffer) => {
      const parsed = this.#parse(message);
      if (parsed === undefined) return;
      if (parsed.channel === closeChannel && this.protocol.startsWith('v5')) {
        handlers.end(parsed.data[0] ?? closeChannel);
        return;
      }
      const busy = handlers.data(parsed.channel, parsed.data);
      if (busy === undefined) return;
      this.#socket.pause();
      void busy.finally(() => this.#socket.resume());
    });
    this.#socket.once('close', () => handlers.closed());
  }

  /** Resolves when it is on its way. */
  send(channel: number, data: Buffer): Promise<void> {
    return new Promise((resolve) => {
      if (this.#socket.readyState !== this.#socket.OPEN) resolve();
      else if (this.#isText) this.#socket.send(`${channel}${data.toString('base64')}`, () => resolve());
      else this.#socket.send(Buffer.concat([Buffer.from([channel]), data]), { binary: true }, () => resolve());
    });
  }

  close(): void {
    this.#socket.close(1000);
  }

  get #isText(): boolean {
    return this.protocol.includes('base64');
  }

  #parse(message: Buffer): { channel: number; data: Buffer } | undefined {
    const first = message[0];
    if (first === undefined) return undefined;
    const rest = message.subarray(1);
    return this.#isText ? { channel: first - 0x30, data: Buffer.from(rest.toString('latin1'), 'base64') } : { channel: first, data: rest };
  }
}

/** The first of `protocols` that the client offered; empty when it offered none at all; undefined when it offered others. */
export function chosenProtocol(request: IncomingMessage, protocols: readonly string[]): string | undefined {
  const offered = (request.headers['sec-websocket-protocol'] ?? '').split(',').flatMap((protocol) => protocol.trim() || []);
  return offered.length === 0 ? '' : protocols.find((protocol) => offered.includes(protocol));
}

/**
 * Completes the handshake. The protocol goes around the library, which holds to RFC 6455 and so refuses the slash in Kubernetes'
 * `SPDY/3.1+portforward.k8s.io`.
 */
export function acceptWebSocket(request: IncomingMessage, socket: Duplex, head: Buffer, protocol: string): Promise<WebSocket> {
  const server = new WebSocketServer({ noServer: true, clientTracking: false, maxPayload: largestMessage });
  server.once('headers', (headers) => {
    if (protocol !== '') headers.push(`Sec-WebSocket-Protocol: ${protocol}`);
  });
  delete request.headers['sec-websocket-protocol'];
  return new Promise((resolve) => server.handleUpgrade(request, socket, head, resolve));
}
