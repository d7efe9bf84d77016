import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Node, Pod } from '../api/kinds.ts';
import { planPodGc } from './pod-gc.ts';

function pod(name: string, nodeName: string, status: Pod['status'], deletionTimestamp?: string): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace: 'default',
      uid: name,
      resourceVersion: '1',
      creationTimestamp: `2026-01-01T00:00:0${name.slice(-1)}Z`,
      ...(deletionTimestamp !== undefined && { deletionTimestamp }),
    },
    spec: { containers: [], ...(nodeName !== '' && { nodeName }) },
    status,
  };
}

function node(name: string, taints: NonNullable<Node['spec']['taints']> = []): Node {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, uid: name, resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' },
    spec: { taints },
    status: {},
  };
}

const nodes = new Map(
  [node('n1'), node('dead', [{ key: 'node.kubernetes.io/out-of-service', effect: 'NoExecute' }])].map((each) => [each.metadata.name, each]),
);
const running = { phase: 'Running' };
const now = '2026-01-01T00:00:00Z';

function planned(pods: readonly Pod[], threshold = 12_500, missing = true): string[][] {
  const { remove, stuck, orphaned } = planPodGc(pods, nodes, () => missing, threshold);
  return [remove, stuck, orphaned].map((list) => list.map(({ metadata }) => metadata.name));
}

describe('pods cleared away', () => {
  it('are not those that run, or end on a living node', () =>
    assert.deepEqual(planned([pod('a1', 'n1', running), pod('a2', 'n1', running, now), pod('a3', '', { phase: 'Pending' })]), [[], [], []]));
  it('were deleted before they had a node', () => assert.deepEqual(planned([pod('a1', '', { phase: 'Pending' }, now)]), [[], ['a1'], []]));
  it('end on a node that is out of service', () => assert.deepEqual(planned([pod('a1', 'dead', running, now)]), [[], ['a1'], []]));
  it('are on a node that is gone for good', () => {
    assert.deepEqual(planned([pod('a1', 'gone', running)]), [[], [], ['a1']]);
    assert.deepEqual(planned([pod('a1', 'gone', running)], 10, false), [[], [], []]);
  });
  it('ended, beyond the threshold: evicted ones first, then the oldest', () => {
    const ended = [
      pod('a1', 'n1', { phase: 'Succeeded' }),
      pod('a2', 'n1', { phase: 'Failed' }),
      pod('a3', 'n1', { phase: 'Failed', reason: 'Evicted' }),
    ];
    assert.deepEqual(planned(ended, 1), [['a3', 'a1'], [], []]);
    assert.deepEqual(planned(ended, 0), [[], [], []]);
  });
});
