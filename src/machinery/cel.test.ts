import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { addAuthorizerFunctions, authorizerValue } from './cel/authorizer-functions.ts';
import { Functions } from './cel/overloads.ts';
import { dyn, opaque } from './cel/types.ts';
import {
  CelBudget,
  CelCostError,
  CelError,
  celLimits,
  CelPending,
  compileCel,
  compileExpression,
  kubernetesFunctions,
  optionalValue,
} from './cel.ts';

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
  ['self.upperAscii().reverse().charAt(0)', 'abc', 'C'],
  ['"%s, %d, %x, %e and %s".format([self, 3, 255, 1500.0, [1, dyn(true)]])', 'a', 'a, 3, ff, 1.500000e+03 and [1, true]'],
  ['self.transformList(i, item, i * 2 + item)', [1n, 1n], [1n, 3n]],
  ['self.transformMap(k, v, v > 1, v * 10).b', { a: 1n, b: 2n }, 20n],
  ['self.transformMapEntry(i, item, {item: i}).b', ['a', 'b'], 1n],
  ['self.exists(k, v, k == "a" && v == 1)', { a: 1n }, true],
  ['self.?a.?b.orValue(7)', { a: {} }, 7n],
  ['self[?5].or(self[?0]).value()', ['x'], 'x'],
  ['optional.of(self).optMap(x, x + 1).value()', 1n, 2n],
  ['optional.none().optFlatMap(x, optional.of(self)).hasValue()', 1n, false],
  ['size([?optional.none(), ?optional.of(self)])', 1n, 1n],
  ['size({?"a": optional.none(), "b": self})', 1n, 1n],
  ['cel.bind(twice, self + self, twice + twice)', 2n, 8n],
  ['semver(self).isLessThan(semver("1.10.0")) && !isSemver("1.2")', '1.9.0-rc.1', true],
  ['semver(self, true).minor()', 'v1.2', 2n],
  ['ip(self).isLoopback() && !ip(self).isGlobalUnicast()', '127.0.0.1', true],
  ['cidr(self).masked() == cidr("10.0.0.0/8")', '10.1.2.3/8', true],
  ['quantity(self).add(quantity("1")) == quantity("1500m")', '500m', true],
  ['format.named("uuid").value().validate(self).hasValue()', 'x', true],
  ['timestamp("2024-02-29T12:00:00Z").getDayOfYear("+14:00") + self', 0n, 60n],
  ['timestamp("2024-01-01T00:00:00Z") + duration("36h") == self', new Date('2024-01-02T12:00:00Z'), true],
  ['self.flatten().distinct().sort()', [[3n], [1n, 3n]], [1n, 3n]],
  ['self.first().value() + self.slice(1, 2)[0]', [1n, 2n], 3n],
  ['self || 1 / 0 > 1', true, true],
  ['1 / 0 > 1 || self', true, true],
  ['[1, 0].exists(x, 1 / x > self)', 0n, true],
  ['dyn(self) == 1.0 && dyn(self) in [1.0]', 1n, true],
  ['type(self) == int && type(self) != string', 1n, true],
  ['string(b"a") + r"\\n" + "\\x41"', 0n, 'a\\nA'],
  ['{1: "a", 2: "b"}[self]', 2n, 'b'],
  ['self < 2 && self < 2.5 && -self < 1u', 1n, true],
];

const errors: readonly [expression: string, self: unknown, message: RegExp][] = [
  ['self.a', {}, /^no such key: a$/],
  ['self[1]', ['x'], /^index out of bounds: 1$/],
  ['1 / self', 0n, /^division by zero$/],
  ['self + 1', 9223372036854775807n, /^integer overflow$/],
  ['self + 1', 'a', /^no such overload$/],
  ['1 + "a"', 0n, /^ERROR: <input>:1:3: found no matching overload for '_\+_' applied to '\(int, string\)'\n \| 1 \+ "a"\n \| \.\.\^$/],
  ['self.all(x)', 0n, /undeclared reference to 'all'/],
  ['has(self)', 0n, /invalid argument to has\(\) macro/],
  ['[1, "a"]', 0n, /expected type 'int' but found 'string'/],
  ['"a" ? 1 : 2', 0n, /found no matching overload for '_\?_:_'/],
  ['1.all(x, true)', 0n, /cannot be range of a comprehension|mismatched input/],
  ['if', 0n, /reserved identifier: if/],
  ['{"a": 1, "a": self}', 0n, /key a already exists/],
  ['optional.none().value()', 0n, /^optional\.none\(\) dereference$/],
];

describe('expressions', () => {
  for (const [expression, self, answer] of cases) {
    test(expression, () => assert.deepEqual(compileCel(expression, ['self'])({ self }), answer));
  }

  for (const [expression, self, message] of errors) {
    test(`${expression} is an error`, () => assert.throws(() => compileCel(expression, ['self'])({ self }), { name: 'CelError', message }));
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
    assert.throws(() => compileCel('x'.repeat(70_000), ['self']), CelError);
  });
});

describe('budgets', () => {
  const environment = { variables: new Map([['self', dyn]]), functions: kubernetesFunctions };
  // Each round costs 3 for the loop, 1 for the item and 1 for the comparison; the call that makes the list costs 2.
  const costing = (rounds: number): string => `lists.range(${rounds}).all(x, x >= 0)`;
  const costOf = (rounds: number): number => 2 + rounds * (3 + 1 + 1);

  test('of one evaluation are spent at the limit, and no earlier', () => {
    const most = Math.floor((celLimits.perCall - 2) / 5);
    assert.equal(compileExpression(costing(most), environment).evaluate({ self: 0n }), true);
    assert.throws(() => compileExpression(costing(most + 1), environment).evaluate({ self: 0n }), CelCostError);
  });

  test('of several are shared', () => {
    const expression = compileExpression(costing(1000), environment);
    const budget = new CelBudget(costOf(1000) * 2);
    for (const left of [costOf(1000), 0]) {
      expression.evaluate({ self: 0n }, budget);
      assert.equal(budget.remaining, left);
    }
    assert.throws(() => expression.evaluate({ self: 0n }, budget), { name: 'CelCostError', message: /running out of cost budget/ });
  });

  test('cannot be saved by an alternative', () => {
    assert.throws(() => compileExpression(`${costing(900_000)} || true`, environment).evaluate({ self: 0n }), CelCostError);
  });
});

test('an answer that is awaited is no error of the expression', () => {
  const functions = new Functions(kubernetesFunctions);
  addAuthorizerFunctions(functions);
  const environment = { variables: new Map([['authorizer', opaque('kubernetes.authorization.Authorizer')]]), functions };
  const expression = compileExpression("authorizer.path('/x').check('get').allowed() || true", environment);
  const authorizer = authorizerValue(() => {
    throw new CelPending(Promise.resolve());
  });
  assert.throws(() => expression.evaluate({ authorizer }), CelPending);
});
