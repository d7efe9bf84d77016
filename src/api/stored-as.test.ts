/** Kinds that are views of another's storage come back as they went in. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Event, EventsV1Event, HorizontalPodAutoscaler, HorizontalPodAutoscalerV1 } from './kinds.ts';
import type { V2MetricSpec, V2MetricStatus } from './types.ts';

const metadata = { name: 'x', namespace: 'n', uid: 'u', resourceVersion: '1', creationTimestamp: '2024-01-01T00:00:00Z' };

test('an Event of events.k8s.io keeps what it says under the older names', () => {
  const event: EventsV1Event = {
    apiVersion: 'events.k8s.io/v1',
    kind: 'Event',
    metadata,
    regarding: { kind: 'Pod', name: 'p', namespace: 'n' },
    note: 'it happened',
    reason: 'Happened',
    type: 'Normal',
    eventTime: '2024-01-01T00:00:00.000000Z',
    reportingController: 'me',
    reportingInstance: 'me-1',
    deprecatedSource: {},
  };
  const stored = EventsV1Event.storedAs?.toStored(event);
  assert.ok(stored);
  assert.deepEqual(
    { ...stored, metadata: {} },
    {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: {},
      involvedObject: { kind: 'Pod', name: 'p', namespace: 'n' },
      message: 'it happened',
      reason: 'Happened',
      type: 'Normal',
      eventTime: '2024-01-01T00:00:00.000000Z',
      reportingComponent: 'me',
      reportingInstance: 'me-1',
      source: {},
    },
  );
  assert.deepEqual(EventsV1Event.storedAs?.fromStored(stored), event);
});

test('autoscaling/v1 says cpu in its own field and keeps other metrics in an annotation', () => {
  const autoscaler: HorizontalPodAutoscalerV1 = {
    apiVersion: 'autoscaling/v1',
    kind: 'HorizontalPodAutoscaler',
    metadata: {
      ...metadata,
      annotations: {
        'autoscaling.alpha.kubernetes.io/metrics': '[{"type":"Resource","resource":{"name":"memory","targetAverageValue":"1Gi"}}]',
      },
    },
    spec: { scaleTargetRef: { kind: 'Deployment', name: 'd' }, minReplicas: 1, maxReplicas: 3, targetCPUUtilizationPercentage: 50 },
    status: { currentReplicas: 0, desiredReplicas: 0 },
  };
  const stored = HorizontalPodAutoscalerV1.storedAs?.toStored(autoscaler);
  assert.ok(stored);
  assert.equal(stored.apiVersion, 'autoscaling/v2');
  assert.deepEqual(HorizontalPodAutoscalerV1.storedAs?.fromStored(stored), autoscaler);
});

const autoscalerText = fc.constantFrom('cpu', 'memory', 'requests-per-second');
const amount = fc.constantFrom('1', '500m', '10Gi');
const percent = fc.integer({ min: 1, max: 1000 });
const selector = fc.option(fc.record({ matchLabels: fc.dictionary(fc.constantFrom('a', 'b'), fc.constantFrom('x', 'y')) }), { nil: undefined });
const metric = fc.record({ name: autoscalerText, selector }).map(defined);
const described = fc.constant({ kind: 'Service', name: 's', apiVersion: 'v1' });
const use = fc.oneof(
  percent.map((averageUtilization) => ({ type: 'Utilization', averageUtilization })),
  amount.map((averageValue) => ({ type: 'AverageValue', averageValue })),
);
const whole = amount.map((value) => ({ type: 'Value', value }));
const each = amount.map((averageValue) => ({ type: 'AverageValue', averageValue }));

/** As JSON: fast-check makes objects without a prototype. */
function assertSame(a: object, b: object): void {
  assert.deepEqual(JSON.parse(JSON.stringify(a)), JSON.parse(JSON.stringify(b)));
}

function defined<T extends object>(fields: T): T {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T;
}

const metricSpec: fc.Arbitrary<V2MetricSpec> = fc.oneof(
  fc.record({ name: autoscalerText, target: use }).map((resource) => ({ type: 'Resource', resource })),
  fc
    .record({ name: autoscalerText, container: autoscalerText, target: use })
    .map((containerResource) => ({ type: 'ContainerResource', containerResource })),
  fc.record({ metric, target: each }).map((pods) => ({ type: 'Pods', pods })),
  fc.record({ describedObject: described, metric, target: fc.oneof(whole, each) }).map((object) => ({ type: 'Object', object })),
  fc.record({ metric, target: fc.oneof(whole, each) }).map((external) => ({ type: 'External', external })),
);

const metricStatus: fc.Arbitrary<V2MetricStatus> = fc.oneof(
  fc
    .record({ name: autoscalerText, current: fc.record({ averageUtilization: percent, averageValue: amount }) })
    .map((resource) => ({ type: 'Resource', resource })),
  fc.record({ metric, current: fc.record({ value: amount, averageValue: amount }) }).map((external) => ({ type: 'External', external })),
);

/** The cpu's use comes first in v2 after a way through v1, whatever its place was. */
function cpuFirst(metrics: readonly V2MetricSpec[]): V2MetricSpec[] {
  const cpu = metrics.find(({ resource }) => resource?.name === 'cpu' && resource.target.averageUtilization !== undefined);
  return cpu === undefined ? [...metrics] : [cpu, ...metrics.filter((other) => other !== cpu)];
}

test('an autoscaler of v2 comes back from v1 as it was', () => {
  const { toStored, fromStored } = HorizontalPodAutoscalerV1.storedAs ?? assert.fail();
  const scaling = fc.record({ scaleDown: fc.record({ stabilizationWindowSeconds: fc.nat(3600), tolerance: amount }) });
  const conditions = fc.array(fc.record({ type: autoscalerText, status: fc.constantFrom('True', 'False') }), { minLength: 1, maxLength: 2 });
  const property = fc.property(
    fc.array(metricSpec, { maxLength: 4 }),
    fc.option(scaling, { nil: undefined }),
    fc.option(conditions, { nil: undefined }),
    fc.uniqueArray(metricStatus, { maxLength: 3, selector: ({ resource, external }) => resource?.name ?? external?.metric.name }),
    (metrics, behavior, found, currentMetrics) => {
      const autoscaler: HorizontalPodAutoscaler = {
        apiVersion: 'autoscaling/v2',
        kind: 'HorizontalPodAutoscaler',
        metadata,
        spec: defined({ scaleTargetRef: { kind: 'Deployment', name: 'd' }, maxReplicas: 3, metrics, behavior }),
        status: defined({ currentReplicas: 1, desiredReplicas: 2, currentMetrics, conditions: found }),
      };
      const back = toStored(fromStored(structuredClone(autoscaler)));
      assertSame(back, { ...autoscaler, spec: { ...autoscaler.spec, metrics: cpuFirst(metrics) } });
    },
  );
  fc.assert(property, { numRuns: 300 });
});

test('annotations of v1 that nobody could have meant are as if they were not there', () => {
  const { toStored } = HorizontalPodAutoscalerV1.storedAs ?? assert.fail();
  const names = ['metrics', 'behavior', 'conditions', 'current-metrics'].map((name) => `autoscaling.alpha.kubernetes.io/${name}`);
  const property = fc.property(fc.constantFrom(...names), fc.oneof(fc.string(), fc.json()), (name, text) => {
    const autoscaler: HorizontalPodAutoscalerV1 = {
      apiVersion: 'autoscaling/v1',
      kind: 'HorizontalPodAutoscaler',
      metadata: { ...metadata, annotations: { [name]: text } },
      spec: { scaleTargetRef: { kind: 'Deployment', name: 'd' }, maxReplicas: 3 },
      status: { currentReplicas: 0, desiredReplicas: 0 },
    };
    const stored = toStored(autoscaler);
    HorizontalPodAutoscaler.defaults?.(stored as HorizontalPodAutoscaler);
    HorizontalPodAutoscaler.validate?.(stored as HorizontalPodAutoscaler, undefined);
    assert.equal(stored.metadata.annotations?.[name], undefined);
  });
  fc.assert(property, { numRuns: 300 });
});

test('an Event of either version comes back from the other as it was', () => {
  const { toStored, fromStored } = EventsV1Event.storedAs ?? assert.fail();
  const word = fc.constantFrom('', 'a', 'something happened');
  const time = fc.constantFrom('2024-01-01T00:00:00Z', '2025-06-01T12:30:00Z');
  const microTime = fc.constant('2024-01-01T00:00:00.000001Z');
  const reference = fc.record({ kind: word, namespace: word, name: word, fieldPath: word }, { requiredKeys: [] });
  const core = fc.record(
    {
      involvedObject: reference,
      source: fc.record({ component: word, host: word }, { requiredKeys: [] }),
      reportingComponent: word,
      reportingInstance: word,
      message: word,
      reason: word,
      action: word,
      type: fc.constantFrom('Normal', 'Warning'),
      count: fc.nat(100),
      firstTimestamp: time,
      lastTimestamp: time,
      eventTime: microTime,
      related: reference,
      series: fc.record({ count: fc.nat(9), lastObservedTime: microTime }),
    },
    { requiredKeys: ['involvedObject', 'source', 'reportingComponent', 'reportingInstance'] },
  );
  fc.assert(
    fc.property(core, (fields) => {
      const event: Event = { apiVersion: 'v1', kind: 'Event', metadata, ...fields };
      assertSame(toStored(fromStored(structuredClone(event))), event);
      const view = fromStored(event);
      assertSame(fromStored(toStored(structuredClone(view))), view);
    }),
    { numRuns: 300 },
  );
});
