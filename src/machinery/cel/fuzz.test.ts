import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { CelBudget, CelError, compileExpression, type Environment, kubernetesFunctions } from '../cel.ts';
import { dyn } from './types.ts';
import { compare, isEqual, Uint } from './values.ts';

const environment: Environment = { variables: new Map([['self', dyn]]), functions: kubernetesFunctions };

const words =
  "self x y a [ ] { } ( ) . .? [? , : ? ! - + * / % < <= == != >= > && || in 1 0 -1 2u 1.5 'a' \"b\" b'c' r'd' true false null has all exists map filter exists_one transformMap size string int type duration timestamp quantity url ip cidr semver format optional.of optional.none cel.bind matches replace split join sum min max indexOf lists.range sets.contains constructor __proto__".split(
    ' ',
  );

const values = fc.oneof(
  fc.jsonValue({ maxDepth: 2 }),
  fc.constantFrom<unknown>(1n, 2n, ['a', 'b'], { a: 1n, b: [1n, 2n] }, new Date(0), new Uint8Array([1]), 'PT1S', '10.0.0.0/8'),
);

/** What the expression evaluates to; undefined when it is refused or fails as it may. */
function tried(text: string, self: unknown): unknown {
  try {
    return compileExpression(text, environment).evaluate({ self }, new CelBudget(100_000));
  } catch (error) {
    assert.ok(error instanceof CelError, `${text}: ${error instanceof Error ? (error.stack ?? '') : String(error)}`);
    return undefined;
  }
}

test('whatever is written, it evaluates or is an error of CEL', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...words), { maxLength: 12 }), values, (parts, self) => {
      tried(parts.join(' '), self);
      tried(parts.join(''), self);
    }),
    { numRuns: 1500 },
  );
  fc.assert(
    fc.property(fc.string({ maxLength: 40, unit: 'grapheme' }), (text) => {
      tried(text, 1n);
    }),
    { numRuns: 500 },
  );
});

const leaves = fc.constantFrom('self', '1', "'a'", '[1, 2]', "{'k': 'v'}", '2.5', 'true', "duration('1s')", 'dyn(1u)');
const { expression } = fc.letrec<{ expression: string }>((tie) => ({
  expression: fc.oneof(
    { maxDepth: 4 },
    leaves,
    fc
      .tuple(tie('expression'), fc.constantFrom('+', '-', '*', '/', '%', '==', '<', '&&', '||', 'in'), tie('expression'))
      .map(([a, op, b]) => `(${a} ${op} ${b})`),
    fc
      .tuple(tie('expression'), fc.constantFrom('all', 'exists', 'map', 'filter', 'exists_one'), tie('expression'))
      .map(([a, macro, b]) => `${a}.${macro}(self, ${b})`),
    tie('expression').map((a) => `dyn(${a})`),
    fc
      .tuple(
        tie('expression'),
        fc.constantFrom('size()', 'sum()', 'isSorted()', "matches('a+')", "split('a')", 'min()', "find('.')", 'flatten()', 'distinct()'),
      )
      .map(([a, call]) => `${a}.${call}`),
    fc.tuple(tie('expression'), tie('expression')).map(([a, b]) => `${a}[${b}]`),
  ),
}));

test('what has the form of an expression does, too, with values of every kind', () => {
  fc.assert(
    fc.property(expression, values, (text, self) => {
      tried(text, self);
    }),
    { numRuns: 1500 },
  );
});

test('deep nesting is refused, not a crash', () => {
  for (const [open, close] of [
    '()',
    '[]',
    '{}',
    ['-', ''],
    ['!', ''],
    ['1+', ''],
    ['self.', ''],
    ['self[', ']'],
    ['true ? ', ' : 1'],
    ['[1].map(x, ', ')'],
    ['a.', ''],
  ] as const) {
    for (const depth of [100, 1000, 5000]) tried(`${(open ?? '').repeat(depth)}1${(close ?? '').repeat(depth)}`, 1n);
  }
});

test('integers are of 64 bits', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (a, b) => {
      const sum = tried(`self[0] + self[1]`, [a, b]);
      assert.equal(sum, BigInt.asIntN(64, a + b) === a + b ? a + b : undefined);
    }),
    { numRuns: 200 },
  );
});

test('equality and order of numbers agree across their types', () => {
  const number = fc.oneof(
    fc.bigInt({ min: -10n, max: 10n }),
    fc.integer({ min: -10, max: 10 }),
    fc.bigInt({ min: 0n, max: 10n }).map((value) => new Uint(value)),
  );
  fc.assert(
    fc.property(number, number, (a, b) => {
      assert.equal(isEqual(a, b), compare(a, b) === 0);
      assert.equal(Math.sign(compare(a, b)), -Math.sign(compare(b, a)) || 0);
    }),
    { numRuns: 300 },
  );
});
