import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CustomResourceDefinition } from '../api/kinds.ts';
import { kindOfDefinition } from './custom-kinds.ts';

const definition = (established: string, versions: CustomResourceDefinition['spec']['versions']): CustomResourceDefinition => ({
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'widgets.example.com', uid: 'u', resourceVersion: '1', creationTimestamp: '2024-01-01T00:00:00Z' },
  spec: { group: 'example.com', scope: 'Namespaced', names: { plural: 'widgets', kind: 'Widget' }, versions },
  status: { conditions: [{ type: 'Established', status: established }] },
});

test('a definition that is not established has no kind yet', () => {
  assert.equal(kindOfDefinition(definition('False', [{ name: 'v1', served: true, storage: true }])), undefined);
});

test('the stored version is asked for, or any that is served', () => {
  const both = kindOfDefinition(
    definition('True', [
      { name: 'v1beta1', served: true, storage: false },
      { name: 'v1', served: true, storage: true },
    ]),
  );
  assert.deepEqual([both?.group, both?.version, both?.resource, both?.kind, both?.namespaced], ['example.com', 'v1', 'widgets', 'Widget', true]);
  const other = kindOfDefinition(
    definition('True', [
      { name: 'v1beta1', served: true, storage: false },
      { name: 'v1', served: false, storage: true },
    ]),
  );
  assert.equal(other?.version, 'v1beta1');
  assert.equal(kindOfDefinition(definition('True', [{ name: 'v1', served: false, storage: true }])), undefined);
});
