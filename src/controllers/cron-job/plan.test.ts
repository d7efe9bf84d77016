import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { CronJob, Job } from '../../api/kinds.ts';
import type { V1CronJobSpec, V1CronJobStatus } from '../../api/types.ts';
import { mostRecentDue, planCronJob, referenceTo } from './plan.ts';
import { parseSchedule } from './schedule.ts';

const at = (text: string): number => Date.parse(`2026-01-01T${text}Z`);

function cron(spec: Partial<V1CronJobSpec> = {}, status: V1CronJobStatus = {}): CronJob {
  return {
    apiVersion: 'batch/v1',
    kind: 'CronJob',
    metadata: { name: 'tick', namespace: 'default', uid: 'tick', resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:30Z' },
    spec: { schedule: '*/10 * * * *', jobTemplate: { metadata: { labels: { a: 'b' } }, spec: { template: {} } }, ...spec },
    status,
  };
}

function job(name: string, finished?: 'Complete' | 'Failed', startTime = '2026-01-01T00:10:00Z'): Job {
  const conditions = finished === undefined ? [] : [{ type: finished, status: 'True', lastTransitionTime: startTime }];
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name, namespace: 'default', uid: name, resourceVersion: '1', creationTimestamp: startTime },
    spec: { template: {} },
    status: { startTime, conditions, ...(finished === 'Complete' && { completionTime: startTime }) },
  };
}

describe('a cron job', () => {
  const cases: readonly [
    string,
    CronJob,
    now: string,
    { starts?: string; requeueMs?: number | undefined; reasons?: string[]; jobs?: readonly Job[] },
  ][] = [
    ['waits for its time', cron(), '00:05:00', { requeueMs: 300_000 }],
    ['starts a job at its time', cron(), '00:10:00', { starts: '00:10:00', requeueMs: 600_000 }],
    ['starts each time once', cron({}, { lastScheduleTime: '2026-01-01T00:10:00Z' }), '00:10:01', { requeueMs: 599_000 }],
    ['catches up with the last time only', cron(), '01:05:00', { starts: '01:00:00', requeueMs: 300_000 }],
    ['does not start too late', cron({ startingDeadlineSeconds: 100 }), '00:15:00', { requeueMs: 300_000 }],
    ['starts just in time', cron({ startingDeadlineSeconds: 300 }), '00:14:00', { starts: '00:10:00', requeueMs: 360_000 }],
    ['does nothing while suspended', cron({ suspend: true }), '00:10:00', {}],
    ['says that it cannot read its schedule', cron({ schedule: 'often' }), '00:10:00', { reasons: ['UnparseableSchedule'] }],
    ['says that it does not know the time zone', cron({ timeZone: 'Mars/Olympus' }), '00:10:00', { reasons: ['UnknownTimeZone'] }],
    [
      'says that it missed many',
      cron({ schedule: '* * * * *' }),
      '05:00:00',
      { starts: '05:00:00', requeueMs: 60_000, reasons: ['TooManyMissedTimes'] },
    ],
    [
      'lets no second one run',
      cron({ concurrencyPolicy: 'Forbid' }, { active: [referenceTo(job('x'))] }),
      '00:10:00',
      { requeueMs: 600_000, reasons: ['JobAlreadyActive'], jobs: [job('x')] },
    ],
  ];
  for (const [name, cronJob, now, { starts, requeueMs, reasons = [], jobs = [] }] of cases) {
    it(name, () => {
      const plan = planCronJob(cronJob, jobs, at(now));
      assert.equal(plan.start?.scheduledMs, starts === undefined ? undefined : at(starts));
      assert.equal(plan.requeueAfterMs, requeueMs);
      assert.deepEqual(
        plan.events.map(({ reason }) => reason),
        reasons,
      );
    });
  }

  it('names the job after the minute, and says in it for when it was', () => {
    const { start } = planCronJob(cron({ timeZone: 'Asia/Kolkata' }), [], at('00:10:00'));
    assert.equal(start?.draft.metadata.name, `tick-${at('00:10:00') / 60_000}`);
    assert.deepEqual(start?.draft.metadata.labels, { a: 'b' });
    assert.deepEqual(start?.draft.metadata.annotations, { 'batch.kubernetes.io/cronjob-scheduled-timestamp': '2026-01-01T05:40:00+05:30' });
  });

  it('replaces what runs', () => {
    const { replace, start } = planCronJob(
      cron({ concurrencyPolicy: 'Replace' }, { active: [referenceTo(job('x'))] }),
      [job('x'), job('manual')],
      at('00:10:00'),
    );
    assert.deepEqual([replace.map(({ metadata }) => metadata.name), start !== undefined], [['x'], true]);
  });

  it('takes finished and missing jobs off its list, and remembers the last success', () => {
    const status = { active: [referenceTo(job('done')), referenceTo(job('lost')), referenceTo(job('runs'))] };
    const plan = planCronJob(cron({ suspend: true }, status), [job('done', 'Complete'), job('runs')], at('00:20:00'));
    assert.deepEqual(plan.status, { active: [referenceTo(job('runs'))], lastSuccessfulTime: '2026-01-01T00:10:00Z' });
    assert.deepEqual(
      plan.events.map(({ reason, message }) => [reason, message]),
      [
        ['SawCompletedJob', 'Saw completed job: done, condition: Complete'],
        ['MissingJob', 'Active job went missing: lost'],
      ],
    );
  });

  it('forgets the oldest finished jobs', () => {
    const jobs = [1, 2, 3].flatMap((i) => [
      job(`ok${i}`, 'Complete', `2026-01-01T00:0${i}:00Z`),
      job(`bad${i}`, 'Failed', `2026-01-01T00:0${i}:00Z`),
    ]);
    const plan = planCronJob(cron({ suspend: true, successfulJobsHistoryLimit: 2, failedJobsHistoryLimit: 0 }), jobs, at('00:20:00'));
    assert.deepEqual(
      plan.forget.map(({ metadata }) => metadata.name),
      ['ok1', 'bad1', 'bad2', 'bad3'],
    );
  });

  it('finds the last of irregular times', () => {
    const schedule = parseSchedule('0 8 * * 1');
    const since = cron({}, { lastScheduleTime: '2025-11-03T08:00:00Z' });
    assert.deepEqual(mostRecentDue(since, schedule, at('00:00:00')), { atMs: Date.parse('2025-12-29T08:00:00Z'), missed: 8 });
  });
});
