/** The ingress proxy's front and forwarding over real sockets: what backends are sent and what clients get, without a cluster. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, request as httpRequest, type RequestListener, type Server } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { type AddressInfo, connect, createServer as createTcpServer } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { connect as connectTls, createSecureContext } from 'node:tls';
import { text } from 'node:stream/consumers';
import { setTimeout as pause } from 'node:timers/promises';
import type { Endpoint } from '../../src/ingress/backends.ts';
import { Forwarder, ProxyError } from '../../src/ingress/forward.ts';
import { type Front, type FrontHandlers, openFront } from '../../src/ingress/front.ts';
import { type CertificatePair, createCertificateAuthority, issueCertificate } from '../../src/kubeadm/certificates.ts';
import { realWorld } from '../../src/world/real.ts';
import { simulatedWorld } from '../../src/world/simulated.ts';

const host = '127.0.0.1';

describe('the ingress proxy', () => {
  const world = simulatedWorld(1);
  const forwarder = new Forwarder(world);
  let endpoints: readonly Endpoint[] = [];
  let [front, secure]: (Front | undefined)[] = [];
  let named: CertificatePair;
  const backends: Server[] = [];

  const handlers: FrontHandlers = {
    request: async (request, response, client) => forwarder.forward(request, response, some(request.url), client),
    upgrade: async (request, socket, head, client) => forwarder.upgrade(request, socket, head, some(request.url), client),
  };
  function some(url: string | undefined): readonly Endpoint[] {
    if (url === '/none') throw new ProxyError(404, 'no rule');
    if (endpoints.length === 0) throw new ProxyError(503, 'nothing ready');
    return endpoints;
  }

  before(async () => {
    const ca = await createCertificateAuthority(realWorld(), 'test');
    const issue = (name: string): Promise<CertificatePair> =>
      issueCertificate(realWorld(), { ca, commonName: name, dnsNames: [name], usages: ['server'] });
    const [own, other] = await Promise.all([issue('default.local'), issue('named.example.com')]);
    named = other;
    front = await openFront(true, 0, handlers);
    secure = await openFront(true, 0, handlers, {
      ...own,
      contextFor: (name) => (name === 'named.example.com' ? createSecureContext({ cert: named.certificate, key: named.key }) : undefined),
    });
  });
  after(async () => {
    await Promise.all([front?.close(), secure?.close()]);
    forwarder.close();
    for (const backend of backends) {
      backend.closeAllConnections();
      backend.close();
    }
  });

  async function backend(listener: RequestListener): Promise<Endpoint> {
    const server = createServer(listener).listen(0, host);
    backends.push(server);
    await once(server, 'listening');
    return { host, port: (server.address() as AddressInfo).port };
  }

  async function closedPort(): Promise<Endpoint> {
    const server = createTcpServer().listen(0, host);
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    await new Promise((resolve) => server.close(resolve));
    return { host, port };
  }

  interface Got {
    readonly code: number;
    readonly headers: IncomingMessage['headers'];
    readonly body: string;
  }

  function ask(path: string, { method = 'GET', headers = {}, body = '' } = {}): Promise<Got> {
    return new Promise((resolve, reject) => {
      const request = httpRequest(
        { host, port: front?.port, path, method, headers: { host: 'web.example.com:8080', ...headers }, agent: false },
        (response) => {
          text(response).then((all) => resolve({ code: response.statusCode ?? 0, headers: response.headers, body: all }), reject);
        },
      );
      request.on('error', reject).end(body);
    });
  }

  const tellHeaders: RequestListener = (request, response) => {
    response.setHeader('x-backend', 'yes').setHeader('connection', 'x-private').setHeader('x-private', '1');
    response.end(JSON.stringify({ method: request.method, url: request.url, headers: request.headers }));
  };

  it('tells backends who asks for what, and believes no client about it', async () => {
    endpoints = [await backend(tellHeaders)];
    const { headers, body } = await ask('/a%20b?c=d', {
      headers: { 'x-forwarded-for': '6.6.6.6', 'x-forwarded-proto': 'https', 'x-own': 'kept', connection: 'x-mine', 'x-mine': '1' },
    });
    const seen = JSON.parse(body) as { url: string; headers: Record<string, string> };
    assert.equal(seen.url, '/a%20b?c=d');
    assert.deepEqual(
      ['host', 'x-forwarded-for', 'x-real-ip', 'x-forwarded-proto', 'x-forwarded-host', 'x-forwarded-port', 'x-own', 'x-mine'].map(
        (name) => seen.headers[name],
      ),
      ['web.example.com:8080', host, host, 'http', 'web.example.com:8080', String(front?.port), 'kept', undefined],
    );
    assert.equal(headers['x-backend'], 'yes');
    assert.equal(headers['x-private'], undefined, 'what is about one connection stays on it');
  });

  it('passes bodies on as they come, both ways', async () => {
    endpoints = [await backend((request, response) => request.pipe(response))];
    const request = httpRequest({ host, port: front?.port, path: '/', method: 'POST', agent: false });
    const answered = once(request, 'response') as Promise<[IncomingMessage]>;
    request.write('first');
    const [response] = await answered;
    assert.equal(String((await once(response, 'data'))[0]), 'first', 'before the request has ended');
    request.end('second');
    assert.equal(await text(response), 'second');
  });

  it('passes over an endpoint that takes no connection, whatever is sent', async () => {
    const good = await backend((request, response) => request.pipe(response));
    for (let turn = 0; turn < 8; turn++) {
      endpoints = [await closedPort(), good];
      const { code, body } = await ask('/', { method: 'POST', body: `turn ${turn}` });
      assert.deepEqual([code, body], [200, `turn ${turn}`]);
    }
  });

  it('sends again what a closed old connection swallowed, where that does no harm', async () => {
    endpoints = [
      await backend((request, response) => {
        response.end('ok');
        // Not announced: the proxy finds out with the next request.
        response.once('finish', () => request.socket.destroy());
      }),
    ];
    for (let turn = 0; turn < 10; turn++) assert.equal((await ask('/')).body, 'ok');
    let asked = 0;
    endpoints = [
      await backend((request, response) => {
        asked++;
        // The second request on a connection finds it closed under its feet.
        if (asked % 2 === 0) request.socket.destroy();
        else response.end('ok');
      }),
    ];
    assert.deepEqual([(await ask('/')).code, (await ask('/')).code, (await ask('/', { method: 'POST', body: 'x' })).code, asked], [200, 200, 502, 4]);
  });

  it('says in a word what it cannot do', async () => {
    assert.equal((await ask('/none')).code, 404);
    endpoints = [];
    assert.equal((await ask('/')).code, 503);
    endpoints = [await closedPort()];
    assert.equal((await ask('/')).code, 502);
    endpoints = [await backend((request) => request.socket.destroy())];
    const { code, body } = await ask('/', { method: 'POST', body: 'x' });
    assert.equal(code, 502);
    assert.doesNotMatch(body, /127\.0\.0\.1|ECONN/, 'what is inside stays inside');
  });

  it('breaks off where the backend does', async () => {
    endpoints = [
      await backend((request, response) => {
        response.writeHead(200, { 'content-length': 100 }).write('half');
        response.once('drain', () => undefined);
        setImmediate(() => request.socket.destroy());
      }),
    ];
    await assert.rejects(ask('/'), /aborted|hang up|ECONNRESET|terminated/);
  });

  it('lets a backend wait for a client that reads slowly, instead of keeping its answer', async () => {
    const [whole, piece] = [128 * 2 ** 20, Buffer.alloc(2 ** 16)];
    let written = 0;
    endpoints = [
      await backend((_, response) => {
        const more = (): void => {
          while (written < whole) {
            written += piece.length;
            if (!response.write(piece)) return void response.once('drain', more);
          }
          response.end();
        };
        more();
      }),
    ];
    const request = httpRequest({ host, port: front?.port, path: '/', agent: false }).end();
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    // Nobody reads: what is on its way fills the sockets' room, and then the backend stands still.
    for (let before = -1; before !== written; await pause(200)) before = written;
    assert.ok(written < whole / 2, `${written} bytes are kept somewhere`);
    let read = 0;
    for await (const chunk of response as AsyncIterable<Buffer>) read += chunk.length;
    assert.equal(read, whole);
  });

  it('does not ask on for a client that went away', async () => {
    const left = Promise.withResolvers<void>();
    endpoints = [
      await backend(
        (_, response) =>
          void response
            .once('close', () => left.resolve())
            .writeHead(200)
            .write('begun'),
      ),
    ];
    const request = httpRequest({ host, port: front?.port, path: '/', agent: false }).end();
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    response.on('error', () => undefined);
    response.destroy();
    await left.promise;
  });

  it('switches protocols, and passes on all that follows', async () => {
    const server = createServer().listen(0, host);
    backends.push(server);
    server.on('upgrade', (request, socket) => {
      socket.write(
        `HTTP/1.1 101 Switching Protocols\r\nUpgrade: ${request.headers.upgrade}\r\nConnection: Upgrade\r\nX-For: ${String(request.headers['x-forwarded-for'])}\r\n\r\n`,
      );
      socket.pipe(socket);
    });
    await once(server, 'listening');
    endpoints = [{ host, port: (server.address() as AddressInfo).port }];
    const socket = connect(front?.port ?? 0, host);
    socket.write('GET /chat HTTP/1.1\r\nHost: web\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly');
    let seen = '';
    socket.setEncoding('utf8').on('data', (chunk: string) => (seen += chunk));
    while (!seen.endsWith('early')) await once(socket, 'data');
    assert.match(seen, /^HTTP\/1\.1 101 .*\r\n(.*\r\n)*Upgrade: websocket\r\n/i);
    assert.match(seen, /X-For: 127\.0\.0\.1/);
    socket.write(' late');
    while (!seen.endsWith('late')) await once(socket, 'data');
    socket.destroy();
  });

  it('tells who asks for another protocol what the backend says instead', async () => {
    endpoints = [await backend((_, response) => response.writeHead(426, { 'x-why': 'no' }).end('not here'))];
    const socket = connect(front?.port ?? 0, host);
    socket.write('GET /chat HTTP/1.1\r\nHost: web\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
    const answer = await text(socket);
    assert.match(answer, /^HTTP\/1\.1 426 /);
    assert.match(answer, /x-why: no/);
    assert.match(answer, /not here$/);
  });

  it('serves the certificate of the name asked for, and its own to everybody else', async () => {
    const nameFor = async (servername: string): Promise<string> => {
      const socket = connectTls({ host, port: secure?.port, servername, rejectUnauthorized: false });
      await once(socket, 'secureConnect');
      const { subject } = socket.getPeerCertificate();
      socket.destroy();
      return [subject.CN].flat().join(',');
    };
    assert.deepEqual([await nameFor('named.example.com'), await nameFor('other.example.com')], ['named.example.com', 'default.local']);
  });

  it('speaks HTTP/2 with TLS', async () => {
    endpoints = [
      await backend((request, response) => {
        response.setHeader('x-seen', `${request.httpVersion} ${String(request.headers['x-forwarded-proto'])} ${String(request.headers.host)}`);
        request.pipe(response);
      }),
    ];
    const session = connectHttp2(`https://${host}:${secure?.port}`, { rejectUnauthorized: false });
    const stream = session.request({ ':path': '/x', ':method': 'POST', ':authority': 'named.example.com' });
    const answered = once(stream, 'response') as Promise<[Record<string, string | number>]>;
    stream.end('over two');
    const [headers] = await answered;
    assert.deepEqual([headers[':status'], headers['x-seen']], [200, '1.1 https named.example.com']);
    assert.equal(await text(stream), 'over two');
    const plain = session.request({ ':path': '/x', ':authority': 'named.example.com' }, { endStream: true });
    assert.equal(await text(plain), '');
    session.close();
  });
});
