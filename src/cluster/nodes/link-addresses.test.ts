import assert from 'node:assert/strict';
import { test } from 'node:test';
import { freeAddress, freeLink, linkAddress6, linkGateway, linkGateway6, rangesOfRoutes } from './link-addresses.ts';

test('clusters on one host have links of their own, and leave out what a device has', () => {
  assert.equal(freeLink(0, []), '192.168.128.0/24');
  assert.equal(freeLink(127, []), '192.168.255.0/24');
  assert.equal(freeLink(50, ['192.168.178.20/24']), '192.168.179.0/24');
  assert.equal(freeLink(127, ['192.168.255.7/32']), '192.168.128.0/24');
});

test('what the host has a route for is taken, be the device without a carrier', () => {
  const table = `Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
eth0	00000000	010200C0	0003	0	0	0	00000000	0	0	0
k8tsl1	00B9A8C0	00000000	0001	0	0	0	00FFFFFF	0	0	0
tun0	0000A8C0	00000000	0001	0	0	0	0080FFFF	0	0	0
`;
  assert.deepEqual(rangesOfRoutes(table), ['192.168.185.0/24', '192.168.0.0/17']);
  assert.equal(freeLink(57, rangesOfRoutes(table)), '192.168.186.0/24');
});

test('IPv6 addresses on the link end in the number that IPv4 ones end in', () => {
  assert.equal(linkGateway6('fd00:1:2:200::/64'), 'fd00:1:2:200::1');
  assert.equal(linkAddress6('fd00:1:2:200::/64', '192.168.130.254'), 'fd00:1:2:200::fe');
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
