import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { CelError, compileCel, optionalValue } from './cel.ts';

const cases: readonly [expression: string, self: unknown, answer: unknown][] = [
  ['self.replicas <= self.max', { replicas: 1n, max: 2n }, true],
  ['has(self.x) && self.x == 1', {}, false],
  ['self.all(key, self[key] > 0)', { a: 1n }, true],
  ['self.items.exists_one(item, item.name == "a")', { items: [{ name: 'a' }, { name: 'b' }] }, true],
  ['[1, 2, 3].isSorted() && self.isSorted()', ['a', 'b'], true],
  ['self.sum()', [1n, 2n], 3n],
  ['self.min() + self.max()', [3n, 1n, 2n], 4n],
  ['self.indexOf("b")', ['a', 'b'], 1n],
  ['sets.contains(self, ["a"]) && !sets.intersects(self, ["c"])', ['a', 'b'], true],
  ['self.find("[0-9]+")', 'ab12c3', '12'],
  ['self.findAll("[0-9]+")', 'ab12c3', ['12', '3']],
  ['self.matches("^[a-z]+$")', 'abc', true],
  ['"%s is %d of %.1f".format([self, 3, 2.5])', 'x', 'x is 3 of 2.5'],
  ['quantity(self).isGreaterThan(quantity("100m"))', '1', true],
  ['quantity("1Gi").compareTo(quantity(self))', '1024Mi', 0n],
  ['isQuantity(self)', '1x', false],
  ['url(self).getHostname() + url(self).getEscapedPath()', 'https://example.com:80/a', 'example.com/a'],
  ['isURL(self)', 'not a url', false],
  ['cidr("10.0.0.0/8").containsIP(self)', '10.1.2.3', true],
  ['ip(self).family()', '::1', 6n],
  ['isIP(self)', '1.2.3', false],
  ['!format.dns1123Label().validate(self).hasValue()', 'fine', true],
  ['duration(self) > duration("1s")', '5s', true],
  ['self.lowerAscii().replace("a", "b")', 'ABA', 'bbb'],
];

describe('expressions', () => {
  for (const [expression, self, answer] of cases) {
    test(expression, () => assert.deepEqual(compileCel(expression, ['self'])({ self }), answer));
  }

  test('with a variable that may be absent', () => {
    const program = compileCel('oldSelf.hasValue() ? oldSelf.value() : "none"', ['oldSelf']);
    assert.equal(program({ oldSelf: optionalValue(undefined) }), 'none');
    assert.equal(program({ oldSelf: optionalValue('old') }), 'old');
  });

  test('that do not parse, or meet values they cannot take, are errors', () => {
    assert.throws(() => compileCel('self +', ['self']), CelError);
    assert.throws(() => compileCel('self.nothing', ['self'])({ self: {} }), CelError);
    assert.throws(() => compileCel('other', ['self'])({ self: 1n }), CelError);
    assert.throws(() => compileCel('self.nope()', ['self'])({ self: 1n }), CelError);
    assert.throws(() => compileCel('x'.repeat(20_000), ['self']), CelError);
  });
});
