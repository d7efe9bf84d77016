import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Pod } from '../api/kinds.ts';
import type { V1Container, V1PodSpec } from '../api/types.ts';
import { podCgroupPath } from './cgroups.ts';
import { oomScoreAdj, qosClass } from './qos.ts';
import { containerResources, milli, podRequest, podResources } from './resources.ts';

type Amounts = Record<string, string>;

function container(requests: Amounts = {}, limits: Amounts = {}, more: Partial<V1Container> = {}): V1Container {
  return { name: 'c', resources: { requests, limits }, ...more };
}

function pod(containers: V1Container[], spec: Partial<V1PodSpec> = {}): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', namespace: 'n', uid: 'u', resourceVersion: '1', creationTimestamp: '' },
    spec: { containers, ...spec },
    status: {},
  };
}

const both = { cpu: '500m', memory: '100Mi' };
const gib = 2 ** 30;

describe('quality of service', () => {
  for (const [name, it, expected, cgroup] of [
    ['nothing asked for', pod([container()]), 'BestEffort', '/kubepods/besteffort/podu'],
    ['limits equal to requests', pod([container(both, both)]), 'Guaranteed', '/kubepods/podu'],
    ['limits alone stand for requests', pod([container({}, both)]), 'Guaranteed', '/kubepods/podu'],
    ['one resource only', pod([container({ cpu: '1' })]), 'Burstable', '/kubepods/burstable/podu'],
    ['one container without', pod([container(both, both), container()]), 'Burstable', '/kubepods/burstable/podu'],
    [
      'the same amount in other words',
      pod([container({ cpu: '1000m', memory: '1Gi' }, { cpu: '1', memory: '1024Mi' })]),
      'Guaranteed',
      '/kubepods/podu',
    ],
  ] as const) {
    test(name, () => {
      assert.equal(qosClass(it), expected);
      assert.equal(podCgroupPath('/', it), cgroup);
    });
  }
});

describe('what the kernel is told', () => {
  test('of a container', () => {
    const it = pod([container({ cpu: '250m' }, { cpu: '500m', memory: '64Mi' })]);
    assert.deepEqual(containerResources(it, it.spec.containers[0] ?? container(), gib), {
      cpuShares: 256,
      cpuPeriod: 100_000,
      cpuQuota: 50_000,
      memoryLimitBytes: 64 * 2 ** 20,
      oomScoreAdj: 938,
    });
  });

  test('of a container that asks for nothing', () => {
    assert.deepEqual(containerResources(pod([container()]), container(), gib), { cpuShares: 2, oomScoreAdj: 1000 });
  });

  test('of a pod: limits only when all containers have one', () => {
    assert.deepEqual(podResources(pod([container(both, both), container(both, both)])), {
      cpuShares: 1024,
      cpuPeriod: 100_000,
      cpuQuota: 100_000,
      memoryLimitBytes: 200 * 2 ** 20,
    });
    assert.deepEqual(podResources(pod([container(both, both), container(both)])), { cpuShares: 1024 });
  });

  test('init containers count when they ask for more', () => {
    const it = pod([container({ cpu: '100m' })], {
      initContainers: [container({ cpu: '50m' }, {}, { restartPolicy: 'Always' }), container({ cpu: '300m' })],
    });
    assert.equal(podRequest(it, 'cpu', milli), 350);
  });

  test('of who is killed first', () => {
    assert.equal(oomScoreAdj(pod([container(both, both)]), container(both, both), gib), -997);
    assert.equal(oomScoreAdj(pod([container({ memory: '512Mi' })]), container({ memory: '512Mi' }), gib), 500);
    assert.equal(oomScoreAdj(pod([container({ memory: '1Ki' })]), container({ memory: '1Ki' }), gib), 999);
  });

  test('of the pod as a whole hold for containers that say nothing of their own', () => {
    const whole = pod([container({ memory: '1Gi' }), container({ cpu: '250m' }, { memory: '1Gi' })], {
      resources: { requests: { cpu: '1', memory: '4Gi' }, limits: { cpu: '2', memory: '8Gi' } },
    });
    const [first, second] = whole.spec.containers;
    assert.ok(first && second);
    assert.deepEqual(
      [first, second].map((one) => {
        const { cpuShares, cpuQuota, memoryLimitBytes } = containerResources(whole, one, 16 * gib);
        return [cpuShares, cpuQuota, memoryLimitBytes];
      }),
      [
        [2, 200_000, 8 * gib],
        [256, 200_000, gib],
      ],
    );
    // Of the 4 GiB it asks for, its containers ask for 2; the rest is shared: each counts for 2 of the node's 16.
    assert.deepEqual([oomScoreAdj(whole, first, 16 * gib), oomScoreAdj(whole, second, 16 * gib)], [875, 875]);
  });

  test('of a sidecar leave it no more exposed than those it serves', () => {
    const sidecar = container({ memory: '1Gi' }, {}, { name: 'sidecar', restartPolicy: 'Always' });
    const served = pod([container({ memory: '4Gi' }), container({ memory: '8Gi' })], { initContainers: [sidecar] });
    assert.equal(oomScoreAdj(served, sidecar, 16 * gib), 750);
  });
});
