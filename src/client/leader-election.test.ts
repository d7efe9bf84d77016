import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import type { Lease } from '../api/kinds.ts';
import { simulatedWorld, type SimulatedWorld } from '../world/simulated.ts';
import { ConnectionError } from './connection-error.ts';
import { FakeTransport } from './fake-transport.ts';
import { type LeaderElection, startLeaderElection } from './leader-election.ts';
import type { Transport } from './transport.ts';
import { createClient } from './typed-client.ts';

const path = '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/scheduler';

interface Candidate {
  readonly election: LeaderElection;
  readonly said: string[];
}

function candidate(t: TestContext, transport: Transport, world: SimulatedWorld, identity: string): Candidate {
  const said: string[] = [];
  const election = startLeaderElection(createClient(transport), world, {
    name: 'scheduler',
    namespace: 'kube-system',
    identity,
    onLeading: (signal) => {
      said.push('leading');
      signal.addEventListener('abort', () => said.push('aborted'), { once: true });
    },
    onLost: () => said.push('lost'),
    onNewLeader: (leader) => said.push(`${leader} leads`),
  });
  t.after(() => election.close());
  return { election, said };
}

function lease(server: FakeTransport): Lease['spec'] {
  return (server.get(path) as Lease).spec;
}

/** A way to the server that the test can cut. */
function cuttable(server: FakeTransport): Transport & { cut: boolean } {
  return {
    cut: false,
    shared: false,
    close: () => undefined,
    watch: (request) => server.watch(request),
    request(request) {
      return this.cut ? Promise.reject(new ConnectionError('server', new Error('cut'))) : server.request(request);
    },
  };
}

describe('leader election', () => {
  it('lets the first one lead and keeps the lease renewed', async (t) => {
    const server = new FakeTransport();
    const world = simulatedWorld(1);
    const a = candidate(t, server, world, 'a');
    await world.advance(0);
    assert.deepEqual(a.said, ['a leads', 'leading']);
    assert.ok(a.election.isLeader());
    assert.deepEqual(lease(server), {
      holderIdentity: 'a',
      leaseDurationSeconds: 15,
      acquireTime: '2026-01-01T00:00:00.000000Z',
      renewTime: '2026-01-01T00:00:00.000000Z',
      leaseTransitions: 0,
    });
    const b = candidate(t, server, world, 'b');
    await world.advance(60_000);
    assert.equal(lease(server).renewTime, '2026-01-01T00:01:00.000000Z');
    assert.deepEqual(b.said, ['a leads']);
  });

  it('passes on without waiting when the leader closes', async (t) => {
    const server = new FakeTransport();
    const world = simulatedWorld(1);
    const a = candidate(t, server, world, 'a');
    await world.advance(0);
    const b = candidate(t, server, world, 'b');
    await world.advance(10_000);
    await a.election.close();
    assert.deepEqual(a.said, ['a leads', 'leading', 'aborted', 'lost']);
    assert.equal(lease(server).holderIdentity, '');
    await world.advance(2_400);
    assert.deepEqual(b.said, ['a leads', 'b leads', 'leading']);
    assert.equal(lease(server).leaseTransitions, 1);
  });

  it('takes over from a leader that is cut off, after that one has stepped down', async (t) => {
    const server = new FakeTransport();
    const world = simulatedWorld(1);
    const way = cuttable(server);
    const a = candidate(t, way, world, 'a');
    await world.advance(0);
    const b = candidate(t, server, world, 'b');
    await world.advance(10_000);
    way.cut = true;
    await world.advanceUntil(() => !a.election.isLeader(), 15_000);
    assert.equal(b.election.isLeader(), false);
    await world.advanceUntil(() => b.election.isLeader(), 20_000);
    assert.deepEqual(a.said, ['a leads', 'leading', 'aborted', 'lost']);
    way.cut = false;
    await world.advance(30_000);
    assert.equal(a.said.at(-1), 'b leads');
    assert.equal(a.election.isLeader(), false);
  });

  it('steps down at once when another took the lease', async (t) => {
    const server = new FakeTransport();
    const world = simulatedWorld(1);
    const a = candidate(t, server, world, 'a');
    await world.advance(5_000);
    const stolen = server.get(path) as Lease;
    server.set(path, { ...stolen, spec: { ...stolen.spec, holderIdentity: 'thief' } } as Lease);
    await world.advance(2_000);
    assert.deepEqual(a.said, ['a leads', 'leading', 'thief leads', 'aborted', 'lost']);
  });

  it('leaves no timer behind', async (t) => {
    const world = simulatedWorld(1);
    const a = candidate(t, new FakeTransport(), world, 'a');
    await world.advance(10_000);
    await a.election.close();
    await a.election.close();
    assert.equal(world.pendingTimers(), 0);
  });
});
