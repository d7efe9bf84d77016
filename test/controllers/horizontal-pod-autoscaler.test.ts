import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { CustomResourceDefinition, Deployment, Event, HorizontalPodAutoscaler, Pod } from '../../src/api/kinds.ts';
import { type ControlPlane, startControlPlane } from './control-plane.ts';

/** A source of metrics of our own: a custom resource that looks as `metrics.k8s.io` does. */
const podMetrics = {
  metadata: { name: 'pods.metrics.k8s.io', annotations: { 'api-approved.kubernetes.io': 'https://github.com/kubernetes/kubernetes/pull/1' } },
  spec: {
    group: 'metrics.k8s.io',
    scope: 'Namespaced',
    names: { plural: 'pods', singular: 'pod', kind: 'PodMetrics', listKind: 'PodMetricsList' },
    versions: [
      { name: 'v1beta1', served: true, storage: true, schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } } },
    ],
  },
};

const path = '/apis/metrics.k8s.io/v1beta1/namespaces/default/pods';

function condition(autoscaler: HorizontalPodAutoscaler, type: string): string {
  const found = autoscaler.status.conditions?.find((each) => each.type === type);
  return `${found?.status} ${found?.reason}`;
}

describe('a horizontal pod autoscaler', () => {
  let plane: ControlPlane;
  afterEach(() => plane.close());

  async function start(replicas = 2): Promise<void> {
    plane = await startControlPlane({ node: 'n1', controllers: '*,-pod-garbage-collector-controller' });
    await plane.create(Deployment, {
      metadata: { name: 'web', namespace: 'default' },
      spec: {
        replicas,
        selector: { matchLabels: { app: 'web' } },
        template: {
          metadata: { labels: { app: 'web' } },
          spec: { containers: [{ name: 'c', image: 'i', resources: { requests: { cpu: '100m' } } }] },
        },
      },
    });
    await plane.until('the pods run', async () => (await plane.get(Deployment, 'web')).status.readyReplicas === replicas);
    // (Its node is only pretended, so nobody may sweep the pods of absent nodes.) Figures of pods count when they were ready for the whole time of the measurement.
    await plane.settle(10 * 60_000);
  }

  async function autoscale(extra: Partial<HorizontalPodAutoscaler['spec']> = {}, name = 'web'): Promise<void> {
    await plane.create(HorizontalPodAutoscaler, {
      metadata: { name, namespace: 'default' },
      spec: {
        scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' },
        minReplicas: 1,
        maxReplicas: 10,
        metrics: [{ type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 50 } } }],
        ...extra,
      },
    });
  }

  async function serveMetrics(): Promise<void> {
    await plane.create(CustomResourceDefinition, podMetrics);
    await plane.until('the metrics are served', async () => {
      const { items } = await plane.admin.resource(CustomResourceDefinition).list();
      return items[0]?.status.conditions?.some(({ type, status }) => type === 'Established' && status === 'True') === true;
    });
  }

  /** Every pod of the workload uses so much CPU from now on. */
  async function use(cpu: string): Promise<void> {
    const { transport } = plane.admin;
    await transport.request({ method: 'DELETE', path });
    for (const pod of await plane.list(Pod)) {
      await transport.request({
        method: 'POST',
        path,
        body: {
          apiVersion: 'metrics.k8s.io/v1beta1',
          kind: 'PodMetrics',
          metadata: { name: pod.metadata.name, namespace: 'default', labels: pod.metadata.labels },
          timestamp: new Date(plane.world.clock.now()).toISOString(),
          window: '30s',
          containers: [{ name: 'c', usage: { cpu, memory: '10Mi' } }],
        },
      });
    }
  }

  const get = (): Promise<HorizontalPodAutoscaler> => plane.get(HorizontalPodAutoscaler, 'web');
  const replicas = async (): Promise<number | undefined> => (await plane.get(Deployment, 'web')).spec.replicas;

  it('grows a deployment with its load, at most to twice its size at once, and says so', async () => {
    await start();
    await serveMetrics();
    await use('200m');
    await autoscale();
    await plane.settle();
    assert.equal(await replicas(), 4);
    const autoscaler = await get();
    assert.deepEqual(autoscaler.status.currentMetrics, [
      { type: 'Resource', resource: { name: 'cpu', current: { averageUtilization: 200, averageValue: '200m' } } },
    ]);
    assert.equal(condition(autoscaler, 'AbleToScale'), 'True SucceededRescale');
    assert.equal(condition(autoscaler, 'ScalingActive'), 'True ValidMetricFound');
    assert.equal(condition(autoscaler, 'ScalingLimited'), 'True ScaleUpLimit');
    assert.equal(autoscaler.status.desiredReplicas, 4);
    assert.ok(autoscaler.status.lastScaleTime);
    const events = await plane.list(Event);
    const rescaled = events.find(({ reason }) => reason === 'SuccessfulRescale');
    assert.equal(rescaled?.message, 'New size: 4; reason: cpu resource utilization (percentage of request) above target');
  });

  it('shrinks when five minutes have asked for less', async () => {
    await start(4);
    await serveMetrics();
    await use('50m');
    await autoscale();
    await plane.settle();
    assert.equal(await replicas(), 4);
    await use('10m');
    await plane.settle(60_000);
    assert.equal(await replicas(), 4);
    assert.equal(condition(await get(), 'AbleToScale'), 'True ScaleDownStabilized');
    await plane.settle(5 * 60_000);
    assert.equal(await replicas(), 1);
  });

  it('says why it cannot work without metrics, and leaves the deployment alone', async () => {
    await start();
    await autoscale();
    await plane.settle();
    assert.equal(await replicas(), 2);
    const failed = (await get()).status.conditions?.find(({ type }) => type === 'ScalingActive');
    assert.equal(failed?.reason, 'FailedGetResourceMetric');
    assert.equal(
      failed.message,
      'the HPA was unable to compute the replica count: failed to get cpu utilization: unable to get metrics for resource cpu: unable to fetch metrics from resource metrics API: the server could not find the requested resource (get pods.metrics.k8s.io)',
    );
  });

  it('brings a workload within its bounds without any metric', async () => {
    await start(2);
    await autoscale({ minReplicas: 3 });
    await plane.settle();
    assert.equal(await replicas(), 3);
  });

  it('does not touch what was scaled to zero', async () => {
    await start(2);
    await plane.admin
      .resource(Deployment)
      .namespace('default')
      .patch('web', { spec: { replicas: 0 } });
    await autoscale();
    await plane.settle();
    assert.equal(await replicas(), 0);
    assert.equal(condition(await get(), 'ScalingActive'), 'False ScalingDisabled');
  });

  it('refuses to share a target', async () => {
    await start();
    await autoscale({}, 'web');
    await autoscale({}, 'other');
    await plane.settle(20_000);
    assert.equal(condition(await get(), 'ScalingActive'), 'False AmbiguousSelector');
  });

  it('says that its target is not there', async () => {
    await start();
    await autoscale({ scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'none' } });
    await plane.settle();
    assert.equal(condition(await get(), 'AbleToScale'), 'False FailedGetScale');
  });
});
