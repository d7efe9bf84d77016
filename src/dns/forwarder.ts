/**
 * Asks outer DNS servers for names that are not the cluster's, one after the other, over UDP and, when an answer was cut short, TCP. Answers are kept
 * for as long as they say, within bounds.
 */
import { createSocket, type Socket } from 'node:dgram';
import { connect } from 'node:net';
import { type DecodedPacket, decode, TRUNCATED_RESPONSE } from 'dns-packet';
import type { World } from '../world/world.ts';

export interface Forwarder {
  ask(query: Buffer): Promise<Buffer | undefined>;
  close(): void;
}

interface Kept {
  readonly answer: Buffer;
  readonly untilMs: number;
}

const patienceMs = 2_000;
const longestKeepMs = 30_000;
const mostKept = 10_000;
const mostWaiting = 1_000;
const noSuchName = 3;

/** `servers` are IP addresses, asked in order, all on one port. */
export function startForwarder(world: World, servers: readonly string[], port = 53): Forwarder {
  const kept = new Map<string, Kept>();
  const waiting = new Map<number, (answer: Buffer) => void>();
  const sockets = new Map<'udp4' | 'udp6', Socket>();
  const closing = new AbortController();

  function socketFor(server: string): Socket {
    const type = server.includes(':') ? 'udp6' : 'udp4';
    const known = sockets.get(type);
    if (known) return known;
    const socket = createSocket(type);
    socket.unref();
    socket.on('message', (answer) => {
      if (answer.length >= 12) waiting.get(answer.readUInt16BE(0))?.(answer);
    });
    socket.on('error', () => undefined);
    sockets.set(type, socket);
    return socket;
  }

  async function ask(query: Buffer): Promise<Buffer | undefined> {
    const key = query.toString('latin1', 2);
    const known = kept.get(key);
    if (known && known.untilMs > world.clock.now()) return withId(known.answer, query.readUInt16BE(0));
    for (const server of servers) {
      if (closing.signal.aborted || waiting.size >= mostWaiting) return undefined;
      const answer = await askServer(server, query);
      if (!answer) continue;
      keep(key, answer);
      return withId(answer, query.readUInt16BE(0));
    }
    return undefined;
  }

  /** Each question out gets an id of our own, so that two clients' equal ids do not mix. */
  async function askServer(server: string, query: Buffer): Promise<Buffer | undefined> {
    let id = world.random.int(65_536);
    while (waiting.has(id)) id = (id + 1) % 65_536;
    const question = withId(query, id);
    const answered = new Promise<Buffer>((resolve) => waiting.set(id, resolve));
    const done = new AbortController();
    try {
      socketFor(server).send(question, port, server, () => undefined);
      const late = world.clock.sleep(patienceMs, AbortSignal.any([done.signal, closing.signal])).then(
        () => undefined,
        () => undefined,
      );
      const answer = await Promise.race([answered, late]);
      if (answer && (answer.readUInt16BE(2) & TRUNCATED_RESPONSE) !== 0) return (await askOverTcp(server, question)) ?? answer;
      return answer;
    } finally {
      done.abort();
      waiting.delete(id);
    }
  }

  function askOverTcp(server: string, question: Buffer): Promise<Buffer | undefined> {
    return new Promise((resolve) => {
      const socket = connect({ host: server, port, timeout: patienceMs, signal: closing.signal });
      let received = Buffer.alloc(0);
      const finish = (answer: Buffer | undefined): void => {
        socket.destroy();
        resolve(answer);
      };
      socket.on('connect', () => socket.write(Buffer.concat([lengthPrefix(question), question])));
      socket.on('data', (chunk: Buffer) => {
        received = Buffer.concat([received, chunk]);
        if (received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)) finish(received.subarray(2, 2 + received.readUInt16BE(0)));
      });
      socket.on('timeout', () => finish(undefined));
      socket.on('error', () => finish(undefined));
      socket.on('close', () => resolve(undefined));
    });
  }

  function keep(key: string, answer: Buffer): void {
    let seconds = 0;
    try {
      seconds = lifetimeOf(decode(answer));
    } catch {
      return;
    }
    if (seconds === 0) return;
    if (kept.size >= mostKept) for (const oldest of [...kept.keys()].slice(0, mostKept / 10)) kept.delete(oldest);
    kept.set(key, { answer, untilMs: world.clock.now() + Math.min(seconds * 1000, longestKeepMs) });
  }

  return {
    ask,
    close() {
      closing.abort();
      for (const socket of sockets.values()) socket.close();
    },
  };
}

/** Seconds; that there is nothing is remembered for as long as the zone's SOA says (RFC 2308). A failure is not remembered. */
function lifetimeOf({ answers = [], authorities = [], flags = 0 }: DecodedPacket): number {
  const code = flags & 0xf;
  const ttls = answers.flatMap((record) => ('ttl' in record ? [record.ttl ?? 0] : []));
  if (code === 0 && ttls.length > 0) return Math.min(...ttls);
  if (code !== 0 && code !== noSuchName) return 0;
  const soa = authorities.find((record) => record.type === 'SOA');
  return soa ? Math.min(soa.ttl ?? 0, soa.data.minimum ?? 0) : 0;
}

export function lengthPrefix(packet: Buffer): Buffer {
  const prefix = Buffer.alloc(2);
  prefix.writeUInt16BE(packet.length);
  return prefix;
}

function withId(packet: Buffer, id: number): Buffer {
  const copy = Buffer.from(packet);
  copy.writeUInt16BE(id, 0);
  return copy;
}
