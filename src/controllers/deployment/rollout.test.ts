/** Whatever the numbers, a rollout keeps its promises at every step, and ends. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Part } from './parts.ts';
import { type Limits, resize, roll, scale, stopOld } from './scaling.ts';

function part(name: string, replicas: number, available: number, limits: Limits): Part {
  const fresh: Part = {
    existing: undefined,
    name,
    createdMs: Number(name.slice(1)),
    observed: { replicas, ready: available, available, terminating: 0 },
    replicas,
    minReadySeconds: 0,
    annotations: {},
  };
  resize(fresh, replicas, limits);
  return fresh;
}

/** The replica sets caught up: sizes are real, and at most `brought` more pods of the new one became available. */
function caughtUp(parts: readonly Part[], current: string, brought: number, limits: Limits): Part[] {
  return parts.map(({ name, replicas, observed }) => {
    const available = name === current ? Math.min(replicas, observed.available + brought) : Math.min(replicas, observed.available);
    return part(name, replicas, available, limits);
  });
}

const anyLimits = fc
  .record({ wanted: fc.integer({ min: 1, max: 40 }), surge: fc.integer({ min: 0, max: 10 }), unavailable: fc.integer({ min: 0, max: 10 }) })
  .map(({ wanted, surge, unavailable }): Limits => {
    return { wanted, surge, unavailable: Math.min(wanted, surge === 0 && unavailable === 0 ? 1 : unavailable), rolling: true };
  });

describe('a rolling update', () => {
  it('keeps enough available and not too many in all at every step, and ends', () => {
    fc.assert(
      fc.property(anyLimits, fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 30 }), (limits, pace) => {
        let parts = [part('r1', limits.wanted, limits.wanted, limits), part('r2', 0, 0, limits)];
        const steps = [...pace, ...Array<number>(100).fill(limits.wanted)];
        for (const brought of steps) {
          const [old, current] = parts;
          assert.ok(old && current);
          roll(current, [old], limits);
          assert.ok(old.replicas + current.replicas <= limits.wanted + limits.surge, 'too many');
          const serving = Math.min(old.replicas, old.observed.available) + Math.min(current.replicas, current.observed.available);
          assert.ok(serving >= limits.wanted - limits.unavailable, 'too few');
          parts = caughtUp(parts, 'r2', brought, limits);
        }
        assert.deepEqual(
          parts.map(({ replicas }) => replicas),
          [0, limits.wanted],
        );
      }),
    );
  });
});

describe('scaling in the middle of a rollout', () => {
  it('shares out exactly what there is, and leaves none below zero', () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 2, maxLength: 5 });
    fc.assert(
      fc.property(anyLimits, sizes, (limits, replicas) => {
        const before: Limits = { ...limits, wanted: replicas.reduce((a, b) => a + b, 0) };
        const parts = replicas.map((count, i) => part(`r${i + 1}`, count, 0, before));
        scale(parts.at(-1), parts.slice(0, -1), limits);
        assert.ok(parts.every(({ replicas: count }) => count >= 0 && Number.isInteger(count)));
        const total = parts.reduce((sum, { replicas: count }) => sum + count, 0);
        assert.equal(total, limits.wanted + limits.surge);
      }),
    );
  });
});

it('stopping the old stops all of it, once', () => {
  const limits: Limits = { wanted: 3, surge: 0, unavailable: 0, rolling: false };
  const old = [part('r1', 3, 3, limits), part('r2', 0, 0, limits)];
  assert.equal(stopOld(old, limits), true);
  assert.equal(stopOld(old, limits), false);
});
