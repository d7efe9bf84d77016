/** Rules for `metadata`, in upstream's words. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ObjectMeta } from '../machinery/object.ts';
import { validateObjectMeta, validateObjectMetaUpdate } from './object-meta.ts';

const valid: ObjectMeta = { name: 'a', namespace: 'n', uid: 'u', resourceVersion: '1', creationTimestamp: '2024-01-01T00:00:00Z' };
const namespaced = { nameRule: 'dns-subdomain', namespaced: true } as const;

const cases: readonly [string, Partial<ObjectMeta>, readonly string[]][] = [
  ['nothing wrong', valid, []],
  ['no name', { namespace: 'n' }, ['metadata.name: Required value: name or generateName is required']],
  ['no namespace', { name: 'a' }, ['metadata.namespace: Required value']],
  [
    'a finalizer without a domain',
    { ...valid, finalizers: ['mine'] },
    ['metadata.finalizers: Invalid value: "mine": name is neither a standard finalizer name nor is it fully qualified'],
  ],
  [
    'an owner without a uid',
    { ...valid, ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name: 'p', uid: '' }] },
    ['metadata.ownerReferences[0].uid: Invalid value: "": must not be empty'],
  ],
  [
    'annotations beyond 256 KiB',
    { ...valid, annotations: { a: 'x'.repeat(256 * 1024) } },
    ['metadata.annotations: Too long: may not be more than 262144 bytes'],
  ],
];

for (const [name, metadata, expected] of cases) {
  test(name, () => {
    assert.deepEqual(validateObjectMeta(namespaced, metadata).map(String), expected);
  });
}

test('a cluster-scoped object has no namespace', () => {
  const errors = validateObjectMeta({ nameRule: 'dns-subdomain', namespaced: false }, valid).map(String);
  assert.deepEqual(errors, ['metadata.namespace: Forbidden: not allowed on this type']);
});

test('a prefix for generated names may end in a dash', () => {
  assert.deepEqual(validateObjectMeta(namespaced, { ...valid, generateName: 'web-' }), []);
});

test('identity never changes, and nobody new holds up a deletion', () => {
  assert.deepEqual(validateObjectMetaUpdate({ ...valid, uid: 'other' }, valid).map(String), [
    'metadata.uid: Invalid value: "other": field is immutable',
  ]);
  const deleting = { ...valid, deletionTimestamp: '2024-01-01T00:00:00Z', finalizers: ['a/b'] };
  assert.deepEqual(validateObjectMetaUpdate({ ...deleting, finalizers: [] }, deleting), []);
  const [error] = validateObjectMetaUpdate({ ...deleting, finalizers: ['a/b', 'c/d'] }, deleting);
  assert.equal(error?.reason, 'FieldValueForbidden');
});
