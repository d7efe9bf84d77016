import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import type { Event } from '../api/kinds.ts';
import { forbidden, serviceUnavailable } from '../machinery/errors.ts';
import { simulatedWorld, type SimulatedWorld } from '../world/simulated.ts';
import { createEventRecorder, type EventRecorder, type EventSubject } from './events.ts';
import { FakeTransport } from './fake-transport.ts';
import { createClient } from './typed-client.ts';

interface Setup {
  readonly server: FakeTransport;
  readonly world: SimulatedWorld;
  readonly events: EventRecorder;
  readonly recorded: () => Promise<Event[]>;
}

function setUp(t: TestContext): Setup {
  const server = new FakeTransport();
  const world = simulatedWorld(1);
  const events = createEventRecorder(createClient(server), world, { component: 'kubelet', host: 'node-1' });
  t.after(() => events.close());
  const recorded = async (): Promise<Event[]> => {
    await world.advance(0);
    const list = (await server.request({ method: 'GET', path: '/api/v1/events' })) as { items: Event[] };
    return list.items;
  };
  return { server, world, events, recorded };
}

function pod(name: string, namespace?: string): EventSubject {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, uid: `uid-${name}`, resourceVersion: '7', ...(namespace !== undefined && { namespace }) },
  };
}

describe('recording an event', () => {
  it('writes what upstream writes', async (t) => {
    const { events, recorded } = setUp(t);
    events.event(pod('web', 'shop'), 'Warning', 'BackOff', 'Back-off restarting', 'spec.containers{web}');
    const [event] = await recorded();
    assert.ok(event);
    assert.match(event.metadata.name, /^web\.[0-9a-f]{16}$/);
    const { metadata, ...rest } = event;
    assert.equal(metadata.namespace, 'shop');
    assert.deepEqual(rest, {
      apiVersion: 'v1',
      kind: 'Event',
      involvedObject: {
        kind: 'Pod',
        namespace: 'shop',
        name: 'web',
        uid: 'uid-web',
        apiVersion: 'v1',
        resourceVersion: '7',
        fieldPath: 'spec.containers{web}',
      },
      reason: 'BackOff',
      message: 'Back-off restarting',
      source: { component: 'kubelet', host: 'node-1' },
      firstTimestamp: '2026-01-01T00:00:00Z',
      lastTimestamp: '2026-01-01T00:00:00Z',
      count: 1,
      type: 'Warning',
      reportingComponent: 'kubelet',
      reportingInstance: 'node-1',
    });
  });

  it('puts events about cluster-scoped objects into default', async (t) => {
    const { events, recorded } = setUp(t);
    events.event(pod('node'), 'Normal', 'Ready', 'ready');
    assert.equal((await recorded())[0]?.metadata.namespace, 'default');
  });

  it('counts the same event instead of repeating it', async (t) => {
    const { events, recorded, world } = setUp(t);
    for (let i = 0; i < 3; i++) {
      events.event(pod('web', 'shop'), 'Warning', 'BackOff', 'Back-off');
      await world.advance(10_000);
    }
    const [event, ...more] = await recorded();
    assert.equal(more.length, 0);
    assert.deepEqual([event?.count, event?.firstTimestamp, event?.lastTimestamp], [3, '2026-01-01T00:00:00Z', '2026-01-01T00:00:20Z']);
  });

  it('makes it anew when it expired on the server meanwhile', async (t) => {
    const { server, events, recorded } = setUp(t);
    events.event(pod('web', 'shop'), 'Normal', 'Pulled', 'x');
    const [first] = await recorded();
    server.delete(`/api/v1/namespaces/shop/events/${first?.metadata.name}`);
    events.event(pod('web', 'shop'), 'Normal', 'Pulled', 'x');
    assert.deepEqual(
      (await recorded()).map(({ count }) => count),
      [2],
    );
  });

  it('folds many that differ in words only', async (t) => {
    const { events, recorded, world } = setUp(t);
    for (let i = 0; i < 20; i++) {
      events.event(pod('web', 'shop'), 'Warning', 'Failed', `attempt ${i}`);
      await world.advance(1_000);
    }
    const list = await recorded();
    assert.equal(list.length, 11);
    const folded = list.find(({ message }) => message?.startsWith('(combined'));
    assert.deepEqual([folded?.message, folded?.count], ['(combined from similar events): attempt 19', 10]);
  });

  it('bounds what one object may say, then lets it speak now and then', async (t) => {
    const { events, recorded, world } = setUp(t);
    for (let i = 0; i < 100; i++) events.event(pod('noisy', 'shop'), 'Normal', `Reason${i}`, 'x');
    events.event(pod('quiet', 'shop'), 'Normal', 'Reason', 'x');
    assert.equal((await recorded()).length, 26);
    await world.advance(300_000);
    for (let i = 0; i < 10; i++) events.event(pod('noisy', 'shop'), 'Normal', `Later${i}`, 'x');
    assert.equal((await recorded()).length, 27);
  });

  it('cuts long messages as upstream does, at a character', async (t) => {
    const { events, recorded } = setUp(t);
    events.event(pod('web', 'shop'), 'Normal', 'Long', `x${'é'.repeat(1_000)}`);
    const [event] = await recorded();
    assert.equal(event?.message, `x${'é'.repeat(511)}`);
  });
});

describe('a recorder whose server fails', () => {
  it('tries again, then gives up, and never throws', async (t) => {
    const { server, events, recorded, world } = setUp(t);
    server.failures.push(serviceUnavailable('x'), serviceUnavailable('x'));
    events.event(pod('a', 'shop'), 'Normal', 'One', 'x');
    await world.advance(60_000);
    assert.equal((await recorded()).length, 1);
    for (let i = 0; i < 5; i++) server.failures.push(serviceUnavailable('x'));
    events.event(pod('a', 'shop'), 'Normal', 'Two', 'x');
    await world.advance(60_000);
    events.event(pod('a', 'shop'), 'Normal', 'Three', 'x');
    await events.flushed();
    assert.deepEqual(
      (await recorded()).map(({ reason }) => reason),
      ['One', 'Three'],
    );
  });

  it('does not insist where it is not allowed', async (t) => {
    const { server, events, recorded } = setUp(t);
    server.failures.push(forbidden({ group: '', resource: 'events' }, '', 'because it is being terminated'));
    events.event(pod('a', 'shop'), 'Normal', 'One', 'x');
    events.event(pod('a', 'shop'), 'Normal', 'Two', 'x');
    assert.deepEqual(
      (await recorded()).map(({ reason }) => reason),
      ['Two'],
    );
  });

  it('leaves nothing running when closed', async (t) => {
    const { server, events, world } = setUp(t);
    server.failures.push(serviceUnavailable('x'));
    events.event(pod('a', 'shop'), 'Normal', 'One', 'x');
    events.event(pod('b', 'shop'), 'Normal', 'One', 'x');
    await world.advance(0);
    events.close();
    await events.flushed();
    events.event(pod('c', 'shop'), 'Normal', 'One', 'x');
    assert.equal(world.pendingTimers(), 0);
    assert.equal(server.requests.length, 1);
  });
});
