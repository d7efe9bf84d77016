/** The conformance behaviours of sig-scheduling, on simulated nodes and a virtual clock. Each test bears the behaviour's name. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Draft, isReason, LimitRange, Node, Pod, PriorityClass, ReplicaSet, startCluster, type VirtualCluster } from '../../src/index.ts';

async function withCluster(nodes: number | readonly { cpu?: string }[], run: (cluster: VirtualCluster) => Promise<void>): Promise<void> {
  const cluster = await startCluster({ clock: 'virtual', nodes });
  try {
    await run(cluster);
  } finally {
    await cluster.close();
  }
}

type PodSpec = Pod['spec'];

const pods = (cluster: VirtualCluster) => cluster.client.resource(Pod).namespace('default');

function draft(name: string, spec: Partial<PodSpec> = {}, requests: Record<string, string> = {}): Draft<Pod> {
  return { metadata: { name, namespace: 'default' }, spec: { containers: [{ name: 'main', image: 'app', resources: { requests } }], ...spec } };
}

const onPort = (name: string, hostPort: number, hostIP: string, protocol: string, nodeName: string): Draft<Pod> =>
  draft(name, {
    nodeSelector: { 'kubernetes.io/hostname': nodeName },
    containers: [{ name: 'main', image: 'app', ports: [{ containerPort: 8080, hostPort, hostIP, protocol }] }],
  });

async function untilRunning(cluster: VirtualCluster, name: string): Promise<Pod> {
  return cluster.until(
    async () => {
      const pod = await pods(cluster).get(name);
      return pod.status.phase === 'Running' && pod;
    },
    { what: `${name} runs`, timeout: '2m' },
  );
}

async function untilUnschedulable(cluster: VirtualCluster, name: string): Promise<string> {
  return cluster.until(
    async () => {
      const condition = (await pods(cluster).get(name)).status.conditions?.find(({ type }) => type === 'PodScheduled');
      return condition?.status === 'False' && condition.reason === 'Unschedulable' && (condition.message ?? '');
    },
    { what: `${name} says that it does not fit` },
  );
}

const namesOf = async (cluster: VirtualCluster): Promise<string[]> => (await pods(cluster).list()).items.map(({ metadata }) => metadata.name).sort();

async function priorityClass(cluster: VirtualCluster, name: string, value: number): Promise<void> {
  await cluster.client.resource(PriorityClass).create({ metadata: { name }, value, description: name });
}

test('[sig-scheduling] LimitRange should create a LimitRange with defaults and ensure pod has those defaults applied. [Conformance]', () =>
  withCluster(1, async (cluster) => {
    const ranges = cluster.client.resource(LimitRange).namespace('default');
    const limits = (cpu: string): LimitRange['spec'] => ({
      limits: [
        {
          type: 'Container',
          min: { cpu: '50m', memory: '100Mi', 'ephemeral-storage': '100Gi' },
          max: { cpu, memory: '500Mi', 'ephemeral-storage': '500Gi' },
          default: { cpu: '500m', memory: '500Mi', 'ephemeral-storage': '500Gi' },
          defaultRequest: { cpu: '100m', memory: '200Mi', 'ephemeral-storage': '200Gi' },
        },
      ],
    });
    const created = await ranges.create({ metadata: { name: 'limit-range', namespace: 'default' }, spec: limits('500m') });
    assert.deepEqual((await ranges.get('limit-range')).spec, created.spec);
    const bare = await pods(cluster).create({
      metadata: { name: 'bare', namespace: 'default' },
      spec: { containers: [{ name: 'main', image: 'app' }] },
    });
    assert.deepEqual(bare.spec.containers[0]?.resources, {
      requests: { cpu: '100m', memory: '200Mi', 'ephemeral-storage': '200Gi' },
      limits: { cpu: '500m', memory: '500Mi', 'ephemeral-storage': '500Gi' },
    });
    const partly = await pods(cluster).create({
      metadata: { name: 'partly', namespace: 'default' },
      spec: { containers: [{ name: 'main', image: 'app', resources: { requests: { memory: '150Mi', cpu: '250m' } } }] },
    });
    assert.deepEqual(partly.spec.containers[0]?.resources?.requests, { memory: '150Mi', cpu: '250m', 'ephemeral-storage': '200Gi' });
    const refuse = (name: string, requests: Record<string, string>) => {
      const containers = [{ name: 'main', image: 'app', resources: { requests, limits: requests } }];
      return assert.rejects(pods(cluster).create(draft(name, { containers })), (error) => isReason(error, 'Forbidden'));
    };
    await refuse('too-small', { cpu: '10m', memory: '50Mi' });
    await refuse('too-large', { cpu: '600m', memory: '600Mi' });
    await ranges.update({ ...(await ranges.get('limit-range')), spec: limits('900m') });
    await pods(cluster).create({
      metadata: { name: 'larger', namespace: 'default' },
      spec: { containers: [{ name: 'main', image: 'app', resources: { requests: { cpu: '600m' }, limits: { cpu: '800m' } } }] },
    });
    await ranges.delete('limit-range');
    await pods(cluster).create({
      metadata: { name: 'largest', namespace: 'default' },
      spec: { containers: [{ name: 'main', image: 'app', resources: { requests: { cpu: '1' }, limits: { cpu: '1' } } }] },
    });
  }));

test('[sig-scheduling] SchedulerPredicates [Serial] validates that NodeSelector is respected if not matching [Conformance]', () =>
  withCluster(3, async (cluster) => {
    await pods(cluster).create(draft('restricted', { nodeSelector: { label: 'nonempty' } }));
    const message = await untilUnschedulable(cluster, 'restricted');
    assert.match(message, /^0\/3 nodes are available: 3 node\(s\) didn't match Pod's node affinity\/selector\. /);
    await cluster.advance('10m');
    assert.equal((await pods(cluster).get('restricted')).spec.nodeName, undefined);
  }));

test('[sig-scheduling] SchedulerPredicates [Serial] validates that there exists conflict between pods with same hostPort and protocol but one using 0.0.0.0 hostIP [Conformance]', () =>
  withCluster(1, async (cluster) => {
    const name = (await hostnames(cluster))[0] ?? '';
    await pods(cluster).create(onPort('pod4', 54322, '0.0.0.0', 'TCP', name));
    await untilRunning(cluster, 'pod4');
    await pods(cluster).create(onPort('pod5', 54322, '10.0.0.7', 'TCP', name));
    assert.match(await untilUnschedulable(cluster, 'pod5'), /didn't have free ports for the requested pod ports/);
    await cluster.advance('10m');
    assert.equal((await pods(cluster).get('pod5')).spec.nodeName, undefined);
  }));

test('[sig-scheduling] SchedulerPredicates [Serial] validates that there is no conflict between pods with same hostPort but different hostIP and protocol [Conformance]', () =>
  withCluster(1, async (cluster) => {
    const name = (await hostnames(cluster))[0] ?? '';
    await pods(cluster).create(onPort('pod1', 54323, '127.0.0.1', 'TCP', name));
    await pods(cluster).create(onPort('pod2', 54323, '10.0.0.7', 'TCP', name));
    await pods(cluster).create(onPort('pod3', 54323, '10.0.0.7', 'UDP', name));
    for (const pod of ['pod1', 'pod2', 'pod3']) assert.equal((await untilRunning(cluster, pod)).spec.nodeName, name);
  }));

test('[sig-scheduling] SchedulerPreemption [Serial] PreemptionExecutionPath runs ReplicaSets to verify preemption running path [Conformance]', () =>
  withCluster([{ cpu: '1' }], async (cluster) => {
    for (const level of [1, 2, 3, 4]) await priorityClass(cluster, `p${level}`, level);
    const replicaSet = (level: number, replicas: number, cpu: string): Draft<ReplicaSet> => {
      const labels = { name: `pod${level}` };
      const container = { name: `pod${level}`, image: 'pause', resources: { requests: { cpu }, limits: { cpu } } };
      return {
        metadata: { name: `rs-pod${level}`, namespace: 'default' },
        spec: {
          replicas,
          selector: { matchLabels: labels },
          template: { metadata: { labels }, spec: { terminationGracePeriodSeconds: 1, priorityClassName: `p${level}`, containers: [container] } },
        },
      };
    };
    const sets = cluster.client.resource(ReplicaSet).namespace('default');
    const available = (level: number, count: number) =>
      cluster.until(
        async () =>
          (await sets.get(`rs-pod${level}`)).status.availableReplicas === count ||
          (count === 0 && !(await sets.get(`rs-pod${level}`)).status.availableReplicas),
        {
          what: `${count} of priority ${level} run`,
          timeout: '5m',
        },
      );
    for (const [level, replicas, cpu] of [
      [1, 5, '40m'],
      [2, 4, '50m'],
      [3, 4, '95m'],
    ] as const) {
      await sets.create(replicaSet(level, replicas, cpu));
      await available(level, replicas);
    }
    // One as important as none before, too large for what is left: it takes the place of the least important ones.
    await sets.create(replicaSet(4, 1, '400m'));
    await available(4, 1);
    await cluster.advance('1m');
    const running = (await pods(cluster).list()).items
      .filter(({ status }) => status.phase === 'Running')
      .map(({ metadata }) => metadata.labels?.['name']);
    const count = (level: number): number => running.filter((name) => name === `pod${level}`).length;
    assert.deepEqual([count(3), count(4)], [4, 1], 'the more important ones run on');
    assert(count(1) < 5, 'some of the least important made room');
    for (const [level, replicas] of [
      [1, 5],
      [2, 4],
      [3, 4],
      [4, 1],
    ] as const)
      assert.equal((await sets.get(`rs-pod${level}`)).status.replicas, replicas);
  }));

test('[sig-scheduling] SchedulerPreemption [Serial] PriorityClass endpoints verify PriorityClass endpoints can be operated with different HTTP methods [Conformance]', () =>
  withCluster(1, async (cluster) => {
    const classes = cluster.client.resource(PriorityClass);
    await priorityClass(cluster, 'p1', 1);
    await priorityClass(cluster, 'p2', 2);
    const names = (await classes.list()).items.map(({ metadata }) => metadata.name);
    for (const name of ['p1', 'p2', 'system-cluster-critical', 'system-node-critical']) assert(names.includes(name), name);
    const one = await classes.get('p1');
    assert.equal((await classes.patch('p1', { description: 'patched' })).description, 'patched');
    assert.equal((await classes.update({ ...(await classes.get('p1')), description: 'updated' })).description, 'updated');
    for (const change of [{ value: 20 }, { preemptionPolicy: 'Never' }]) {
      await assert.rejects(classes.patch('p1', change), (error) => isReason(error, 'Invalid'));
      await assert.rejects(classes.update({ ...one, metadata: (await classes.get('p1')).metadata, ...change }), (error) =>
        isReason(error, 'Invalid'),
      );
    }
    assert.equal((await classes.get('p1')).value, 1);
    await classes.delete('p1');
    await assert.rejects(classes.get('p1'), (error) => isReason(error, 'NotFound'));
  }));

test('[sig-scheduling] SchedulerPreemption [Serial] validates basic preemption works [Conformance]', () =>
  withCluster([{ cpu: '2' }, { cpu: '2' }], async (cluster) => {
    for (const [name, value] of [
      ['low', 1],
      ['medium', 100],
      ['high', 1000],
    ] as const)
      await priorityClass(cluster, name, value);
    // As upstream's test: every node is two thirds full, on the first with low, on the others with medium priority.
    await pods(cluster).create(draft('pod0-low', { priorityClassName: 'low', terminationGracePeriodSeconds: 1 }, { cpu: '1300m' }));
    await untilRunning(cluster, 'pod0-low');
    await pods(cluster).create(draft('pod1-medium', { priorityClassName: 'medium', terminationGracePeriodSeconds: 1 }, { cpu: '1300m' }));
    await untilRunning(cluster, 'pod1-medium');
    await pods(cluster).create(draft('preemptor', { priorityClassName: 'high' }, { cpu: '1300m' }));
    await untilRunning(cluster, 'preemptor');
    assert.deepEqual(await namesOf(cluster), ['pod1-medium', 'preemptor']);
  }));

test('the scheduler explains itself through the API server, to those who may ask', () =>
  withCluster([{ cpu: '2' }], async (cluster) => {
    await pods(cluster).create(draft('large', {}, { cpu: '64' }));
    const message = await untilUnschedulable(cluster, 'large');
    const path = '/apis/k8ts.io/v1/namespaces/default/pods/large/scheduling';
    const answer = (await cluster.client.transport.request({ method: 'GET', path })) as { kind: string; message: string; nodes: { fits: boolean }[] };
    assert.equal(answer.kind, 'PodScheduling');
    assert.equal(answer.message, message);
    assert.deepEqual(
      answer.nodes.map(({ fits }) => fits),
      [false],
    );
    const stranger = cluster.clientAs('somebody').transport;
    await assert.rejects(stranger.request({ method: 'GET', path }), (error) => isReason(error, 'Forbidden'));
    await assert.rejects(cluster.client.transport.request({ method: 'GET', path: path.replace('large', 'nobody') }), (error) =>
      isReason(error, 'NotFound'),
    );
    await assert.rejects(cluster.client.transport.request({ method: 'DELETE', path }), (error) => isReason(error, 'MethodNotAllowed'));
  }));

async function hostnames(cluster: VirtualCluster): Promise<string[]> {
  return (await cluster.client.resource(Node).list()).items.map(({ metadata }) => metadata.name);
}
