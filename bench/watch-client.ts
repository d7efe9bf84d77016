/**
 * A crowd of watchers in a process of its own, so that what reading takes is not taken from whoever writes. It counts the ends of events and looks for the time
 * in some of them, and parses nothing. usage: watch-client.ts PORT WATCHERS PATH TOKEN, with a channel to its parent: it says `open` when all watches have
 * begun, and answers each message with what has come since.
 */
import { connect } from 'node:http2';

export interface Seen {
  readonly events: number;
  /** How long ago what was read had been sent, of every twentieth watcher; sorted. */
  readonly lagsMs: readonly number[];
}

/** As Go's client does, many over one connection. */
const perConnection = 100;
const measuredOf = 20;
const windowBytes = 64 * 1024 * 1024;
const end = Buffer.from('}\n');
const mark = Buffer.from('"sentMs":"');

const [, , port, count, path, token] = process.argv;
let events = 0;
let lagsMs: number[] = [];

function read(chunk: Buffer, isMeasured: boolean): void {
  const nowMs = performance.timeOrigin + performance.now();
  for (let at = chunk.indexOf(end); at >= 0; at = chunk.indexOf(end, at + end.length)) events++;
  if (!isMeasured) return;
  for (let at = chunk.indexOf(mark); at >= 0; at = chunk.indexOf(mark, at + mark.length)) {
    const from = at + mark.length;
    const sentMs = Number(chunk.toString('latin1', from, chunk.indexOf('"', from)));
    if (sentMs > 0) lagsMs.push(nowMs - sentMs);
  }
}

async function openSome(from: number, until: number): Promise<void> {
  const session = connect(`https://127.0.0.1:${port}`, { rejectUnauthorized: false });
  session.once('connect', () => session.setLocalWindowSize(windowBytes));
  const opened: Promise<void>[] = [];
  for (let i = from; i < until; i++) {
    const stream = session.request({ ':path': path, authorization: `Bearer ${token}` });
    opened.push(
      new Promise((resolve, reject) => {
        stream.on('error', reject);
        stream.on('response', () => resolve());
      }),
    );
    stream.on('data', (chunk: Buffer) => read(chunk, i % measuredOf === 0));
  }
  await Promise.all(opened);
}

for (let from = 0; from < Number(count); from += perConnection) await openSome(from, Math.min(Number(count), from + perConnection));
process.on('message', () => {
  process.send?.({ events, lagsMs: lagsMs.toSorted((a, b) => a - b) } satisfies Seen);
  events = 0;
  lagsMs = [];
});
process.send?.('open');
