import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Job, Pod } from '../../api/kinds.ts';
import type { V1JobSpec, V1JobStatus } from '../../api/types.ts';
import { extendStreak, noFailures, remainingMs } from './back-off.ts';
import { formatIndexes, parseIndexes } from './indexes.ts';
import { jobPod, trackingFinalizer } from './job-pods.ts';
import { type JobPlan, type JobView, countLetGo, finish, planJob } from './plan.ts';
import { judgeFailure, matchSuccessPolicy } from './policies.ts';

const nowMs = Date.UTC(2026, 0, 2);
const now = '2026-01-02T00:00:00Z';
const before = '2026-01-01T23:59:00Z';

function job(spec: Partial<V1JobSpec> = {}, status: Partial<V1JobStatus> = {}): Job {
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name: 'work', namespace: 'default', uid: 'job', resourceVersion: '1', creationTimestamp: before },
    spec: { template: { spec: { containers: [{ name: 'c' }], restartPolicy: 'Never' } }, parallelism: 1, completions: 1, backoffLimit: 6, ...spec },
    status: { startTime: before, ...status },
  };
}

interface Traits {
  readonly phase?: string;
  readonly index?: number;
  readonly exitCode?: number;
  readonly leaving?: boolean;
  readonly restarts?: number;
  readonly failures?: number;
  readonly endedMs?: number;
}

function pod(name: string, { phase = 'Running', index, exitCode, leaving, restarts = 0, failures, endedMs = nowMs }: Traits = {}): Pod {
  const finishedAt = new Date(endedMs).toISOString();
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace: 'default',
      uid: name,
      resourceVersion: '1',
      creationTimestamp: before,
      finalizers: [trackingFinalizer],
      ...(leaving && { deletionTimestamp: now }),
      annotations: {
        ...(index !== undefined && { 'batch.kubernetes.io/job-completion-index': String(index) }),
        ...(failures !== undefined && { 'batch.kubernetes.io/job-index-failure-count': String(failures) }),
      },
    },
    spec: { nodeName: 'n1', containers: [] },
    status: {
      phase,
      containerStatuses: [
        {
          name: 'c',
          image: '',
          imageID: '',
          ready: false,
          restartCount: restarts,
          ...((exitCode !== undefined || phase === 'Failed') && { state: { terminated: { exitCode: exitCode ?? 1, finishedAt } } }),
        },
      ],
    },
  };
}

const ok = (name: string, traits: Traits = {}): Pod => pod(name, { phase: 'Succeeded', ...traits });
const bad = (name: string, traits: Traits = {}): Pod => pod(name, { phase: 'Failed', ...traits });

function plan(spec: Partial<V1JobSpec>, pods: readonly Pod[], status: Partial<V1JobStatus> = {}, view: Partial<JobView> = {}): JobPlan {
  return planJob({ job: job(spec, status), pods, letGo: new Set(), streak: noFailures, mayChange: true, nowMs, ...view });
}

describe('pods of a job', () => {
  const names = (pods: readonly Pod[]): string[] => pods.map(({ metadata }) => metadata.name);
  const cases: readonly [string, Partial<V1JobSpec>, readonly Pod[], { create?: number; withdraw?: string[]; status?: Partial<V1JobStatus> }][] = [
    ['as many at once as are wanted', { completions: 5, parallelism: 2 }, [], { create: 2 }],
    ['no more than are left to succeed', { completions: 3, parallelism: 3 }, [ok('a'), ok('b')], { create: 1 }],
    ['of a work queue: parallelism', { completions: undefined, parallelism: 3 }, [pod('a')], { create: 2 }],
    ['of a work queue that had a success: those that run', { completions: undefined, parallelism: 3 }, [pod('a'), ok('b')], { create: 0 }],
    ['fewer when parallelism went down', { completions: 5, parallelism: 1 }, [pod('a'), pod('b', { phase: 'Pending' })], { withdraw: ['b'] }],
    ['none while suspended', { suspend: true }, [pod('a')], { withdraw: ['a'] }],
    ['one for one that is leaving', {}, [pod('a', { leaving: true })], { create: 0, status: { terminating: 1 } }],
    ['not before the old one has ended', { podReplacementPolicy: 'Failed' }, [pod('a', { leaving: true })], { create: 0 }],
  ];
  for (const [name, spec, pods, { create = 0, withdraw = [], status = {} }] of cases) {
    it(name, () => {
      const result = plan(spec, pods);
      assert.equal(result.create.length, create);
      assert.deepEqual(names(result.withdraw), withdraw);
      for (const [key, value] of Object.entries(status)) assert.equal(result.status[key as keyof V1JobStatus], value);
    });
  }
  it('are not touched while the cache is behind', () => assert.deepEqual(plan({}, [], {}, { mayChange: false }).create, []));
  it('wait for the back-off', () => {
    const result = plan({}, [bad('a', { endedMs: nowMs - 3000 })]);
    assert.equal(result.create.length, 0);
    assert.equal(result.requeueAfterMs, 7000);
  });
  it('let go already are not counted again', () => {
    const result = plan({ completions: 2 }, [ok('a')], { succeeded: 1 }, { letGo: new Set(['a']) });
    assert.deepEqual([result.letGo, result.status.uncountedTerminatedPods], [[], {}]);
  });
});

describe('counting', () => {
  it('names who is counted first, and counts when they are let go', () => {
    const { status, letGo } = plan({ completions: 3, parallelism: 3 }, [ok('a'), bad('b'), pod('c')], { succeeded: 1 });
    assert.deepEqual(status.uncountedTerminatedPods, { succeeded: ['a'], failed: ['b'] });
    assert.deepEqual(
      letGo.map(({ metadata }) => metadata.name),
      ['a', 'b'],
    );
    const counted = countLetGo(status, new Set(['b', 'c']));
    assert.deepEqual([counted.succeeded, counted.failed, counted.uncountedTerminatedPods], [2, undefined, { failed: ['b'] }]);
  });
  it('counts one index once, however many pods succeeded at it', () => {
    const { status } = plan({ completionMode: 'Indexed', completions: 3 }, [ok('a', { index: 1 }), ok('b', { index: 1 })], { completedIndexes: '0' });
    assert.deepEqual([status.succeeded, status.completedIndexes, status.uncountedTerminatedPods], [2, '0,1', {}]);
  });
});

describe('the end of a job', () => {
  const indexed = { completionMode: 'Indexed', completions: 3, parallelism: 3 };
  const cases: readonly [string, Partial<V1JobSpec>, readonly Pod[], Partial<V1JobStatus>, reason: string | undefined][] = [
    ['enough succeeded', {}, [ok('a')], {}, 'CompletionsReached'],
    ['a work queue ran dry', { completions: undefined }, [ok('a')], {}, 'CompletionsReached'],
    ['one still runs', { completions: undefined, parallelism: 2 }, [ok('a'), pod('b')], {}, undefined],
    ['too many failed', { backoffLimit: 1 }, [bad('a')], { failed: 1 }, 'BackoffLimitExceeded'],
    ['just few enough failed', { backoffLimit: 1 }, [bad('a')], {}, undefined],
    [
      'containers restarted too often',
      { backoffLimit: 2, template: { spec: { containers: [], restartPolicy: 'OnFailure' } } },
      [pod('a', { restarts: 2 })],
      {},
      'BackoffLimitExceeded',
    ],
    ['its time is over', { activeDeadlineSeconds: 60 }, [pod('a')], {}, 'DeadlineExceeded'],
    ['its time is not over', { activeDeadlineSeconds: 61 }, [pod('a')], {}, undefined],
    [
      'an index failed, and all are decided',
      { ...indexed, backoffLimitPerIndex: 0 },
      [bad('a', { index: 1 })],
      { completedIndexes: '0,2' },
      'FailedIndexes',
    ],
    [
      'too many indexes failed',
      { ...indexed, backoffLimitPerIndex: 0, maxFailedIndexes: 0 },
      [bad('a', { index: 1 })],
      {},
      'MaxFailedIndexesExceeded',
    ],
    ['its policy says so', { ...indexed, successPolicy: { rules: [{ succeededCount: 1 }] } }, [ok('a', { index: 1 })], {}, 'SuccessPolicy'],
  ];
  for (const [name, spec, pods, status, reason] of cases) it(name, () => assert.equal(plan(spec, pods, status).ending?.reason, reason));

  it('is told only when no pod is left', () => {
    const ending = { interim: 'FailureTarget', reason: 'DeadlineExceeded', message: 'late' } as const;
    assert.equal(finish({ terminating: 1 }, ending, now).conditions, undefined);
    assert.equal(finish({ uncountedTerminatedPods: { failed: ['a'] } }, ending, now).conditions, undefined);
    assert.deepEqual(
      finish({}, ending, now).conditions?.map(({ type, reason, message }) => [type, reason, message]),
      [['Failed', 'DeadlineExceeded', 'late']],
    );
    assert.equal(finish({}, { ...ending, interim: 'SuccessCriteriaMet' }, now).completionTime, now);
  });
  it('stays as it was decided', () => {
    const conditions = [{ type: 'FailureTarget', status: 'True', reason: 'DeadlineExceeded', message: 'late' }];
    assert.equal(plan({}, [ok('a')], { conditions }).ending?.reason, 'DeadlineExceeded');
  });
});

describe('indexes of a job', () => {
  const spec = { completionMode: 'Indexed', completions: 4, parallelism: 2 };
  it('start with the lowest free ones', () => {
    const { create } = plan(spec, [pod('a', { index: 1 }), ok('b', { index: 0 })]);
    assert.deepEqual(create, [{ index: 2 }]);
  });
  it('have one pod each', () => {
    const { withdraw } = plan(spec, [pod('a', { index: 1 }), pod('b', { index: 1, phase: 'Pending' }), pod('c', { index: 9 })]);
    assert.deepEqual(withdraw.map(({ metadata }) => metadata.name).sort(), ['b', 'c']);
  });
  it('with limits of their own wait on their own, and remember their failures', () => {
    const limited = { ...spec, backoffLimitPerIndex: 3, parallelism: 4 };
    const ended = bad('a', { index: 0, failures: 1, endedMs: nowMs - 19_000 });
    const waiting = plan(limited, [ended]);
    assert.deepEqual(
      waiting.create,
      [1, 2, 3].map((index) => ({ index, failures: 0 })),
    );
    assert.equal(waiting.requeueAfterMs, 1000);
    assert.deepEqual(waiting.letGo, []);
    const over = plan(limited, [bad('a', { index: 0, failures: 1, endedMs: nowMs - 20_000 })]);
    assert.deepEqual(over.create[0], { index: 0, failures: 2, ignoredFailures: 0 });
    const draft = jobPod(job(limited), { index: 0, failures: 2, ignoredFailures: 0 });
    assert.equal(draft.metadata.annotations?.['batch.kubernetes.io/job-index-failure-count'], '2');
  });
});

describe('lists of indexes', () => {
  for (const [text, indexes] of [
    ['', []],
    ['0', [0]],
    ['0,1', [0, 1]],
    ['1,3-5,7', [1, 3, 4, 5, 7]],
  ] as const) {
    it(`"${text}"`, () => {
      assert.deepEqual([...parseIndexes(text, 10)], indexes);
      assert.equal(formatIndexes(new Set(indexes)), text);
    });
  }
  it('end at the number of completions', () => assert.deepEqual([...parseIndexes('1-2000000000', 3)], [1, 2]));
});

describe('back-off', () => {
  it('doubles from ten seconds to ten minutes', () => {
    const pause = (failures: number): number => remainingMs({ failures, lastFailureMs: nowMs }, nowMs) / 1000;
    assert.deepEqual([0, 1, 2, 3, 6, 7, 50].map(pause), [0, 10, 20, 40, 320, 600, 600]);
  });
  it('begins anew after a success', () => {
    const streak = extendStreak({ failures: 4, lastFailureMs: 50 }, [100], [90, 110]);
    assert.deepEqual(streak, { failures: 1, lastFailureMs: 110 });
    assert.deepEqual(extendStreak({ failures: 4, lastFailureMs: 50 }, [100], []), noFailures);
    assert.deepEqual(extendStreak({ failures: 1, lastFailureMs: 50 }, [], [60]), { failures: 2, lastFailureMs: 60 });
  });
});

describe('policies', () => {
  const onExitCodes = (operator: string, values: number[], containerName?: string) => ({ operator, values, ...(containerName && { containerName }) });
  const cases: readonly [string, NonNullable<V1JobSpec['podFailurePolicy']>['rules'][0], action: string | undefined][] = [
    ['an exit code in the list', { action: 'Ignore', onExitCodes: onExitCodes('In', [3]) }, 'Ignore'],
    ['an exit code that is not', { action: 'Ignore', onExitCodes: onExitCodes('In', [4]) }, undefined],
    ['an exit code beside the list', { action: 'FailIndex', onExitCodes: onExitCodes('NotIn', [4]) }, 'FailIndex'],
    ["another container's exit code", { action: 'Ignore', onExitCodes: onExitCodes('In', [3], 'other') }, undefined],
    ['a condition', { action: 'FailJob', onPodConditions: [{ type: 'DisruptionTarget' }] }, 'FailJob'],
    ['a condition that is false', { action: 'FailJob', onPodConditions: [{ type: 'DisruptionTarget', status: 'False' }] }, undefined],
  ];
  const failed = bad('a', { exitCode: 3 });
  const disrupted: Pod = { ...failed, status: { ...failed.status, conditions: [{ type: 'DisruptionTarget', status: 'True' }] } };
  for (const [name, rule, action] of cases) {
    it(name, () => assert.equal(judgeFailure(job({ podFailurePolicy: { rules: [rule] } }), disrupted).action, action));
  }
  it('of success: all that are required, or so many of them', () => {
    const met = (rule: { succeededIndexes?: string; succeededCount?: number }, ...done: number[]): boolean =>
      matchSuccessPolicy(job({ completions: 5, successPolicy: { rules: [rule] } }), new Set(done)) !== undefined;
    assert.deepEqual([met({ succeededIndexes: '0-1' }, 0), met({ succeededIndexes: '0-1' }, 0, 1, 4)], [false, true]);
    assert.deepEqual([met({ succeededIndexes: '0-1', succeededCount: 1 }, 3), met({ succeededIndexes: '0-1', succeededCount: 1 }, 1)], [false, true]);
    assert.deepEqual([met({ succeededCount: 2 }, 3), met({ succeededCount: 2 }, 1, 4)], [false, true]);
  });
});
