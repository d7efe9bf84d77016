import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import type { IPAddress } from '../../api/kinds.ts';
import { Conflict } from '../../store/store.ts';
import { Fixture, type Reply } from '../verbs/fixture.ts';
import { planAddress } from './address-repair.ts';

const services = '/api/v1/namespaces/a/services';
const addresses = '/apis/networking.k8s.io/v1/ipaddresses';
const cidrs = '/apis/networking.k8s.io/v1/servicecidrs';
const port = { port: 80 };

let server: Fixture;
beforeEach(async () => {
  server = await Fixture.open({ serviceCidr: '10.96.0.0/28,fd00::/112' });
});
afterEach(() => server.close());

function make(name: string, spec: object = {}): Promise<Reply> {
  return server.post(services, { metadata: { name }, spec: { ports: [port], ...spec } });
}

async function addressNames(): Promise<string[]> {
  return ((await server.get(addresses)).body.items ?? []).map(({ metadata }) => metadata.name);
}

/** Lets repairs under way end; they take no time. */
async function settled(): Promise<void> {
  await server.world.advance(0);
}

test('an address comes with its service, in the same revision', async () => {
  const { body } = await make('s', { ipFamilyPolicy: 'RequireDualStack' });
  const [four, six] = body['spec'].clusterIPs;
  const object = (await server.get(`${addresses}/${four}`)).body;
  assert.deepEqual(object['spec'], { parentRef: { resource: 'services', namespace: 'a', name: 's' } });
  assert.deepEqual(object.metadata.labels, {
    'ipaddress.kubernetes.io/ip-family': 'IPv4',
    'ipaddress.kubernetes.io/managed-by': 'ipallocator.k8s.io',
  });
  assert.equal(object.metadata.managedFields?.[0]?.manager, 'kube-apiserver');
  assert.equal(object.metadata.resourceVersion, body.metadata.resourceVersion);
  assert.equal((await server.get(`${addresses}/${six}`)).body.metadata.labels?.['ipaddress.kubernetes.io/ip-family'], 'IPv6');
  await server.delete(`${services}/s`);
  assert.deepEqual(await addressNames(), []);
});

test('refused, dry and addressless services leave none', async () => {
  await make('s', { clusterIP: '10.96.0.5' });
  assert.equal((await make('s')).code, 409);
  assert.equal((await make('t', { clusterIP: '10.96.0.5' })).code, 422);
  assert.equal((await server.post(`${services}?dryRun=All`, { metadata: { name: 't' }, spec: { ports: [port] } })).code, 201);
  assert.equal((await make('h', { clusterIP: 'None' })).code, 201);
  assert.equal((await server.delete(`${services}/s?dryRun=All`)).code, 200);
  assert.deepEqual(await addressNames(), ['10.96.0.5']);
});

test('an address follows its service through changes of type and finalizers', async () => {
  await make('s', { clusterIP: '10.96.0.5' });
  await server.patch(`${services}/s`, { spec: { type: 'ExternalName', externalName: 'x.example.com' } });
  assert.deepEqual(await addressNames(), []);
  await server.patch(`${services}/s`, {
    metadata: { finalizers: ['a.b/c'] },
    spec: { type: 'ClusterIP', externalName: null, clusterIP: '10.96.0.6' },
  });
  assert.deepEqual(await addressNames(), ['10.96.0.6']);
  await server.delete(`${services}/s`);
  assert.deepEqual(await addressNames(), ['10.96.0.6'], 'as long as the service is there');
  await server.patch(`${services}/s`, { metadata: { finalizers: null } });
  assert.deepEqual(await addressNames(), []);
});

test('a commit that fails leaks neither address nor object', async () => {
  const { store } = server;
  const commit = store.commit.bind(store);
  store.commit = async (operations) => {
    throw new Conflict(operations[0]?.key ?? '', 7);
  };
  assert.equal((await make('s', { clusterIP: '10.96.0.5' })).code, 409);
  store.commit = commit;
  assert.deepEqual(await addressNames(), []);
  assert.equal((await make('t', { clusterIP: '10.96.0.5' })).code, 201);
});

test('a crash around the commit leaves both or none', async () => {
  const { store } = server;
  const commit = store.commit.bind(store);
  let crashed: 'before' | 'after' = 'before';
  store.commit = async (operations, guards) => {
    if (crashed === 'after') await commit(operations, guards);
    throw new Conflict('', 0);
  };
  await make('s', { clusterIP: '10.96.0.5' });
  await server.restart();
  assert.deepEqual([(await server.get(`${services}/s`)).code, await addressNames()], [404, []]);
  crashed = 'after';
  await make('s', { clusterIP: '10.96.0.5' });
  store.commit = commit;
  await server.restart();
  assert.deepEqual([(await server.get(`${services}/s`)).code, await addressNames()], [200, ['10.96.0.5']]);
  assert.equal((await make('t', { clusterIP: '10.96.0.5' })).code, 422);
});

test("somebody's own object holds an address, and a chosen one avoids it", async () => {
  const own = { metadata: { name: '10.96.0.5' }, spec: { parentRef: { group: 'example.com', resource: 'foos', name: 'f' } } };
  assert.equal((await server.post(addresses, own)).code, 201);
  assert.match((await make('s', { clusterIP: '10.96.0.5' })).body['message'], /provided IP is already allocated/);
  const replies = await Promise.all(Array.from({ length: 14 }, (_, index) => make(`s${index}`)));
  assert.equal(replies.filter(({ code }) => code === 201).length, 13);
  await server.delete(`${addresses}/10.96.0.5`);
  assert.equal((await make('s', { clusterIP: '10.96.0.5' })).code, 201);
});

test('an object made in the same moment wins; another address is chosen, an asked-for one is refused', async () => {
  const tiny = await Fixture.open({ serviceCidr: '10.96.0.0/30' });
  const own = (name: string) => ({ metadata: { name }, spec: { parentRef: { group: 'example.com', resource: 'foos', name: 'f' } } });
  const { store } = tiny;
  const commit = store.commit.bind(store);
  let raced = '';
  store.commit = async (operations, guards) => {
    store.commit = commit;
    raced = /ipaddresses\/(.*)$/.exec(operations[1]?.key ?? '')?.[1] ?? '';
    assert.equal((await tiny.post(addresses, own(raced))).code, 201);
    return commit(operations, guards);
  };
  const made = await tiny.post(services, { metadata: { name: 's' }, spec: { ports: [port] } });
  assert.equal(made.code, 201);
  assert.notEqual(made.body['spec'].clusterIP, raced);
  await tiny.delete(`${addresses}/${raced}`);
  await tiny.close();
});

test('an object that is deleted comes back, one that is left over goes', async () => {
  const { body } = await make('s', { clusterIP: '10.96.0.5' });
  await server.delete(`${addresses}/10.96.0.5`);
  await settled();
  const again = (await server.get(`${addresses}/10.96.0.5`)).body;
  assert.equal(again['spec'].parentRef.name, body.metadata.name);

  const left = {
    metadata: { name: '10.96.0.6', labels: again.metadata.labels },
    spec: { parentRef: { resource: 'services', namespace: 'a', name: 'gone' } },
  };
  assert.equal((await server.post(addresses, left)).code, 201);
  await server.world.advance(59_000);
  assert.deepEqual(await addressNames(), ['10.96.0.5', '10.96.0.6']);
  await server.world.advance(62_000);
  assert.deepEqual(await addressNames(), ['10.96.0.5']);
});

test('services from before there were objects get them at start', async () => {
  await make('s', { clusterIP: '10.96.0.5' });
  await server.verbs.close();
  const { items } = await server.store.range('/registry/networking.k8s.io/ipaddresses/');
  assert.equal(items.length, 1);
  await server.store.commit(items.map(({ key }) => ({ type: 'delete', key })));
  await server.restart();
  await settled();
  assert.deepEqual(await addressNames(), ['10.96.0.5']);
});

test('ranges come and go with ServiceCIDRs that are ready', async () => {
  const make30 = (name: string) => make(name, { clusterIP: '10.97.0.1' });
  await server.post(cidrs, { metadata: { name: 'more' }, spec: { cidrs: ['10.97.0.0/30'] } });
  assert.equal((await make30('s')).code, 422, 'not ready yet');
  const ready = { type: 'Ready', status: 'True', reason: '', message: '', lastTransitionTime: '2026-01-01T00:00:00Z' };
  assert.equal((await server.patch(`${cidrs}/more/status`, { status: { conditions: [ready] } })).code, 200);
  assert.equal((await make30('s')).code, 201);
  const replies = await Promise.all(Array.from({ length: 16 }, (_, index) => make(`s${index}`)));
  assert.equal(replies.filter(({ code }) => code === 201).length, 15, 'the first range, then the rest of the second');
  await server.patch(`${cidrs}/more`, { metadata: { finalizers: ['a.b/c'] } });
  await server.delete(`${cidrs}/more`);
  await server.delete(`${services}/s`);
  assert.match((await make30('s')).body['message'], /does not match the current range/, 'it is on its way out');
});

test('what is in use while a range appears is in use in it, too', async () => {
  await make('s', { clusterIP: '10.96.0.5' });
  const ready = { type: 'Ready', status: 'True', reason: '', message: '', lastTransitionTime: '2026-01-01T00:00:00Z' };
  await server.post(cidrs, { metadata: { name: 'wide' }, spec: { cidrs: ['10.96.0.0/16'] } });
  await server.patch(`${cidrs}/wide/status`, { status: { conditions: [ready] } });
  assert.match((await make('t', { clusterIP: '10.96.0.5' })).body['message'], /already allocated/);
  assert.equal((await make('t', { clusterIP: '10.96.4.4' })).code, 201);
});

const madeAt = '2026-01-01T00:00:00Z';
const address = (name: string, managed = true): IPAddress => ({
  apiVersion: 'networking.k8s.io/v1',
  kind: 'IPAddress',
  metadata: {
    name: '10.0.0.1',
    uid: 'u',
    resourceVersion: '1',
    creationTimestamp: madeAt,
    ...(managed && { labels: { 'ipaddress.kubernetes.io/managed-by': 'ipallocator.k8s.io' } }),
  },
  spec: { parentRef: { resource: 'services', namespace: 'a', name } },
});
const plans = [
  { name: 'nobody, nothing', address: undefined, holders: [], afterMs: 0, plan: 'nothing' },
  { name: 'a service without object', address: undefined, holders: ['a/s'], afterMs: 0, plan: 'create' },
  { name: 'both', address: address('s'), holders: ['a/s'], afterMs: 99_999, plan: 'nothing' },
  { name: 'a young object without service', address: address('s'), holders: [], afterMs: 59_999, plan: 'wait' },
  { name: 'an old one', address: address('s'), holders: [], afterMs: 60_000, plan: 'delete' },
  { name: 'one of another service', address: address('t'), holders: ['a/s'], afterMs: 60_000, plan: 'delete' },
  { name: "somebody's own", address: address('t', false), holders: ['a/s'], afterMs: 60_000, plan: 'nothing' },
] as const;
for (const { name, address, holders, afterMs, plan } of plans) {
  test(`repair: ${name}`, () => assert.equal(planAddress(address, holders, Date.parse(madeAt) + afterMs), plan));
}
