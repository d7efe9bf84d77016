/**
 * Reads a container's log file for `kubectl logs`: the part that is asked for, and with `follow` what is added until the container ends, across the
 * kubelet's rotations (the file is renamed away and a new one begun).
 */
import { type FSWatcher, watch } from 'node:fs';
import { type FileHandle, open, readdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { World } from '../../world/world.ts';
import { type LogLine, parseLogLine } from './log-line.ts';
import type { LogOptions } from './log-options.ts';

export interface FollowedContainer {
  isRunning(): Promise<boolean>;
  /** Calls back when the container may have ended; the answer stops that. */
  onChange(callback: () => void): () => void;
}

export interface LogRequest {
  readonly path: string;
  readonly options: LogOptions;
  readonly container: FollowedContainer;
  readonly world: World;
  readonly signal: AbortSignal;
}

const readSize = 256 * 1024;
const newline = 0x0a;
/** Lost notifications must not stall a follower for ever. */
const safetyCheckMs = 2_000;

/** The log's text, in pieces. Ends at the end of the file, or with `follow` when the container has ended and all of it was read. */
export async function* readLog(request: LogRequest): AsyncGenerator<Buffer> {
  const { options, path } = request;
  const filter = new LogFilter(options);
  const following = options.follow ? new Following(request) : undefined;
  let file = await open(path, 'r').catch((error: unknown) => {
    following?.close();
    throw error;
  });
  try {
    // Who does not follow reads what there is now: a log that grows faster than it is sent would have no end.
    const end = following === undefined ? (await file.stat()).size : Infinity;
    let lines = new LineReader(file, options.tailLines === undefined ? 0 : await tailStart(file, options.tailLines), end);
    for (;;) {
      // Asked before reading: whatever a container that has ended wrote is in the file by then.
      const goesOn = following !== undefined && (await following.goesOn());
      yield* filter.takeAll(lines);
      if (filter.full || following === undefined || request.signal.aborted) return;
      const next = await nextFile(file, path);
      if (next !== undefined) {
        // What came since it was read is still missing.
        yield* filter.takeAll(lines);
        await file.close();
        file = next;
        lines = new LineReader(file, 0);
        continue;
      }
      if (!goesOn) return;
      await following.change();
    }
  } finally {
    following?.close();
    await file.close();
  }
}

/** Whole lines of a file that grows. */
class LineReader implements LineSource {
  readonly #file: FileHandle;
  readonly #buffer = Buffer.allocUnsafe(readSize);
  readonly #end: number;
  #position: number;
  #unfinished = Buffer.alloc(0);

  constructor(file: FileHandle, position: number, end = Infinity) {
    this.#file = file;
    this.#position = position;
    this.#end = end;
  }

  async next(): Promise<Buffer | undefined> {
    const wanted = Math.min(this.#buffer.length, this.#end - this.#position);
    const { bytesRead } = wanted > 0 ? await this.#file.read(this.#buffer, 0, wanted, this.#position) : { bytesRead: 0 };
    if (bytesRead === 0) return undefined;
    this.#position += bytesRead;
    const text = Buffer.concat([this.#unfinished, this.#buffer.subarray(0, bytesRead)]);
    const end = text.lastIndexOf(newline) + 1;
    this.#unfinished = text.subarray(end);
    return text.subarray(0, end);
  }
}

/** Where log lines come from. */
export interface LineSource {
  /** Some lines, each with its line break; undefined at the end of what is there. */
  next(): Promise<Buffer | undefined>;
}

/** From log lines to what is shown of them. */
export class LogFilter {
  readonly #options: LogOptions;
  /** RFC 3339 in UTC sorts as text when all have the same form; `since` has fewer digits, which sorts right too. */
  readonly #since: string | undefined;
  #left: number;
  /** A line's later pieces are not prefixed, and go the way of the first. */
  #continues = false;

  constructor(options: LogOptions) {
    this.#options = options;
    this.#since = options.sinceMs === undefined ? undefined : new Date(options.sinceMs).toISOString().slice(0, -1);
    this.#left = options.limitBytes ?? Infinity;
  }

  get full(): boolean {
    return this.#left <= 0;
  }

  async *takeAll(reader: LineSource): AsyncGenerator<Buffer> {
    for (let lines = await reader.next(); lines !== undefined && !this.full; lines = await reader.next()) {
      const output = this.#take(lines);
      if (output.length > 0) yield output;
    }
  }

  #take(lines: Buffer): Buffer {
    const pieces: Buffer[] = [];
    let length = 0;
    for (let start = 0; start < lines.length && length < this.#left;) {
      const end = lines.indexOf(newline, start);
      const line = parseLogLine(lines.subarray(start, end));
      start = end + 1;
      if (line === undefined) continue;
      for (const piece of this.#shown(line)) {
        pieces.push(piece);
        length += piece.length;
      }
    }
    const output = Buffer.concat(pieces).subarray(0, Math.min(length, this.#left));
    this.#left -= output.length;
    return output;
  }

  #shown(line: LogLine): Buffer[] {
    const { stream, timestamps } = this.#options;
    if (stream !== undefined && line.stream !== stream) return [];
    if (this.#since !== undefined && comparable(line.timestamp) < this.#since) return [];
    const prefix = timestamps && !this.#continues ? [Buffer.from(`${line.timestamp} `)] : [];
    this.#continues = line.partial;
    return line.partial ? [...prefix, line.content] : [...prefix, line.content, Buffer.from('\n')];
  }
}

/** Runtimes write local time with its offset, or UTC with `Z`. */
function comparable(timestamp: string): string {
  if (timestamp.endsWith('Z')) return timestamp.slice(0, -1);
  const fraction = /\.(\d+)/.exec(timestamp)?.[1] ?? '';
  const ms = Date.parse(timestamp);
  return Number.isNaN(ms) ? timestamp : `${new Date(ms).toISOString().slice(0, 19)}.${fraction.padEnd(9, '0')}`;
}

/** Where the last so many lines of the file begin; read backwards, so that a large file costs nothing. */
async function tailStart(file: FileHandle, lines: number): Promise<number> {
  const { size } = await file.stat();
  if (lines === 0) return size;
  const buffer = Buffer.allocUnsafe(64 * 1024);
  // The first line break from the end closes the last whole line, and begins none that is wanted.
  let found = -1;
  for (let end = size; end > 0;) {
    const start = Math.max(0, end - buffer.length);
    const { bytesRead } = await file.read(buffer, 0, end - start, start);
    for (let at = bytesRead - 1; at >= 0; at--) {
      if (buffer[at] !== newline) continue;
      found++;
      if (found === lines) return start + at + 1;
    }
    end = start;
  }
  return 0;
}

const mostTries = 10;

/**
 * The file that follows this one, once it was put aside; undefined while it is the one that is written. A log may be put aside again before its follower
 * comes round, so the next one need not be the last. The runtime begins a new file a moment before it leaves the old: only what stands in it shows that it did.
 */
async function nextFile(file: FileHandle, path: string): Promise<FileHandle | undefined> {
  const { ino } = await file.stat();
  for (let tries = 0; tries < mostTries; tries++) {
    const present = await stat(path).catch(() => undefined);
    if (present === undefined || present.ino === ino) return undefined;
    const directory = dirname(path);
    // Their names end with the time they were put aside.
    const aside = (await readdir(directory)).filter((name) => name.startsWith(`${basename(path)}.`)).sort();
    const inOrder = [...aside.map((name) => join(directory, name)), path];
    const found = await Promise.all(inOrder.map((each) => stat(each).catch(() => undefined)));
    // Not found when it was removed since, and all before it: then the oldest there is.
    const at = found.findIndex((each) => each?.ino === ino) + 1;
    const [next, expected] = [inOrder[at], found[at]];
    if (next === undefined || expected === undefined) continue;
    if (expected.size === 0) return undefined;
    const opened = await open(next, 'r').catch(() => undefined);
    if (opened === undefined) continue;
    // It may have been put aside itself meanwhile, and the name be another's.
    if ((await opened.stat()).ino === expected.ino) return opened;
    await opened.close();
  }
  return undefined;
}

/** Wakes a follower when the file or its container changed. */
class Following {
  readonly #request: LogRequest;
  readonly #watcher: FSWatcher;
  readonly #stopListening: () => void;
  readonly #timer: { cancel(): void };
  #changed = false;
  #wake: (() => void) | undefined;

  constructor(request: LogRequest) {
    this.#request = request;
    const name = basename(request.path);
    // The directory, not the file: after a rotation the name means another file.
    this.#watcher = watch(dirname(request.path), (_event, changed) => {
      if (changed === name) this.#notify();
    });
    this.#watcher.on('error', () => this.#notify());
    this.#stopListening = request.container.onChange(() => this.#notify());
    this.#timer = request.world.clock.every(safetyCheckMs, () => this.#notify());
    request.signal.addEventListener('abort', this.#notify, { once: true });
  }

  async goesOn(): Promise<boolean> {
    return !this.#request.signal.aborted && (await this.#request.container.isRunning());
  }

  /** Resolves when something changed since the last call. */
  async change(): Promise<void> {
    if (!this.#changed) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    this.#changed = false;
  }

  close(): void {
    this.#watcher.close();
    this.#stopListening();
    this.#timer.cancel();
    this.#request.signal.removeEventListener('abort', this.#notify);
  }

  readonly #notify = (): void => {
    this.#changed = true;
    this.#wake?.();
    this.#wake = undefined;
  };
}
