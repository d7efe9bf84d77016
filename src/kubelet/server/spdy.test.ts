import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { describe, test, type TestContext } from 'node:test';
import { constants, createDeflate } from 'node:zlib';
import { encodeFrame, FrameReader, type SpdyFrame } from './spdy-frames.ts';
import { HeaderBlockReader, HeaderBlockWriter, spdyDictionary, type SpdyHeaders } from './spdy-header-block.ts';
import { SpdySession, type SpdyStream } from './spdy-session.ts';

describe('SPDY frames', () => {
  const frames: readonly Exclude<SpdyFrame, { type: 'ignored' }>[] = [
    { type: 'data', streamId: 1, fin: false, data: Buffer.from('hello') },
    { type: 'data', streamId: 3, fin: true, data: Buffer.alloc(0) },
    { type: 'syn-stream', streamId: 5, fin: false, headerBlock: Buffer.from([1, 2, 3]) },
    { type: 'syn-reply', streamId: 5, fin: true, headerBlock: Buffer.from([4]) },
    { type: 'headers', streamId: 5, fin: false, headerBlock: Buffer.from([5, 6]) },
    { type: 'rst-stream', streamId: 7, status: 5 },
    { type: 'ping', id: 9 },
    { type: 'goaway', lastStreamId: 11, status: 0 },
  ];
  const bytes = Buffer.concat(frames.map(encodeFrame));

  test('come back as they were sent', () => assert.deepEqual(new FrameReader().push(bytes), frames));

  test('may arrive one byte at a time', () => {
    const reader = new FrameReader();
    const read = [...bytes].flatMap((byte) => reader.push(Buffer.from([byte])));
    assert.deepEqual(read, frames);
  });

  test('settings and window updates are passed over', () => {
    const settings = Buffer.from([0x80, 3, 0, 4, 0, 0, 0, 4, 0, 0, 0, 0]);
    assert.deepEqual(new FrameReader().push(settings), [{ type: 'ignored', control: 4 }]);
  });

  test('of another version are refused', () => {
    assert.throws(() => new FrameReader().push(Buffer.from([0x80, 2, 0, 6, 0, 0, 0, 4, 0, 0, 0, 1])), /version 2/);
  });
});

describe('SPDY header blocks', () => {
  test('start from the dictionary of the specification', () => {
    assert.equal(spdyDictionary.length, 1423);
  });

  test('are read in sequence as the writer wrote them', async () => {
    const [writer, reader] = [new HeaderBlockWriter(), new HeaderBlockReader()];
    const blocks: SpdyHeaders[] = [{ streamtype: 'error' }, {}, { streamtype: 'data', port: '80', requestid: '0' }];
    for (const headers of blocks) assert.deepEqual(await reader.read(writer.write(headers)), headers);
    reader.close();
  });

  test('compressed by a peer that refers back to earlier ones are read', async () => {
    const deflate = createDeflate({ dictionary: spdyDictionary, level: 9 });
    const compress = (headers: SpdyHeaders): Promise<Buffer> =>
      new Promise((resolve) => {
        const chunks: Buffer[] = [];
        const collect = (chunk: Buffer): void => {
          chunks.push(chunk);
          const block = Buffer.concat(chunks);
          // What a sync flush ends with.
          if (!block.subarray(-4).equals(Buffer.from([0, 0, 0xff, 0xff]))) return;
          deflate.off('data', collect);
          resolve(block);
        };
        deflate.on('data', collect);
        deflate.write(plain(headers));
        deflate.flush(constants.Z_SYNC_FLUSH);
      });
    const reader = new HeaderBlockReader();
    const blocks: SpdyHeaders[] = [{ Streamtype: 'stdin' }, { Streamtype: 'stdin', Version: 'HTTP/1.1' }];
    for (const headers of blocks) {
      const lower = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
      assert.deepEqual(await reader.read(await compress(headers)), lower);
    }
    reader.close();
    deflate.destroy();
  });

  test('that are not zlib at all are an error', async () => {
    const reader = new HeaderBlockReader();
    await assert.rejects(reader.read(Buffer.from('no compression here')));
    reader.close();
  });
});

describe('a SPDY session', () => {
  test('carries a stream both ways, and each way ends for itself', async (t) => {
    const { client, accepted } = await sessions(t);
    const stream = await client.openStream({ streamtype: 'data' });
    const remote = await accepted();
    assert.deepEqual(remote.headers, { streamtype: 'data' });
    stream.end('question');
    assert.equal(await text(remote), 'question');
    remote.end('answer');
    assert.equal(await text(stream), 'answer');
  });

  test('keeps streams apart, and large data whole', async (t) => {
    const { client, accepted } = await sessions(t);
    const large = Buffer.alloc(3_000_000, 'x');
    const [first, second] = [await client.openStream({ n: '1' }), await client.openStream({ n: '2' })];
    const [remoteFirst, remoteSecond] = [await accepted(), await accepted()];
    first.end(large);
    second.end('small');
    const [one, two] = await Promise.all([text(remoteFirst), text(remoteSecond)]);
    assert.equal(one.length, large.length);
    assert.equal(two, 'small');
  });

  test('does not lose what came before a reset', async (t) => {
    const { client, accepted } = await sessions(t);
    const stream = await client.openStream({});
    const remote = await accepted();
    await new Promise((resolve) => remote.write('last words', resolve));
    remote.destroy();
    assert.equal(await text(stream), 'last words');
  });

  test('ends its streams when the connection breaks', async (t) => {
    const { client, server, accepted } = await sessions(t);
    const stream = await client.openStream({});
    await accepted();
    server.destroy();
    assert.equal(await text(stream), '');
    await client.closed;
    await assert.rejects(client.openStream({}), /closed/);
  });

  test('refuses streams nobody takes', async (t) => {
    const { server } = await sessions(t);
    await assert.rejects(server.openStream({}), /refused with status 3/);
  });
});

/** Two ends of one connection. */
async function sessions(t: TestContext): Promise<{ client: SpdySession; server: SpdySession; accepted: () => Promise<SpdyStream> }> {
  const listener = createServer().listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const socket = connect((listener.address() as AddressInfo).port, '127.0.0.1');
  const [peer] = (await once(listener, 'connection')) as [Socket];
  const arrived: SpdyStream[] = [];
  const waiting: ((stream: SpdyStream) => void)[] = [];
  const server = new SpdySession(peer, {
    role: 'server',
    onStream(stream) {
      const waiter = waiting.shift();
      if (waiter === undefined) arrived.push(stream);
      else waiter(stream);
    },
  });
  const client = new SpdySession(socket, { role: 'client' });
  t.after(() => {
    client.destroy();
    server.destroy();
    listener.close();
  });
  return {
    client,
    server,
    accepted() {
      const stream = arrived.shift();
      return stream === undefined ? new Promise((resolve) => waiting.push(resolve)) : Promise.resolve(stream);
    },
  };
}

/** All that is read of it; other than by iteration, the writable side stays open. */
function text(stream: SpdyStream): Promise<string> {
  return new Promise((resolve) => {
    let read = '';
    stream.setEncoding('utf8');
    stream.on('data', (chunk: string) => {
      read += chunk;
    });
    stream.once('end', () => resolve(read));
  });
}

function plain(headers: SpdyHeaders): Buffer {
  const length = (value: number): Buffer => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(value);
    return bytes;
  };
  const pairs = Object.entries(headers).flat();
  return Buffer.concat([length(pairs.length / 2), ...pairs.flatMap((part) => [length(part.length), Buffer.from(part)])]);
}
