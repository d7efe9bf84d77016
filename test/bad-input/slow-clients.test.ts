/** Clients that are slow or silent hold nobody else up. */
import assert from 'node:assert/strict';
import { connect as connectHttp2 } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { after, describe, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { askedCluster, configMap, configMaps, json, patch, post } from './asked-cluster.ts';

const asked = askedCluster('--control-plane-only');

describe('slow and silent clients', () => {
  const open: { destroy(): unknown }[] = [];
  after(() => {
    for (const connection of open) connection.destroy();
  });

  async function assertServes(): Promise<void> {
    const started = performance.now();
    const replies = await Promise.all(Array.from({ length: 20 }, () => asked.send(`${configMaps}?limit=1`)));
    assert(replies.every(({ code }) => code === 200));
    assert(performance.now() - started < 5_000, 'others are held up');
  }

  function silent(): Promise<Socket> {
    return new Promise((resolve, reject) => {
      const socket = connect(asked.cluster.port, '127.0.0.1', () => resolve(socket));
      open.push(socket);
      socket.on('error', reject);
      socket.on('error', () => undefined);
    });
  }

  test('a connection that never speaks TLS, and one that speaks something else', async () => {
    await silent();
    const chatter = await silent();
    const ended = new Promise((resolve) => chatter.on('close', resolve));
    chatter.write('GET / HTTP/1.1\r\n\r\n');
    await assertServes();
    await ended;
  });

  test('a request whose body never ends', async () => {
    for (const transfer of ['Content-Length: 1000', 'Transfer-Encoding: chunked']) {
      const socket = connectTls({ host: '127.0.0.1', port: asked.cluster.port, ca: asked.ca, ...asked.admin });
      open.push(socket);
      socket.on('error', () => undefined);
      await new Promise((resolve) => socket.once('secureConnect', resolve));
      socket.write(`POST ${configMaps} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n${transfer}\r\n\r\n`);
    }
    const session = connectHttp2(`https://127.0.0.1:${asked.cluster.port}`, { ca: asked.ca, ...asked.admin });
    open.push(session);
    session.on('error', () => undefined);
    for (let i = 0; i < 50; i++)
      session
        .request({ ':method': 'POST', ':path': configMaps, 'content-type': json })
        .on('error', () => undefined)
        .write('{');
    await new Promise((resolve) => session.ping(resolve));
    await assertServes();
  });

  test('a request whose headers never end, and one of too many', async () => {
    const socket = connectTls({ host: '127.0.0.1', port: asked.cluster.port, ca: asked.ca, ...asked.admin });
    open.push(socket);
    socket.on('error', () => undefined);
    await new Promise((resolve) => socket.once('secureConnect', resolve));
    socket.write(`GET ${configMaps} HTTP/1.1\r\nHost: x\r\nX-Slow: `);
    const large = connectTls({ host: '127.0.0.1', port: asked.cluster.port, ca: asked.ca, ...asked.admin });
    open.push(large);
    let answer = '';
    large.setEncoding('utf8').on('data', (text: string) => (answer += text));
    large.on('error', () => undefined);
    const closed = new Promise((resolve) => large.once('close', resolve));
    large.write(`GET ${configMaps} HTTP/1.1\r\nHost: x\r\nX-Large: ${'a'.repeat(100_000)}\r\n\r\n`);
    await closed;
    assert.match(answer, /^HTTP\/1.1 431 /);
    await assertServes();
  });

  test('five hundred half-open connections', async () => {
    await Promise.all(Array.from({ length: 500 }, silent));
    await assertServes();
    assert.match(await asked.cluster.kubectl('get configmaps'), /kube-root-ca.crt/);
  });

  test('watchers that read nothing', async () => {
    for (let i = 0; i < 20; i++) {
      const socket = connectTls({ host: '127.0.0.1', port: asked.cluster.port, ca: asked.ca, ...asked.admin });
      open.push(socket);
      socket.on('error', () => undefined);
      socket.pause();
      socket.write('GET /api/v1/configmaps?watch=1 HTTP/1.1\r\nHost: x\r\n\r\n');
    }
    const value = 'x'.repeat(500_000);
    assert.equal((await asked.send(configMaps, post(configMap('large', { data: { value } })))).code, 201);
    for (let i = 0; i < 20; i++)
      assert.equal((await asked.send(`${configMaps}/large`, patch('merge-patch+json', JSON.stringify({ data: { i: String(i) } })))).code, 200);
    await assertServes();
  });
});
