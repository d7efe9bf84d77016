import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Pod } from '../../api/kinds.ts';
import { defaultOptions } from '../controller.ts';
import { type PodMetricQuestion, type PodSamples, replicasForAverage, replicasForUtilization, requestsOf } from './pod-metrics.ts';

const nowMs = Date.parse('2026-01-01T01:00:00Z');

interface PodShape {
  readonly phase?: string;
  readonly ready?: boolean;
  readonly startedAgoMs?: number;
  readonly deleting?: boolean;
  readonly request?: string;
}

function pod(name: string, { phase = 'Running', ready = true, startedAgoMs = 3_600_000, deleting = false, request = '1' }: PodShape = {}): Pod {
  const started = new Date(nowMs - startedAgoMs).toISOString();
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace: 'default',
      uid: name,
      resourceVersion: '1',
      creationTimestamp: started,
      ...(deleting && { deletionTimestamp: started }),
    },
    spec: { containers: [{ name: 'c', resources: { requests: { cpu: request } } }] },
    status: { phase, startTime: started, conditions: [{ type: 'Ready', status: ready ? 'True' : 'False', lastTransitionTime: started }] },
  };
}

function question(pods: readonly Pod[], used: readonly (number | undefined)[], currentReplicas = pods.length): PodMetricQuestion {
  const samples: PodSamples = new Map(
    pods.flatMap((each, index) => {
      const value = used[index];
      return value === undefined ? [] : [[each.metadata.name, { value, timestampMs: nowMs, windowMs: 60_000 }] as const];
    }),
  );
  return { currentReplicas, pods, samples, resource: 'cpu', tolerance: { up: 0.1, down: 0.1 }, timing: defaultOptions.autoscaling, nowMs };
}

function three(shapes: readonly PodShape[] = [{}, {}, {}]): Pod[] {
  return shapes.map((shape, index) => pod(`p${index}`, shape));
}

describe('replicas for a share of what is requested', () => {
  const cases: readonly [
    string,
    pods: readonly Pod[],
    used: readonly (number | undefined)[],
    target: number,
    replicas: number,
    utilization: number,
  ][] = [
    ['grow with the ratio', three(), [900, 900, 900], 30, 9, 90],
    ['shrink with the ratio', three(), [100, 100, 100], 30, 1, 10],
    ['stay at the target', three(), [300, 300, 300], 30, 3, 30],
    ['stay within the tolerance', three(), [325, 325, 325], 30, 3, 32],
    ['are rounded up', three(), [500, 500, 500], 40, 4, 50],
    ['do not grow by an error of fractions', three(), [550, 550, 550], 50, 3, 55],
    ['take pods without figures as idle on the way up', three(), [900, 900, undefined], 30, 6, 90],
    ['take pods without figures as at their whole request on the way down', three(), [100, 100, undefined], 50, 3, 10],
    ['do not turn round for pods without figures', three(), [600, undefined, undefined], 50, 3, 60],
    ['take pods that are not ready as idle on the way up', three([{}, {}, { ready: false, startedAgoMs: 10_000 }]), [600, 600, 600], 30, 4, 60],
    ['leave pods that are not ready out on the way down', three([{}, {}, { ready: false, startedAgoMs: 10_000 }]), [100, 100, 900], 50, 1, 10],
    ['take pending pods as idle on the way up', three([{}, {}, { phase: 'Pending' }]), [600, 600, undefined], 30, 4, 60],
    ['ignore failed pods', three([{}, {}, { phase: 'Failed' }]), [600, 600, 900], 30, 4, 60],
    ['ignore pods that are being deleted', three([{}, {}, { deleting: true }]), [600, 600, 900], 30, 4, 60],
    ['count a pod that was ready once and is not now', three([{}, {}, { ready: false }]), [600, 600, 600], 30, 4, 60],
  ];
  for (const [name, pods, used, target, replicas, utilization] of cases) {
    it(name, () => {
      const answer = replicasForUtilization(question(pods, used), target, requestsOf(pods, 'cpu'));
      assert.deepEqual([answer.replicas, answer.averageUtilization], [replicas, utilization]);
    });
  }

  it('cannot be told when a container requests nothing', () => {
    const silent = pod('p0');
    delete silent.spec.containers[0]?.resources;
    assert.throws(() => requestsOf([silent], 'cpu'), { message: 'missing request for cpu in container c of Pod p0' });
  });

  it('cannot be told of pods that are all unready', () => {
    const pods = three([{ phase: 'Pending' }]);
    assert.throws(() => replicasForUtilization(question(pods, [500]), 30, requestsOf(pods, 'cpu')), {
      message: 'did not receive metrics for targeted pods (pods might be unready)',
    });
  });
});

describe('replicas for an average value', () => {
  it('grow with the ratio', () => {
    const answer = replicasForAverage(question(three(), [20_000, 10_000, 30_000]), 15_000);
    assert.deepEqual(answer, { replicas: 4, averageValue: 20_000 });
  });
  it('need pods', () => {
    assert.throws(() => replicasForAverage(question([], []), 1), { message: 'no pods returned by selector while calculating replica count' });
  });
});
