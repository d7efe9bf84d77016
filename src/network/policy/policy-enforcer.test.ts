import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Namespace, NetworkPolicy, Pod } from '../../api/kinds.ts';
import { FakeTransport } from '../../client/fake-transport.ts';
import { createInformers } from '../../client/informers.ts';
import { createClient } from '../../client/typed-client.ts';
import type { Count } from '../../nftables/counters.ts';
import { simulatedWorld } from '../../world/simulated.ts';
import { type PolicyEnforcer, startPolicyEnforcer } from './policy-enforcer.ts';

const created = { uid: 'u', resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' };
const shop: Namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop', ...created }, spec: {}, status: {} };
const policyPath = '/apis/networking.k8s.io/v1/namespaces/shop/networkpolicies/closed';
const closed: NetworkPolicy = {
  apiVersion: 'networking.k8s.io/v1',
  kind: 'NetworkPolicy',
  metadata: { name: 'closed', namespace: 'shop', generation: 1, ...created },
  spec: { podSelector: {}, policyTypes: ['Ingress'] },
};

function pod(ip: string, phase = 'Running', message?: string): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'web', namespace: 'shop', ...created },
    spec: { nodeName: 'here', containers: [{ name: 'main', image: 'x' }] },
    status: { phase, podIP: ip, podIPs: [{ ip }], ...(message !== undefined && { message }) },
  };
}

interface Rig {
  readonly transport: FakeTransport;
  readonly world: ReturnType<typeof simulatedWorld>;
  readonly scripts: string[];
  /** Thrown by the next transactions. */
  readonly failures: Error[];
  /** What the table's counters have counted. */
  readonly counted: Map<string, Count>;
  /** Resolves with the next script that holds the text. */
  next(text: string): Promise<string>;
  readonly enforcer: PolicyEnforcer;
}

async function withEnforcer(check: (rig: Rig) => Promise<void>): Promise<void> {
  const world = simulatedWorld(1);
  const transport = new FakeTransport();
  transport.set('/api/v1/namespaces/shop', shop);
  transport.set('/api/v1/namespaces/shop/pods/web', pod('10.244.0.5'));
  const informers = createInformers(createClient(transport), world);
  const scripts: string[] = [];
  const failures: Error[] = [];
  const counted = new Map<string, Count>();
  const waiting = new Set<{ text: string; resolve: (script: string) => void }>();
  const apply = async (script: string): Promise<void> => {
    const failure = failures.shift();
    if (failure) throw failure;
    scripts.push(script);
    for (const one of waiting) if (script.includes(one.text) && waiting.delete(one)) one.resolve(script);
    await Promise.resolve();
  };
  const enforcer = startPolicyEnforcer({
    world,
    informers,
    nodeName: 'here',
    table: 't',
    nftables: { apply, close: () => Promise.resolve() },
    counters: () => Promise.resolve(counted),
  });
  try {
    await enforcer.ready;
    await check({ world, transport, scripts, failures, counted, enforcer, next: (text) => new Promise((resolve) => waiting.add({ text, resolve })) });
  } finally {
    await enforcer.close();
    informers.close();
  }
}

test('without policies there is no table, and nobody watches pods', () =>
  withEnforcer(async ({ scripts, transport }) => {
    assert.deepEqual(scripts, ['table inet t {}\ndelete table inet t\n']);
    assert.deepEqual(
      transport.requests.filter(({ path }) => path.endsWith('/pods') || path.endsWith('/namespaces')),
      [],
    );
    await Promise.resolve();
  }));

test('the first policy makes the table, what changes is added to it, and with the last it goes', () =>
  withEnforcer(async ({ transport, next, scripts }) => {
    const first = next('add element inet t pods-in-4 { 10.244.0.5 : goto');
    transport.set(policyPath, closed);
    assert.match(await first, /^table inet t {}\ndelete table inet t\ntable inet t {/);
    const moved = next('10.244.0.6');
    // Of no concern to policies.
    transport.set('/api/v1/namespaces/shop/pods/web', pod('10.244.0.5', 'Running', 'still here'));
    transport.set('/api/v1/namespaces/shop/pods/web', pod('10.244.0.6'));
    assert.doesNotMatch(await moved, /table inet t/);
    assert.equal(scripts.length, 3);
    const gone = next('delete table inet t\n');
    transport.delete(policyPath);
    assert.equal(await gone, 'table inet t {}\ndelete table inet t\n');
  }));

test('when nft refuses, the whole table is written anew', () =>
  withEnforcer(async ({ transport, next, failures, world }) => {
    const first = next('pods-in-4 { 10.244.0.5');
    transport.set(policyPath, closed);
    await first;
    failures.push(new Error('somebody took the table away'));
    const again = next('pods-in-4 { 10.244.0.7');
    transport.set('/api/v1/namespaces/shop/pods/web', pod('10.244.0.7'));
    while (failures.length > 0) await new Promise((resolve) => setImmediate(resolve));
    await world.advance(60_000);
    assert.match(await again, /^table inet t {}\ndelete table inet t\ntable inet t {/);
  }));

function fresh(name: string): Pod {
  const { status: _, ...one } = pod('');
  return { ...one, metadata: { ...one.metadata, name, uid: name }, status: { phase: 'Pending' } };
}

test('a pod is held by its rules before anything in it runs, and nothing is written when the API tells of its address', () =>
  withEnforcer(async ({ transport, next, scripts, enforcer }) => {
    const first = next('pods-in-4');
    transport.set(policyPath, closed);
    await first;
    await enforcer.admit(fresh('new'), ['10.244.0.9']);
    assert.match(scripts.at(-1) ?? '', /add element inet t pods-in-4 { 10\.244\.0\.9 : goto/);
    const written = scripts.length;
    await enforcer.admit(fresh('new'), ['10.244.0.9']);
    const told: Pod = { ...fresh('new'), status: pod('10.244.0.9').status };
    transport.set('/api/v1/namespaces/shop/pods/new', told);
    const moved = next('10.244.0.6');
    transport.set('/api/v1/namespaces/shop/pods/web', pod('10.244.0.6'));
    assert.doesNotMatch(await moved, /10\.244\.0\.9/);
    assert.equal(scripts.length, written + 1);
    const gone = next('delete element inet t pods-in-4 { 10.244.0.9 }');
    transport.delete('/api/v1/namespaces/shop/pods/new');
    await gone;
  }));

test('without policies a pod waits for nothing', () =>
  withEnforcer(async ({ scripts, enforcer }) => {
    await enforcer.admit(fresh('new'), ['10.244.0.9']);
    assert.equal(scripts.length, 1);
  }));

test('a pod whose rules cannot be written is not to start', () =>
  withEnforcer(async ({ transport, next, failures, world, enforcer }) => {
    const first = next('pods-in-4');
    transport.set(policyPath, closed);
    await first;
    failures.push(...Array.from({ length: 20 }, () => new Error('no nft here')));
    const admitted = assert.rejects(enforcer.admit(fresh('new'), ['10.244.0.9']), /not in force for the pod: Error: no nft here/);
    while (failures.length === 20) await new Promise((resolve) => setImmediate(resolve));
    await world.advance(11_000);
    await admitted;
    failures.length = 0;
    const again = next('10.244.0.9');
    await world.advance(60_000);
    await again;
  }));

test('counters go on from what they had counted when the table is written anew, and stay while their policy does', () =>
  withEnforcer(async ({ transport, next, failures, counted, world, scripts }) => {
    const first = next('add counter inet t denied-in/shop/closed\n');
    transport.set(policyPath, closed);
    await first;
    const left = next('delete element inet t pods-in-4');
    transport.delete('/api/v1/namespaces/shop/pods/web');
    assert.doesNotMatch(await left, /delete counter/);
    counted.set('denied-in/shop/closed', { packets: 7, bytes: 420 });
    failures.push(new Error('somebody took the table away'));
    const again = next('add counter inet t denied-in/shop/closed { packets 7 bytes 420 }');
    transport.set('/api/v1/namespaces/shop/pods/web', pod('10.244.0.7'));
    while (failures.length > 0) await new Promise((resolve) => setImmediate(resolve));
    await world.advance(60_000);
    await again;
    assert(scripts.length >= 3);
  }));

test('a table that somebody took away is back within half a minute, though nothing changes', () =>
  withEnforcer(async ({ transport, next, failures, world }) => {
    const first = next('pods-in-4');
    transport.set(policyPath, closed);
    await first;
    const looked = next('add chain inet t sent\n');
    await world.advance(30_000);
    assert.equal(await looked, 'add chain inet t sent\n');
    failures.push(new Error('no such table'));
    const again = next('table inet t {');
    await world.advance(32_000);
    assert.match(await again, /pods-in-4 { 10\.244\.0\.5/);
  }));
