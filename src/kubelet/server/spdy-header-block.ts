/**
 * SPDY/3.1's header blocks (https://www.chromium.org/spdy/spdy-protocol/spdy-protocol-draft3-1/, section 2.6.10): names and values, deflated in one
 * zlib stream per direction that starts from a fixed dictionary. Names are lower case.
 */
import type { ReadableOptions } from 'node:stream';
import { constants, createInflate, type Inflate, type ZlibOptions } from 'node:zlib';

export type SpdyHeaders = Readonly<Record<string, string>>;

// oxfmt-ignore
const dictionaryWords = [
  'options', 'head', 'post', 'put', 'delete', 'trace', 'accept', 'accept-charset', 'accept-encoding', 'accept-language', 'accept-ranges', 'age',
  'allow', 'authorization', 'cache-control', 'connection', 'content-base', 'content-encoding', 'content-language', 'content-length',
  'content-location', 'content-md5', 'content-range', 'content-type', 'date', 'etag', 'expect', 'expires', 'from', 'host', 'if-match',
  'if-modified-since', 'if-none-match', 'if-range', 'if-unmodified-since', 'last-modified', 'location', 'max-forwards', 'pragma',
  'proxy-authenticate', 'proxy-authorization', 'range', 'referer', 'retry-after', 'server', 'te', 'trailer', 'transfer-encoding', 'upgrade',
  'user-agent', 'vary', 'via', 'warning', 'www-authenticate', 'method', 'get', 'status', '200 OK', 'version', 'HTTP/1.1', 'url', 'public',
  'set-cookie', 'keep-alive', 'origin',
];
const dictionaryTail =
  '100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505203 Non-Authoritative Information204 No Content' +
  '301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented' +
  '503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT' +
  'chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=' +
  'gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.';

export const spdyDictionary = Buffer.concat([...dictionaryWords.map(lengthPrefixed), Buffer.from(dictionaryTail)]);

/**
 * Writes blocks without compressing them: a deflate stream may consist of stored blocks, the few headers there are do not matter, and so no state
 * is kept. The empty block at the end makes the reader hand out what it has, as zlib's sync flush does.
 */
export class HeaderBlockWriter {
  #started = false;

  write(headers: SpdyHeaders): Buffer {
    const entries = Object.entries(headers);
    const pairs = entries.flatMap(([name, value]) => [lengthPrefixed(name.toLowerCase()), lengthPrefixed(value)]);
    const block = Buffer.concat([uint32(entries.length), ...pairs]);
    if (block.length > 0xffff) throw new RangeError('headers are longer than 65535 bytes');
    const storedHeader = Buffer.alloc(5);
    storedHeader.writeUInt16LE(block.length, 1);
    storedHeader.writeUInt16LE(~block.length & 0xffff, 3);
    const start = this.#started ? Buffer.alloc(0) : zlibStart;
    this.#started = true;
    return Buffer.concat([start, storedHeader, block, emptyStoredBlock]);
  }
}

const inflateOptions: ZlibOptions & Pick<ReadableOptions, 'highWaterMark'> = {
  dictionary: spdyDictionary,
  finishFlush: constants.Z_SYNC_FLUSH,
  flush: constants.Z_SYNC_FLUSH,
  // All of one block must fit, as it is taken out only when it is whole.
  highWaterMark: 1024 * 1024,
};

/** Reads blocks in the order they came; each must be read before the next is given. */
export class HeaderBlockReader {
  readonly #inflate: Inflate = createInflate(inflateOptions);

  read(compressed: Buffer): Promise<SpdyHeaders> {
    return new Promise((resolve, reject) => {
      const fail = (error: Error): void => reject(error);
      this.#inflate.once('error', fail);
      this.#inflate.write(compressed, () => {
        this.#inflate.off('error', fail);
        const chunks: Buffer[] = [];
        for (let chunk = nextChunk(this.#inflate); chunk !== null; chunk = nextChunk(this.#inflate)) chunks.push(chunk);
        try {
          resolve(parse(Buffer.concat(chunks)));
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)));
        }
      });
    });
  }

  close(): void {
    this.#inflate.on('error', () => undefined).destroy();
  }
}

function nextChunk(inflate: Inflate): Buffer | null {
  return inflate.read() as Buffer | null;
}

function parse(block: Buffer): SpdyHeaders {
  const headers: Record<string, string> = {};
  let position = 4;
  const next = (): string => {
    const start = position + 4;
    position = start + block.readUInt32BE(position);
    if (position > block.length) throw new RangeError('a header block is cut short');
    return block.toString('utf8', start, position);
  };
  for (let left = block.readUInt32BE(0); left > 0; left--) {
    const name = next().toLowerCase();
    headers[name] = next();
  }
  return headers;
}

function lengthPrefixed(text: string): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([uint32(bytes.length), bytes]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** Deflate with a 32 KiB window, preset dictionary, and the dictionary's Adler-32. */
const zlibStart = Buffer.concat([Buffer.from([0x78, 0x20]), uint32(adler32(spdyDictionary))]);
const emptyStoredBlock = Buffer.from([0, 0, 0, 0xff, 0xff]);

function adler32(bytes: Buffer): number {
  let [a, b] = [1, 0];
  for (const byte of bytes) {
    a = (a + byte) % 65521;
    b = (b + a) % 65521;
  }
  return b * 65536 + a;
}
