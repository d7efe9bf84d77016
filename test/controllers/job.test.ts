/** Jobs and cron jobs against the API server, with a kubelet that only pretends; how a pod ends is up to the test. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { CronJob, Event, Job, Pod } from '../../src/api/kinds.ts';
import type { Draft } from '../../src/machinery/object.ts';
import { type ControlPlane, notFound, startControlPlane } from './control-plane.ts';

const template = { spec: { restartPolicy: 'Never', containers: [{ name: 'c', image: 'c:1' }] } };

function work(spec: Partial<Job['spec']> = {}): Draft<Job> {
  return { metadata: { name: 'work', namespace: 'default' }, spec: { template, ...spec } };
}

let plane: ControlPlane;
let made: string[];
async function start(lagMs?: number): Promise<void> {
  made = [];
  // The node does not exist: its pods would be collected.
  const controllers = '*,-pod-garbage-collector-controller';
  plane = await startControlPlane({ node: 'n1', controllers, ...(lagMs !== undefined && { lagMs }) });
  plane.informers.of(Pod).subscribe({ added: ({ metadata }) => made.push(metadata.name) });
}
beforeEach(() => start());
afterEach(() => plane.close());

const jobs = () => plane.admin.resource(Job).namespace('default');
const job = () => jobs().get('work');
const condition = async (type: string) => (await job()).status.conditions?.find((one) => one.type === type && one.status === 'True');
const running = async () =>
  (await plane.list(Pod)).filter(({ status, metadata }) => status.phase === 'Running' && metadata.deletionTimestamp === undefined);
const reasons = async () => new Set((await plane.list(Event)).map(({ reason }) => reason));
const active = (count: number) => async () => (await running()).length === count && ((await job()).status.active ?? 0) === count;
const complete = async () => (await condition('Complete')) !== undefined;
const failed = async () => (await condition('Failed')) !== undefined;

async function end(pod: Pod | undefined, exitCode = 0): Promise<void> {
  const finishedAt = new Date(plane.world.clock.now()).toISOString();
  const state = { terminated: { exitCode, finishedAt, reason: exitCode === 0 ? 'Completed' : 'Error' } };
  const containerStatuses = [{ name: 'c', image: 'c', imageID: '', ready: false, restartCount: 0, state }];
  const status = { phase: exitCode === 0 ? 'Succeeded' : 'Failed', containerStatuses };
  await plane.admin
    .resource(Pod)
    .namespace('default')
    .patch(pod?.metadata.name ?? '', { status }, { subresource: 'status' });
  await plane.settle();
}
const indexOf = (pod: Pod): string | undefined => pod.metadata.annotations?.['batch.kubernetes.io/job-completion-index'];
const podOf = async (index: number) => (await running()).find((pod) => indexOf(pod) === String(index));

describe('job', () => {
  it('runs as many as may run at once until enough have succeeded', async () => {
    await plane.create(Job, work({ completions: 3, parallelism: 2 }));
    await plane.until('2 active', active(2));
    const [first] = await running();
    assert.deepEqual(first?.metadata.finalizers, ['batch.kubernetes.io/job-tracking']);
    for (let i = 0; i < 3; i++) await end((await running())[0]);
    await plane.until('complete', complete);
    const { status } = await job();
    assert.deepEqual([status.succeeded, status.failed, status.active ?? 0, status.ready ?? 0, status.terminating], [3, undefined, 0, 0, 0]);
    assert.deepEqual(status.uncountedTerminatedPods, {});
    assert.ok(status.startTime !== undefined && status.completionTime !== undefined);
    assert.deepEqual(
      status.conditions?.map(({ type, reason, message }) => [type, reason, message]),
      ['SuccessCriteriaMet', 'Complete'].map((type) => [type, 'CompletionsReached', 'Reached expected number of succeeded pods']),
    );
    assert.equal(made.length, 3);
    assert.ok((await plane.list(Pod)).every(({ metadata }) => (metadata.finalizers ?? []).length === 0));
    assert.ok((await reasons()).has('Completed'));
    assert.deepEqual(plane.complaints, []);
  });

  it('tries again after ten seconds, then twenty, and gives up at the limit', async () => {
    await plane.create(Job, work({ backoffLimit: 2 }));
    for (const waitMs of [9_000, 19_000]) {
      await plane.until('active', active(1));
      await end((await running())[0], 1);
      await plane.settle(waitMs);
      assert.equal((await running()).length, 0);
      await plane.settle(1500);
    }
    await end((await running())[0], 1);
    await plane.until('failed', failed);
    const { status } = await job();
    assert.equal(status.failed, 3);
    assert.deepEqual(
      status.conditions?.map(({ type, reason, message }) => [type, reason, message]),
      ['FailureTarget', 'Failed'].map((type) => [type, 'BackoffLimitExceeded', 'Job has reached the specified backoff limit']),
    );
    assert.ok((await reasons()).has('BackoffLimitExceeded'));
  });

  it('gives indexed pods their index, and one pod to each', async () => {
    await plane.create(Job, work({ completionMode: 'Indexed', completions: 4, parallelism: 3 }));
    await plane.until('3', active(3));
    const pod = await podOf(1);
    assert.equal(pod?.spec.hostname, 'work-1');
    assert.match(pod?.metadata.name ?? '', /^work-1-/);
    assert.equal(pod?.metadata.labels?.['batch.kubernetes.io/job-completion-index'], '1');
    assert.equal(pod?.spec.containers[0]?.env?.[0]?.valueFrom?.fieldRef?.fieldPath, "metadata.labels['batch.kubernetes.io/job-completion-index']");
    await end(await podOf(2));
    await end(await podOf(0));
    await plane.settle();
    assert.equal((await job()).status.completedIndexes, '0,2');
    await end(await podOf(1));
    await end(await podOf(3));
    await plane.until('complete', complete);
    assert.equal((await job()).status.completedIndexes, '0-3');
  });

  it('counts failures per index, and fails when the indexes do', async () => {
    await plane.create(Job, work({ completionMode: 'Indexed', completions: 2, parallelism: 2, backoffLimitPerIndex: 1 }));
    await plane.until('2', active(2));
    await end(await podOf(0), 1);
    await plane.settle(5000);
    assert.equal(await podOf(0), undefined);
    await plane.until('again', active(2));
    assert.equal((await podOf(0))?.metadata.annotations?.['batch.kubernetes.io/job-index-failure-count'], '1');
    await end(await podOf(0), 1);
    await plane.settle(60_000);
    assert.equal((await job()).status.failedIndexes, '0');
    await end(await podOf(1));
    await plane.until('failed', failed);
    const { status } = await job();
    assert.equal((await condition('Failed'))?.reason, 'FailedIndexes');
    assert.deepEqual([status.completedIndexes, status.failedIndexes, status.failed], ['1', '0', 2]);
  });

  it('stops at too many failed indexes', async () => {
    await plane.create(Job, work({ completionMode: 'Indexed', completions: 5, parallelism: 5, backoffLimitPerIndex: 0, maxFailedIndexes: 1 }));
    await plane.until('5', active(5));
    await end(await podOf(0), 1);
    await end(await podOf(3), 1);
    await plane.until('failed', failed);
    assert.equal((await condition('Failed'))?.reason, 'MaxFailedIndexesExceeded');
    assert.equal((await job()).status.failedIndexes, '0,3');
    assert.equal((await running()).length, 0);
  });

  it('obeys its failure policy', async () => {
    const rules = [
      { action: 'Ignore', onExitCodes: { operator: 'In', values: [3] } },
      { action: 'FailJob', onExitCodes: { operator: 'In', values: [42] } },
    ];
    await plane.create(Job, work({ backoffLimit: 0, podFailurePolicy: { rules } }));
    await plane.until('1', active(1));
    await end((await running())[0], 3);
    await plane.until('again', active(1));
    const [pod] = await running();
    await end(pod, 42);
    await plane.until('failed', failed);
    const found = await condition('Failed');
    assert.equal(found?.reason, 'PodFailurePolicy');
    assert.equal(found?.message, `Container c for pod default/${pod?.metadata.name} failed with exit code 42 matching FailJob rule at index 1`);
    assert.equal((await job()).status.failed, 1);
  });

  it('is done when its success policy is met; who was still at it is ended', async () => {
    const successPolicy = { rules: [{ succeededIndexes: '1-2', succeededCount: 1 }] };
    await plane.create(Job, work({ completionMode: 'Indexed', completions: 3, parallelism: 3, successPolicy }));
    await plane.until('3', active(3));
    await end(await podOf(2));
    await plane.until('complete', complete);
    const { status } = await job();
    assert.deepEqual([(await condition('Complete'))?.reason, (await condition('Complete'))?.message], ['SuccessPolicy', 'Matched rules at index 0']);
    assert.deepEqual([status.completedIndexes, status.failed, (await running()).length], ['2', undefined, 0]);
  });

  it('is suspended and resumed', async () => {
    await plane.create(Job, work({ suspend: true }));
    await plane.settle(1000);
    assert.equal((await job()).status.startTime, undefined);
    assert.equal((await condition('Suspended'))?.reason, 'JobSuspended');
    await jobs().patch('work', { spec: { suspend: false } });
    await plane.until('1', active(1));
    assert.equal((await job()).status.conditions?.find(({ type }) => type === 'Suspended')?.reason, 'JobResumed');
    await jobs().patch('work', { spec: { suspend: true } });
    await plane.until('none', active(0));
    assert.deepEqual([(await job()).status.failed, (await job()).status.startTime], [undefined, undefined]);
    await jobs().patch('work', { spec: { suspend: false } });
    await plane.until('1', active(1));
    const said = await reasons();
    assert.ok(said.has('Suspended') && said.has('Resumed'));
  });

  it('fails at its deadline', async () => {
    await plane.create(Job, work({ activeDeadlineSeconds: 30 }));
    await plane.until('1', active(1));
    await plane.settle(29_000);
    assert.equal(await failed(), false);
    await plane.until('failed', failed);
    assert.equal((await condition('Failed'))?.reason, 'DeadlineExceeded');
    assert.equal((await running()).length, 0);
  });

  it('goes by itself after its time to live', async () => {
    await plane.create(Job, work({ ttlSecondsAfterFinished: 60 }));
    await plane.until('1', active(1));
    await end((await running())[0]);
    await plane.until('complete', complete);
    await plane.settle(55_000);
    assert.ok(await job());
    await plane.until('gone', () => notFound(job()));
    await plane.until('pods too', async () => (await plane.list(Pod)).length === 0);
  });

  it('leaves jobs that another controller manages alone', async () => {
    await plane.create(Job, work({ managedBy: 'example.com/other' }));
    await plane.settle(5000);
    assert.equal(made.length, 0);
  });

  it('lets pods go whose job is gone', async () => {
    await plane.create(Job, work());
    await plane.until('1', active(1));
    await jobs().delete('work', { propagationPolicy: 'Orphan' });
    await plane.until('free', async () => (await plane.list(Pod)).every(({ metadata }) => (metadata.finalizers ?? []).length === 0));
    assert.equal((await plane.list(Pod)).length, 1);
  });

  it('adopts matching orphans, and releases pods that match no more', async () => {
    await plane.create(Job, work({ completions: 2, parallelism: 2 }));
    await plane.until('2', active(2));
    const [pod] = await running();
    const pods = plane.admin.resource(Pod).namespace('default');
    const name = pod?.metadata.name ?? '';
    await pods.patch(name, { metadata: { ownerReferences: null, finalizers: null } });
    await plane.until('adopted', async () => {
      const { ownerReferences, finalizers } = (await pods.get(name)).metadata;
      return ownerReferences?.[0]?.kind === 'Job' && finalizers?.[0] === 'batch.kubernetes.io/job-tracking';
    });
    await pods.patch(name, { metadata: { labels: { 'batch.kubernetes.io/controller-uid': null } } });
    await plane.until('released', async () => {
      const { ownerReferences = [], finalizers = [] } = (await pods.get(name)).metadata;
      return ownerReferences.length + finalizers.length === 0;
    });
    await plane.until('another', async () => made.length === 3);
  });

  it('waits for a pod to end before it is replaced, when told to', async () => {
    await plane.create(Job, work({ podReplacementPolicy: 'Failed' }));
    await plane.until('1', active(1));
    const [pod] = await running();
    const pods = plane.admin.resource(Pod).namespace('default');
    await pods.patch(pod?.metadata.name ?? '', { metadata: { finalizers: ['a.b/hold', 'batch.kubernetes.io/job-tracking'] } });
    await pods.delete(pod?.metadata.name ?? '');
    await plane.until('replaced', async () => made.length === 2);
    assert.equal((await job()).status.failed, 1);
    assert.equal((await pods.get(pod?.metadata.name ?? '')).status.phase, 'Failed');
  });

  it('counts and makes nothing twice behind a lagging cache and through restarts', async () => {
    await plane.close();
    await start(200);
    await plane.create(Job, work({ completionMode: 'Indexed', completions: 6, parallelism: 3 }));
    for (let i = 0; i < 6; i++) {
      await plane.until('one runs', async () => (await running()).length > 0);
      await end((await running())[0]);
      await plane.settle(100);
      if (i % 2 === 0) await plane.restart();
    }
    await plane.until('complete', complete);
    await plane.settle(5000);
    assert.equal((await job()).status.succeeded, 6);
    assert.equal(made.length, 6);
  });

  it('never runs an index twice at once, nor again once it has succeeded, whatever fails, lags or is restarted', async () => {
    await plane.close();
    await start(120);
    const { random } = plane.world;
    const succeeded = new Set<string>();
    const twice: string[] = [];
    plane.informers.of(Pod).subscribe({
      added(pod) {
        const index = indexOf(pod) ?? '';
        const rivals = plane.informers
          .of(Pod)
          .list('default')
          .filter((other) => {
            const ended = other.status.phase === 'Failed' || other.status.phase === 'Succeeded' || other.metadata.deletionTimestamp !== undefined;
            return other.metadata.uid !== pod.metadata.uid && indexOf(other) === index && !ended;
          });
        if (rivals.length > 0 || succeeded.has(index)) twice.push(index);
      },
    });
    await plane.create(Job, work({ completionMode: 'Indexed', completions: 12, parallelism: 4, backoffLimit: 1000 }));
    let failures = 0;
    while (!(await complete())) {
      const pods = await running();
      const pod = pods[random.int(Math.max(1, pods.length))];
      if (pod && random.int(3) > 0) {
        if (random.int(6) > 0) {
          succeeded.add(indexOf(pod) ?? '');
          await end(pod);
        } else {
          failures++;
          await end(pod, 1);
        }
      }
      if (random.int(5) === 0) await plane.restart();
      await plane.settle(random.int(pods.length === 0 ? 30_000 : 300));
    }
    await plane.settle(2000);
    const { status } = await job();
    assert.deepEqual([status.succeeded, status.failed ?? 0, status.completedIndexes, twice], [12, failures, '0-11', []]);
    assert.equal(made.length, 12 + failures);
  });

  it('counts plain pods once, behind a lagging cache', async () => {
    await plane.close();
    await start(150);
    await plane.create(Job, work({ completions: 5, parallelism: 2 }));
    for (let i = 0; i < 5; i++) {
      await plane.until('one runs', async () => (await running()).length > 0);
      await end((await running())[0]);
      await plane.settle(60);
    }
    await plane.until('complete', complete);
    await plane.settle(2000);
    assert.equal((await job()).status.succeeded, 5);
    assert.equal(made.length, 5);
    assert.deepEqual(plane.complaints, []);
  });
});

describe('cron job', () => {
  const minuteMs = 60_000;
  function tick(spec: Partial<CronJob['spec']> = {}): Draft<CronJob> {
    return { metadata: { name: 'tick', namespace: 'default' }, spec: { schedule: '* * * * *', jobTemplate: { spec: { template } }, ...spec } };
  }
  const cronJobs = () => plane.admin.resource(CronJob).namespace('default');
  const allJobs = () => plane.list(Job);
  const untilMinute = async (count = 1): Promise<void> => {
    await plane.settle(minuteMs - (plane.world.clock.now() % minuteMs) + (count - 1) * minuteMs + 10);
  };
  const endAll = async (): Promise<void> => {
    for (const pod of await running()) await end(pod);
    await plane.settle(50);
  };

  it('makes a job at each full minute, named after it', async () => {
    await plane.create(CronJob, tick());
    await untilMinute();
    const [made] = await allJobs();
    const minute = Math.floor(plane.world.clock.now() / minuteMs);
    assert.equal(made?.metadata.name, `tick-${minute}`);
    const scheduled = `${new Date(minute * minuteMs).toISOString().slice(0, 19)}Z`;
    assert.equal(made?.metadata.annotations?.['batch.kubernetes.io/cronjob-scheduled-timestamp'], scheduled);
    const { status } = await cronJobs().get('tick');
    assert.equal(status.lastScheduleTime, scheduled);
    assert.deepEqual(
      status.active?.map(({ name }) => name),
      [made?.metadata.name],
    );
    await endAll();
    await plane.until('seen', async () => (await cronJobs().get('tick')).status.active === undefined);
    assert.ok((await cronJobs().get('tick')).status.lastSuccessfulTime);
    const said = await reasons();
    assert.ok(said.has('SawCompletedJob') && said.has('SuccessfulCreate'));
    assert.deepEqual(plane.complaints, []);
  });

  it('keeps so many finished jobs as it is told', async () => {
    await plane.create(CronJob, tick({ successfulJobsHistoryLimit: 2 }));
    for (let i = 0; i < 4; i++) {
      await untilMinute();
      await endAll();
    }
    await plane.settle(1000);
    assert.equal((await allJobs()).length, 2);
  });

  it('forbids, replaces or allows runs side by side', async () => {
    for (const [concurrencyPolicy, count] of [
      ['Allow', 3],
      ['Forbid', 1],
      ['Replace', 1],
    ] as const) {
      await plane.create(CronJob, tick({ concurrencyPolicy }));
      await untilMinute();
      const [first] = await allJobs();
      await untilMinute(2);
      const left = await allJobs();
      assert.equal(left.length, count, concurrencyPolicy);
      assert.equal(
        left.some(({ metadata }) => metadata.uid === first?.metadata.uid),
        concurrencyPolicy !== 'Replace',
        concurrencyPolicy,
      );
      await cronJobs().delete('tick');
      await plane.until('gone', async () => (await allJobs()).length === 0 && (await plane.list(Pod)).length === 0);
    }
    assert.ok((await reasons()).has('JobAlreadyActive'));
  });

  it('starts once for all it missed while suspended, unless that is too long ago', async () => {
    await plane.create(CronJob, tick({ suspend: true, schedule: '*/10 * * * *' }));
    await untilMinute(35);
    assert.equal((await allJobs()).length, 0);
    await cronJobs().patch('tick', { spec: { suspend: false } });
    await plane.settle(10);
    assert.equal((await allJobs()).length, 1);
    await plane.create(CronJob, {
      ...tick({ suspend: true, schedule: '0 0 1 1 *', startingDeadlineSeconds: 5 }),
      metadata: { name: 'late', namespace: 'default' },
    });
    await cronJobs().patch('late', { spec: { suspend: false } });
    await plane.settle(1000);
    assert.equal((await allJobs()).length, 1);
  });

  it('starts a time once, through restarts and behind a lagging cache', async () => {
    await plane.close();
    await start(200);
    await plane.create(CronJob, tick());
    for (let i = 0; i < 3; i++) {
      await untilMinute();
      await plane.restart();
      await plane.settle(2000);
      await endAll();
    }
    await plane.settle(1000);
    assert.equal(made.length, 3);
    assert.equal((await allJobs()).length, 3);
  });
});
