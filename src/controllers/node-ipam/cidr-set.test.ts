import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CidrSet } from './cidr-set.ts';

describe('the blocks of a cluster CIDR', () => {
  it('are handed out in order until none is left, and again when given back', () => {
    const set = new CidrSet('10.0.0.0/22', 24);
    assert.deepEqual(
      [set.allocate(), set.allocate(), set.allocate(), set.allocate(), set.allocate()],
      ['10.0.0.0/24', '10.0.1.0/24', '10.0.2.0/24', '10.0.3.0/24', undefined],
    );
    set.release('10.0.2.0/24');
    assert.equal(set.allocate(), '10.0.2.0/24');
  });
  it('are not given twice when a node has one already', () => {
    const set = new CidrSet('10.0.0.0/23', 24);
    set.occupy('10.0.0.0/24');
    assert.equal(set.allocate(), '10.0.1.0/24');
    assert.equal(set.allocate(), undefined);
  });
  it('are all taken by a wider one, and one by a narrower', () => {
    const wide = new CidrSet('10.0.0.0/22', 24);
    wide.occupy('10.0.0.0/23');
    assert.equal(wide.allocate(), '10.0.2.0/24');
    const narrow = new CidrSet('10.0.0.0/22', 24);
    narrow.occupy('10.0.0.128/25');
    assert.equal(narrow.allocate(), '10.0.1.0/24');
  });
  it('lie elsewhere than a foreign CIDR', () => {
    const set = new CidrSet('10.0.0.0/24', 24);
    set.occupy('192.168.0.0/24');
    assert.equal(set.allocate(), '10.0.0.0/24');
  });
  it('may be IPv6', () => assert.equal(new CidrSet('fd00::/48', 64).allocate(), 'fd00::/64'));
  it('must fit the range', () => assert.throws(() => new CidrSet('10.0.0.0/24', 16), /does not fit/));
});
