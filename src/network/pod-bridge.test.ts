import assert from 'node:assert/strict';
import { test } from 'node:test';
import { prepareBridge } from './pod-bridge.ts';

const bridge = { name: 'br', mac: '0a:00:00:00:00:01', mtu: 1450, podCidrs: ['10.244.1.0/24', 'fd00:1:0:101::/64'] };

/** What is run, on a machine that has the bridge or not. */
async function commandsOf(podCidrs: readonly string[], exists: boolean): Promise<string[]> {
  const ran: string[] = [];
  await prepareBridge({ ...bridge, podCidrs }, async (command, args, input = '') => {
    if (args.includes('show') && !exists) throw new Error('does not exist');
    if (!args.includes('show')) ran.push([command, ...args, input].join(' ').trim());
    return '';
  });
  return ran;
}

test('with IPv6 the bridge is there before pods are, its address in use at once', async () => {
  const addressed = 'ip -batch - address replace fd00:1:0:101::1/64 dev br nodad\naddress replace fe80::1/64 dev br nodad\nlink set br up';
  assert.deepEqual(await commandsOf(bridge.podCidrs, false), ['ip link add br address 0a:00:00:00:00:01 mtu 1450 type bridge', addressed]);
  assert.deepEqual(await commandsOf(bridge.podCidrs, true), [addressed], 'one that is there stays');
});

test('without IPv6 it is left to the plugin', async () => {
  assert.deepEqual(await commandsOf(['10.244.1.0/24'], false), []);
});
