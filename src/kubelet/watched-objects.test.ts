import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConfigMap } from '../api/kinds.ts';
import { createClient } from '../client/typed-client.ts';
import { ApiError } from '../machinery/errors.ts';
import { simulatedWorld } from '../world/simulated.ts';
import { fakeApi } from './fake-api.ts';
import { createWatchedObjects } from './watched-objects.ts';

const settings = { kind: 'ConfigMap', metadata: { name: 'settings', namespace: 'default' }, data: { a: '1' } };

test('one watch serves all who ask for an object, and ends with the last of them', async () => {
  const world = simulatedWorld(1);
  const api = fakeApi(world);
  api.put(settings);
  const watched = createWatchedObjects(createClient(api), world);
  let changes = 0;
  const first = watched.acquire(ConfigMap, 'default', 'settings', () => changes++);
  const second = watched.acquire(ConfigMap, 'default', 'settings', () => changes++);
  assert.equal((await first.read())?.data?.a, '1');
  await second.read();
  assert.equal(api.requests.length, 1);
  changes = 0;

  await world.advance(0);
  api.remove('ConfigMap', 'settings', 'default');
  await world.advance(0);
  assert.equal(changes, 2);
  assert.equal(await first.read(), undefined);

  first.release();
  second.release();
  api.put(settings);
  await world.advance(60_000);
  assert.equal(changes, 2);
  assert.equal(world.pendingTimers(), 0);
});

test('a watch waits a little for the next pod, and knows what happened meanwhile', async () => {
  const world = simulatedWorld(1);
  const api = fakeApi(world);
  api.put(settings);
  const watched = createWatchedObjects(createClient(api), world);
  const ask = () => watched.acquire(ConfigMap, 'default', 'settings', () => {});
  const first = ask();
  await first.read();
  first.release();
  await world.advance(4000);
  api.remove('ConfigMap', 'settings', 'default');
  await world.advance(0);
  const second = ask();
  assert.equal(await second.read(), undefined);
  assert.equal(api.requests.length, 1);
  await world.advance(60_000);
  api.put(settings);
  await world.advance(0);
  assert.equal((await second.read())?.data?.a, '1');
  second.release();
  watched.close();
  assert.equal(world.pendingTimers(), 0);
});

test('a read that was refused says so, until one succeeds', async () => {
  const world = simulatedWorld(1);
  const api = fakeApi(world);
  api.put(settings);
  api.failure = () => new ApiError('Forbidden', 'no relationship found');
  const watched = createWatchedObjects(createClient(api), world);
  const handle = watched.acquire(ConfigMap, 'default', 'settings', () => {});
  await assert.rejects(handle.read(), { message: 'no relationship found' });
  api.failure = undefined;
  await world.advance(60_000);
  assert.equal((await handle.read())?.data?.a, '1');
  watched.close();
});
