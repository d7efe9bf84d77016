import assert from 'node:assert/strict';
import { test } from 'node:test';
import { advertisedDevices } from './forwarding.ts';

test('devices whose default route came from a router, and no others', () => {
  const routes = `default via fd00::1 dev eth0 metric 1024 pref medium
default via fe80::1 dev wlan0 proto ra metric 600 pref medium
default via fe80::2 dev eth1 metric 100 proto ra mtu 1492 pref medium
`;
  assert.deepEqual(advertisedDevices(routes), ['wlan0', 'eth1']);
  assert.deepEqual(advertisedDevices(''), []);
});
