/**
 * `exec` and `attach`: between the client and the runtime's streaming server. A client that speaks SPDY, as the runtime does, is connected through
 * byte by byte; for one that speaks WebSocket the channels are carried over SPDY streams, which can be closed one by one as `kubectl cp` needs.
 * The protocol is upstream's remotecommand, version 4: the last word comes on the error stream, a `Status` with the command's exit code.
 */
import { joinStreams } from './join-streams.ts';
import { dialSpdy, UpgradeRefused } from './spdy-dial.ts';
import { SpdySession, type SpdyStream } from './spdy-session.ts';
import { acceptUpgrade, HttpError } from './responses.ts';
import { offeredStreamProtocols, type Upgrade, upgradeKind } from './upgrade.ts';
import { acceptWebSocket, channelProtocols, ChannelSocket, chosenProtocol } from './websocket-channels.ts';

export interface RemoteCommandOptions {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly tty: boolean;
}

const channels = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4 } as const;
const streamProtocol = 'v4.channel.k8s.io';

/** The kubelet's own names for them, and the API's. Throws a 400. */
export function remoteCommandOptions(query: URLSearchParams): RemoteCommandOptions {
  const given = (...names: readonly string[]): boolean => names.some((name) => ['1', 'true'].includes(query.get(name) ?? ''));
  const options = { stdin: given('input', 'stdin'), stdout: given('output', 'stdout'), stderr: given('error', 'stderr'), tty: given('tty') };
  if (!options.stdin && !options.stdout && !options.stderr) throw new HttpError(400, 'you must specify at least 1 of stdin, stdout, stderr');
  // A terminal has one output.
  return options.tty && options.stderr ? { ...options, stderr: false } : options;
}

/** `url` is the runtime's, for this one command. */
export async function serveRemoteCommand(upgrade: Upgrade, url: string, options: RemoteCommandOptions): Promise<void> {
  if (upgradeKind(upgrade.request) === 'websocket') await overWebSocket(upgrade, url, options);
  else await connectThrough(upgrade, url);
}

async function connectThrough({ request, socket, head }: Upgrade, url: string): Promise<void> {
  const runtime = await dial(url, offeredStreamProtocols(request));
  if (head.length > 0) socket.unshift(head);
  acceptUpgrade(socket, { Upgrade: 'SPDY/3.1', ...(runtime.protocol === '' ? {} : { 'X-Stream-Protocol-Version': runtime.protocol }) });
  await joinStreams(socket, runtime.socket);
}

async function overWebSocket({ request, socket, head }: Upgrade, url: string, options: RemoteCommandOptions): Promise<void> {
  const protocol = chosenProtocol(request, channelProtocols);
  if (protocol === undefined) throw new HttpError(400, `none of the offered protocols is known: ${channelProtocols.join(', ')}`);
  const session = new SpdySession((await dial(url, [streamProtocol])).socket, { role: 'client' });
  try {
    const streams = await openStreams(session, options);
    const client = new ChannelSocket(await acceptWebSocket(request, socket, head, protocol), protocol);
    // From here on the connection is the client's protocol's: what goes wrong can only end it.
    await carry(client, streams, options).catch(() => undefined);
    client.close();
  } finally {
    session.destroy();
  }
}

interface CommandStreams {
  readonly error: SpdyStream;
  readonly stdin: SpdyStream | undefined;
  readonly stdout: SpdyStream | undefined;
  readonly stderr: SpdyStream | undefined;
  readonly resize: SpdyStream | undefined;
}

async function openStreams(session: SpdySession, options: RemoteCommandOptions): Promise<CommandStreams> {
  const open = async (type: keyof CommandStreams, wanted: boolean): Promise<SpdyStream | undefined> =>
    wanted ? session.openStream({ streamtype: type }) : undefined;
  const [error, stdin, stdout, stderr, resize] = await Promise.all([
    session.openStream({ streamtype: 'error' }),
    open('stdin', options.stdin),
    open('stdout', options.stdout),
    open('stderr', options.stderr),
    open('resize', options.tty),
  ]);
  return { error, stdin, stdout, stderr, resize };
}

/** Resolves when the command is over and all was said, or the client is gone. */
async function carry(client: ChannelSocket, streams: CommandStreams, options: RemoteCommandOptions): Promise<void> {
  const inputs = new Map<number, SpdyStream | undefined>([
    [channels.stdin, streams.stdin],
    [channels.resize, streams.resize],
  ]);
  const gone = new Promise<void>((resolve) => {
    client.listen({
      data(channel, data) {
        const stream = inputs.get(channel);
        if (stream === undefined || stream.write(data) || stream.destroyed) return undefined;
        return new Promise((written) => {
          stream.once('drain', written);
          stream.once('close', written);
        });
      },
      end: (channel) => void inputs.get(channel)?.end(),
      closed: resolve,
    });
  });
  // An empty message tells the client that the command has begun, before it says anything.
  await client.send(options.stdout ? channels.stdout : options.stderr ? channels.stderr : channels.error, Buffer.alloc(0));
  const done = async (): Promise<void> => {
    const [status] = await Promise.all([
      textOf(streams.error),
      output(client, channels.stdout, streams.stdout),
      output(client, channels.stderr, streams.stderr),
    ]);
    const last = lastWord(client.protocol, status);
    if (last !== '') await client.send(channels.error, Buffer.from(last));
  };
  await Promise.race([done(), gone]);
}

async function output(client: ChannelSocket, channel: number, stream: SpdyStream | undefined): Promise<void> {
  if (stream === undefined) return;
  for await (const chunk of leftOpen(stream)) await client.send(channel, chunk as Buffer);
}

/** What the error channel ends with: a `Status` from version 4 on, before that the error's text or nothing. */
function lastWord(protocol: string, status: string): string {
  const lost = { metadata: {}, status: 'Failure', message: 'the connection to the container runtime was lost', reason: 'InternalError', code: 500 };
  const text = status === '' ? JSON.stringify(lost) : status;
  if (/^v[45]\./.test(protocol)) return text;
  const { status: outcome, message } = JSON.parse(text) as { status?: string; message?: string };
  return outcome === 'Success' ? '' : (message ?? 'the command failed');
}

/**
 * Reads without resetting the stream afterwards. The runtime closes its connection right behind its last word, and what it has not read by then, such as
 * a reset, would make the kernel throw that word away.
 */
function leftOpen(stream: SpdyStream): AsyncIterable<unknown> {
  return stream.iterator({ destroyOnReturn: false });
}

async function textOf(stream: SpdyStream): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of leftOpen(stream)) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

async function dial(url: string, protocols: readonly string[]): Promise<Awaited<ReturnType<typeof dialSpdy>>> {
  try {
    return await dialSpdy(url, protocols);
  } catch (error) {
    if (error instanceof UpgradeRefused) throw new HttpError(error.statusCode, error.message);
    throw error;
  }
}
