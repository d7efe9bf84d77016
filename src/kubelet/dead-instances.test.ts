import assert from 'node:assert/strict';
import { test } from 'node:test';
import { superseded } from './dead-instances.ts';
import type { ContainerState } from './runtime/runtime.ts';

const cases: readonly (readonly [name: string, states: readonly ContainerState[], removed: readonly number[]])[] = [
  ['a first instance stays', ['running'], []],
  ['the one before it stays', ['running', 'exited'], []],
  ['older ones go', ['running', 'exited', 'exited', 'exited'], [2, 3]],
  ['one that ended at once does not take the place of the one before it', ['exited', 'exited', 'exited'], [2]],
  ['one that never ran tells nothing', ['running', 'created', 'exited'], [1]],
  ['what runs is left to others', ['running', 'running', 'exited'], []],
];

for (const [name, states, removed] of cases) {
  test(name, () => {
    const instances = states.map((state, index) => ({ state, index }));
    assert.deepEqual(
      superseded(instances).map(({ index }) => index),
      removed,
    );
  });
}
