/** The conformance behaviours of sig-apps, on simulated nodes and a virtual clock. Each test bears the behaviour's name. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  ControllerRevision,
  DaemonSet,
  Deployment,
  type Draft,
  EndpointSlice,
  Job,
  Node,
  Pod,
  ReplicaSet,
  ReplicationController,
  Service,
  type SimulatedScripts,
  StatefulSet,
  type VirtualCluster,
} from '../../src/index.ts';
import { controllerOf, inDefault, isReady, podsOf, podTemplate, untilGone, untilReady, watching, withCluster } from './on-simulated-nodes.ts';

const revision = 'deployment.kubernetes.io/revision';
const app = (name: string) => ({ matchLabels: { app: name } });

function deployment(name: string, spec: Partial<Deployment['spec']> = {}): Draft<Deployment> {
  return { metadata: { name, labels: { app: name } }, spec: { selector: app(name), template: podTemplate({ app: name }), ...spec } };
}

function daemonSet(name: string): Draft<DaemonSet> {
  return { metadata: { name }, spec: { selector: app(name), template: podTemplate({ app: name }) } };
}

function replicaSet(name: string, replicas: number): Draft<ReplicaSet> {
  return { metadata: { name, labels: { app: name } }, spec: { replicas, selector: app(name), template: podTemplate({ app: name }) } };
}

function replicationController(name: string, replicas: number): Draft<ReplicationController> {
  return { metadata: { name, labels: { app: name } }, spec: { replicas, selector: { app: name }, template: podTemplate({ app: name }) } };
}

function statefulSet(name: string, replicas: number, template = podTemplate({ app: name })): Draft<StatefulSet> {
  return { metadata: { name }, spec: { replicas, serviceName: 'test', selector: app(name), template } };
}

const image = (name: string) => ({ spec: { template: { spec: { containers: [{ name: 'main', image: name }] } } } });
const imageOf = ({ spec }: Pod): string | undefined => spec.containers[0]?.image;
const namesOf = (objects: readonly { readonly metadata: { readonly name: string } }[]): string[] =>
  objects.map(({ metadata }) => metadata.name).toSorted();

async function untilRolledOut(cluster: VirtualCluster, name: string): Promise<Deployment> {
  return cluster.until(
    async () => {
      const found = await inDefault(cluster, Deployment).get(name);
      const { observedGeneration = 0, replicas = 0, updatedReplicas, availableReplicas } = found.status;
      const wanted = found.spec.replicas ?? 0;
      return (
        observedGeneration >= (found.metadata.generation ?? 0) &&
        replicas === wanted &&
        updatedReplicas === wanted &&
        availableReplicas === wanted &&
        found
      );
    },
    { what: `${name} is rolled out`, timeout: '10m' },
  );
}

test('[sig-apps] Daemon set [Serial] should run and stop simple daemon [Conformance]', () =>
  withCluster(3, async (cluster) => {
    const sets = inDefault(cluster, DaemonSet);
    await sets.create(daemonSet('agent'));
    const started = await untilReady(cluster, 'app=agent', 3);
    const nodes = (await cluster.client.resource(Node).list()).items;
    assert.deepEqual(started.map(({ spec }) => spec.nodeName ?? '').toSorted(), namesOf(nodes));
    const [victim] = started;
    assert.ok(victim);
    await inDefault(cluster, Pod).delete(victim.metadata.name);
    await untilGone(cluster, Pod, victim.metadata.name);
    const revived = await untilReady(cluster, 'app=agent', 3);
    assert.deepEqual(revived.map(({ spec }) => spec.nodeName ?? '').toSorted(), namesOf(nodes));
    await cluster.until(async () => (await sets.get('agent')).status.numberReady === 3);
    await sets.delete('agent');
    await cluster.until(async () => (await podsOf(cluster, 'app=agent')).length === 0, { timeout: '5m' });
  }));

test('[sig-apps] Daemon set [Serial] should update pod when spec was updated and update strategy is RollingUpdate [Conformance]', () =>
  withCluster(3, async (cluster) => {
    const sets = inDefault(cluster, DaemonSet);
    const created = await sets.create(daemonSet('agent'));
    assert.deepEqual(created.spec.updateStrategy, { type: 'RollingUpdate', rollingUpdate: { maxSurge: 0, maxUnavailable: 1 } });
    const [before] = await untilReady(cluster, 'app=agent', 3);
    await sets.patch('agent', image('app:2'), { type: 'strategic' });
    await cluster.until(
      async () => {
        const pods = await podsOf(cluster, 'app=agent');
        const unavailable = 3 - pods.filter((pod) => isReady(pod) && pod.metadata.deletionTimestamp === undefined).length;
        assert.ok(unavailable <= 1, `${unavailable} are unavailable`);
        return unavailable === 0 && pods.length === 3 && pods.every((pod) => imageOf(pod) === 'app:2');
      },
      { what: 'every node has the new pod', timeout: '10m' },
    );
    const hash = 'controller-revision-hash';
    const after = await podsOf(cluster, 'app=agent');
    assert.equal(new Set(after.map(({ metadata }) => metadata.labels?.[hash])).size, 1);
    assert.notEqual(after[0]?.metadata.labels?.[hash], before?.metadata.labels?.[hash]);
    assert.equal((await inDefault(cluster, ControllerRevision).list({ labelSelector: 'app=agent' })).items.length, 2);
  }));

test('[sig-apps] Deployment RollingUpdateDeployment should delete old pods and create new ones [Conformance]', () =>
  withCluster(2, async (cluster) => {
    await inDefault(cluster, ReplicaSet).create({
      ...replicaSet('older', 1),
      metadata: { name: 'older', labels: { app: 'web' }, annotations: { [revision]: '3546343826724305832' } },
      spec: { replicas: 1, selector: app('web'), template: podTemplate({ app: 'web' }) },
    });
    await untilReady(cluster, 'app=web', 1);
    await inDefault(cluster, Deployment).create(deployment('web', { replicas: 1, template: podTemplate({ app: 'web' }, 'app:2') }));
    const { metadata } = await untilRolledOut(cluster, 'web');
    assert.equal(metadata.annotations?.[revision], '3546343826724305833');
    const older = await cluster.until(async () => {
      const found = await inDefault(cluster, ReplicaSet).get('older');
      return (found.status.replicas ?? 0) === 0 && found;
    });
    assert.equal(controllerOf(older), 'web');
    assert.equal(older.spec.replicas, 0);
    const pods = await untilReady(cluster, 'app=web', 1);
    assert.deepEqual(pods.map(imageOf), ['app:2']);
  }));

test('[sig-apps] Deployment deployment should delete old replica sets [Conformance]', () =>
  withCluster(2, async (cluster) => {
    const sets = inDefault(cluster, ReplicaSet);
    await sets.create(replicaSet('cleanup', 1));
    await untilReady(cluster, 'app=cleanup', 1);
    await inDefault(cluster, Deployment).create(
      deployment('cleanup', { replicas: 1, revisionHistoryLimit: 0, template: podTemplate({ app: 'cleanup' }, 'app:2') }),
    );
    await untilRolledOut(cluster, 'cleanup');
    await untilGone(cluster, ReplicaSet, 'cleanup');
    const left = (await sets.list({ labelSelector: 'app=cleanup' })).items;
    assert.deepEqual(left.map(controllerOf), ['cleanup']);
    assert.equal(left[0]?.spec.template?.spec?.containers[0]?.image, 'app:2');
  }));

test('[sig-apps] Deployment deployment should support rollover [Conformance]', () =>
  withCluster(2, async (cluster) => {
    const deployments = inDefault(cluster, Deployment);
    await inDefault(cluster, ReplicaSet).create(replicaSet('rollover', 1));
    await untilReady(cluster, 'app=rollover', 1);
    const strategy = { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } };
    // Its pods never become ready, so its rollout cannot finish before the next change comes.
    const stuck = podTemplate({ app: 'rollover' }, 'stuck:1', { readinessGates: [{ conditionType: 'example.com/never' }] });
    await deployments.create(deployment('rollover', { replicas: 1, minReadySeconds: 10, strategy, template: stuck }));
    const stuckSet = await cluster.until(
      async () => {
        const { items } = await inDefault(cluster, ReplicaSet).list({ labelSelector: 'app=rollover' });
        return items.find((set) => controllerOf(set) === 'rollover' && set.status.replicas === 1 && set.metadata.name !== 'rollover');
      },
      { what: 'the first rollout is under way' },
    );
    await deployments.patch('rollover', [{ op: 'replace', path: '/spec/template', value: podTemplate({ app: 'rollover' }, 'app:2') }], {
      type: 'json',
    });
    const done = await untilRolledOut(cluster, 'rollover');
    assert.equal(done.metadata.annotations?.[revision], '2');
    await cluster.settle();
    const counts = (await inDefault(cluster, ReplicaSet).list({ labelSelector: 'app=rollover' })).items.map(
      ({ metadata, status }) => [metadata.name, status.replicas ?? 0] as const,
    );
    assert.equal(counts.length, 3);
    assert.deepEqual(
      counts.filter(([, replicas]) => replicas > 0).map(([, replicas]) => replicas),
      [1],
    );
    assert.ok(counts.some(([name, replicas]) => name === stuckSet.metadata.name && replicas === 0));
    assert.deepEqual((await untilReady(cluster, 'app=rollover', 1)).map(imageOf), ['app:2']);
  }));

test('[sig-apps] Deployment should run the lifecycle of a Deployment [Conformance]', () =>
  withCluster(2, async (cluster) => {
    const deployments = inDefault(cluster, Deployment);
    const seen = await watching(cluster, Deployment);
    await deployments.create({
      ...deployment('life', { replicas: 1 }),
      metadata: { name: 'life', labels: { app: 'life', 'test-deployment-static': 'true' } },
    });
    await untilRolledOut(cluster, 'life');
    await deployments.patch(
      'life',
      { metadata: { labels: { 'test-deployment': 'patched' } }, spec: { replicas: 2, ...image('app:2').spec } },
      { type: 'strategic' },
    );
    const patched = await untilRolledOut(cluster, 'life');
    assert.equal(patched.metadata.labels?.['test-deployment'], 'patched');
    const everywhere = await cluster.client.resource(Deployment).list({ labelSelector: 'test-deployment-static=true' });
    assert.deepEqual(namesOf(everywhere.items), ['life']);

    // Written on the status subresource and read back from it; the controller puts its own count there again.
    await deployments.patch('life', { status: { readyReplicas: 0, availableReplicas: 0 } }, { subresource: 'status' });
    await cluster.until(async () => (await deployments.getSubresource<Deployment>('life', 'status')).status.readyReplicas === 2);
    await deployments.patch('life', { spec: { replicas: 3 } }, { subresource: 'scale' });
    assert.equal((await untilRolledOut(cluster, 'life')).status.readyReplicas, 3);
    const current = await deployments.getSubresource<Deployment>('life', 'status');
    const condition = { type: 'StatusUpdate', status: 'True', reason: 'E2E', message: 'Set from e2e test' };
    await deployments.updateStatus({ ...current, status: { ...current.status, conditions: [...(current.status.conditions ?? []), condition] } });
    const updated = await deployments.getSubresource<Deployment>('life', 'status');
    assert.equal(updated.status.conditions?.find(({ type }) => type === 'StatusUpdate')?.reason, 'E2E');

    await deployments.deleteCollection({ labelSelector: 'test-deployment-static=true' });
    await untilGone(cluster, Deployment, 'life');
    await cluster.until(async () => (await podsOf(cluster, 'app=life')).length === 0, { timeout: '5m' });
    seen.end();
    assert.equal(seen.lines[0], 'ADDED life');
    assert.equal(seen.lines.at(-1), 'DELETED life');
  }));

test('[sig-apps] Job should adopt matching orphans and release non-matching pods [Conformance]', () =>
  withCluster(2, async (cluster) => {
    const pods = inDefault(cluster, Pod);
    const job = await inDefault(cluster, Job).create({
      metadata: { name: 'adopt' },
      spec: { parallelism: 2, completions: 2, template: podTemplate({ app: 'adopt' }, 'app:1', { restartPolicy: 'Never' }) },
    });
    const [first] = await untilReady(cluster, 'job-name=adopt', 2);
    assert.ok(first);
    const { name, labels } = first.metadata;
    await pods.patch(name, { metadata: { ownerReferences: null } });
    await cluster.until(async () => (await pods.get(name)).metadata.ownerReferences?.[0]?.uid === job.metadata.uid, { what: 'it is adopted again' });
    const none = Object.fromEntries(Object.keys(labels ?? {}).map((key) => [key, null]));
    await pods.patch(name, { metadata: { labels: none } });
    await cluster.until(async () => controllerOf(await pods.get(name)) === undefined, { what: 'it is released' });
    assert.ok(!namesOf(await untilReady(cluster, 'job-name=adopt', 2)).includes(name));
  }));

/** Fails the first time, and succeeds when it is run again. */
const failsOnce: SimulatedScripts = (_, { attempt }) => ({ runTimeMs: 1000, exitCode: attempt === 0 ? 1 : 0 });

test('[sig-apps] Job should run a job to completion when tasks sometimes fail and are locally restarted [Conformance]', () =>
  withCluster({ nodes: 2, containers: failsOnce }, async (cluster) => {
    const template = podTemplate({}, 'flaky:1', { restartPolicy: 'OnFailure' });
    await inDefault(cluster, Job).create({ metadata: { name: 'flaky' }, spec: { parallelism: 2, completions: 4, backoffLimit: 100, template } });
    const done = await cluster.until(
      async () => {
        const found = await inDefault(cluster, Job).get('flaky');
        return found.status.conditions?.some(({ type, status }) => type === 'Complete' && status === 'True') && found;
      },
      { what: 'the job is complete', timeout: '1h' },
    );
    assert.equal(done.status.succeeded, 4);
    assert.equal(done.status.failed ?? 0, 0);
    const pods = await podsOf(cluster, 'job-name=flaky');
    assert.deepEqual(
      pods.map(({ status }) => status.containerStatuses?.[0]?.restartCount),
      [1, 1, 1, 1],
    );
  }));

test('[sig-apps] ReplicaSet should adopt matching pods on creation and release no longer matching pods [Conformance]', () =>
  withCluster(1, async (cluster) => {
    const pods = inDefault(cluster, Pod);
    const name = 'pod-adoption-release';
    await pods.create({ ...podTemplate({}), metadata: { name, labels: { app: name } } });
    await untilReady(cluster, `app=${name}`, 1);
    await inDefault(cluster, ReplicaSet).create(replicaSet(name, 1));
    await cluster.until(async () => controllerOf(await pods.get(name)) === name, { what: 'the pod is adopted' });
    await cluster.settle();
    assert.deepEqual(namesOf(await podsOf(cluster, `app=${name}`)), [name]);
    await pods.patch(name, { metadata: { labels: { app: 'not-matching' } } });
    await cluster.until(async () => controllerOf(await pods.get(name)) === undefined, { what: 'the pod is released' });
    const [another] = await untilReady(cluster, `app=${name}`, 1);
    assert.notEqual(another?.metadata.name, name);
  }));

/** Each replica serves under an address of its own. Dialing it needs a real container; that one runs, is ready, and is an endpoint is seen here. */
async function assertServed(cluster: VirtualCluster, name: string, replicas: number): Promise<void> {
  await inDefault(cluster, Service).create({ metadata: { name }, spec: { selector: { app: name }, ports: [{ port: 80, targetPort: 9376 }] } });
  const pods = await untilReady(cluster, `app=${name}`, replicas);
  const addresses = pods.map(({ status }) => status.podIP ?? '').toSorted();
  assert.equal(new Set(addresses).size, replicas);
  await cluster.until(
    async () => {
      const slices = (await inDefault(cluster, EndpointSlice).list({ labelSelector: `kubernetes.io/service-name=${name}` })).items;
      const ready = slices.flatMap(({ endpoints }) => endpoints ?? []).filter(({ conditions }) => conditions?.ready);
      return JSON.stringify(ready.flatMap((endpoint) => endpoint.addresses).toSorted()) === JSON.stringify(addresses);
    },
    { what: 'each replica is an endpoint' },
  );
  assert.equal((await cluster.running()).length, replicas);
}

test('[sig-apps] ReplicaSet should serve a basic image on each replica with a public image [Conformance]', () =>
  withCluster(2, async (cluster) => {
    await inDefault(cluster, ReplicaSet).create(replicaSet('basic', 3));
    await assertServed(cluster, 'basic', 3);
  }));

test('[sig-apps] ReplicationController should adopt matching pods on creation [Conformance]', () =>
  withCluster(1, async (cluster) => {
    const pods = inDefault(cluster, Pod);
    await pods.create({ ...podTemplate({}), metadata: { name: 'orphan', labels: { app: 'adopter' } } });
    await inDefault(cluster, ReplicationController).create(replicationController('adopter', 1));
    await cluster.until(async () => controllerOf(await pods.get('orphan')) === 'adopter', { what: 'the pod is adopted' });
    await cluster.settle();
    assert.deepEqual(namesOf(await podsOf(cluster, 'app=adopter')), ['orphan']);
  }));

test('[sig-apps] ReplicationController should release no longer matching pods [Conformance]', () =>
  withCluster(1, async (cluster) => {
    const pods = inDefault(cluster, Pod);
    await inDefault(cluster, ReplicationController).create(replicationController('release', 1));
    const [first] = await untilReady(cluster, 'app=release', 1);
    assert.ok(first);
    await pods.patch(first.metadata.name, { metadata: { labels: { app: 'not-matching' } } });
    await cluster.until(async () => controllerOf(await pods.get(first.metadata.name)) === undefined, { what: 'the pod is released' });
    assert.notEqual((await untilReady(cluster, 'app=release', 1))[0]?.metadata.name, first.metadata.name);
  }));

test('[sig-apps] ReplicationController should serve a basic image on each replica with a public image [Conformance]', () =>
  withCluster(2, async (cluster) => {
    await inDefault(cluster, ReplicationController).create(replicationController('basic', 2));
    await assertServed(cluster, 'basic', 2);
  }));

test('[sig-apps] ReplicationController should test the lifecycle of a ReplicationController [Conformance]', () =>
  withCluster(2, async (cluster) => {
    const controllers = inDefault(cluster, ReplicationController);
    const seen = await watching(cluster, ReplicationController);
    await controllers.create({ ...replicationController('rc-test', 1), metadata: { name: 'rc-test', labels: { 'test-rc-static': 'true' } } });
    const untilCount = async (count: number): Promise<void> => {
      await cluster.until(async () => (await controllers.getSubresource<ReplicationController>('rc-test', 'status')).status.readyReplicas === count, {
        what: `${count} are ready`,
      });
    };
    await untilCount(1);
    await controllers.patch('rc-test', { metadata: { labels: { 'test-rc': 'patched' } } });
    assert.equal((await controllers.get('rc-test')).metadata.labels?.['test-rc'], 'patched');
    await controllers.patch('rc-test', { status: { readyReplicas: 0, availableReplicas: 0 } }, { subresource: 'status' });
    await untilCount(1);
    await controllers.patch('rc-test', { spec: { replicas: 2 } }, { subresource: 'scale' });
    await untilCount(2);
    await controllers.update({ ...(await controllers.get('rc-test')), spec: { ...(await controllers.get('rc-test')).spec, replicas: 3 } });
    await untilCount(3);
    const everywhere = await cluster.client.resource(ReplicationController).list({ labelSelector: 'test-rc-static=true' });
    assert.deepEqual(namesOf(everywhere.items), ['rc-test']);
    await controllers.deleteCollection({ labelSelector: 'test-rc-static=true' });
    await untilGone(cluster, ReplicationController, 'rc-test');
    seen.end();
    assert.deepEqual([seen.lines[0], seen.lines.at(-1)], ['ADDED rc-test', 'DELETED rc-test']);
  }));

const healthy = 'example.com/healthy';

async function setHealth(cluster: VirtualCluster, status: 'True' | 'False', ...names: string[]): Promise<void> {
  const patch = { status: { conditions: [{ type: healthy, status }] } };
  for (const name of names) await inDefault(cluster, Pod).patch(name, patch, { type: 'strategic', subresource: 'status' });
}

async function untilNames(cluster: VirtualCluster, names: readonly string[]): Promise<void> {
  await cluster.until(async () => JSON.stringify(namesOf(await podsOf(cluster, 'app=ss'))) === JSON.stringify(names), {
    what: `the pods are ${names.join(', ')}`,
    timeout: '5m',
  });
}

test('[sig-apps] StatefulSet [k8s.io] Basic StatefulSet functionality [StatefulSetBasic] Scaling should happen in predictable order and halt if any stateful pod is unhealthy [Slow] [Conformance]', () =>
  withCluster(2, async (cluster) => {
    const sets = inDefault(cluster, StatefulSet);
    const seen = await watching(cluster, Pod, 'app=ss');
    const events = (type: string): string[] => seen.lines.filter((line) => line.startsWith(`${type} `)).map((line) => line.slice(type.length + 1));
    await sets.create(statefulSet('ss', 1, podTemplate({ app: 'ss' }, 'app:1', { readinessGates: [{ conditionType: healthy }] })));
    await untilNames(cluster, ['ss-0']);
    await sets.patch('ss', { spec: { replicas: 3 } }, { subresource: 'scale' });
    await cluster.advance('10m');
    assert.deepEqual(events('ADDED'), ['ss-0'], 'scaling up waits for an unhealthy pod');
    await setHealth(cluster, 'True', 'ss-0');
    await untilNames(cluster, ['ss-0', 'ss-1']);
    await cluster.advance('10m');
    assert.deepEqual(events('ADDED'), ['ss-0', 'ss-1']);
    await setHealth(cluster, 'True', 'ss-1');
    await untilNames(cluster, ['ss-0', 'ss-1', 'ss-2']);
    await setHealth(cluster, 'True', 'ss-2');
    await cluster.until(async () => (await sets.get('ss')).status.readyReplicas === 3);

    await setHealth(cluster, 'False', 'ss-0', 'ss-1', 'ss-2');
    await cluster.until(async () => (await podsOf(cluster, 'app=ss')).every((pod) => !isReady(pod)));
    await sets.patch('ss', { spec: { replicas: 0 } }, { subresource: 'scale' });
    await cluster.advance('10m');
    assert.deepEqual(events('DELETED'), [], 'scaling down waits for unhealthy pods');
    await setHealth(cluster, 'True', 'ss-0', 'ss-1', 'ss-2');
    await untilNames(cluster, []);
    assert.deepEqual(events('DELETED'), ['ss-2', 'ss-1', 'ss-0']);
    assert.deepEqual(events('ADDED'), ['ss-0', 'ss-1', 'ss-2']);
    seen.end();
  }));

test('[sig-apps] StatefulSet [k8s.io] Basic StatefulSet functionality [StatefulSetBasic] Should recreate evicted statefulset [Conformance]', () =>
  withCluster(1, async (cluster) => {
    const pods = inDefault(cluster, Pod);
    const ports = [{ containerPort: 21017, hostPort: 21017 }];
    const containers = [{ name: 'main', image: 'app:1', ports }];
    // Put on the node by name, as the set's pod is: the kubelet, not the scheduler, has to refuse the second.
    await pods.create({ metadata: { name: 'test-pod' }, spec: { nodeName: 'node-1', containers } });
    await cluster.until(async () => (await pods.get('test-pod')).status.phase === 'Running');
    const seen = await watching(cluster, Pod, 'app=ss');
    await inDefault(cluster, StatefulSet).create(statefulSet('ss', 1, podTemplate({ app: 'ss' }, 'app:1', { nodeName: 'node-1', containers })));
    await cluster.until(() => seen.lines.includes('DELETED ss-0'), { what: 'the pod the node refused is deleted', timeout: '5m' });
    await pods.delete('test-pod');
    const [revived] = await untilReady(cluster, 'app=ss', 1);
    assert.equal(revived?.metadata.name, 'ss-0');
    seen.end();
  }));

test('[sig-apps] StatefulSet [k8s.io] Basic StatefulSet functionality [StatefulSetBasic] should have a working scale subresource [Conformance]', () =>
  withCluster(1, async (cluster) => {
    interface Scale {
      readonly kind: string;
      readonly metadata: { readonly resourceVersion: string };
      readonly spec: { readonly replicas: number };
      readonly status: { readonly replicas: number; readonly selector: string };
    }
    const sets = inDefault(cluster, StatefulSet);
    await sets.create(statefulSet('ss', 1));
    await untilReady(cluster, 'app=ss', 1);
    const scale = await sets.getSubresource<Scale>('ss', 'scale');
    assert.deepEqual([scale.kind, scale.spec.replicas, scale.status.selector], ['Scale', 1, 'app=ss']);
    await cluster.client.transport.request({
      method: 'PUT',
      path: '/apis/apps/v1/namespaces/default/statefulsets/ss/scale',
      body: { ...scale, spec: { replicas: 2 } },
    });
    assert.equal((await sets.get('ss')).spec.replicas, 2);
    assert.deepEqual(namesOf(await untilReady(cluster, 'app=ss', 2)), ['ss-0', 'ss-1']);
    await sets.patch('ss', { spec: { replicas: 4 } }, { subresource: 'scale' });
    assert.equal((await sets.get('ss')).spec.replicas, 4);
  }));

test('[sig-apps] StatefulSet [k8s.io] Basic StatefulSet functionality [StatefulSetBasic] should perform rolling updates and roll backs of template modifications [Conformance]', () =>
  withCluster(2, async (cluster) => {
    const sets = inDefault(cluster, StatefulSet);
    const seen = await watching(cluster, Pod, 'app=ss');
    const revisions = await watching(cluster, StatefulSet, '', ({ status }) => `${status.currentRevision} to ${status.updateRevision}`);
    await sets.create(statefulSet('ss', 3));
    await untilReady(cluster, 'app=ss', 3);
    const untilUpdated = (): Promise<StatefulSet> =>
      cluster.until(
        async () => {
          const found = await sets.get('ss');
          const { currentRevision, updateRevision, observedGeneration, readyReplicas, currentReplicas } = found.status;
          const isDone = currentRevision === updateRevision && readyReplicas === 3 && currentReplicas === 3;
          return observedGeneration === found.metadata.generation && isDone && found;
        },
        { what: 'the update is complete', timeout: '10m' },
      );
    const assertAll = async (name: string, hash: string | undefined): Promise<void> => {
      for (const pod of await podsOf(cluster, 'app=ss')) {
        assert.equal(imageOf(pod), name);
        assert.equal(pod.metadata.labels?.['controller-revision-hash'], hash);
      }
    };
    const first = (await untilUpdated()).status.currentRevision;
    await sets.patch('ss', image('app:2'), { type: 'strategic' });
    await cluster.until(async () => (await sets.get('ss')).status.updateRevision !== first);
    const second = (await untilUpdated()).status.currentRevision;
    assert.notEqual(second, first);
    assert.ok(revisions.lines.includes(`MODIFIED ${first} to ${second}`), 'the status tells of both while the update is under way');
    await assertAll('app:2', second);
    await sets.patch('ss', image('app:1'), { type: 'strategic' });
    await cluster.until(async () => (await sets.get('ss')).status.updateRevision === first, { what: 'the way back is seen as one' });
    assert.ok(revisions.lines.includes(`MODIFIED ${second} to ${first}`));
    assert.equal((await untilUpdated()).status.currentRevision, first);
    await assertAll('app:1', first);
    assert.equal((await inDefault(cluster, ControllerRevision).list()).items.length, 2);
    const deleted = seen.lines.filter((line) => line.startsWith('DELETED ')).map((line) => line.slice(8));
    assert.deepEqual(deleted, ['ss-2', 'ss-1', 'ss-0', 'ss-2', 'ss-1', 'ss-0']);
    for (const watch of [seen, revisions]) watch.end();
  }));
