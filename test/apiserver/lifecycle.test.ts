/** Starting, closing and starting again. */
import assert from 'node:assert/strict';
import { connect as connectHttp2 } from 'node:http2';
import { request as httpsRequest } from 'node:https';
import { test } from 'node:test';
import type { Store } from '../../src/store/store.ts';
import { createApiServer } from '../../src/apiserver/create-api-server.ts';
import { createSigningKey } from '../../src/kubeadm/certificates.ts';
import { memoryStore } from '../../src/store/memory.ts';
import { realWorld } from '../../src/world/real.ts';
import { simulatedWorld } from '../../src/world/simulated.ts';
import { startTestServer } from './server.ts';

test('closing ends watches cleanly, on every kind of connection, and soon', async () => {
  const server = await startTestServer();
  const { admin, ca, port } = server;
  const tls = { ca: ca.certificate, cert: admin.certificate, key: admin.key };
  const path = '/api/v1/namespaces?watch=true';
  const opened: Promise<void>[] = [];
  const ended: Promise<string>[] = [];
  const track = (begin: (opened: () => void, ended: (how: string) => void) => void): void => {
    let markOpened: () => void = () => undefined;
    opened.push(new Promise((resolve) => (markOpened = resolve)));
    ended.push(new Promise((resolve) => begin(markOpened, resolve)));
  };
  track((open, end) => {
    const request = httpsRequest({ host: '127.0.0.1', port, path, agent: false, ...tls }, (response) => {
      response.once('data', open);
      response.resume();
      response.on('end', () => end('ended'));
      response.on('error', () => end('broken'));
    });
    request.on('error', () => end('broken'));
    request.end();
  });
  const session = connectHttp2(`https://127.0.0.1:${port}`, tls);
  track((open, end) => {
    const stream = session.request({ ':path': path });
    stream.once('data', open);
    stream.resume();
    stream.on('end', () => end('ended'));
    stream.on('error', () => end('broken'));
  });
  const inside = server.api.connect({ name: 'root', uid: '', groups: ['system:masters'], extra: {} });
  track((open, end) => {
    const read = async (): Promise<void> => {
      for await (const _event of inside.watch({ method: 'GET', path: '/api/v1/namespaces' })) open();
    };
    read().then(
      () => end('ended'),
      () => end('broken'),
    );
  });
  await Promise.all(opened);
  const begun = server.world.clock.now();
  await server.close();
  assert.deepEqual(await Promise.all(ended), ['ended', 'ended', 'ended']);
  assert.ok(server.world.clock.now() - begun < 2_000);
  session.destroy();
});

test('a second start on the same store writes nothing', async () => {
  const world = realWorld({ level: 'silent' });
  const store: Store = memoryStore({ clock: world.clock });
  const start = async (port: number): Promise<void> => {
    const api = await createApiServer({
      world,
      store,
      serviceCidr: '10.96.0.0/16',
      nodePortRange: { from: 30_000, to: 32_767 },
      advertise: { address: '192.0.2.1', port },
      serviceAccountKey: await createSigningKey(),
      serviceAccountIssuer: 'https://issuer',
      staticTokens: new Map(),
      clientCa: '',
    });
    await api.close();
  };
  await start(6443);
  const first = store.revision();
  await start(6443);
  assert.equal(store.revision(), first);
  await start(7443);
  assert.ok(store.revision() > first, 'a server that moved says so in its endpoints');
  await store.close();
});

test('a deleted kubernetes service comes back by itself', async () => {
  const world = simulatedWorld(1);
  const store: Store = memoryStore({ clock: world.clock });
  const api = await createApiServer({
    world,
    store,
    serviceCidr: '10.96.0.0/16',
    nodePortRange: { from: 30_000, to: 32_767 },
    serviceAccountKey: await createSigningKey(),
    serviceAccountIssuer: 'https://issuer',
    staticTokens: new Map(),
    clientCa: '',
  });
  const root = api.connect({ name: 'root', uid: '', groups: ['system:masters'], extra: {} });
  const path = '/api/v1/namespaces/default/services/kubernetes';
  await root.request({ method: 'DELETE', path });
  await assert.rejects(root.request({ method: 'GET', path }), { code: 404 });
  await world.advance(10_000);
  for await (const event of root.watch({ method: 'GET', path: '/api/v1/namespaces/default/services' })) {
    assert.equal(event.type, 'ADDED');
    break;
  }
  await root.request({ method: 'GET', path });
  await api.close();
  await store.close();
});
