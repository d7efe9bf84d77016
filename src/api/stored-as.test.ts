/** Kinds that are views of another's storage come back as they went in. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EventsV1Event, HorizontalPodAutoscalerV1 } from './kinds.ts';

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
        'autoscaling.alpha.kubernetes.io/metrics':
          '[{"type":"Resource","resource":{"name":"memory","target":{"type":"AverageValue","averageValue":"1Gi"}}}]',
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
