import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { V1JSONSchemaProps } from '../../api/types.ts';
import { validateRules } from './rules.ts';
import { structureOf } from './structure.ts';

const spec: V1JSONSchemaProps = {
  type: 'object',
  'x-kubernetes-validations': [
    { rule: 'self.replicas <= self.maxReplicas', message: 'replicas should be no more than maxReplicas' },
    { rule: '!has(self.name) || self.name == oldSelf.name', message: 'name is immutable', fieldPath: '.name', reason: 'FieldValueForbidden' },
    { rule: 'self.replicas > 0', messageExpression: '"need more than " + string(self.replicas)' },
  ],
  properties: {
    replicas: { type: 'integer' },
    maxReplicas: { type: 'integer' },
    name: { type: 'string' },
    namespace: { type: 'string', 'x-kubernetes-validations': [{ rule: 'self.startsWith("team-")' }] },
    until: { type: 'string', format: 'date-time', 'x-kubernetes-validations': [{ rule: 'self > timestamp("2020-01-01T00:00:00Z")' }] },
    wait: { type: 'string', format: 'duration', 'x-kubernetes-validations': [{ rule: 'self >= duration("1s")' }] },
    ports: {
      type: 'array',
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['name'],
      'x-kubernetes-validations': [{ rule: 'self.all(port, port.number != 22)' }],
      items: {
        type: 'object',
        properties: { name: { type: 'string' }, number: { type: 'integer', 'x-kubernetes-validations': [{ rule: 'self >= oldSelf' }] } },
      },
    },
    once: { type: 'string', 'x-kubernetes-validations': [{ rule: 'oldSelf.hasValue() || self == "first"', optionalOldSelf: true }] },
  },
};
const root = structureOf({
  type: 'object',
  properties: { spec },
  'x-kubernetes-validations': [{ rule: 'self.metadata.name != "forbidden"' }, { rule: 'self.spec.__namespace__ != "team-x" || self.kind == "Y"' }],
});

const base = { replicas: 1, maxReplicas: 2, namespace: 'team-a' };

function check(now: object, before?: object, name = 'x'): string[] {
  const whole = (part: object) => ({ apiVersion: 'example.com/v1', kind: 'X', metadata: { name }, spec: part });
  return validateRules(whole(now), before && whole(before), root).map(String);
}

describe('rules', () => {
  const cases: Record<string, [now: object, before: object | undefined, errors: string[]]> = {
    'that hold': [base, undefined, []],
    'with a message': [{ ...base, replicas: 3 }, undefined, ['spec: Invalid value: "object": replicas should be no more than maxReplicas']],
    'with a computed message': [{ ...base, replicas: 0 }, undefined, ['spec: Invalid value: "object": need more than 0']],
    'about the old value, on changes only': [{ ...base, name: 'b' }, { ...base, name: 'a' }, ['spec.name: Forbidden: name is immutable']],
    'about the old value of a new object': [{ ...base, name: 'b' }, undefined, []],
    'of a field by a reserved name': [
      { ...base, namespace: 'b' },
      undefined,
      ['spec.namespace: Invalid value: "string": failed rule: self.startsWith("team-")'],
    ],
    'of times': [
      { ...base, until: '2019-01-01T00:00:00Z' },
      undefined,
      ['spec.until: Invalid value: "string": failed rule: self > timestamp("2020-01-01T00:00:00Z")'],
    ],
    'of durations': [{ ...base, wait: '10ms' }, undefined, ['spec.wait: Invalid value: "string": failed rule: self >= duration("1s")']],
    'of lists': [
      { ...base, ports: [{ name: 'ssh', number: 22 }] },
      undefined,
      ['spec.ports: Invalid value: "array": failed rule: self.all(port, port.number != 22)'],
    ],
    'of items, which are known by their keys': [
      {
        ...base,
        ports: [
          { name: 'b', number: 1 },
          { name: 'a', number: 5 },
        ],
      },
      {
        ...base,
        ports: [
          { name: 'a', number: 7 },
          { name: 'b', number: 1 },
        ],
      },
      ['spec.ports[1].number: Invalid value: "integer": failed rule: self >= oldSelf'],
    ],
    'about an old value that may be absent': [
      { ...base, once: 'second' },
      undefined,
      ['spec.once: Invalid value: "string": failed rule: oldSelf.hasValue() || self == "first"'],
    ],
    'are not asked again about what stays as it was': [{ ...base, namespace: 'b', replicas: 2 }, { ...base, namespace: 'b' }, []],
    'that cannot be evaluated': [
      { maxReplicas: 1 },
      undefined,
      [
        'spec: Invalid value: "object": no such key: replicas evaluating rule: self.replicas <= self.maxReplicas',
        'spec: Invalid value: "object": no such key: replicas evaluating rule: self.replicas > 0',
      ],
    ],
  };
  for (const [name, [now, before, errors]] of Object.entries(cases)) {
    test(name, () =>
      assert.deepEqual(
        check(now, before).filter((error) => !error.startsWith('<nil>')),
        errors,
      ),
    );
  }

  test('of the whole object see its name and kind', () => {
    assert.deepEqual(check(base, undefined, 'forbidden'), ['<nil>: Invalid value: "object": failed rule: self.metadata.name != "forbidden"']);
    assert.deepEqual(check({ ...base, namespace: 'team-x' }), [
      '<nil>: Invalid value: "object": failed rule: self.spec.__namespace__ != "team-x" || self.kind == "Y"',
    ]);
  });
});
