/**
 * `kubectl port-forward`: for each connection to forward the client opens a data and an error stream of one request, over SPDY, over SPDY carried in
 * a WebSocket, or (older) over WebSocket channels with the ports named in the query.
 */
import { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createWebSocketStream } from 'ws';
import { acceptUpgrade, HttpError } from './responses.ts';
import { SpdySession, type SpdyStream } from './spdy-session.ts';
import { type Upgrade, upgradeKind } from './upgrade.ts';
import { acceptWebSocket, ChannelSocket, chosenProtocol } from './websocket-channels.ts';

/** A byte stream to a port of the pod. */
export type DialPod = (port: number) => Promise<Duplex>;

const protocol = 'portforward.k8s.io';
const tunnelProtocol = `SPDY/3.1+${protocol}`;
const webSocketProtocols = [tunnelProtocol, 'v4.channel.k8s.io', 'v4.base64.channel.k8s.io'] as const;

export async function servePortForward(upgrade: Upgrade, podName: string, dialPod: DialPod): Promise<void> {
  const { request, socket, head, query } = upgrade;
  if (upgradeKind(request) === 'spdy') {
    if (head.length > 0) socket.unshift(head);
    acceptUpgrade(socket, { Upgrade: 'SPDY/3.1', 'X-Stream-Protocol-Version': protocol });
    await serveSpdy(socket, podName, dialPod);
    return;
  }
  const chosen = chosenProtocol(request, webSocketProtocols);
  if (chosen === undefined) throw new HttpError(400, `none of the offered protocols is known: ${webSocketProtocols.join(', ')}`);
  const ports = chosen === tunnelProtocol ? [] : portsOf(query);
  const client = await acceptWebSocket(request, socket, head, chosen);
  if (chosen === tunnelProtocol) await serveSpdy(createWebSocketStream(client), podName, dialPod);
  else await serveChannels(new ChannelSocket(client, chosen), ports, podName, dialPod);
}

async function serveSpdy(socket: Duplex, podName: string, dialPod: DialPod): Promise<void> {
  const pairs = new Map<string, { data?: SpdyStream; error?: SpdyStream }>();
  const session = new SpdySession(socket, {
    role: 'server',
    onStream(stream) {
      const { streamtype: type, port, requestid } = stream.headers;
      const number = portNumber(port ?? '');
      if (type !== 'data' && type !== 'error') throw new Error(`unknown stream type ${type}`);
      // Clients without request ids open the error stream first and the data stream right behind it.
      const key = requestid ?? String(type === 'error' ? stream.id : stream.id - 2);
      const pair = pairs.get(key) ?? {};
      pair[type] = stream;
      if (pair.data === undefined || pair.error === undefined) pairs.set(key, pair);
      else {
        pairs.delete(key);
        void forward({ data: pair.data, error: pair.error, port: number, podName, dialPod });
      }
      stream.once('close', () => {
        if (pairs.get(key) === pair) pairs.delete(key);
      });
    },
  });
  await session.closed;
}

interface Forwarding {
  readonly data: Duplex;
  readonly error: Duplex;
  readonly port: number;
  readonly podName: string;
  readonly dialPod: DialPod;
}

async function forward({ data, error, port, podName, dialPod }: Forwarding): Promise<void> {
  error.resume();
  let connection: Duplex | undefined;
  try {
    connection = await dialPod(port);
    const target = connection;
    data.once('close', () => target.destroy());
    // Each direction ends for itself: an HTTP/1.0 answer comes after the request's end.
    await Promise.all([pipeline(data, target), pipeline(target, data)]);
  } catch (problem) {
    const reason = problem instanceof Error ? problem.message : String(problem);
    // The client going away is not an error to tell it.
    if (!data.destroyed || connection === undefined || !isOurAbort(problem))
      error.write(`error forwarding port ${port} to pod ${podName}, ${reason}`);
  } finally {
    connection?.destroy();
    data.end();
    error.end();
  }
}

function isOurAbort(problem: unknown): boolean {
  return (problem as NodeJS.ErrnoException).code === 'ERR_STREAM_PREMATURE_CLOSE';
}

/** Channel 2n carries the nth port's data, 2n+1 its errors; each begins with the port's number in two bytes. */
async function serveChannels(client: ChannelSocket, ports: readonly number[], podName: string, dialPod: DialPod): Promise<void> {
  const streams = ports.flatMap(() => [0, 1]).map((_, channel) => new ChannelStream(client, channel));
  const closed = new Promise<void>((resolve) => {
    client.listen({
      data: (channel, data) => streams[channel]?.receive(data),
      end: (channel) => void streams[channel]?.receive(undefined),
      closed: () => {
        for (const stream of streams) stream.destroy();
        resolve();
      },
    });
  });
  for (const [index, port] of ports.entries()) {
    const [data, error] = [streams[2 * index], streams[2 * index + 1]];
    if (data === undefined || error === undefined) continue;
    const number = Buffer.alloc(2);
    number.writeUInt16LE(port);
    await client.send(data.channel, number);
    await client.send(error.channel, number);
    void forward({ data, error, port, podName, dialPod });
  }
  await closed;
}

class ChannelStream extends Duplex {
  readonly channel: number;
  readonly #client: ChannelSocket;
  #onRead: (() => void) | undefined;

  constructor(client: ChannelSocket, channel: number) {
    super({ allowHalfOpen: true });
    this.#client = client;
    this.channel = channel;
    this.on('error', () => undefined);
  }

  /** Undefined ends it. */
  receive(data: Buffer | undefined): void | Promise<void> {
    if (this.destroyed || this.push(data ?? null) || data === undefined) return undefined;
    return new Promise((resolve) => {
      this.#onRead = resolve;
    });
  }

  override _read(): void {
    this.#onRead?.();
    this.#onRead = undefined;
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    void this.#client.send(this.channel, chunk).finally(done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this._read();
    done(error);
  }
}

function portsOf(query: URLSearchParams): number[] {
  const ports = [...query.getAll('port'), ...query.getAll('ports')].flatMap((text) => text.split(','));
  if (ports.length === 0) throw new HttpError(400, 'query parameter "port" is required');
  return ports.map(portNumber);
}

function portNumber(text: string): number {
  const port = Number(text);
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw new HttpError(400, `unable to parse "${text}" as a port`);
  return port;
}
