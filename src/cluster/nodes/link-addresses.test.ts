import assert from 'node:assert/strict';
import { test } from 'node:test';
import { freeAddress, freeLink, linkGateway } from './link-addresses.ts';

test('clusters on one host have links of their own, and leave out what a device has', () => {
  assert.equal(freeLink(0, []), '192.168.128.0/24');
  assert.equal(freeLink(127, []), '192.168.255.0/24');
  assert.equal(freeLink(50, ['192.168.178.20/24']), '192.168.179.0/24');
  assert.equal(freeLink(127, ['192.168.255.7/32']), '192.168.128.0/24');
});

test('the host has the first address and nodes the next that is free', () => {
  const link = '192.168.130.0/24';
  assert.equal(linkGateway(link), '192.168.130.1');
  assert.equal(freeAddress(link, []), '192.168.130.2');
  assert.equal(freeAddress(link, ['192.168.130.2', '192.168.130.4']), '192.168.130.3');
});

test('a link holds 253 nodes', () => {
  const link = '192.168.130.0/24';
  const taken: string[] = [];
  for (let i = 0; i < 253; i++) taken.push(freeAddress(link, taken));
  assert.equal(taken.at(-1), '192.168.130.254');
  assert.throws(() => freeAddress(link, taken), /no address left/);
});
