import assert from 'node:assert/strict';
import { test } from 'node:test';
import { frameFor } from './neighbour-news.ts';

test('an IPv4 address is told by an ARP request for itself', () => {
  assert.equal(
    frameFor('02:42:ac:11:00:02', '192.0.2.200').toString('hex'),
    'ffffffffffff0242ac110002080600010800060400010242ac110002c00002c8000000000000c00002c8',
  );
});

test('an IPv6 address is told by an advertisement to all nodes that overrides what they know', () => {
  const frame = frameFor('02:42:ac:11:00:02', 'fd00:7::200');
  assert.equal(frame.length, 86);
  assert.equal(frame.subarray(0, 14).toString('hex'), '3333000000010242ac11000286dd');
  assert.equal(frame.subarray(14, 22).toString('hex'), '6000000000203aff');
  assert.equal(frame.subarray(54, 56).toString('hex'), '8800');
  assert.equal(frame.subarray(58).toString('hex'), '20000000fd00000700000000000000000000020002010242ac110002');
  // With its checksum a message adds up to ones: the sum over addresses, length, protocol and message.
  let sum = 32 + 58;
  for (let at = 22; at < frame.length; at += 2) sum += frame.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  assert.equal(sum, 0xffff);
});
