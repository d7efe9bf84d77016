import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type KubeObject, controllerOf, keyOf, splitKey } from './object.ts';

function named(name: string, namespace?: string, owners: KubeObject['metadata']['ownerReferences'] = []): KubeObject {
  const metadata = { name, uid: 'u', resourceVersion: '1', creationTimestamp: '2024-01-01T00:00:00Z', ownerReferences: owners };
  return { apiVersion: 'v1', kind: 'Pod', metadata: namespace === undefined ? metadata : { ...metadata, namespace } };
}

test('splitting undoes joining', () => {
  const label = fc.stringMatching(/^[a-z0-9.-]+$/);
  fc.assert(
    fc.property(label, fc.option(label, { nil: undefined }), (name, namespace) => {
      assert.deepEqual(splitKey(keyOf(named(name, namespace))), { namespace, name });
    }),
  );
});

test('the controller is the owner that says so', () => {
  const owner = { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'r', uid: '1' };
  assert.equal(controllerOf(named('p', 'n', [owner])), undefined);
  assert.equal(controllerOf(named('p', 'n', [owner, { ...owner, name: 's', controller: true }]))?.name, 's');
});
