import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  SelectorError,
  escapeFieldValue,
  labelRequirement,
  holds,
  parseFieldSelector,
  parseLabelSelector,
  selectorOf,
  selectorOfLabels,
} from './selector.ts';

describe('label selectors as text', () => {
  const cases: readonly [string, string, readonly object[], readonly object[]][] = [
    ['', '', [{}, { a: 'b' }], []],
    ['a=b', 'a=b', [{ a: 'b' }], [{}, { a: 'c' }]],
    ['a==b', 'a==b', [{ a: 'b', c: 'd' }], [{ a: '' }]],
    ['a!=b', 'a!=b', [{}, { a: 'c' }], [{ a: 'b' }]],
    ['a=', 'a=', [{ a: '' }], [{}, { a: 'b' }]],
    ['a', 'a', [{ a: '' }], [{}]],
    ['!a', '!a', [{}], [{ a: '' }]],
    [' a  in ( x , y ) ', 'a in (x,y)', [{ a: 'x' }, { a: 'y' }], [{}, { a: 'z' }]],
    ['a in (y,x,y)', 'a in (x,y)', [{ a: 'x' }], []],
    ['a notin (x)', 'a notin (x)', [{}, { a: 'y' }], [{ a: 'x' }]],
    ['a in (,x)', 'a in (,x)', [{ a: '' }, { a: 'x' }], [{}]],
    ['a>5', 'a>5', [{ a: '6' }], [{}, { a: '5' }, { a: 'x' }]],
    ['a<5', 'a<5', [{ a: '-6' }], [{ a: '5' }]],
    ['b=1,a=2', 'a=2,b=1', [{ a: '2', b: '1' }], [{ a: '2' }]],
    ['app.kubernetes.io/name in (web),!x.y/z,in', 'app.kubernetes.io/name in (web),in,!x.y/z', [{ 'app.kubernetes.io/name': 'web', in: '' }], []],
    ['notin notin (in)', 'notin notin (in)', [{}], [{ notin: 'in' }]],
    ['toString', 'toString', [], [{}]],
  ];
  for (const [text, printed, yes, no] of cases) {
    test(JSON.stringify(text), () => {
      const selector = parseLabelSelector(text);
      assert.equal(selector.toString(), printed);
      assert.equal(parseLabelSelector(selector.toString()).toString(), printed);
      for (const labels of yes) assert.equal(selector.matches(labels as Record<string, string>), true, JSON.stringify(labels));
      for (const labels of no) assert.equal(selector.matches(labels as Record<string, string>), false, JSON.stringify(labels));
    });
  }
  test('no labels at all', () => {
    assert.equal(parseLabelSelector('!a').matches(undefined), true);
    assert.equal(parseLabelSelector('a').matches(undefined), false);
  });
});

describe('label selectors refused', () => {
  const cases: readonly [string, string][] = [
    ['a===b', "unable to parse requirement: found '=', expected: identifier"],
    ['a b', "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"],
    ['env IN (a)', "unable to parse requirement: found 'IN', expected: in, notin, =, ==, !=, gt, lt"],
    ['x (', "unable to parse requirement: found '(', expected: in, notin, =, ==, !=, gt, lt"],
    ['a in b', "unable to parse requirement: found 'b' expected: '('"],
    ['a in (b', "unable to parse requirement: found '', expected: ',' or ')'"],
    ['a in (b c)', "unable to parse requirement: found 'c', expected: ',' or ')'"],
    ['a in ()', "unable to parse requirement: values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty"],
    ['a,', "found '', expected: identifier after ','"],
    ['a=b c', "found 'c', expected: ',' or 'end of string'"],
    ['=a', "found '=', expected: !, identifier, or 'end of string'"],
    ['!!a', "unable to parse requirement: found '!', expected: identifier"],
    ['!a=b', "found '=', expected: ',' or 'end of string'"],
    ['a>x', "unable to parse requirement: values[0]: Invalid value: \"x\": for 'Gt', 'Lt' operators, the value must be an integer"],
    [
      'a@=b',
      "unable to parse requirement: <nil>: Invalid value: \"a@\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
    ],
    [
      'a=b@',
      "unable to parse requirement: values[0][a]: Invalid value: \"b@\": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
    ],
  ];
  for (const [text, message] of cases) test(JSON.stringify(text), () => assert.throws(() => parseLabelSelector(text), new SelectorError(message)));
});

describe('label selectors as objects', () => {
  test('absent selects nothing, empty everything', () => {
    assert.equal(selectorOf(undefined).matches({ a: 'b' }), false);
    assert.equal(selectorOf(undefined).isEmpty(), false);
    assert.equal(selectorOf({}).matches(undefined), true);
    assert.equal(selectorOf({}).isEmpty(), true);
  });
  test('labels and expressions must all hold', () => {
    const selector = selectorOf({
      matchLabels: { app: 'web' },
      matchExpressions: [
        { key: 'tier', operator: 'In', values: ['b', 'a'] },
        { key: 'x', operator: 'DoesNotExist' },
        { key: 'y', operator: 'Exists' },
        { key: 'z', operator: 'NotIn', values: ['1'] },
      ],
    });
    assert.equal(selector.toString(), 'app=web,tier in (a,b),!x,y,z notin (1)');
    assert.equal(selector.matches({ app: 'web', tier: 'a', y: '' }), true);
    assert.equal(selector.matches({ app: 'web', tier: 'a', y: '', x: '' }), false);
    assert.equal(selector.matches({ app: 'web', tier: 'a', y: '', z: '1' }), false);
  });
  test('an unknown operator and bad values are refused', () => {
    assert.throws(
      () => selectorOf({ matchExpressions: [{ key: 'a', operator: 'Near' }] }),
      new SelectorError('"Near" is not a valid label selector operator'),
    );
    assert.throws(() => selectorOf({ matchExpressions: [{ key: 'a', operator: 'In' }] }), SelectorError);
    assert.throws(() => selectorOf({ matchExpressions: [{ key: 'a', operator: 'Exists', values: ['x'] }] }), SelectorError);
    assert.throws(() => selectorOf({ matchLabels: { 'a b': 'c' } }), SelectorError);
  });
  test("a Service's empty map selects nothing", () => {
    assert.equal(selectorOfLabels({}).matches({}), false);
    assert.equal(selectorOfLabels({ a: 'b' }).matches({ a: 'b', c: 'd' }), true);
  });
  test('node affinity compares numbers', () => {
    assert.equal(holds(labelRequirement('cores', 'Gt', ['4']), { cores: '8' }), true);
    assert.equal(holds(labelRequirement('cores', 'Lt', ['4']), { cores: '8' }), false);
    assert.throws(() => labelRequirement('cores', 'Gt', ['4', '5']), SelectorError);
  });
});

test('printing and parsing a selector are inverse', () => {
  const key = fc.stringMatching(/^[a-z][a-z0-9]{0,5}$/).filter((word) => word !== 'in' && word !== 'notin');
  // `a in ()` is printed for no value and for the empty one alone, as upstream does.
  const values = fc
    .uniqueArray(fc.stringMatching(/^([a-z]([a-z0-9.-]{0,3}[a-z])?)?$/), { minLength: 1, maxLength: 3 })
    .filter((list) => list.join('') !== '');
  const expression = fc.oneof(
    fc.record({ key, operator: fc.constantFrom('In', 'NotIn'), values }),
    fc.record({ key, operator: fc.constantFrom('Exists', 'DoesNotExist') }),
  );
  fc.assert(
    fc.property(fc.array(expression, { maxLength: 4 }), (matchExpressions) => {
      const selector = selectorOf({ matchExpressions });
      assert.deepEqual(parseLabelSelector(selector.toString()).requirements, selector.requirements);
    }),
  );
});

describe('field selectors', () => {
  const read = (fields: Record<string, string>) => (field: string) => fields[field] ?? '';
  test('terms must all hold', () => {
    const selector = parseFieldSelector('metadata.name=x,status.phase!=Failed,spec.nodeName==n1,');
    assert.deepEqual(selector.requirements, [
      { field: 'metadata.name', value: 'x', negated: false },
      { field: 'status.phase', value: 'Failed', negated: true },
      { field: 'spec.nodeName', value: 'n1', negated: false },
    ]);
    assert.equal(selector.toString(), 'metadata.name=x,status.phase!=Failed,spec.nodeName=n1');
    assert.equal(selector.matches(read({ 'metadata.name': 'x', 'spec.nodeName': 'n1' })), true);
    assert.equal(selector.matches(read({ 'metadata.name': 'x', 'spec.nodeName': 'n1', 'status.phase': 'Failed' })), false);
  });
  test('empty selects everything', () => {
    assert.equal(parseFieldSelector('').isEmpty(), true);
    assert.equal(parseFieldSelector('').matches(read({})), true);
  });
  for (const [text, message] of [
    ['a', "invalid selector: 'a'; can't understand 'a'"],
    ['a=b,c', "invalid selector: 'a=b,c'; can't understand 'c'"],
    ['a===b', 'invalid field selector: unescaped character in value: 61'],
    ['a=\\x', 'invalid field selector: invalid escape sequence: \\x'],
  ] as const) {
    test(`refuses ${text}`, () => assert.throws(() => parseFieldSelector(text), new SelectorError(message)));
  }
  test('any value survives escaping', () => {
    fc.assert(
      fc.property(fc.string(), (value) => {
        assert.deepEqual(parseFieldSelector(`f=${escapeFieldValue(value)},g!=1`).requirements, [
          { field: 'f', value, negated: false },
          { field: 'g', value: '1', negated: true },
        ]);
      }),
    );
  });
});
