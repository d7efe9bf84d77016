import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Reader } from '../protobuf/wire.ts';
import { encodeGnostic } from './gnostic.ts';

/** What is behind a path of field numbers: all values of the last one. */
function at(bytes: Uint8Array, ...path: readonly number[]): Buffer[] {
  const [field, ...rest] = path;
  const found: Buffer[] = [];
  for (const reader = new Reader(bytes); !reader.done();) {
    const tag = reader.tag();
    if (tag.wire !== 2 || tag.field !== field) reader.skip(tag.wire);
    else found.push(reader.delimited());
  }
  return rest.length === 0 ? found : found.flatMap((inner) => at(inner, ...rest));
}

const textAt = (bytes: Uint8Array, ...path: readonly number[]): string[] => at(bytes, ...path).map((value) => value.toString('utf8'));

const document = {
  swagger: '2.0',
  info: { title: 'Kubernetes', version: 'v1.36.0' },
  paths: {
    '/api/v1/pods': {
      parameters: [{ name: 'pretty', in: 'query', type: 'string', description: 'Indent.', uniqueItems: true }],
      patch: {
        tags: ['core_v1'],
        operationId: 'patchCoreV1Pod',
        consumes: ['application/json', 'application/strategic-merge-patch+json'],
        parameters: [{ name: 'body', in: 'body', required: true, schema: { $ref: '#/definitions/Pod' } }],
        responses: { 200: { description: 'OK', schema: { $ref: '#/definitions/Pod' } } },
        'x-kubernetes-group-version-kind': { group: '', version: 'v1', kind: 'Pod' },
      },
    },
  },
  definitions: {
    Pod: {
      type: 'object',
      description: 'Ein Pöd.',
      required: ['spec', 'metadata'],
      properties: {
        spec: { type: 'array', items: { type: 'string' }, 'x-kubernetes-list-type': 'set' },
        map: { type: 'object', additionalProperties: { $ref: '#/definitions/Pod' } },
        free: { type: 'object', additionalProperties: true },
        size: { type: 'integer', format: 'int32', default: 0, maximum: 1.5, enum: [1, 'two'] },
      },
      'x-kubernetes-group-version-kind': [{ group: '', version: 'v1', kind: 'Pod' }],
    },
  },
  securityDefinitions: { BearerToken: { type: 'apiKey', name: 'authorization', in: 'header' } },
  security: [{ BearerToken: [] }],
};

describe('a document in protobuf', () => {
  const bytes = encodeGnostic(document);
  const pod = at(bytes, 9, 1, 2)[0] ?? assert.fail('no definition');
  const property = (name: string): Buffer => at(pod, 25, 1).find((entry) => textAt(entry, 1)[0] === name) ?? assert.fail(name);

  test('has what identifies it', () => {
    assert.deepEqual([textAt(bytes, 1), textAt(bytes, 2, 1), textAt(bytes, 2, 2)], [['2.0'], ['Kubernetes'], ['v1.36.0']]);
  });

  test('has definitions with types, required fields and extensions', () => {
    assert.deepEqual(textAt(bytes, 9, 1, 1), ['Pod']);
    assert.deepEqual([textAt(pod, 4), textAt(pod, 19), textAt(pod, 22, 1)], [['Ein Pöd.'], ['spec', 'metadata'], ['object']]);
    assert.deepEqual(textAt(pod, 31, 1), ['x-kubernetes-group-version-kind']);
    assert.deepEqual(JSON.parse(textAt(pod, 31, 2, 2)[0] ?? ''), [{ group: '', version: 'v1', kind: 'Pod' }]);
  });

  test('has lists, maps and references', () => {
    assert.deepEqual(textAt(property('spec'), 2, 23, 1, 22, 1), ['string']);
    assert.deepEqual(textAt(property('map'), 2, 21, 1, 1), ['#/definitions/Pod']);
    assert.deepEqual(at(property('free'), 2, 21), [Buffer.from([2 << 3, 1])]);
  });

  test('has numbers, defaults and enumerations', () => {
    const size = at(property('size'), 2)[0] ?? assert.fail('no size');
    assert.deepEqual([textAt(size, 2), textAt(size, 5, 2), textAt(size, 20, 2)], [['int32'], ['0'], ['1', '"two"']]);
    assert.ok(size.includes(Buffer.from([(7 << 3) | 1, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f])), 'maximum as a double');
  });

  test('has paths with their operations', () => {
    assert.deepEqual(textAt(bytes, 8, 2, 1), ['/api/v1/pods']);
    const patch = at(bytes, 8, 2, 2, 8)[0] ?? assert.fail('no patch');
    assert.deepEqual(textAt(patch, 7), ['application/json', 'application/strategic-merge-patch+json']);
    assert.deepEqual(textAt(patch, 8, 1, 1, 5, 1), ['#/definitions/Pod'], 'the body');
    assert.deepEqual(textAt(patch, 9, 1, 2, 1, 2, 1, 1), ['#/definitions/Pod'], 'the answer');
    assert.deepEqual(textAt(patch, 13, 1), ['x-kubernetes-group-version-kind']);
    assert.deepEqual(textAt(bytes, 8, 2, 2, 9, 1, 2, 3, 4), ['pretty'], 'a parameter of the query');
  });

  test('says how to prove who one is', () => {
    assert.deepEqual(textAt(bytes, 13, 1, 2, 2, 2), ['authorization']);
    assert.deepEqual(textAt(bytes, 12, 1, 1), ['BearerToken']);
  });
});
