import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { simulatedWorld } from '../world/simulated.ts';
import { collectWhenQuiet } from './quiet-collection.ts';

const mebibyte = 1024 * 1024;

function watched() {
  const world = simulatedWorld(1);
  const state = { used: 20 * mebibyte, micros: 0, live: 18 * mebibyte, collections: 0 };
  const timer = collectWhenQuiet(world.clock, {
    usedBytes: () => state.used,
    cpuMicros: () => state.micros,
    collect() {
      state.collections++;
      state.used = state.live;
    },
  });
  return { world, state, timer };
}

describe('a process', () => {
  test('collects once when it has become quiet, and again when enough has gathered', async () => {
    const { world, state, timer } = watched();
    await world.advance(5_000);
    assert.equal(state.collections, 1);
    await world.advance(60_000);
    assert.equal(state.collections, 1);
    state.used += 2 * mebibyte;
    await world.advance(5_000);
    assert.equal(state.collections, 1);
    state.used += mebibyte;
    await world.advance(5_000);
    assert.equal(state.collections, 2);
    timer.cancel();
  });

  test('is left alone while it is busy', async () => {
    const { world, state, timer } = watched();
    for (let round = 0; round < 5; round++) {
      state.micros += 250_000;
      await world.advance(5_000);
    }
    assert.equal(state.collections, 0);
    state.micros += 249_000;
    await world.advance(5_000);
    assert.equal(state.collections, 1);
    timer.cancel();
  });

  test('with a large heap is left alone always', async () => {
    const { world, state, timer } = watched();
    state.used = 128 * mebibyte + 1;
    await world.advance(60_000);
    assert.equal(state.collections, 0);
    timer.cancel();
  });
});
