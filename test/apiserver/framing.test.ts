/** What is sent to the port byte by byte, by a client that is broken or means harm: never a 500, never a crash, never a connection that stays. */
import assert from 'node:assert/strict';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { configMap, startTestServer, type TestServer } from './server.ts';

let server: TestServer;

before(async () => {
  server = await startTestServer();
});

after(() => server.close());

function open(options: { minVersion?: 'TLSv1'; maxVersion?: 'TLSv1.1' | 'TLSv1.2' } = {}): Promise<TLSSocket> {
  const { admin, ca, port } = server;
  return new Promise((resolve, reject) => {
    const identity = { ca: ca.certificate, cert: admin.certificate, key: admin.key };
    const socket = connectTls({ host: '127.0.0.1', port, servername: 'localhost', ...identity, ...options }, () => resolve(socket));
    socket.on('error', reject);
  });
}

/** All that comes back after this side has said all it has to say. */
function exchange(...pieces: readonly (string | Buffer)[]): Promise<string> {
  return converse(pieces, true);
}

/** All that comes back until the server closes the connection, with or without being told that no more comes. */
async function converse(pieces: readonly (string | Buffer)[], ends: boolean): Promise<string> {
  const socket = await open();
  return new Promise((resolve) => {
    const received: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => received.push(chunk));
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(Buffer.concat(received).toString('latin1')));
    for (const piece of pieces) socket.write(piece);
    if (ends) socket.end();
  });
}

const path = '/api/v1/namespaces/default/configmaps';

function codes(text: string): number[] {
  return [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, code]) => Number(code));
}

const broken: readonly (readonly [string, string, number])[] = [
  ['a method nobody knows', 'BREW /api HTTP/1.1\r\nHost: x\r\n\r\n', 400],
  ['no host', `GET ${path} HTTP/1.1\r\n\r\n`, 400],
  ['a version that is none', `GET ${path} HTTP/9.9\r\nHost: x\r\n\r\n`, 400],
  ['a length that is no number', `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n`, 400],
  ['a negative length', `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n`, 400],
  ['two lengths', `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc`, 400],
  [
    'a length and chunks: the one that hides a request behind another',
    `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /version HTTP/1.1\r\nHost: x\r\n\r\n`,
    400,
  ],
  ['a chunk whose length is none', `POST ${path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n`, 400],
  ['a header with a zero byte', `GET ${path} HTTP/1.1\r\nHost: x\r\nX-A: a\0b\r\n\r\n`, 400],
  ['a header folded over lines', `GET ${path} HTTP/1.1\r\nHost: x\r\nX-A: a\r\n b\r\n\r\n`, 400],
  ['line feeds without carriage returns', `GET ${path} HTTP/1.1\nHost: x\n\n`, 400],
  ['escapes in the path that are none', '/api/v1/namespaces/%zz/pods', 400],
  ['headers over 16 KiB', `GET ${path} HTTP/1.1\r\nHost: x\r\nX-A: ${'a'.repeat(17_000)}\r\n\r\n`, 431],
  ['a path over 16 KiB', `GET /${'a'.repeat(17_000)} HTTP/1.1\r\nHost: x\r\n\r\n`, 431],
];

for (const [what, sent, code] of broken) {
  test(`${what} is a ${code}`, async () => {
    const answer = await exchange(sent.startsWith('/') ? `GET ${sent} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n` : sent);
    assert.deepEqual(codes(answer), [code], answer.slice(0, 300));
    // Without a host the runtime answers by itself, and without words.
    if (what !== 'no host') assert.match(answer, /"kind":"Status"/);
  });
}

test('headers just below the limit are read', async () => {
  const answer = await exchange(`GET /version HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-A: ${'a'.repeat(15_000)}\r\n\r\n`);
  assert.deepEqual(codes(answer), [200]);
});

test('requests sent without waiting are answered in order', async () => {
  const get = (name: string, last = ''): string => `GET /api/v1/namespaces/${name} HTTP/1.1\r\nHost: x\r\n${last}\r\n`;
  const answer = await converse([`${get('default')}${get('nowhere')}${get('kube-system', 'Connection: close\r\n')}`], false);
  assert.deepEqual(codes(answer), [200, 404, 200]);
});

test('a request in single bytes is a request', async () => {
  const answer = await exchange(...'GET /version HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'.split(''));
  assert.deepEqual(codes(answer), [200]);
});

test('a body that stops half-way writes nothing', async () => {
  const body = JSON.stringify(configMap('half', { k: 'v' }));
  await exchange(
    `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`,
    body.slice(0, body.length - 2),
  );
  assert.equal((await server.send(`${path}/half`)).code, 404);
});

const whole = `POST ${path}?dryRun=All HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n`;

test('whatever becomes of the bytes of a request, the answer is no 500 and the connection ends', async () => {
  const json = JSON.stringify(configMap('fuzz', { k: 'v' }));
  const request = Buffer.from(`${whole}${json.length.toString(16)}\r\n${json}\r\n0\r\n\r\n`);
  const damage = fc.record({ at: fc.nat(request.length - 1), byte: fc.nat(255), drop: fc.nat(3), insert: fc.uint8Array({ maxLength: 4 }) });
  await fc.assert(
    fc.asyncProperty(fc.array(damage, { minLength: 1, maxLength: 4 }), fc.nat(request.length), async (damages, cut) => {
      let bytes = Buffer.from(request);
      for (const { at, byte, drop, insert } of damages) {
        bytes = Buffer.concat([bytes.subarray(0, at), Buffer.from([byte]), insert, bytes.subarray(at + drop)]);
      }
      for (const code of codes(await exchange(bytes.subarray(0, cut), bytes.subarray(cut)))) assert.ok(code < 500, String(code));
    }),
    { numRuns: 60 },
  );
  assert.equal((await server.send('/healthz')).text, 'ok');
});

test('TLS before 1.2 is refused', async () => {
  await assert.rejects(open({ minVersion: 'TLSv1', maxVersion: 'TLSv1.1' }));
  const socket = await open({ maxVersion: 'TLSv1.2' });
  assert.equal(socket.getProtocol(), 'TLSv1.2');
  socket.destroy();
});
