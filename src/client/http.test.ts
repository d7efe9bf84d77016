import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import type { TLSSocket } from 'node:tls';
// oxlint-disable-next-line import/no-unassigned-import -- @peculiar/x509 needs it to be there
import 'reflect-metadata';
import { BasicConstraintsExtension, X509CertificateGenerator, SubjectAlternativeNameExtension } from '@peculiar/x509';
import { ApiError } from '../machinery/errors.ts';
import { ConnectionError } from './connection-error.ts';
import { httpTransport, type HttpTransport, type HttpTransportOptions } from './http.ts';

type Handler = (request: IncomingMessage, response: ServerResponse, body: string) => unknown;

function withBody(handler: Handler): (request: IncomingMessage, response: ServerResponse) => void {
  return (request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => handler(request, response, body));
  };
}

async function listening(t: TestContext, server: Server & { closeAllConnections(): void }): Promise<number> {
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  t.after(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return (server.address() as AddressInfo).port;
}

async function connected(t: TestContext, handler: Handler, options: Partial<HttpTransportOptions> = {}): Promise<HttpTransport> {
  const port = await listening(t, createServer(withBody(handler)));
  const transport = httpTransport({ server: `http://127.0.0.1:${port}`, ...options });
  t.after(() => transport.close());
  return transport;
}

function answer(response: ServerResponse, code: number, body: object): void {
  response.writeHead(code, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}

async function collected<T>(events: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const event of events) all.push(event);
  return all;
}

const get = { method: 'GET', path: '/api/v1/pods' } as const;

describe('requests over HTTP', () => {
  it('sends method, path, query, body and content type, and parses the answer', async (t) => {
    const transport = await connected(t, ({ method, url, headers }, response, body) =>
      answer(response, 200, { method, url, contentType: headers['content-type'], accept: headers.accept, body }),
    );
    const query = { labelSelector: 'a in (b,c)', limit: '1' };
    const seen = await transport.request({
      method: 'PATCH',
      path: '/api/v1/pods/%C3%BC',
      query,
      body: { a: 'é' },
      contentType: 'application/merge-patch+json',
    });
    assert.deepEqual(seen, {
      method: 'PATCH',
      url: '/api/v1/pods/%C3%BC?labelSelector=a+in+%28b%2Cc%29&limit=1',
      contentType: 'application/merge-patch+json',
      accept: 'application/json',
      body: '{"a":"é"}',
    });
  });

  it('keeps connections alive', async (t) => {
    const ports = new Set<number | undefined>();
    const transport = await connected(t, ({ socket }, response) => {
      ports.add(socket.remotePort);
      answer(response, 200, {});
    });
    for (let i = 0; i < 5; i++) await transport.request(get);
    assert.equal(ports.size, 1);
  });

  it('asks again when a kept connection turns out to be closed, for reads only', async (t) => {
    let dropNext = false;
    const transport = await connected(t, ({ socket }, response) => {
      if (dropNext) socket.destroy();
      else answer(response, 200, {});
      dropNext = !dropNext;
    });
    await transport.request(get);
    assert.deepEqual(await transport.request(get), {});
    await assert.rejects(transport.request({ ...get, method: 'POST', body: {} }), ConnectionError);
  });

  it('throws the error a Status stands for', async (t) => {
    const transport = await connected(t, (_request, response) =>
      answer(response, 404, {
        kind: 'Status',
        status: 'Failure',
        reason: 'NotFound',
        code: 404,
        message: 'pods "x" not found',
        details: { name: 'x' },
      }),
    );
    await assert.rejects(transport.request(get), (error) => {
      assert.ok(error instanceof ApiError);
      assert.deepEqual([error.reason, error.code, error.message, error.details?.name], ['NotFound', 404, 'pods "x" not found', 'x']);
      return true;
    });
  });

  it('makes an error of any other answer, with its words', async (t) => {
    const transport = await connected(t, (_request, response) => {
      response.writeHead(503);
      response.end('upstream is down\n');
    });
    await assert.rejects(
      transport.request(get),
      (error) => error instanceof ApiError && error.reason === 'ServiceUnavailable' && error.message === 'upstream is down',
    );
  });

  it('says when the server cannot be reached', async (t) => {
    const port = await listening(t, createServer());
    const transport = httpTransport({ server: `http://127.0.0.1:${port === 1 ? 2 : 1}` });
    t.after(() => transport.close());
    await assert.rejects(
      transport.request(get),
      (error) => error instanceof ConnectionError && error.code === 'ECONNREFUSED' && /connection to the server/.test(error.message),
    );
  });

  it('gives up on a silent server', async (t) => {
    const transport = await connected(t, () => undefined, { timeoutMs: 50 });
    await assert.rejects(transport.request(get), (error) => error instanceof ConnectionError && /no answer for 0.05 s/.test(error.message));
  });

  it('ends when the signal aborts, with its reason', async (t) => {
    const abort = new AbortController();
    const reason = new Error('enough');
    const transport = await connected(t, () => abort.abort(reason));
    await assert.rejects(transport.request({ ...get, signal: abort.signal }), reason);
    await assert.rejects(transport.request({ ...get, signal: abort.signal }), reason);
  });

  it('ends what is under way when closed', async (t) => {
    const transport = await connected(t, () => transport.close());
    await assert.rejects(transport.request(get), ConnectionError);
    await assert.rejects(transport.request(get), /closed/);
  });

  it('identifies itself by token, impersonation and user agent', async (t) => {
    const directory = mkdtempSync(join(tmpdir(), 'k8ts-token-'));
    t.after(() => rmSync(directory, { recursive: true }));
    const tokenFile = join(directory, 'token');
    writeFileSync(tokenFile, 'first\n');
    const options = { tokenFile, impersonate: 'jane', impersonateGroups: ['a', 'b'], userAgent: 'test/1' };
    const transport = await connected(t, ({ headers }, response) => answer(response, 200, headers), options);
    const headers = (await transport.request(get)) as Record<string, unknown>;
    assert.equal(headers['authorization'], 'Bearer first');
    assert.deepEqual([headers['impersonate-user'], headers['impersonate-group'], headers['user-agent']], ['jane', 'a, b', 'test/1']);
    writeFileSync(tokenFile, 'second');
    utimesSync(tokenFile, 1, 1);
    assert.equal(((await transport.request(get)) as Record<string, unknown>)['authorization'], 'Bearer second');
  });
});

describe('streams over HTTP', () => {
  it('parses watch events whatever the chunks', async (t) => {
    const lines = ['a', 'é', '🔑'].map((name) => JSON.stringify({ type: 'ADDED', object: { metadata: { name } } }));
    const bytes = Buffer.from(`${lines.join('\n')}\n`);
    const transport = await connected(t, async (_request, response) => {
      for (const byte of bytes) {
        response.write(Buffer.from([byte]));
        await new Promise(setImmediate);
      }
      response.end();
    });
    const events = await collected(transport.watch(get));
    assert.deepEqual(
      events.map(({ object }) => object.metadata.name),
      ['a', 'é', '🔑'],
    );
  });

  it('throws the error of an ERROR event, and of a refused watch', async (t) => {
    let refuse = false;
    const status = { kind: 'Status', reason: 'Expired', code: 410, message: 'too old resource version' };
    const transport = await connected(t, (_request, response) => {
      if (refuse) return answer(response, 403, { kind: 'Status', reason: 'Forbidden', code: 403, message: 'no' });
      return answer(response, 200, { type: 'ERROR', object: status });
    });
    const withNewline = await connected(t, (_request, response) => response.end(`${JSON.stringify({ type: 'ERROR', object: status })}\n`));
    await assert.rejects(collected(withNewline.watch(get)), (error) => error instanceof ApiError && error.reason === 'Expired' && error.code === 410);
    refuse = true;
    await assert.rejects(collected(transport.watch(get)), (error) => error instanceof ApiError && error.reason === 'Forbidden');
  });

  it('ends quietly when aborted, and lets go of the connection', async (t) => {
    const abort = new AbortController();
    const gone = Promise.withResolvers<void>();
    const transport = await connected(t, (request, response) => {
      request.socket.on('close', () => gone.resolve());
      response.write('{"type":"ADDED","object":{}}\n');
    });
    for await (const event of transport.watch({ ...get, signal: abort.signal })) {
      assert.equal(event.type, 'ADDED');
      abort.abort();
    }
    await gone.promise;
  });

  it('lets go of the connection when the reader leaves', async (t) => {
    const gone = Promise.withResolvers<void>();
    const transport = await connected(t, (request, response) => {
      request.socket.on('close', () => gone.resolve());
      response.write('{"type":"ADDED","object":{}}\n');
    });
    for await (const event of transport.watch(get)) {
      assert.equal(event.type, 'ADDED');
      break;
    }
    await gone.promise;
  });

  it('throws when the connection breaks', async (t) => {
    const transport = await connected(t, (request, response) => {
      response.write('{"type":"ADDED","object":{}}\n{"type":"ADD', () => request.socket.destroy());
    });
    await assert.rejects(collected(transport.watch(get)), ConnectionError);
  });

  it('hands over raw streams', async (t) => {
    const transport = await connected(t, (_request, response) => response.end('line 1\nline 2\n'));
    const stream = await transport.stream({ method: 'GET', path: '/log' });
    let text = '';
    for await (const chunk of stream) text += String(chunk);
    assert.equal(text, 'line 1\nline 2\n');
  });
});

interface Identity {
  readonly certificate: string;
  readonly key: string;
}

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

/** A self-signed certificate that may sign and identify: enough to be an authority and a party at once. */
async function identity(name: string): Promise<Identity> {
  const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: `CN=${name}`,
    notBefore: new Date('2020-01-01'),
    notAfter: new Date('2100-01-01'),
    signingAlgorithm: algorithm,
    keys,
    extensions: [new BasicConstraintsExtension(true), new SubjectAlternativeNameExtension([{ type: 'ip', value: '127.0.0.1' }])],
  });
  const pkcs8 = Buffer.from(await crypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
  return { certificate: certificate.toString('pem'), key: `-----BEGIN PRIVATE KEY-----\n${pkcs8}\n-----END PRIVATE KEY-----\n` };
}

describe('TLS', () => {
  it('checks the server and shows the client’s certificate', async (t) => {
    const [server, client, stranger] = await Promise.all([identity('server'), identity('client'), identity('stranger')]);
    const port = await listening(
      t,
      createTlsServer(
        { cert: server.certificate, key: server.key, ca: client.certificate, requestCert: true, rejectUnauthorized: false },
        withBody(({ socket }, response) => {
          const tls = socket as TLSSocket;
          answer(response, 200, { authorized: tls.authorized, name: tls.authorized ? tls.getPeerCertificate().subject.CN : undefined });
        }),
      ),
    );
    const url = `https://127.0.0.1:${port}`;
    const asked = async (options: Omit<HttpTransportOptions, 'server'>): Promise<unknown> => {
      const transport = httpTransport({ server: url, ...options });
      try {
        return await transport.request(get);
      } finally {
        transport.close();
      }
    };
    assert.deepEqual(await asked({ ca: server.certificate, ...client }), { authorized: true, name: 'client' });
    assert.deepEqual(await asked({ ca: server.certificate }), { authorized: false });
    await assert.rejects(asked({ ca: stranger.certificate }), (error) => error instanceof ConnectionError && /certificate/.test(error.message));
    await assert.rejects(asked({ ca: server.certificate, serverName: 'elsewhere' }), ConnectionError);
    assert.deepEqual(await asked({ insecureSkipTlsVerify: true }), { authorized: false });
  });

  it('shows another certificate from now on; what was under way ends as it began', async (t) => {
    const [server, first, second] = await Promise.all([identity('server'), identity('first'), identity('second')]);
    const asked: string[] = [];
    const release = Promise.withResolvers<void>();
    const port = await listening(
      t,
      createTlsServer(
        { cert: server.certificate, key: server.key, ca: [first.certificate, second.certificate], requestCert: true },
        withBody(async ({ socket }, response) => {
          const name = String((socket as TLSSocket).getPeerCertificate().subject.CN);
          asked.push(name);
          if (asked.length === 1) await release.promise;
          answer(response, 200, { name });
        }),
      ),
    );
    const transport = httpTransport({ server: `https://127.0.0.1:${port}`, ca: server.certificate, ...first });
    t.after(() => transport.close());
    const slow = transport.request(get);
    assert.deepEqual(await transport.request(get), { name: 'first' });
    transport.present(second);
    assert.deepEqual(await transport.request(get), { name: 'second' });
    release.resolve();
    assert.deepEqual(await slow, { name: 'first' });
    assert.deepEqual(await transport.request(get), { name: 'second' });
  });
});
