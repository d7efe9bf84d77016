import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Pod } from '../api/kinds.ts';
import type { V1Container, V1PodSpec } from '../api/types.ts';
import { containerHash } from './container-hash.ts';
import { hashAnnotation } from './labels.ts';
import { type Plan, type PlanInput, planPod, sandboxTask } from './pod-plan.ts';
import type { ContainerStatus, SandboxStatus } from './runtime/runtime.ts';

const nowMs = 1_000_000;
const main: V1Container = { name: 'main', image: 'nginx:1' };
const setup: V1Container = { name: 'setup', image: 'busybox:1' };
const proxy: V1Container = { name: 'proxy', image: 'envoy:1', restartPolicy: 'Always' };

function pod(spec: Partial<V1PodSpec> = {}): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'web', namespace: 'default', uid: 'u', resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' },
    spec: { restartPolicy: 'Always', terminationGracePeriodSeconds: 30, containers: [main], ...spec },
    status: {},
  };
}

function sandbox(id: string, attempt: number, ready: boolean): SandboxStatus {
  return { id, name: 'web', namespace: 'default', uid: 'u', attempt, ready, createdAtMs: attempt, labels: {}, annotations: {}, ips: ['10.0.0.2'] };
}

function instance(spec: V1Container, state: ContainerStatus['state'], options: Partial<ContainerStatus> = {}): ContainerStatus {
  return {
    id: `${spec.name}-0`,
    sandboxId: 's0',
    name: spec.name,
    attempt: 0,
    image: spec.image ?? '',
    imageRef: '',
    state,
    createdAtMs: 0,
    labels: {},
    annotations: { [hashAnnotation]: containerHash(spec) },
    startedAtMs: 0,
    finishedAtMs: state === 'exited' ? nowMs - 1000 : 0,
    exitCode: 0,
    reason: '',
    message: '',
    logPath: '',
    mounts: [],
    ...options,
  };
}

const up = [sandbox('s0', 0, true)];

function plan(input: Partial<PlanInput>): Plan {
  return planPod({
    pod: pod(),
    observed: { sandboxes: [], containers: [] },
    nowMs,
    prepared: true,
    termination: undefined,
    busy: new Set(),
    killing: new Map(),
    verdict: () => ({ started: true, failed: undefined }),
    crashBackOffUntilMs: () => 0,
    heldUntilMs: () => 0,
    removedAttempt: () => undefined,
    ...input,
  });
}

/** An action in a few words. */
function words({ actions, outcome }: Plan): string[] {
  const said = actions.map((action) => {
    switch (action.type) {
      case 'create-sandbox':
        return `create sandbox ${action.attempt}`;
      case 'stop-sandbox':
        return `stop sandbox ${action.id}`;
      case 'start-container':
        return `start ${action.container.name} ${action.attempt}`;
      case 'kill-container':
        return `kill ${action.instance.id} ${action.reason} in ${action.deadlineMs - nowMs}`;
      case 'remove-instances':
        return `remove ${[...action.instances, action.trigger].map(({ id }) => id).join(' ')}`;
      case 'back-off':
        return `back off ${action.container.name}`;
    }
  });
  return outcome === undefined ? said : [...said, outcome];
}

describe('a pod whose containers all start anew when one exits so', () => {
  const rule = { action: 'RestartAllContainers', exitCodes: { operator: 'In', values: [88] } };
  const watcher: V1Container = { name: 'watcher', image: 'watcher:1', restartPolicy: 'Never', restartPolicyRules: [rule] };
  const whole = pod({ restartPolicy: 'Never', initContainers: [setup], containers: [main, watcher] });
  const ended = instance(watcher, 'exited', { exitCode: 88 });
  const setupDone = instance(setup, 'exited');
  const of = (containers: readonly ContainerStatus[], more: Partial<PlanInput> = {}): readonly string[] =>
    words(plan({ pod: whole, observed: { sandboxes: up, containers }, ...more }));

  test('has them ended at once', () => {
    const containers = [instance(main, 'running'), ended, setupDone];
    assert.deepEqual(of(containers), ['kill main-0 restart-all in 0']);
    assert.deepEqual(of(containers, { killing: new Map([['main-0', nowMs]]) }), []);
  });

  test('has what is left of them removed, the one that began it last, after its back-off', () => {
    const containers = [instance(main, 'exited', { exitCode: 137 }), ended, setupDone];
    assert.deepEqual(of(containers), ['remove main-0 setup-0 watcher-0']);
    assert.deepEqual(of(containers, { busy: new Set(['x']) }), []);
    assert.deepEqual(of(containers, { crashBackOffUntilMs: () => nowMs + 5000 }), ['back off watcher']);
  });

  test('begins again with its init containers', () => {
    assert.deepEqual(of([], { removedAttempt: () => 3 }), ['start setup 4']);
  });

  test('goes on, and ends, when it exits otherwise', () => {
    const failed = instance(watcher, 'exited', { exitCode: 1 });
    assert.deepEqual(of([instance(main, 'running'), failed, setupDone]), []);
    assert.deepEqual(of([instance(main, 'exited'), failed, setupDone]), ['completed']);
  });

  test('ends in any case when it is to end', () => {
    assert.deepEqual(of([instance(main, 'running'), ended, setupDone], { termination: { deadlineMs: nowMs + 1000 } }), ['kill main-0 pod in 1000']);
  });
});

describe('a pod that should run', () => {
  const cases: readonly (readonly [name: string, input: Partial<PlanInput>, expected: readonly string[]])[] = [
    ['waits for its volumes', { prepared: false }, []],
    ['gets a sandbox', {}, ['create sandbox 0']],
    ['gets one sandbox at a time', { busy: new Set([sandboxTask]) }, []],
    ['waits after a failed sandbox', { heldUntilMs: () => nowMs + 500 }, []],
    [
      'gets its containers, all at once',
      { pod: pod({ containers: [main, setup] }), observed: { sandboxes: up, containers: [] } },
      ['start main 0', 'start setup 0'],
    ],
    ['needs nothing while it runs', { observed: { sandboxes: up, containers: [instance(main, 'running')] } }, []],
    ['has a container started again', { observed: { sandboxes: up, containers: [instance(main, 'exited')] } }, ['start main 1']],
    [
      'has it wait for its back-off',
      { observed: { sandboxes: up, containers: [instance(main, 'exited')] }, crashBackOffUntilMs: () => nowMs + 9000 },
      ['back off main'],
    ],
    [
      'is done under Never',
      { pod: pod({ restartPolicy: 'Never' }), observed: { sandboxes: up, containers: [instance(main, 'exited')] } },
      ['completed'],
    ],
    [
      'tries again under OnFailure',
      { pod: pod({ restartPolicy: 'OnFailure' }), observed: { sandboxes: up, containers: [instance(main, 'exited', { exitCode: 1 })] } },
      ['start main 1'],
    ],
    [
      'is done under OnFailure',
      { pod: pod({ restartPolicy: 'OnFailure' }), observed: { sandboxes: up, containers: [instance(main, 'exited')] } },
      ['completed'],
    ],
    [
      'has another instance for one that was created and never started',
      { observed: { sandboxes: up, containers: [instance(main, 'created')] } },
      ['start main 1'],
    ],
    [
      'has another image',
      { pod: pod({ containers: [{ ...main, image: 'nginx:2' }] }), observed: { sandboxes: up, containers: [instance(main, 'running')] } },
      ['kill main-0 changed in 30000'],
    ],
    [
      'has an unhealthy container',
      { observed: { sandboxes: up, containers: [instance(main, 'running')] }, verdict: () => ({ started: true, failed: 'liveness' }) },
      ['kill main-0 liveness in 30000'],
    ],
    [
      'leaves one alone that is being stopped',
      {
        observed: { sandboxes: up, containers: [instance(main, 'running')] },
        verdict: () => ({ started: true, failed: 'liveness' }),
        killing: new Map([['main-0', nowMs]]),
      },
      [],
    ],
    [
      'gets a new sandbox for a dead one',
      { observed: { sandboxes: [sandbox('s0', 0, false)], containers: [instance(main, 'exited')] } },
      ['create sandbox 1'],
    ],
    [
      'has the rest of a dead sandbox stopped first',
      { observed: { sandboxes: [sandbox('s0', 0, false)], containers: [instance(main, 'running')] } },
      ['stop sandbox s0'],
    ],
    [
      'needs no new sandbox when it is done',
      { pod: pod({ restartPolicy: 'Never' }), observed: { sandboxes: [sandbox('s0', 0, false)], containers: [instance(main, 'exited')] } },
      ['completed'],
    ],
    [
      'counts restarts across sandboxes',
      { observed: { sandboxes: [sandbox('s1', 1, true), sandbox('s0', 0, false)], containers: [instance(main, 'exited', { attempt: 4 })] } },
      ['start main 5'],
    ],
  ];
  for (const [name, input, expected] of cases) test(name, () => assert.deepEqual(words(plan(input)), expected));
});

describe('init containers', () => {
  const both = pod({ initContainers: [setup, { ...setup, name: 'second' }] });
  const cases: readonly (readonly [name: string, input: Partial<PlanInput>, expected: readonly string[]])[] = [
    ['start with the first', { pod: both, observed: { sandboxes: up, containers: [] } }, ['start setup 0']],
    ['wait for one another', { pod: both, observed: { sandboxes: up, containers: [instance(setup, 'running')] } }, []],
    ['go on with the next', { pod: both, observed: { sandboxes: up, containers: [instance(setup, 'exited')] } }, ['start second 0']],
    ['are tried again', { pod: both, observed: { sandboxes: up, containers: [instance(setup, 'exited', { exitCode: 1 })] } }, ['start setup 1']],
    [
      'fail the pod under Never',
      {
        pod: pod({ initContainers: [setup], restartPolicy: 'Never' }),
        observed: { sandboxes: up, containers: [instance(setup, 'exited', { exitCode: 1 })] },
      },
      ['completed'],
    ],
    [
      'run again in a new sandbox',
      { pod: both, observed: { sandboxes: [sandbox('s1', 1, true), sandbox('s0', 0, false)], containers: [instance(setup, 'exited')] } },
      ['start setup 1'],
    ],
    [
      'do not run again once containers were made',
      { pod: pod({ initContainers: [setup] }), observed: { sandboxes: up, containers: [instance(main, 'exited')] } },
      ['start main 1'],
    ],
    ['let a sidecar go first', { pod: pod({ initContainers: [proxy] }), observed: { sandboxes: up, containers: [] } }, ['start proxy 0']],
    [
      'wait until a sidecar is up',
      {
        pod: pod({ initContainers: [proxy] }),
        observed: { sandboxes: up, containers: [instance(proxy, 'running')] },
        verdict: () => ({ started: false, failed: undefined }),
      },
      [],
    ],
    [
      'go on beside a sidecar',
      { pod: pod({ initContainers: [proxy] }), observed: { sandboxes: up, containers: [instance(proxy, 'running')] } },
      ['start main 0'],
    ],
    [
      'bring a sidecar back whatever the policy',
      {
        pod: pod({ initContainers: [proxy], restartPolicy: 'Never' }),
        observed: { sandboxes: up, containers: [instance(main, 'running'), instance(proxy, 'exited')] },
      },
      ['start proxy 1'],
    ],
  ];
  for (const [name, input, expected] of cases) test(name, () => assert.deepEqual(words(plan(input)), expected));
});

describe('a pod that is to end', () => {
  const termination = { deadlineMs: nowMs + 30_000 };
  const withSidecar = pod({ initContainers: [proxy] });
  const cases: readonly (readonly [name: string, input: Partial<PlanInput>, expected: readonly string[]])[] = [
    ['has its containers stopped', { observed: { sandboxes: up, containers: [instance(main, 'running')] } }, ['kill main-0 pod in 30000']],
    [
      'has them stopped once',
      { observed: { sandboxes: up, containers: [instance(main, 'running')] }, killing: new Map([['main-0', nowMs + 30_000]]) },
      [],
    ],
    [
      'has them hurried up',
      { observed: { sandboxes: up, containers: [instance(main, 'running')] }, killing: new Map([['main-0', nowMs + 60_000]]) },
      ['kill main-0 pod in 30000'],
    ],
    [
      'keeps its sidecars until the others ended',
      { pod: withSidecar, observed: { sandboxes: up, containers: [instance(main, 'running'), instance(proxy, 'running')] } },
      ['kill main-0 pod in 30000'],
    ],
    [
      'has its sidecars stopped then',
      { pod: withSidecar, observed: { sandboxes: up, containers: [instance(main, 'exited'), instance(proxy, 'running')] } },
      ['kill proxy-0 pod in 30000'],
    ],
    ['has its sandbox stopped last', { observed: { sandboxes: up, containers: [instance(main, 'exited')] } }, ['stop sandbox s0']],
    ['waits for what is being started', { observed: { sandboxes: up, containers: [] }, busy: new Set(['main']) }, []],
    ['has stopped', { observed: { sandboxes: [sandbox('s0', 0, false)], containers: [instance(main, 'exited')] } }, ['stopped']],
    ['has stopped before it began', {}, ['stopped']],
  ];
  for (const [name, input, expected] of cases) test(name, () => assert.deepEqual(words(plan({ termination, ...input })), expected));
});
