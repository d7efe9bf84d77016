import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cniConfig } from './cni-config.ts';

interface Shown {
  readonly plugins: readonly [{ readonly mtu: number; readonly ipam: { readonly ranges: object; readonly routes: object } }, object];
}

const shown = (podCidrs: readonly string[]): Shown =>
  cniConfig({ networkName: 'n', bridge: 'br', podCidrs, mtu: 1450, ipamDir: '/run/ipam' }) as Shown;

test('a pod gets an address out of each of the node’s ranges, and a default route of each family', () => {
  const { ipam, mtu } = shown(['10.244.1.0/24', 'fd00:1:0:1::/64']).plugins[0];
  assert.deepEqual(ipam.ranges, [[{ subnet: '10.244.1.0/24' }], [{ subnet: 'fd00:1:0:1::/64' }]]);
  assert.deepEqual(ipam.routes, [{ dst: '0.0.0.0/0' }, { dst: '::/0' }]);
  assert.equal(mtu, 1450);
  assert.deepEqual(shown(['10.244.1.0/24']).plugins[0].ipam.routes, [{ dst: '0.0.0.0/0' }]);
});
