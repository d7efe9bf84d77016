/** Cells of tables that people read every day. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeObject } from '../machinery/object.ts';
import type { Kind } from './kind.ts';
import { Deployment, Event, HorizontalPodAutoscaler, Job, Node, Service } from './kinds.ts';

const nowMs = Date.parse('2024-01-01T01:00:00Z');
const metadata = { name: 'x', namespace: 'n', uid: 'u', resourceVersion: '1', creationTimestamp: '2024-01-01T00:30:00Z' };
const pods = { selector: { matchLabels: { app: 'web' } }, template: { spec: { containers: [{ name: 'c', image: 'nginx' }] } } };

function row<T extends KubeObject>(kind: Kind<T>, object: T): (string | number | boolean | null | undefined)[] {
  return kind.columns.map((column) => column.value(object, nowMs));
}

test('a deployment', () => {
  const deployment: Deployment = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata,
    spec: { ...pods, replicas: 2 },
    status: { readyReplicas: 1, updatedReplicas: 2, availableReplicas: 1 },
  };
  assert.deepEqual(row(Deployment, deployment), ['x', '1/2', 2, 1, '30m', 'c', 'nginx', 'app=web']);
});

test('a service of each type', () => {
  const service: Service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata,
    spec: {
      type: 'NodePort',
      clusterIP: '10.0.0.1',
      clusterIPs: ['10.0.0.1'],
      ports: [{ port: 80, nodePort: 30080, protocol: 'TCP' }],
      selector: { app: 'web' },
    },
    status: {},
  };
  assert.deepEqual(row(Service, service), ['x', 'NodePort', '10.0.0.1', '<none>', '80:30080/TCP', '30m', 'app=web']);
  const balanced: Service = { ...service, spec: { ...service.spec, type: 'LoadBalancer' } };
  assert.equal(row(Service, balanced)[3], '<pending>');
  const external: Service = { ...service, spec: { type: 'ExternalName', externalName: 'example.com' } };
  assert.deepEqual(row(Service, external).slice(1, 5), ['ExternalName', '<none>', 'example.com', '<none>']);
});

test('a node that is cordoned', () => {
  const node: Node = {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { ...metadata, labels: { 'node-role.kubernetes.io/control-plane': '' } },
    spec: { unschedulable: true },
    status: { conditions: [{ type: 'Ready', status: 'True' }], addresses: [{ type: 'InternalIP', address: '10.1.0.1' }] },
  };
  assert.deepEqual(row(Node, node).slice(0, 7), ['x', 'Ready,SchedulingDisabled', 'control-plane', '30m', '', '10.1.0.1', '<none>']);
});

test('an event that was seen again', () => {
  const event: Event = {
    apiVersion: 'v1',
    kind: 'Event',
    metadata,
    involvedObject: { kind: 'Pod', name: 'p' },
    reason: 'Killing',
    type: 'Normal',
    message: 'Stopping container c\n',
    source: { component: 'kubelet', host: 'node-1' },
    firstTimestamp: '2024-01-01T00:50:00Z',
    lastTimestamp: '2024-01-01T00:59:00Z',
    count: 3,
  };
  assert.deepEqual(row(Event, event), ['60s', 'Normal', 'Killing', 'pod/p', '', 'kubelet, node-1', 'Stopping container c', '10m', 3, 'x']);
});

test('a job that is done', () => {
  const job: Job = {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata,
    spec: { ...pods, completions: 1, parallelism: 1 },
    status: {
      conditions: [{ type: 'Complete', status: 'True' }],
      succeeded: 1,
      startTime: '2024-01-01T00:30:00Z',
      completionTime: '2024-01-01T00:30:07Z',
    },
  };
  assert.deepEqual(row(Job, job).slice(0, 5), ['x', 'Complete', '1/1', '7s', '30m']);
});

test('an autoscaler that has not heard from its metrics yet', () => {
  const autoscaler: HorizontalPodAutoscaler = {
    apiVersion: 'autoscaling/v2',
    kind: 'HorizontalPodAutoscaler',
    metadata,
    spec: {
      scaleTargetRef: { kind: 'Deployment', name: 'web' },
      minReplicas: 1,
      maxReplicas: 5,
      metrics: [{ type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 80 } } }],
    },
    status: { desiredReplicas: 0 },
  };
  assert.deepEqual(row(HorizontalPodAutoscaler, autoscaler), ['x', 'Deployment/web', 'cpu: <unknown>/80%', '1', 5, 0, '30m']);
});
