/** What an autoscaler makes of each sort of metric, and of several at once. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { HorizontalPodAutoscaler, Pod } from '../../api/kinds.ts';
import type { V2MetricSpec, V2MetricStatus } from '../../api/types.ts';
import { defaultOptions } from '../controller.ts';
import { decide, type AutoscalerDecision, type Reading } from './decide.ts';
import { emptyHistory } from './scaling-rules.ts';

const nowMs = Date.parse('2026-01-01T01:00:00Z');
const started = '2026-01-01T00:00:00Z';
const meta = (name: string) => ({ name, namespace: 'default', uid: name, resourceVersion: '1', creationTimestamp: started });

/** Two containers: what the pod is for asks for 100m, its helper for 300m. */
function pods(count: number): Pod[] {
  const container = (name: string, cpu: string) => ({ name, resources: { requests: { cpu } } });
  return Array.from({ length: count }, (_, index) => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: meta(`p${index}`),
    spec: { containers: [container('main', '100m'), container('helper', '300m')] },
    status: { phase: 'Running', startTime: started, conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: started }] },
  }));
}

/** Of each pod, in thousandths. */
function used(...values: number[]): Reading {
  return { of: 'pods', samples: new Map(values.map((value, index) => [`p${index}`, { value, timestampMs: nowMs, windowMs: 30_000 }])) };
}

function value(thousandths: number): Reading {
  return { of: 'value', value: thousandths };
}

function decided(
  metrics: readonly (readonly [V2MetricSpec, Reading])[],
  replicas = 2,
  spec: Partial<HorizontalPodAutoscaler['spec']> = {},
): AutoscalerDecision {
  const autoscaler: HorizontalPodAutoscaler = {
    apiVersion: 'autoscaling/v2',
    kind: 'HorizontalPodAutoscaler',
    metadata: meta('web'),
    spec: {
      scaleTargetRef: { kind: 'Deployment', name: 'web' },
      minReplicas: 1,
      maxReplicas: 10,
      metrics: metrics.map(([metric]) => metric),
      ...spec,
    },
    status: { desiredReplicas: replicas },
  };
  return decide({
    autoscaler,
    specReplicas: replicas,
    statusReplicas: replicas,
    pods: pods(replicas),
    readings: metrics.map(([, reading]) => reading),
    history: emptyHistory,
    timing: defaultOptions.autoscaling,
    nowMs,
  });
}

const cpu = (averageUtilization: number): V2MetricSpec => ({
  type: 'Resource',
  resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization } },
});
const helperCpu: V2MetricSpec = {
  type: 'ContainerResource',
  containerResource: { name: 'cpu', container: 'helper', target: { type: 'Utilization', averageUtilization: 50 } },
};
const requests: V2MetricSpec = { type: 'Pods', pods: { metric: { name: 'requests' }, target: { type: 'AverageValue', averageValue: '10' } } };
const describedObject = { apiVersion: 'networking.k8s.io/v1', kind: 'Ingress', name: 'front' };
const hits = (target: { value: string } | { averageValue: string }): V2MetricSpec => ({
  type: 'Object',
  object: { metric: { name: 'hits' }, describedObject, target: { type: 'Value', ...target } },
});
const queue = (target: { value: string } | { averageValue: string }): V2MetricSpec => ({
  type: 'External',
  external: { metric: { name: 'queue' }, target: { type: 'Value', ...target } },
});

describe('an autoscaler goes by', () => {
  const cases: readonly [name: string, V2MetricSpec, Reading, replicas: number, reason: string | undefined, status: V2MetricStatus][] = [
    [
      'what pods use of what they request',
      cpu(50),
      used(400, 400),
      4,
      'cpu resource utilization (percentage of request) above target',
      { type: 'Resource', resource: { name: 'cpu', current: { averageUtilization: 100, averageValue: '400m' } } },
    ],
    [
      'what one container of each uses of what it requests',
      helperCpu,
      used(225, 225),
      3,
      'cpu container resource utilization (percentage of request) above target',
      {
        type: 'ContainerResource',
        containerResource: { name: 'cpu', container: 'helper', current: { averageUtilization: 75, averageValue: '225m' } },
      },
    ],
    [
      "a figure of each pod's own",
      requests,
      used(15_000, 15_000),
      3,
      'pods metric requests above target',
      { type: 'Pods', pods: { metric: { name: 'requests' }, current: { averageValue: '15' } } },
    ],
    [
      'the figure of an object',
      hits({ value: '100' }),
      value(150_000),
      3,
      'Ingress metric hits above target',
      { type: 'Object', object: { metric: { name: 'hits' }, describedObject, current: { value: '150' } } },
    ],
    [
      'the figure of an object, shared out',
      hits({ averageValue: '50' }),
      value(150_000),
      3,
      'Ingress metric hits above target',
      { type: 'Object', object: { metric: { name: 'hits' }, describedObject, current: { averageValue: '75' } } },
    ],
    [
      'a figure of something outside',
      queue({ value: '30' }),
      value(60_000),
      4,
      'external metric queue above target',
      { type: 'External', external: { metric: { name: 'queue' }, current: { value: '60' } } },
    ],
    [
      'a figure of something outside, shared out',
      queue({ averageValue: '30' }),
      value(61_000),
      2,
      undefined,
      { type: 'External', external: { metric: { name: 'queue' }, current: { averageValue: '30500m' } } },
    ],
  ];
  for (const [name, metric, reading, replicas, reason, status] of cases) {
    it(name, () => {
      const decision = decided([[metric, reading]]);
      assert.deepEqual([decision.desiredReplicas, decision.rescaleReason, decision.status.currentMetrics], [replicas, reason, [status]]);
    });
  }

  it('the one of several that asks for most', () => {
    const { desiredReplicas, rescaleReason } = decided([
      [requests, used(5_000, 5_000)],
      [queue({ value: '30' }), value(45_000)],
      [cpu(50), used(200, 200)],
    ]);
    assert.deepEqual([desiredReplicas, rescaleReason], [3, 'external metric queue above target']);
  });
});

describe('a metric that cannot be read', () => {
  const lost: Reading = { of: 'nothing', error: new Error('nobody answers') };
  const condition = ({ status }: AutoscalerDecision, type: string) => status.conditions?.find((one) => one.type === type);

  it('does not keep a workload from growing by another', () => {
    const decision = decided([
      [queue({ value: '30' }), lost],
      [requests, used(20_000, 20_000)],
    ]);
    assert.equal(decision.desiredReplicas, 4);
    assert.deepEqual(
      decision.warnings.map(({ reason }) => reason),
      ['FailedGetExternalMetric'],
    );
    assert.equal(condition(decision, 'ScalingActive')?.status, 'True');
  });

  it('keeps it from shrinking', () => {
    const decision = decided(
      [
        [queue({ value: '30' }), lost],
        [requests, used(1_000, 1_000, 1_000, 1_000)],
      ],
      4,
    );
    assert.deepEqual([decision.desiredReplicas, decision.rescaleReason], [4, undefined]);
    assert.equal(
      condition(decision, 'ScalingActive')?.message,
      'the HPA was unable to compute the replica count: failed to get external metric queue: nobody answers',
    );
  });
});

describe('tolerance', () => {
  const off = (percent: number, behavior?: HorizontalPodAutoscaler['spec']['behavior']): number =>
    decided([[queue({ value: '100' }), value(1000 * (100 + percent))]], 10, { maxReplicas: 100, ...(behavior && { behavior }) }).desiredReplicas;
  it('is a tenth', () => assert.deepEqual([off(10), off(11), off(-10)], [10, 12, 10]));
  it('is what the autoscaler says, for each way', () => {
    const policies = [{ type: 'Percent', value: 100, periodSeconds: 15 }];
    const behavior = { scaleUp: { tolerance: '0', policies }, scaleDown: { tolerance: '500m', policies } };
    assert.deepEqual([off(1, behavior), off(-50, behavior)], [11, 10]);
  });
});
