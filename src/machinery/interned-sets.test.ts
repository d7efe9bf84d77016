import assert from 'node:assert/strict';
import { test } from 'node:test';
import { interned } from './interned-sets.ts';

const conditions = (): Record<string, object> => ({
  'f:conditions': { 'k:{"type":"Ready"}': { '.': {}, 'f:status': {}, 'f:type': {} } },
  'f:phase': {},
});

test('what many objects have alike is kept once', () => {
  const one = interned({ 'f:status': { ...conditions(), 'f:podIPs': { 'k:{"ip":"10.0.0.1"}': { '.': {}, 'f:ip': {} } } } });
  const other = interned({ 'f:status': { ...conditions(), 'f:podIPs': { 'k:{"ip":"10.0.0.2"}': { '.': {}, 'f:ip': {} } } } });
  assert.equal(one['f:status']?.['f:conditions'], other['f:status']?.['f:conditions']);
  assert.notDeepEqual(one, other);
});

test('sets stay what they are, however many there are', () => {
  for (let i = 0; i < 2_000; i++) {
    const set = { 'f:metadata': { '.': {}, 'f:ownerReferences': { [`k:{"uid":"${i}-${'0'.repeat(36)}"}`]: {} } }, 'f:spec': {} };
    assert.deepEqual(interned(set as never), set);
  }
  const first = interned({ 'f:status': conditions() } as never);
  assert.deepEqual(first, { 'f:status': conditions() });
  assert.deepEqual(interned({}), {});
});
