/** What of a pod may change once it exists. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clone } from '../../machinery/clone.ts';
import { Pod } from '../kinds.ts';
import type { V1Pod } from '../types.ts';
import { validatePodUpdate } from './validate-pod.ts';

function pod(): V1Pod {
  const object: V1Pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', namespace: 'n', uid: 'u', resourceVersion: '1', creationTimestamp: '2024-01-01T00:00:00Z' },
    spec: { containers: [{ name: 'a', image: 'nginx' }], tolerations: [{ key: 'x', operator: 'Exists' }] },
    status: {},
  };
  Pod.defaults?.(object);
  return object;
}

function changed(change: (spec: V1Pod['spec']) => void): string[] {
  const old = pod();
  const next = clone(old);
  change(next.spec);
  return validatePodUpdate(next, old).map(({ field, reason }) => `${field} ${reason}`);
}

test('the image, a deadline and more tolerations may change', () => {
  const errors = changed((spec) => {
    const [first] = spec.containers;
    assert.ok(first);
    first.image = 'nginx:2';
    spec.activeDeadlineSeconds = 5;
    spec.tolerations?.push({ key: 'y', operator: 'Exists' });
  });
  assert.deepEqual(errors, []);
});

test('anything else may not', () => {
  assert.deepEqual(
    changed((spec) => {
      spec.nodeName = 'other';
    }),
    ['spec FieldValueForbidden'],
  );
});

test('containers may not come or go', () => {
  assert.deepEqual(
    changed((spec) => {
      spec.containers.push({ name: 'b', image: 'x' });
    }),
    ['spec.containers FieldValueForbidden'],
  );
});

test('tolerations may not go', () => {
  assert.deepEqual(
    changed((spec) => {
      spec.tolerations = [];
    }),
    ['spec.tolerations FieldValueForbidden'],
  );
});

test('a pod that no kubelet runs is deleted at once, another after its grace period', () => {
  const waiting = pod();
  assert.equal(Pod.gracefulDeletion?.(waiting), 0);
  waiting.spec.nodeName = 'n';
  assert.equal(Pod.gracefulDeletion?.(waiting), 30);
  waiting.status.phase = 'Succeeded';
  assert.equal(Pod.gracefulDeletion?.(waiting), 0);
});
