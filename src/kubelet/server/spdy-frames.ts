/** SPDY/3.1's frames, cut out of a byte stream and made into bytes (draft 3.1, section 2.2). Header blocks stay compressed here. */

export type SpdyFrame =
  | { readonly type: 'data'; readonly streamId: number; readonly fin: boolean; readonly data: Buffer }
  | { readonly type: 'syn-stream'; readonly streamId: number; readonly fin: boolean; readonly headerBlock: Buffer }
  | { readonly type: 'syn-reply'; readonly streamId: number; readonly fin: boolean; readonly headerBlock: Buffer }
  | { readonly type: 'headers'; readonly streamId: number; readonly fin: boolean; readonly headerBlock: Buffer }
  | { readonly type: 'rst-stream'; readonly streamId: number; readonly status: number }
  | { readonly type: 'ping'; readonly id: number }
  | { readonly type: 'goaway'; readonly lastStreamId: number; readonly status: number }
  /** SETTINGS, WINDOW_UPDATE, CREDENTIAL and what is not known: nothing here acts on them, as moby/spdystream does not. */
  | { readonly type: 'ignored'; readonly control: number };

export const rstStatus = { protocolError: 1, invalidStream: 2, refusedStream: 3, cancel: 5, internalError: 6 } as const;

export class SpdyError extends Error {}

const version = 3;
const controlBit = 0x80;
const finFlag = 1;
const headerLength = 8;
const types = { synStream: 1, synReply: 2, rstStream: 3, settings: 4, ping: 6, goaway: 7, headers: 8, windowUpdate: 9 } as const;
/** Control frames are small; a larger one is an attack or a mistake. Data frames may fill their 24 bits. */
const largestControlFrame = 256 * 1024;

/** Takes bytes as they come and gives the frames that are whole. */
export class FrameReader {
  #pending: Buffer[] = [];
  #length = 0;

  push(chunk: Buffer): SpdyFrame[] {
    this.#pending.push(chunk);
    this.#length += chunk.length;
    const frames: SpdyFrame[] = [];
    while (this.#length >= headerLength) {
      const header = this.#peek(headerLength);
      const length = header.readUIntBE(5, 3);
      const isControl = (header.readUInt8(0) & controlBit) !== 0;
      if (isControl && length > largestControlFrame) throw new SpdyError(`a control frame of ${length} bytes is too large`);
      if (this.#length < headerLength + length) break;
      frames.push(parseFrame(this.#take(headerLength + length), isControl));
    }
    return frames;
  }

  #peek(length: number): Buffer {
    if ((this.#pending[0]?.length ?? 0) < length) this.#pending = [Buffer.concat(this.#pending)];
    return this.#pending[0] ?? Buffer.alloc(0);
  }

  #take(length: number): Buffer {
    const first = this.#peek(length);
    this.#length -= length;
    if (first.length === length) this.#pending.shift();
    else this.#pending[0] = first.subarray(length);
    return first.subarray(0, length);
  }
}

export function encodeFrame(frame: Exclude<SpdyFrame, { type: 'ignored' }>): Buffer {
  switch (frame.type) {
    case 'data':
      return Buffer.concat([dataHeader(frame.streamId, frame.fin, frame.data.length), frame.data]);
    case 'syn-stream':
      // Associated stream, priority and credential slot are all 0.
      return control(types.synStream, frame.fin, Buffer.concat([uint32s(frame.streamId, 0), Buffer.alloc(2), frame.headerBlock]));
    case 'syn-reply':
      return control(types.synReply, frame.fin, Buffer.concat([uint32s(frame.streamId), frame.headerBlock]));
    case 'headers':
      return control(types.headers, frame.fin, Buffer.concat([uint32s(frame.streamId), frame.headerBlock]));
    case 'rst-stream':
      return control(types.rstStream, false, uint32s(frame.streamId, frame.status));
    case 'ping':
      return control(types.ping, false, uint32s(frame.id));
    case 'goaway':
      return control(types.goaway, false, uint32s(frame.lastStreamId, frame.status));
  }
}

/** Alone, so that large data need not be copied to go behind it. */
export function dataHeader(streamId: number, fin: boolean, length: number): Buffer {
  const header = Buffer.alloc(headerLength);
  header.writeUInt32BE(streamId, 0);
  header.writeUInt8(fin ? finFlag : 0, 4);
  header.writeUIntBE(length, 5, 3);
  return header;
}

function parseFrame(bytes: Buffer, isControl: boolean): SpdyFrame {
  const fin = (bytes.readUInt8(4) & finFlag) !== 0;
  const body = bytes.subarray(headerLength);
  if (!isControl) return { type: 'data', streamId: bytes.readUInt32BE(0), fin, data: body };
  const spoken = bytes.readUInt16BE(0) & 0x7fff;
  if (spoken !== version) throw new SpdyError(`SPDY version ${spoken} is not spoken here`);
  const control = bytes.readUInt16BE(2);
  switch (control) {
    case types.synStream:
      return { type: 'syn-stream', streamId: id(body, 0), fin, headerBlock: body.subarray(10) };
    case types.synReply:
      return { type: 'syn-reply', streamId: id(body, 0), fin, headerBlock: body.subarray(4) };
    case types.headers:
      return { type: 'headers', streamId: id(body, 0), fin, headerBlock: body.subarray(4) };
    case types.rstStream:
      return { type: 'rst-stream', streamId: id(body, 0), status: id(body, 4) };
    case types.ping:
      return { type: 'ping', id: id(body, 0) };
    case types.goaway:
      return { type: 'goaway', lastStreamId: id(body, 0), status: id(body, 4) };
    default:
      return { type: 'ignored', control };
  }
}

function id(body: Buffer, offset: number): number {
  if (body.length < offset + 4) throw new SpdyError('a control frame is cut short');
  return body.readUInt32BE(offset) & 0x7fffffff;
}

function control(type: number, fin: boolean, body: Buffer): Buffer {
  const header = Buffer.alloc(headerLength);
  header.writeUInt16BE(0x8000 | version, 0);
  header.writeUInt16BE(type, 2);
  header.writeUInt8(fin ? finFlag : 0, 4);
  header.writeUIntBE(body.length, 5, 3);
  return Buffer.concat([header, body]);
}

function uint32s(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  for (const [index, value] of values.entries()) bytes.writeUInt32BE(value, index * 4);
  return bytes;
}
