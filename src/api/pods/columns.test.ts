/** STATUS, READY and RESTARTS of `kubectl get pods`, in the situations people see. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { V1ContainerStatus, V1Pod, V1PodSpec, V1PodStatus } from '../types.ts';
import { summaryOf } from './columns.ts';

const nowMs = Date.parse('2024-01-01T01:00:00Z');

function pod(status: V1PodStatus, spec: Partial<V1PodSpec> = {}, deletionTimestamp?: string): V1Pod {
  const metadata = { name: 'p', namespace: 'n', uid: 'u', resourceVersion: '1', creationTimestamp: '2024-01-01T00:00:00Z' };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { ...metadata, ...(deletionTimestamp !== undefined && { deletionTimestamp }) },
    spec: { containers: [{ name: 'a' }], ...spec },
    status,
  };
}

function container(name: string, changes: Partial<V1ContainerStatus>): V1ContainerStatus {
  return { name, image: 'i', imageID: '', ready: false, restartCount: 0, ...changes };
}

const running = { running: { startedAt: '2024-01-01T00:00:00Z' } };
const initialized = [{ type: 'Initialized', status: 'True' }];
const ended = (exitCode: number, reason?: string): V1ContainerStatus['state'] => ({
  terminated: { exitCode, ...(reason !== undefined && { reason }) },
});
const lastEnd = { terminated: { exitCode: 1, finishedAt: '2024-01-01T00:55:00Z' } };

const cases: readonly [string, V1Pod, { ready: string; status: string; restarts: string }][] = [
  ['waits for a node', pod({ phase: 'Pending' }), { ready: '0/1', status: 'Pending', restarts: '0' }],
  [
    'runs',
    pod({ phase: 'Running', containerStatuses: [container('a', { ready: true, state: running })] }),
    { ready: '1/1', status: 'Running', restarts: '0' },
  ],
  [
    'crashes again and again',
    pod({
      phase: 'Running',
      containerStatuses: [container('a', { restartCount: 2, state: { waiting: { reason: 'CrashLoopBackOff' } }, lastState: lastEnd })],
    }),
    { ready: '0/1', status: 'CrashLoopBackOff', restarts: '2 (5m ago)' },
  ],
  [
    'is done',
    pod({ phase: 'Succeeded', containerStatuses: [container('a', { state: ended(0, 'Completed') })] }),
    { ready: '0/1', status: 'Completed', restarts: '0' },
  ],
  [
    'ended without a reason',
    pod({ phase: 'Failed', containerStatuses: [container('a', { state: ended(3) })] }),
    { ready: '0/1', status: 'ExitCode:3', restarts: '0' },
  ],
  [
    'is being deleted',
    pod({ phase: 'Running', containerStatuses: [container('a', { ready: true, state: running })] }, {}, '2024-01-01T00:59:00Z'),
    { ready: '1/1', status: 'Terminating', restarts: '0' },
  ],
  [
    'runs its first init container',
    pod({ phase: 'Pending', initContainerStatuses: [container('i', { state: running })] }, { initContainers: [{ name: 'i' }, { name: 'j' }] }),
    { ready: '0/1', status: 'Init:0/2', restarts: '0' },
  ],
  [
    'fails to initialize',
    pod(
      { phase: 'Pending', initContainerStatuses: [container('i', { restartCount: 1, state: ended(1, 'Error'), lastState: lastEnd })] },
      { initContainers: [{ name: 'i' }] },
    ),
    { ready: '0/1', status: 'Init:Error', restarts: '1 (5m ago)' },
  ],
  [
    'runs beside a sidecar',
    pod(
      {
        phase: 'Running',
        conditions: initialized,
        initContainerStatuses: [container('s', { ready: true, started: true, state: running })],
        containerStatuses: [container('a', { ready: true, state: running })],
      },
      { initContainers: [{ name: 's', restartPolicy: 'Always' }] },
    ),
    { ready: '2/2', status: 'Running', restarts: '0' },
  ],
  [
    'has one container done and one running, and is not ready',
    pod(
      { phase: 'Running', containerStatuses: [container('a', { state: ended(0, 'Completed') }), container('b', { ready: true, state: running })] },
      { containers: [{ name: 'a' }, { name: 'b' }] },
    ),
    { ready: '1/2', status: 'NotReady', restarts: '0' },
  ],
  [
    'is held by a scheduling gate',
    pod({ phase: 'Pending', conditions: [{ type: 'PodScheduled', status: 'False', reason: 'SchedulingGated' }] }),
    { ready: '0/1', status: 'SchedulingGated', restarts: '0' },
  ],
];

for (const [name, object, expected] of cases) {
  test(`a pod that ${name}`, () => {
    assert.deepEqual(summaryOf(object, nowMs), expected);
  });
}
