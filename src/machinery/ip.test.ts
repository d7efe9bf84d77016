import assert from 'node:assert/strict';
import { isIP } from 'node:net';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  IpError,
  contains,
  formatCidr,
  formatIp,
  indexOfIp,
  isIp,
  networkOf,
  nthIp,
  nthSubnet,
  overlaps,
  parseCidr,
  parseIp,
  sizeOf,
  tryParseCidr,
} from './ip.ts';

describe('canonical text', () => {
  const cases: readonly [string, string][] = [
    ['10.0.0.1', '10.0.0.1'],
    ['255.255.255.255', '255.255.255.255'],
    ['::', '::'],
    ['::1', '::1'],
    ['2001:DB8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['fe80:0:0:0:0:0:0:0', 'fe80::'],
    ['::ffff:1.2.3.4', '::ffff:1.2.3.4'],
    ['64:ff9b::1.2.3.4', '64:ff9b::102:304'],
  ];
  for (const [text, expected] of cases) test(text, () => assert.equal(formatIp(parseIp(text)), expected));
});

test('what is no address is refused', () => {
  for (const text of [
    '',
    '1.2.3',
    '1.2.3.4.5',
    '256.1.1.1',
    '01.2.3.4',
    '1.2.3.4 ',
    ':::',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '::12345',
    'fe80::1%eth0',
    '::1.2.3',
    '1:2:3:4:5:6:7::8:9',
  ]) {
    assert.equal(isIp(text), false, text);
    assert.throws(() => parseIp(text), IpError);
  }
  for (const text of ['10.0.0.0', '10.0.0.0/33', '10.0.0.0/-1', '10.0.0.0/08', 'x/8', '::/129', '10.0.0.0/'])
    assert.equal(tryParseCidr(text), undefined, text);
});

test('formatting and parsing are inverse, and Node agrees that it is an address', () => {
  const address = fc.oneof(
    fc.bigInt({ min: 0n, max: 2n ** 32n - 1n }).map((bits) => ({ family: 4 as const, bits })),
    fc.bigInt({ min: 0n, max: 2n ** 128n - 1n }).map((bits) => ({ family: 6 as const, bits })),
  );
  fc.assert(
    fc.property(address, (ip) => {
      assert.deepEqual(parseIp(formatIp(ip)), ip);
      assert.equal(isIP(formatIp(ip)), ip.family);
    }),
  );
});

test('counting within a block', () => {
  const block = parseCidr('10.96.0.5/12');
  assert.equal(formatCidr(networkOf(block)), '10.96.0.0/12');
  assert.equal(sizeOf(block), 1048576n);
  assert.equal(formatIp(nthIp(block, 10)), '10.96.0.10');
  assert.equal(indexOfIp(block, parseIp('10.96.1.0')), 256n);
  assert.throws(() => nthIp(block, 1048576), IpError);
  assert.equal(contains(block, parseIp('10.111.255.255')), true);
  assert.equal(contains(block, parseIp('10.112.0.0')), false);
  assert.equal(contains(block, parseIp('::a60:5')), false);
  assert.equal(formatCidr(nthSubnet(parseCidr('10.244.0.0/16'), 24, 3)), '10.244.3.0/24');
  assert.throws(() => nthSubnet(parseCidr('10.244.0.0/16'), 24, 256), IpError);
  assert.throws(() => nthSubnet(parseCidr('10.244.0.0/16'), 8, 0), IpError);
  assert.equal(formatCidr(nthSubnet(parseCidr('fd00::/48'), 64, 1)), 'fd00:0:0:1::/64');
  assert.equal(overlaps(parseCidr('10.0.0.0/8'), parseCidr('10.1.0.0/16')), true);
  assert.equal(overlaps(parseCidr('10.1.0.0/16'), parseCidr('10.2.0.0/16')), false);
});
