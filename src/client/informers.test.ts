import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { Pod } from '../api/kinds.ts';
import { ApiError, serviceUnavailable } from '../machinery/errors.ts';
import type { KubeObject } from '../machinery/object.ts';
import { simulatedWorld, type SimulatedWorld } from '../world/simulated.ts';
import { ConnectionError } from './connection-error.ts';
import { FakeTransport } from './fake-transport.ts';
import type { Informer, Informers } from './informer.ts';
import { createInformers } from './informers.ts';
import { createClient } from './typed-client.ts';

interface Setup {
  readonly server: FakeTransport;
  readonly world: SimulatedWorld;
  readonly informers: Informers;
  readonly logged: string[];
}

function setUp(t: TestContext): Setup {
  const server = new FakeTransport();
  const logged: string[] = [];
  const world = simulatedWorld(1, { onLog: (level, _component, message) => level === 'error' && logged.push(message) });
  const informers = createInformers(createClient(server), world, { freeze: true });
  t.after(() => informers.close());
  return { server, world, informers, logged };
}

function pathOf(name: string, namespace = 'a'): string {
  return `/api/v1/namespaces/${namespace}/pods/${name}`;
}

function pod(name: string, namespace = 'a', node = ''): KubeObject {
  const object = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace, uid: '', resourceVersion: '', creationTimestamp: '' },
    spec: { nodeName: node },
  };
  return object;
}

function put(server: FakeTransport, name: string, namespace?: string, node?: string): void {
  server.set(pathOf(name, namespace), pod(name, namespace, node));
}

/** What a subscriber hears: `+x`, `~x`, `-x`. */
function heard(informer: Informer<Pod>): string[] {
  const events: string[] = [];
  informer.subscribe({
    added: ({ metadata }) => events.push(`+${metadata.name}`),
    updated: ({ metadata }) => events.push(`~${metadata.name}`),
    deleted: ({ metadata }) => events.push(`-${metadata.name}`),
  });
  return events;
}

function names(pods: readonly Pod[]): string[] {
  return pods.map(({ metadata }) => metadata.name).sort();
}

function listsAsked(server: FakeTransport): number {
  return server.requests.filter(({ query }) => query?.['watch'] === undefined).length;
}

describe('an informer', () => {
  it('lists, then follows', async (t) => {
    const { server, world, informers } = setUp(t);
    put(server, 'x');
    const informer = informers.of(Pod);
    assert.equal(informer.hasSynced(), false);
    const events = heard(informer);
    await informer.synced;
    assert.deepEqual(events, ['+x']);
    put(server, 'y');
    put(server, 'x');
    server.delete(pathOf('y'));
    await world.advance(0);
    assert.deepEqual(events, ['+x', '+y', '~x', '-y']);
    assert.deepEqual(names(informer.list()), ['x']);
    assert.ok(Object.isFrozen(informer.get('x', 'a')?.metadata));
    assert.equal(informer.get('y', 'a'), undefined);
  });

  it('is shared by all who ask for the same', async (t) => {
    const { server, world, informers } = setUp(t);
    assert.equal(informers.of(Pod), informers.of(Pod, {}));
    assert.notEqual(informers.of(Pod), informers.of(Pod, { namespace: 'a' }));
    assert.notEqual(informers.of(Pod), informers.of(Pod, { fieldSelector: 'spec.nodeName=n' }));
    await informers.synced();
    await world.advance(0);
    assert.equal(server.watches(), 3);
  });

  it('asks for its scope only', async (t) => {
    const { server, world, informers } = setUp(t);
    await informers.of(Pod, { namespace: 'a', labelSelector: 'app=x', fieldSelector: 'spec.nodeName=n' }).synced;
    await world.advance(0);
    assert.equal(server.requests.length, 2);
    for (const { path, query } of server.requests) {
      assert.equal(path, '/api/v1/namespaces/a/pods');
      assert.deepEqual([query?.['labelSelector'], query?.['fieldSelector']], ['app=x', 'spec.nodeName=n']);
    }
  });

  it('finds by namespace and by index as objects come, change and go', async (t) => {
    const { server, world, informers } = setUp(t);
    put(server, 'x', 'a', 'n1');
    put(server, 'y', 'b', 'n1');
    const informer = informers.of(Pod);
    informer.addIndex('node', ({ spec }) => (spec.nodeName ? [spec.nodeName] : []));
    await informer.synced;
    assert.deepEqual(names(informer.byIndex('node', 'n1')), ['x', 'y']);
    assert.deepEqual(names(informer.list('b')), ['y']);
    put(server, 'x', 'a', 'n2');
    put(server, 'z', 'b', '');
    await world.advance(0);
    assert.deepEqual([names(informer.byIndex('node', 'n1')), names(informer.byIndex('node', 'n2'))], [['y'], ['x']]);
    server.delete(pathOf('y', 'b'));
    await world.advance(0);
    assert.deepEqual([names(informer.byIndex('node', 'n1')), names(informer.list('b'))], [[], ['z']]);
    assert.throws(() => informer.addIndex('node', () => []), /there already/);
    assert.throws(() => informer.byIndex('zone', 'x'), /no index/);
  });

  it('replays what is there to a late subscriber, and stops when told', async (t) => {
    const { server, world, informers } = setUp(t);
    put(server, 'x');
    const informer = informers.of(Pod);
    await informer.synced;
    const events: string[] = [];
    const stop = informer.subscribe({ added: ({ metadata }) => events.push(metadata.name) });
    assert.deepEqual(events, ['x']);
    stop();
    put(server, 'y');
    await world.advance(0);
    assert.deepEqual(events, ['x']);
  });

  it('survives a subscriber that throws', async (t) => {
    const { server, world, informers, logged } = setUp(t);
    const informer = informers.of(Pod);
    informer.subscribe({ added: () => assert.fail('a bug') });
    const events = heard(informer);
    await informer.synced;
    put(server, 'x');
    await world.advance(0);
    assert.deepEqual(events, ['+x']);
    assert.deepEqual(logged, ['an informer handler threw']);
  });
});

describe('an informer that lost its server', () => {
  it('goes on from where it was', async (t) => {
    const { server, world, informers } = setUp(t);
    put(server, 'x');
    const informer = informers.of(Pod);
    const events = heard(informer);
    await informer.synced;
    await world.advance(60_000);
    server.endWatches();
    await world.advance(0);
    put(server, 'y');
    server.endWatches(new ConnectionError('server', new Error('reset')));
    put(server, 'z');
    await world.advance(1_000);
    assert.deepEqual(events, ['+x', '+y', '+z']);
    assert.equal(listsAsked(server), 1);
  });

  it('goes on from a bookmark', async (t) => {
    const { server, world, informers } = setUp(t);
    await informers.of(Pod).synced;
    await world.advance(0);
    server.set('/api/v1/namespaces/a/configmaps/other', pod('other'));
    server.bookmark();
    await world.advance(60_000);
    server.endWatches();
    await world.advance(0);
    assert.equal(server.requests.at(-1)?.query?.['resourceVersion'], String(server.version));
  });

  it('lists anew when its version is gone, and tells only what changed', async (t) => {
    const { server, world, informers } = setUp(t);
    for (const name of ['kept', 'changed', 'deleted', 'replaced']) put(server, name);
    const informer = informers.of(Pod);
    const events = heard(informer);
    await informer.synced;
    await world.advance(60_000);
    events.length = 0;
    // Nothing of this reaches the watch.
    server.endWatches(new ConnectionError('server', new Error('reset')));
    put(server, 'changed');
    server.delete(pathOf('deleted'));
    server.delete(pathOf('replaced'));
    put(server, 'replaced');
    put(server, 'new');
    server.oldestVersion = server.version;
    await world.advance(1_000);
    assert.deepEqual(events.toSorted(), ['+new', '+replaced', '-deleted', '-replaced', '~changed']);
    assert.equal(listsAsked(server), 2);
    put(server, 'later');
    await world.advance(0);
    assert.equal(events.at(-1), '+later');
  });

  it('lists anew when the watch itself ends with 410', async (t) => {
    const { server, world, informers } = setUp(t);
    const informer = informers.of(Pod);
    await informer.synced;
    await world.advance(60_000);
    server.endWatches(new ApiError('Expired', 'too old resource version'));
    await world.advance(1_000);
    assert.equal(listsAsked(server), 2);
    assert.equal(server.watches(), 1);
  });

  it('backs off, less and less often, and is back soon after the server is', async (t) => {
    const { server, world, informers } = setUp(t);
    for (let i = 0; i < 8; i++) server.failures.push(serviceUnavailable('starting'));
    const times: number[] = [];
    const startMs = world.clock.now();
    server.onRequest = ({ query }) => query?.['watch'] === undefined && times.push(world.clock.now() - startMs);
    const informer = informers.of(Pod);
    await world.advanceUntil(() => informer.hasSynced(), 120_000);
    assert.equal(times.length, 9);
    for (let i = 2; i < 8; i++) {
      const pauseMs = (times[i] ?? 0) - (times[i - 1] ?? 0);
      assert.ok(pauseMs >= 50 * 2 ** (i - 1) && pauseMs <= 150 * 2 ** (i - 1), `pause ${i} was ${pauseMs}`);
    }
  });

  it('never spins when watches end at once', async (t) => {
    const { server, world, informers } = setUp(t);
    await informers.of(Pod).synced;
    server.onRequest = () => server.endWatches();
    for (let i = 0; i < 200; i++) {
      server.endWatches();
      await world.advance(100);
    }
    assert.ok(server.requests.length < 40, `${server.requests.length} requests in 20 s`);
  });

  it('ends when closed, at whatever it is', async (t) => {
    const { server, world, informers } = setUp(t);
    const watching = informers.of(Pod);
    await watching.synced;
    server.failures.push(new ConnectionError('server', new Error('refused')));
    const failing = informers.of(Pod, { namespace: 'a' });
    await world.advance(0);
    informers.close();
    await world.advance(0);
    assert.equal(server.watches(), 0);
    assert.equal(world.pendingTimers(), 0);
    await assert.rejects(failing.synced, /closed/);
  });
});
