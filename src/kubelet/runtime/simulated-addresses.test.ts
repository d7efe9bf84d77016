import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addressPool } from './simulated-addresses.ts';

test('the lowest free address of the range, and in a dual-stack cluster one of IPv6 with the same number', () => {
  const pool = addressPool(['10.244.3.2']);
  pool.use('10.244.3.0/24,fd00:1:0:103::/64');
  const [first, second] = [pool.take(), pool.take()];
  assert.deepEqual([first, second], ['10.244.3.3', '10.244.3.4']);
  assert.deepEqual(pool.all(first), ['10.244.3.3', 'fd00:1:0:103::3']);
  pool.give(first);
  assert.equal(pool.take(), first);
});

test('of IPv4 alone where the range is; an address from before the range was known is what it was', () => {
  const pool = addressPool([]);
  const early = pool.take();
  assert.equal(early, '10.88.0.2');
  pool.use('10.244.3.0/24');
  assert.deepEqual(pool.all('10.244.3.9'), ['10.244.3.9']);
  pool.use('10.244.3.0/24,fd00::/64');
  assert.deepEqual(pool.all(early), [early]);
});

test('a range that is used up says so', () => {
  const pool = addressPool([]);
  pool.use('10.244.3.0/30');
  assert.equal(pool.take(), '10.244.3.2');
  assert.throws(() => pool.take(), /no IP addresses available in range set/);
});
