import assert from 'node:assert/strict';
import { test } from 'node:test';
import { simulatedWorld } from '../world/simulated.ts';
import { bootstrapTokenText, newBootstrapToken, parseBootstrapToken } from './bootstrap-token.ts';

test('a new token is one, and another each time', () => {
  const world = simulatedWorld(1);
  const seen = new Set<string>();
  for (let i = 0; i < 200; i++) {
    const token = newBootstrapToken(world);
    assert.deepEqual(parseBootstrapToken(bootstrapTokenText(token)), token);
    seen.add(token.id);
  }
  assert.ok(seen.size > 190);
});

test('what is no token', () => {
  for (const text of [
    '',
    'abcdef',
    'abcdef.',
    'abcde.0123456789abcdef',
    'abcdef.0123456789abcde',
    'abcdef.0123456789abcdefg',
    'ABCDEF.0123456789abcdef',
    ' abcdef.0123456789abcdef',
  ])
    assert.equal(parseBootstrapToken(text), undefined, text);
});
