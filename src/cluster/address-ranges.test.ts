import assert from 'node:assert/strict';
import { test } from 'node:test';
import { contains, nthIp, parseCidr, splitCidrs } from '../machinery/ip.ts';
import { fixedServiceAddresses, isDualStack, keptRanges, newRanges, type RangeChoices } from './address-ranges.ts';

const dataDir = '/var/lib/k8ts';
const choose = (choices: RangeChoices, place = 0): ReturnType<typeof newRanges> =>
  newRanges(choices, { place, dataDir, linkCidr: '192.168.128.0/24' });

test('of IPv4 alone unless asked otherwise, with the usual ranges in the usual place', () => {
  assert.deepEqual(choose({}), { clusterCidr: '10.244.0.0/16', serviceCidr: '10.96.0.0/16' });
  assert.equal(isDualStack(choose({})), false);
});

test('dual-stack takes unique local ranges: the same for a data directory, others for another', () => {
  const ranges = choose({ dualStack: true });
  const [pods, pods6 = ''] = splitCidrs(ranges.clusterCidr);
  const [services, services6 = ''] = splitCidrs(ranges.serviceCidr);
  assert.deepEqual([pods, services], ['10.244.0.0/16', '10.96.0.0/16']);
  for (const range of [pods6, services6, ranges.linkCidr6 ?? '']) assert.ok(contains(parseCidr('fd00::/8'), nthIp(parseCidr(range), 0)), range);
  assert.match(pods6, /:100::\/56$/);
  assert.match(services6, /:f000::\/112$/);
  assert.deepEqual(choose({ dualStack: true }), ranges);
  assert.notEqual(newRanges({ dualStack: true }, { place: 0, dataDir: '/other', linkCidr: '192.168.128.0/24' }).linkCidr6, ranges.linkCidr6);
});

test('one flag with two families makes the other dual-stack, too', () => {
  const ranges = choose({ clusterCidr: '10.1.2.3/16, FD00:0001::/56' });
  assert.equal(ranges.clusterCidr, '10.1.0.0/16,fd00:1::/56', 'as addresses are written');
  assert.equal(splitCidrs(ranges.serviceCidr).length, 2);
  assert.equal(splitCidrs(choose({ serviceClusterIpRange: '10.2.0.0/16,fd00:2::/112' }).clusterCidr).length, 2);
});

test('ranges that cannot work are refused, with the flag and the reason', () => {
  const cases: readonly [RangeChoices, RegExp][] = [
    [{ clusterCidr: '10.244.0.0' }, /--cluster-cidr 10\.244\.0\.0: "10\.244\.0\.0" is no range/],
    [{ clusterCidr: '' }, /--cluster-cidr : .*one range/],
    [{ clusterCidr: 'fd00:1::/56,10.244.0.0/16' }, /an IPv4 range comes first/],
    [{ clusterCidr: 'fd00:1::/56' }, /an IPv4 range comes first/],
    [{ clusterCidr: '10.1.0.0/16,10.2.0.0/16' }, /an IPv4 range comes first/],
    [{ clusterCidr: '10.1.0.0/16,fd00:1::/56,fd00:2::/56' }, /one range, or one of each family/],
    [{ clusterCidr: '10.1.0.0/25' }, /an IPv4 range has 8 to 24 bits, not 25/],
    [{ clusterCidr: '10.1.0.0/16,fd00:1::/65' }, /an IPv6 range has 48 to 64 bits, not 65/],
    [{ clusterCidr: '10.1.0.0/16,fd00:1::/47' }, /an IPv6 range has 48 to 64 bits, not 47/],
    [{ serviceClusterIpRange: '10.1.0.0/11' }, /an IPv4 range has 12 to 28 bits, not 11/],
    [{ serviceClusterIpRange: '10.1.0.0/29' }, /an IPv4 range has 12 to 28 bits, not 29/],
    [{ serviceClusterIpRange: '10.1.0.0/16,fd00::/107' }, /an IPv6 range has 108 to 124 bits, not 107/],
    [{ dualStack: true, clusterCidr: '10.1.0.0/16' }, /--cluster-cidr 10\.1\.0\.0\/16: a dual-stack cluster needs an IPv6 range, too/],
    [{ clusterCidr: '10.96.0.0/12' }, /10\.96\.0\.0\/12 and 10\.96\.0\.0\/16 overlap/],
    [{ clusterCidr: '192.168.0.0/16' }, /192\.168\.0\.0\/16 and 192\.168\.128\.0\/24 overlap/],
  ];
  for (const [choices, message] of cases) assert.throws(() => choose(choices), { name: 'ClusterError', message }, JSON.stringify(choices));
});

test('the narrowest and the widest ranges do', () => {
  for (const clusterCidr of ['10.0.0.0/24,fd00:1::/48', '11.0.0.0/8,fd00:1::/64']) assert.equal(choose({ clusterCidr }).clusterCidr, clusterCidr);
  for (const serviceClusterIpRange of ['10.0.0.0/12,fd00:2::/108', '10.0.0.0/28,fd00:2::/124'])
    assert.equal(choose({ serviceClusterIpRange }).serviceCidr, serviceClusterIpRange);
});

test('a cluster keeps its ranges for life', () => {
  const [single, dual] = [choose({}), choose({ dualStack: true })];
  assert.deepEqual(keptRanges(single, {}, dataDir), single);
  assert.deepEqual(keptRanges(dual, { dualStack: true, clusterCidr: dual.clusterCidr }, dataDir), dual);
  assert.throws(() => keptRanges(single, { dualStack: true }, dataDir), /was made with IPv4 only/);
  assert.throws(() => keptRanges(single, { clusterCidr: '10.1.0.0/16' }, dataDir), /was made with --cluster-cidr 10\.244\.0\.0\/16/);
});

test('fixed addresses are the first and the tenth of the first range, wherever it begins', () => {
  assert.deepEqual(fixedServiceAddresses('10.96.0.0/16,fd00:1::/112'), { apiServer: '10.96.0.1', dns: '10.96.0.10' });
  assert.deepEqual(fixedServiceAddresses('10.9.8.64/28'), { apiServer: '10.9.8.65', dns: '10.9.8.74' });
});
