import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Pod } from '../../api/kinds.ts';
import { compareDeferred } from './resize-order.ts';

function waiting(
  name: string,
  { priority = 0, limits = {}, since = '2026-01-01T00:00:00Z' }: { priority?: number; limits?: Record<string, string>; since?: string },
): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'n', uid: name, resourceVersion: '1', creationTimestamp: '' },
    spec: { priority, containers: [{ name: 'c', resources: { requests: { cpu: '1' }, limits } }] },
    status: since === '' ? {} : { conditions: [{ type: 'PodResizePending', status: 'True', lastTransitionTime: since }] },
  };
}

test('resizes that wait for room are looked at by priority, quality of service, and time', () => {
  const pods = [
    waiting('new', { since: '' }),
    waiting('late', { since: '2026-01-01T00:10:00Z' }),
    waiting('early', {}),
    waiting('guaranteed', { limits: { cpu: '1', memory: '1Gi' }, since: '2026-01-01T00:20:00Z' }),
    waiting('important', { priority: 10, since: '2026-01-01T00:30:00Z' }),
  ];
  const inOrder = ['important', 'guaranteed', 'early', 'late', 'new'];
  assert.deepEqual(
    pods.toSorted(compareDeferred).map(({ metadata }) => metadata.name),
    inOrder,
  );
  assert.deepEqual(
    pods
      .toReversed()
      .toSorted(compareDeferred)
      .map(({ metadata }) => metadata.name),
    inOrder,
  );
});
