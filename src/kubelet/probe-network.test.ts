import { Server, ServerCredentials, status } from '@grpc/grpc-js';
import assert from 'node:assert/strict';
import { createServer, type Server as HttpServer } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { realWorld } from '../world/real.ts';
import { realProbeNetwork } from './probe-network.ts';

const network = realProbeNetwork(realWorld({ level: 'silent' }).clock);
const here = { containerId: '', host: '127.0.0.1', timeoutMs: 5000 };

/** Longer than one byte can say. */
const longName = 'service.'.repeat(20);

describe('a probe over gRPC', () => {
  const statuses: Readonly<Record<string, number>> = { '': 1, well: 1, ill: 2, odd: 3, [longName]: 1 };
  const server = new Server();
  const silent = new Server();
  let [port, silentPort] = [0, 0];

  const listen = (on: Server): Promise<number> =>
    new Promise((resolve, reject) =>
      on.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => (error ? reject(error) : resolve(bound))),
    );

  before(async () => {
    const check = {
      path: '/grpc.health.v1.Health/Check',
      requestStream: false,
      responseStream: false,
      requestDeserialize: (bytes: Buffer): { service: string } => ({ service: bytes.toString('utf8', bytes.length > 129 ? 3 : 2) }),
      requestSerialize: ({ service }: { service: string }): Buffer => Buffer.from(service),
      responseSerialize: (code: number): Buffer => Buffer.from(code === 0 ? [] : [0x08, code]),
      responseDeserialize: (bytes: Buffer): number => bytes[1] ?? 0,
    } as const;
    server.addService(
      { Check: check },
      {
        Check({ request }: { request: { service: string } }, answer: (error: { code: number; details: string } | null, code?: number) => void) {
          const code = statuses[request.service];
          if (request.service === 'never') return;
          if (code === undefined) answer({ code: status.NOT_FOUND, details: 'unknown service' });
          else answer(null, code);
        },
      },
    );
    [port, silentPort] = await Promise.all([listen(server), listen(silent)]);
  });
  after(() => {
    server.forceShutdown();
    silent.forceShutdown();
  });

  for (const [service, serving] of [
    ['', 'SERVING'],
    ['well', 'SERVING'],
    ['ill', 'NOT_SERVING'],
    ['odd', 'SERVICE_UNKNOWN'],
    [longName, 'SERVING'],
  ] as const) {
    test(`of service ${JSON.stringify(service)} hears ${serving}`, async () => assert.equal(await network.grpc({ ...here, port, service }), serving));
  }

  test('of a service that is not there fails', async () => {
    await assert.rejects(network.grpc({ ...here, port, service: 'absent' }), /error: health rpc probe failed: unknown service/);
  });

  test('of a server without the protocol says so', async () => {
    await assert.rejects(network.grpc({ ...here, port: silentPort, service: '' }), /this server does not implement the grpc health protocol/);
  });

  test('that gets no answer in time fails', async () => {
    await assert.rejects(
      network.grpc({ ...here, port, service: 'never', timeoutMs: 300 }),
      /timeout: failed to connect service "127\.0\.0\.1:\d+" within 0\.3s/,
    );
  });
});

describe('a probe over HTTP', () => {
  let server: HttpServer;
  let port = 0;

  before(async () => {
    server = createServer(({ url, headers }, response) => {
      if (url === '/headers') response.end(JSON.stringify([headers['user-agent'], headers['x-mine'], headers.host]));
      else if (url === '/away') response.writeHead(302, { Location: 'http://elsewhere.example.com/' }).end();
      else if (url === '/round') response.writeHead(302, { Location: '/headers' }).end();
      else if (url === '/sick') response.writeHead(500).end('sick');
      else if (url === '/slow') response.writeHead(200).flushHeaders();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    port = (server.address() as AddressInfo).port;
  });
  after(() => server.closeAllConnections() ?? new Promise((resolve) => server.close(resolve)));

  const get = (path: string, more: Partial<Parameters<typeof network.http>[0]> = {}) =>
    network.http({ ...here, port, path, scheme: 'HTTP', headers: [], ...more });

  test('says who it is, and what it was told to say', async () => {
    const { body } = await get('/headers', {
      headers: [
        ['X-Mine', 'yes'],
        ['Host', 'example.com'],
      ],
    });
    assert.deepEqual(JSON.parse(body), ['kube-probe/1.36', 'yes', 'example.com']);
  });

  test('follows redirects on the same host, and takes those elsewhere for an answer', async () => {
    assert.equal((await get('/round')).status, 200);
    assert.equal((await get('/away')).status, 302);
    assert.equal((await get('/sick')).status, 500);
  });

  test('that gets no answer in time fails', async () => {
    await assert.rejects(get('/silence', { timeoutMs: 200 }), /^Error: Get "http:\/\/127\.0\.0\.1:\d+\/silence": context deadline exceeded/);
  });
});

describe('a probe over TCP', () => {
  test('is well when somebody listens', async () => {
    const server = createTcpServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    await network.tcp({ ...here, port });
    await new Promise((resolve) => server.close(resolve));
    await assert.rejects(network.tcp({ ...here, port }), new RegExp(`dial tcp 127\\.0\\.0\\.1:${port}: connect: connection refused`));
  });
});
