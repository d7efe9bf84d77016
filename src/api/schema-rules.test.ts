import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ruleErrors } from './schema-rules.ts';
import type { V1JSONSchemaProps, V1ValidationRule } from './types.ts';

function withRule(schema: V1JSONSchemaProps, rule: string | V1ValidationRule): V1JSONSchemaProps {
  return { ...schema, 'x-kubernetes-validations': [typeof rule === 'string' ? { rule } : rule] };
}

function object(properties: Record<string, V1JSONSchemaProps>): V1JSONSchemaProps {
  return { type: 'object', properties };
}

const text: V1JSONSchemaProps = { type: 'string' };
const advice = '(try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)';

describe('rules of a schema', () => {
  const cases: Readonly<Record<string, [schema: V1JSONSchemaProps, errors: readonly string[]]>> = {
    'about known fields are fine': [withRule(object({ a: text, 'b-c': { type: 'integer' } }), "self.a == 'x' || self.b__dash__c > 1"), []],
    'about unknown fields are told where they are wrong': [
      withRule(object({ a: text }), 'self.b == 1'),
      [
        `s.x-kubernetes-validations[0].rule: Invalid value: "self.b == 1": compilation failed: ERROR: <input>:1:5: undefined field 'b'\n | self.b == 1\n | ....^`,
      ],
    ],
    'of another type than a truth value': [
      withRule(object({ a: text }), 'self.a'),
      ['s.x-kubernetes-validations[0].rule: Invalid value: "self.a": cel expression must evaluate to a bool'],
    ],
    'with a message that is no text': [
      withRule(object({}), { rule: 'true', messageExpression: '1' }),
      ['s.x-kubernetes-validations[0].messageExpression: Invalid value: "1": messageExpression must evaluate to a string'],
    ],
    'with a reason nobody knows': [
      withRule(object({}), { rule: 'true', reason: 'X' }),
      [
        's.x-kubernetes-validations[0].reason: Unsupported value: "X": supported values: "FieldValueRequired", "FieldValueForbidden", "FieldValueInvalid", "FieldValueDuplicate"',
      ],
    ],
    'with a path to nowhere': [
      withRule(object({ a: object({ b: text }) }), { rule: 'true', fieldPath: '.a.c' }),
      ['s.x-kubernetes-validations[0].fieldPath: Invalid value: ".a.c": fieldPath must be a valid path: does not refer to a valid field'],
    ],
    'with a path to a field': [withRule(object({ a: object({ 'b.c': text }) }), { rule: 'true', fieldPath: ".a['b.c']" }), []],
    'that need a message': [
      withRule(object({}), 'true ||\nfalse'),
      ['s.x-kubernetes-validations[0].message: Required value: message must be specified if rule contains line breaks'],
    ],
    'about what a value was, where that can be told': [
      object({
        l: {
          type: 'array',
          maxItems: 5,
          'x-kubernetes-list-type': 'map',
          'x-kubernetes-list-map-keys': ['k'],
          items: withRule(object({ k: text }), 'self == oldSelf'),
        },
      }),
      [],
    ],
    'about what a value was, where that cannot be told': [
      object({ l: { type: 'array', maxItems: 5, items: withRule({ type: 'integer' }, 'self >= oldSelf') } }),
      [
        's.properties[l].items.x-kubernetes-validations[0].rule: Invalid value: "self >= oldSelf": oldSelf cannot be used on the uncorrelatable portion of the schema within s.properties[l]',
      ],
    ],
    'with an optional old value nobody uses': [
      withRule(object({}), { rule: 'true', optionalOldSelf: true }),
      ['s.x-kubernetes-validations[0].optionalOldSelf: Invalid value: true: may not be set if oldSelf is not used in rule'],
    ],
    'with an optional old value': [withRule(object({ a: text }), { rule: 'oldSelf.hasValue() || self.a != ""', optionalOldSelf: true }), []],
    'that go through everything with everything': [
      withRule({ type: 'array', items: { type: 'integer' } }, 'self.all(a, self.all(b, a == b))'),
      [
        `s.x-kubernetes-validations[0].rule: Forbidden: estimated rule cost exceeds budget by factor of more than 100x ${advice}`,
        `s: Forbidden: x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema exceeds budget by factor of more than 100x ${advice}`,
      ].toSorted(),
    ],
    'that go through a bounded list with itself': [
      withRule({ type: 'array', maxItems: 100, items: { type: 'integer' } }, 'self.all(a, self.all(b, a == b))'),
      [],
    ],
    'on every item of an unbounded list': [
      object({ l: { type: 'array', items: withRule({ type: 'string' }, "self.contains('12345678901')") } }),
      [
        `s.properties[l].items.x-kubernetes-validations[0].rule: Forbidden: estimated rule cost exceeds budget by factor of more than 100x ${advice}`,
        `s: Forbidden: x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema exceeds budget by factor of more than 100x ${advice}`,
      ],
    ],
    'on every item of a bounded list': [
      object({ l: { type: 'array', maxItems: 100, items: withRule({ type: 'string', maxLength: 256 }, "self.contains('12345678901')") } }),
      [],
    ],
  };
  for (const [name, [schema, expected]] of Object.entries(cases)) {
    test(name, () => {
      const found = ruleErrors('s', schema)
        .map(String)
        .filter((error) => !error.includes('contributed to'));
      assert.deepEqual(found.toSorted(), expected.toSorted());
    });
  }

  test('may cost as much as their limit, and no more', () => {
    // Each item costs 3 for the loop, 1 for the item and 1 for the comparison; the list and the result 2 more.
    const schema = (maxItems: number): V1JSONSchemaProps => withRule({ type: 'array', maxItems, items: { type: 'integer' } }, 'self.all(a, a == 1)');
    const limit = 10_000_000;
    const each = 3 + 1 + 1;
    const most = Math.floor((limit - 2) / each);
    assert.deepEqual(ruleErrors('s', schema(most - 1)).map(String), []);
    assert.match(String(ruleErrors('s', schema(most + 2))[0]), /estimated rule cost exceeds budget by factor of 1\.00000\dx/);
  });
});
