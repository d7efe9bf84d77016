/** What the scheduler's metrics say about pods that were placed, refused, held back and made room for. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PriorityClass } from '../../src/api/kinds.ts';
import { Exposition } from '../../src/machinery/exposition.ts';
import { SchedulerMetrics } from '../../src/cluster/components/scheduler-metrics.ts';
import { startSchedulingPlane } from './running-scheduler.ts';

test('attempts, queues and preemption are counted under upstream names', async () => {
  const metrics = new SchedulerMetrics();
  const plane = await startSchedulingPlane({ observer: metrics });
  try {
    await plane.addNode('a', { cpu: '1' });
    await plane.addPod('small', {}, { cpu: '800m' });
    await plane.scheduled('small');
    await plane.addPod('large', {}, { cpu: '4' });
    await plane.refused('large');
    await plane.addPod('gated', { schedulingGates: [{ name: 'example.com/later' }] });
    await plane.create(PriorityClass, { metadata: { name: 'high' }, value: 1000 });
    await plane.addPod('urgent', { priorityClassName: 'high' }, { cpu: '900m' });
    await plane.event('Preempted', /./);
    const out = new Exposition();
    metrics.render(out, plane.scheduler);
    const text = out.text();
    for (const line of [
      /^scheduler_schedule_attempts_total\{profile="default-scheduler",result="scheduled"\} [1-9]/m,
      /^scheduler_schedule_attempts_total\{profile="default-scheduler",result="unschedulable"\} [1-9]/m,
      /^scheduler_scheduling_attempt_duration_seconds_count\{profile="default-scheduler",result="scheduled"\} [1-9]/m,
      /^scheduler_pod_scheduling_attempts_count [1-9]/m,
      /^scheduler_pod_scheduling_sli_duration_seconds_count\{attempts="1"\} [1-9]/m,
      /^scheduler_pending_pods\{queue="gated"\} 1$/m,
      /^scheduler_queue_incoming_pods_total\{event="UnschedulablePodAdd",queue="active"\} 3$/m,
      /^scheduler_queue_incoming_pods_total\{event="UnschedulablePodAdd",queue="unschedulable"\} 1$/m,
      /^scheduler_queue_incoming_pods_total\{event="ScheduleAttemptFailure",queue="unschedulable"\} [1-9]/m,
      /^scheduler_preemption_attempts_total [1-9]/m,
      /^scheduler_preemption_victims_count [1-9]/m,
      /^scheduler_framework_extension_point_duration_seconds_count\{extension_point="Filter",profile="default-scheduler",status="Unschedulable"\} [1-9]/m,
    ]) {
      assert.match(text, line);
    }
  } finally {
    await plane.close();
  }
});
