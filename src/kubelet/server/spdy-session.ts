/**
 * A SPDY/3.1 connection, from either end: streams as Node duplexes over one socket that was upgraded. Flow control is as moby/spdystream does it,
 * which both kubectl and containerd speak: no windows; a reader that is slow slows the whole connection.
 */
import { Duplex } from 'node:stream';
import { dataHeader, encodeFrame, FrameReader, rstStatus, type SpdyFrame } from './spdy-frames.ts';
import { HeaderBlockReader, HeaderBlockWriter, type SpdyHeaders } from './spdy-header-block.ts';

export interface SpdySessionOptions {
  readonly role: 'client' | 'server';
  /** A stream the other side opened. Throwing refuses it. */
  readonly onStream?: (stream: SpdyStream) => void;
}

/** Where a stream's success is told on another stream: its reading ends after this, and with this error if there is one. */
export type Verdict = Promise<Error | undefined>;

const mostStreams = 1_000;

export class SpdySession {
  /** Resolves when the connection is over, however it ended. */
  readonly closed: Promise<void>;
  readonly #socket: Duplex;
  readonly #options: SpdySessionOptions;
  readonly #streams = new Map<number, SpdyStream>();
  readonly #replies = new Map<number, { resolve: () => void; reject: (error: Error) => void }>();
  readonly #headerWriter = new HeaderBlockWriter();
  readonly #headerReader = new HeaderBlockReader();
  #nextStreamId: number;
  #lastSeenStreamId = 0;

  constructor(socket: Duplex, options: SpdySessionOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#nextStreamId = options.role === 'client' ? 1 : 2;
    socket.on('error', () => undefined);
    this.closed = this.#run();
  }

  /** Resolves when the other side has accepted it. */
  async openStream(headers: SpdyHeaders, verdict?: Verdict): Promise<SpdyStream> {
    if (this.#socket.destroyed) throw new Error('the connection is closed');
    const streamId = this.#nextStreamId;
    this.#nextStreamId += 2;
    const stream = this.#addStream(streamId, headers, verdict);
    const accepted = new Promise<void>((resolve, reject) => this.#replies.set(streamId, { resolve, reject }));
    this.#send({ type: 'syn-stream', streamId, fin: false, headerBlock: this.#headerWriter.write(headers) });
    try {
      await accepted;
    } finally {
      this.#replies.delete(streamId);
    }
    return stream;
  }

  /** Ends the connection after what was written. */
  close(): void {
    if (this.#socket.destroyed || this.#socket.writableEnded) return;
    this.#socket.end(encodeFrame({ type: 'goaway', lastStreamId: this.#lastSeenStreamId, status: 0 }));
  }

  destroy(): void {
    this.#socket.destroy();
  }

  async #run(): Promise<void> {
    const reader = new FrameReader();
    try {
      for await (const chunk of this.#socket.iterator({ destroyOnReturn: false })) {
        for (const frame of reader.push(chunk as Buffer)) await this.#receive(frame);
      }
    } catch {
      // A broken connection, or a peer that does not speak SPDY: over either way.
    } finally {
      for (const { reject } of this.#replies.values()) reject(new Error('the connection was closed'));
      for (const stream of this.#streams.values()) stream.connectionLost();
      this.#streams.clear();
      this.#headerReader.close();
      if (this.#socket.writableEnded) this.#socket.resume();
      this.#socket.destroy();
    }
  }

  async #receive(frame: SpdyFrame): Promise<void> {
    switch (frame.type) {
      case 'data':
        await this.#streams.get(frame.streamId)?.receive(frame.data, frame.fin);
        break;
      case 'syn-stream':
        this.#accept(frame.streamId, frame.fin, await this.#headerReader.read(frame.headerBlock));
        break;
      case 'syn-reply':
        await this.#headerReader.read(frame.headerBlock);
        this.#replies.get(frame.streamId)?.resolve();
        if (frame.fin) await this.#streams.get(frame.streamId)?.receive(Buffer.alloc(0), true);
        break;
      case 'headers':
        // Read all the same: the blocks of a connection are one compressed stream.
        await this.#headerReader.read(frame.headerBlock);
        if (frame.fin) await this.#streams.get(frame.streamId)?.receive(Buffer.alloc(0), true);
        break;
      case 'rst-stream':
        this.#replies.get(frame.streamId)?.reject(new Error(`the stream was refused with status ${frame.status}`));
        this.#streams.get(frame.streamId)?.connectionLost();
        break;
      case 'ping':
        this.#send(frame);
        break;
      case 'goaway':
      case 'ignored':
        break;
    }
  }

  #accept(streamId: number, fin: boolean, headers: SpdyHeaders): void {
    const { onStream } = this.#options;
    if (onStream === undefined || this.#streams.has(streamId) || this.#streams.size >= mostStreams) {
      this.#send({ type: 'rst-stream', streamId, status: rstStatus.refusedStream });
      return;
    }
    this.#lastSeenStreamId = streamId;
    const stream = this.#addStream(streamId, headers);
    try {
      onStream(stream);
    } catch {
      stream.destroy();
      return;
    }
    this.#send({ type: 'syn-reply', streamId, fin: false, headerBlock: this.#headerWriter.write({}) });
    if (fin) void stream.receive(Buffer.alloc(0), true);
  }

  #addStream(streamId: number, headers: SpdyHeaders, verdict?: Verdict): SpdyStream {
    const stream = new SpdyStream(streamId, headers, {
      write: (chunks, done) => this.#write(chunks, done),
      gone: () => this.#streams.delete(streamId),
      verdict,
    });
    this.#streams.set(streamId, stream);
    return stream;
  }

  #send(frame: Exclude<SpdyFrame, { type: 'ignored' }>): void {
    this.#write([encodeFrame(frame)], () => undefined);
  }

  #write(chunks: readonly Buffer[], done: (error?: Error | null) => void): void {
    if (this.#socket.destroyed || this.#socket.writableEnded) {
      done();
      return;
    }
    if (chunks.length > 1) this.#socket.cork();
    for (const chunk of chunks.slice(0, -1)) this.#socket.write(chunk);
    const last = chunks.at(-1);
    if (last === undefined) done();
    else this.#socket.write(last, () => done());
    if (chunks.length > 1) this.#socket.uncork();
  }
}

interface StreamOutput {
  write(chunks: readonly Buffer[], done: (error?: Error | null) => void): void;
  gone(): void;
  readonly verdict: Verdict | undefined;
}

const largestWrite = 64 * 1024;

/** One stream. Ending the writable side half-closes it; destroying it early resets it. */
export class SpdyStream extends Duplex {
  readonly id: number;
  readonly headers: SpdyHeaders;
  readonly #output: StreamOutput;
  #remoteFinished = false;
  #localFinished = false;
  #onRead: (() => void) | undefined;

  constructor(id: number, headers: SpdyHeaders, output: StreamOutput) {
    super({ allowHalfOpen: true });
    this.id = id;
    this.headers = headers;
    this.#output = output;
    this.on('error', () => undefined);
  }

  /** Resolves when there is room for more. */
  receive(data: Buffer, fin: boolean): Promise<void> {
    if (this.#remoteFinished || this.destroyed) return Promise.resolve();
    const room = data.length === 0 || this.push(data);
    if (fin) this.#finishReading();
    if (room || fin || this.destroyed) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onRead = resolve;
    });
  }

  /** The other side reset it, or is gone: what has arrived can still be read, what is written goes nowhere. */
  connectionLost(): void {
    this.#localFinished = true;
    if (!this.#remoteFinished && !this.destroyed) this.#finishReading();
    this.#wake();
    if (!this.writableEnded) this.end();
  }

  override _read(): void {
    this.#wake();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    if (this.#localFinished) {
      done();
      return;
    }
    const pieces: Buffer[] = [];
    for (let start = 0; start < chunk.length; start += largestWrite) {
      const piece = chunk.subarray(start, start + largestWrite);
      pieces.push(dataHeader(this.id, false, piece.length), piece);
    }
    this.#output.write(pieces, done);
  }

  override _final(done: (error?: Error | null) => void): void {
    if (this.#localFinished) {
      done();
      return;
    }
    this.#localFinished = true;
    this.#output.write([dataHeader(this.id, true, 0)], done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    if (!this.#localFinished || !this.#remoteFinished) {
      this.#output.write([encodeFrame({ type: 'rst-stream', streamId: this.id, status: rstStatus.cancel })], () => undefined);
    }
    this.#localFinished = true;
    this.#remoteFinished = true;
    this.#wake();
    this.#output.gone();
    done(error);
  }

  #finishReading(): void {
    this.#remoteFinished = true;
    const end = (error?: Error): void => {
      if (error !== undefined) this.destroy(error);
      else if (!this.destroyed) this.push(null);
    };
    if (this.#output.verdict === undefined) end();
    else void this.#output.verdict.then(end, end);
  }

  #wake(): void {
    this.#onRead?.();
    this.#onRead = undefined;
  }
}
