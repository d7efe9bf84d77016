import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Toleration, tolerates } from './tolerations.ts';

const taint = { key: 'dedicated', value: 'gpu', effect: 'NoSchedule' };
const cases: readonly (readonly [name: string, toleration: Toleration, expect: boolean])[] = [
  ['everything', { operator: 'Exists' }, true],
  ['the key', { key: 'dedicated', operator: 'Exists' }, true],
  ['another key', { key: 'other', operator: 'Exists' }, false],
  ['key and value', { key: 'dedicated', operator: 'Equal', value: 'gpu' }, true],
  ['key and value, without an operator', { key: 'dedicated', value: 'gpu' }, true],
  ['another value', { key: 'dedicated', value: 'cpu' }, false],
  ['a value of no key', { value: 'gpu' }, false],
  ['the effect', { key: 'dedicated', operator: 'Exists', effect: 'NoSchedule' }, true],
  ['another effect', { key: 'dedicated', operator: 'Exists', effect: 'NoExecute' }, false],
  ['an unknown operator', { key: 'dedicated', operator: 'Like', value: 'gpu' }, false],
];

for (const [name, toleration, expect] of cases) {
  test(`a toleration of ${name} ${expect ? 'covers' : 'does not cover'} the taint`, () => assert.equal(tolerates(toleration, taint), expect));
}
