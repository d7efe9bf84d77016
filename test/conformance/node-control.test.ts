/**
 * The conformance behaviours of sig-node and those of the kubelet's that need no real container, on simulated nodes and a virtual clock. Each test bears
 * the behaviour's name. Those that look into a container are listed in `needs-containers.ts`.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConfigMap, type Draft, Event, Lease, Node, Pod, PodTemplate, RuntimeClass, type VirtualCluster } from '../../src/index.ts';
import { assertApiOperations, assertDiscovered } from './api-operations.ts';
import { inDefault, isGone, isReady, podTemplate, untilGone, watching, withCluster } from './on-simulated-nodes.ts';

const simulated = 'simulated.k8ts.local/';

test('[sig-node] ConfigMap should run through a ConfigMap lifecycle [Conformance]', () =>
  withCluster(0, async (cluster) => {
    const maps = inDefault(cluster, ConfigMap);
    const labelSelector = 'test-configmap-static=true';
    const seen = await watching(cluster, ConfigMap, labelSelector);
    await maps.create({ metadata: { name: 'test-configmap', labels: { 'test-configmap-static': 'true' } }, data: { valueName: 'value' } });
    await maps.patch('test-configmap', { metadata: { labels: { 'test-configmap': 'patched' } }, data: { valueName: 'value1' } });
    const patched = await maps.get('test-configmap');
    assert.equal(patched.metadata.labels?.['test-configmap'], 'patched');
    assert.deepEqual(patched.data, { valueName: 'value1' });
    const everywhere = (await cluster.client.resource(ConfigMap).list({ labelSelector })).items;
    assert.deepEqual(
      everywhere.map(({ data }) => data?.['valueName']),
      ['value1'],
    );
    await maps.deleteCollection({ labelSelector });
    assert.ok(await isGone(maps.get('test-configmap')));
    await cluster.until(() => seen.lines.length === 3, { what: 'the watch tells of it all' });
    assert.deepEqual(seen.lines, ['ADDED test-configmap', 'MODIFIED test-configmap', 'DELETED test-configmap']);
    seen.end();
  }));

test('[sig-node] PodTemplates should delete a collection of pod templates [Conformance]', () =>
  withCluster(0, async (cluster) => {
    const templates = inDefault(cluster, PodTemplate);
    for (const index of [1, 2, 3]) {
      await templates.create({
        metadata: { name: `test-podtemplate-${index}`, labels: { 'podtemplate-set': 'true' } },
        template: podTemplate({ pod: 'x' }),
      });
    }
    await templates.create({ metadata: { name: 'another' }, template: podTemplate({ pod: 'x' }) });
    const count = async (): Promise<number> => (await templates.list({ labelSelector: 'podtemplate-set=true' })).items.length;
    assert.equal(await count(), 3);
    await templates.deleteCollection({ labelSelector: 'podtemplate-set=true' });
    assert.equal(await count(), 0);
    assert.equal((await templates.get('another')).template?.metadata?.labels?.['pod'], 'x');
  }));

test('[sig-node] PodTemplates should run the lifecycle of PodTemplates [Conformance]', () =>
  withCluster(0, async (cluster) => {
    const templates = inDefault(cluster, PodTemplate);
    const everywhere = async (labelSelector: string): Promise<number> =>
      (await cluster.client.resource(PodTemplate).list({ labelSelector })).items.length;
    await templates.create({ metadata: { name: 'nginx', labels: { 'podtemplate-static': 'true' } }, template: podTemplate({}, 'nginx') });
    assert.equal(await everywhere('podtemplate-static=true'), 1);
    const patch = { metadata: { labels: { podtemplate: 'patched' } }, template: podTemplate({}, 'httpd') };
    await templates.patch('nginx', patch, { type: 'strategic' });
    assert.equal((await templates.get('nginx')).template?.spec?.containers[0]?.image, 'httpd');
    assert.equal(await everywhere('podtemplate-static=true,podtemplate=patched'), 1);
    await templates.delete('nginx');
    assert.equal(await everywhere('podtemplate-static=true'), 0);
  }));

test('[sig-node] RuntimeClass should support RuntimeClasses API operations [Conformance]', () =>
  withCluster(0, async (cluster) => {
    await assertDiscovered(cluster, 'node.k8s.io', 'v1', 'runtimeclasses');
    await assertApiOperations(cluster, RuntimeClass, { metadata: {}, handler: 'test-handler' });
  }));

test('[k8s.io] Lease lease API should be available [Conformance]', () =>
  withCluster(0, async (cluster) => {
    const leases = inDefault(cluster, Lease);
    const time = (second: number): string => `2026-01-01T00:00:0${second}.123456Z`;
    const holder = (name: string, second: number): Lease['spec'] => ({
      holderIdentity: name,
      leaseDurationSeconds: 30,
      acquireTime: time(second),
      renewTime: time(second + 1),
      leaseTransitions: second,
    });
    await leases.create({ metadata: { name: 'lease' }, spec: holder('holder', 0) });
    const created = await leases.get('lease');
    assert.deepEqual(created.spec, holder('holder', 0));
    await leases.update({ ...created, spec: holder('holder2', 1) });
    assert.deepEqual((await leases.get('lease')).spec, holder('holder2', 1));
    await leases.patch('lease', { spec: holder('holder3', 2) });
    assert.deepEqual((await leases.get('lease')).spec, holder('holder3', 2));
    await leases.create({ metadata: { name: 'lease2', labels: { deletecollection: 'true' } }, spec: holder('holder', 0) });
    await leases.deleteCollection({ labelSelector: 'deletecollection=true' });
    assert.deepEqual(
      (await leases.list()).items.map(({ metadata }) => metadata.name),
      ['lease'],
    );
    await leases.delete('lease');
    assert.ok(await isGone(leases.get('lease')));
  }));

type PodSpec = Pod['spec'];

function draft(name: string, spec: Partial<PodSpec> = {}, script: Record<string, string> = {}): Draft<Pod> {
  const annotations = Object.fromEntries(Object.entries(script).map(([key, value]) => [`${simulated}${key}`, value]));
  return { metadata: { name, labels: { name }, annotations }, spec: { ...podTemplate({}).spec, ...spec } };
}

async function untilPod(cluster: VirtualCluster, name: string, what: string, holds: (pod: Pod) => boolean): Promise<Pod> {
  return cluster.until(
    async () => {
      const pod = await inDefault(cluster, Pod).get(name);
      return holds(pod) && pod;
    },
    { what: `${name} ${what}`, timeout: '30m' },
  );
}

const running = (pod: Pod): boolean => pod.status.phase === 'Running' && isReady(pod);

test('[k8s.io] Pods should be submitted and removed [NodeConformance] [Conformance]', () =>
  withCluster(1, async (cluster) => {
    const pods = inDefault(cluster, Pod);
    const seen = await watching(cluster, Pod, 'name=submitted');
    await pods.create(draft('submitted', {}, { 'stop-delay-ms': '5000' }));
    await untilPod(cluster, 'submitted', 'runs', running);
    await pods.delete('submitted', { gracePeriodSeconds: 30 });
    const leaving = await pods.get('submitted');
    assert.ok(leaving.metadata.deletionTimestamp);
    assert.equal(leaving.metadata.deletionGracePeriodSeconds, 30);
    await untilGone(cluster, Pod, 'submitted');
    await cluster.until(() => seen.lines.at(-1) === 'DELETED submitted');
    assert.equal(seen.lines[0], 'ADDED submitted');
    assert.deepEqual(await cluster.running(), []);
    seen.end();
  }));

test('[k8s.io] Pods should be updated [NodeConformance] [Conformance]', () =>
  withCluster(1, async (cluster) => {
    const pods = inDefault(cluster, Pod);
    await pods.create(draft('updated'));
    const before = await untilPod(cluster, 'updated', 'runs', running);
    await pods.update({ ...before, metadata: { ...before.metadata, labels: { ...before.metadata.labels, time: 'updated' } } });
    await cluster.settle();
    const [after] = (await pods.list({ labelSelector: 'time=updated' })).items;
    assert.equal(after?.metadata.uid, before.metadata.uid);
    assert.equal(after?.status.containerStatuses?.[0]?.restartCount, 0);
    assert.ok(running(after));
  }));

test('[k8s.io] Pods should allow activeDeadlineSeconds to be updated [NodeConformance] [Conformance]', () =>
  withCluster(1, async (cluster) => {
    const pods = inDefault(cluster, Pod);
    await pods.create(draft('deadline'));
    await untilPod(cluster, 'deadline', 'runs', running);
    await pods.patch('deadline', { spec: { activeDeadlineSeconds: 5 } });
    const { status } = await untilPod(cluster, 'deadline', 'is past its deadline', (pod) => pod.status.phase === 'Failed');
    assert.equal(status.reason, 'DeadlineExceeded');
  }));

test('[k8s.io] Pods should get a host IP [NodeConformance] [Conformance]', () =>
  withCluster(1, async (cluster) => {
    await inDefault(cluster, Pod).create(draft('hostip'));
    const { status } = await untilPod(cluster, 'hostip', 'has a host IP', (pod) => pod.status.hostIP !== undefined);
    assert.equal(status.hostIP, '10.0.0.1');
    assert.deepEqual(status.hostIPs, [{ ip: '10.0.0.1' }]);
  }));

const inits = [
  { name: 'init1', image: 'busybox' },
  { name: 'init2', image: 'busybox' },
];
const ends = (name: string, exitCode: number): Record<string, string> => ({
  [`run-time-ms.${name}`]: '1000',
  [`exit-code.${name}`]: String(exitCode),
});

const initialized = ({ status }: Pod): string | undefined => status.conditions?.find(({ type }) => type === 'Initialized')?.status;

test('[k8s.io] InitContainer [NodeConformance] should invoke init containers on a RestartNever pod [Conformance]', () =>
  withCluster(1, async (cluster) => {
    const script = { ...ends('init1', 0), ...ends('init2', 0), ...ends('main', 0) };
    await inDefault(cluster, Pod).create(draft('init', { restartPolicy: 'Never', initContainers: inits }, script));
    const pod = await untilPod(cluster, 'init', 'has succeeded', ({ status }) => status.phase === 'Succeeded');
    assert.equal(initialized(pod), 'True');
    assert.deepEqual(
      pod.status.initContainerStatuses?.map(({ ready, state }) => [ready, state?.terminated?.exitCode]),
      [
        [true, 0],
        [true, 0],
      ],
    );
  }));

test('[k8s.io] InitContainer [NodeConformance] should not start app containers and fail the pod if init containers fail on a RestartNever pod [Conformance]', () =>
  withCluster(1, async (cluster) => {
    const script = { ...ends('init1', 0), ...ends('init2', 1) };
    await inDefault(cluster, Pod).create(draft('init', { restartPolicy: 'Never', initContainers: inits }, script));
    const pod = await untilPod(cluster, 'init', 'has failed', ({ status }) => status.phase === 'Failed');
    assert.equal(initialized(pod), 'False');
    assert.match(pod.status.conditions?.find(({ type }) => type === 'Initialized')?.message ?? '', /containers with incomplete status: \[init2\]/);
    assert.deepEqual(
      pod.status.initContainerStatuses?.map(({ state }) => state?.terminated?.exitCode),
      [0, 1],
    );
    assert.equal(pod.status.containerStatuses?.[0]?.state?.waiting?.reason, 'PodInitializing');
  }));

test('[k8s.io] InitContainer [NodeConformance] should not start app containers if init containers fail on a RestartAlways pod [Conformance]', () =>
  withCluster(1, async (cluster) => {
    await inDefault(cluster, Pod).create(draft('init', { initContainers: inits }, ends('init1', 1)));
    const pod = await untilPod(cluster, 'init', 'has tried thrice', ({ status }) => (status.initContainerStatuses?.[0]?.restartCount ?? 0) >= 3);
    assert.equal(pod.status.phase, 'Pending');
    assert.equal(initialized(pod), 'False');
    assert.equal(pod.status.initContainerStatuses?.[1]?.state?.waiting?.reason, 'PodInitializing');
    assert.equal(pod.status.containerStatuses?.[0]?.state?.waiting?.reason, 'PodInitializing');
    assert.equal(pod.status.containerStatuses?.[0]?.restartCount, 0);
  }));

function probed(probe: 'readinessProbe' | 'livenessProbe', action: object, more: object = {}): Partial<PodSpec> {
  return { containers: [{ name: 'main', image: 'app:1', [probe]: { ...action, initialDelaySeconds: 15, failureThreshold: 1, ...more } }] };
}

const http = { httpGet: { path: '/healthz', port: 8080 } };

for (const [name, action] of [
  ['[k8s.io] Probing container should *not* be restarted with a /healthz http liveness probe [NodeConformance] [Conformance]', http],
  [
    '[k8s.io] Probing container should *not* be restarted with a tcp:8080 liveness probe [NodeConformance] [Conformance]',
    { tcpSocket: { port: 8080 } },
  ],
] as const) {
  test(name, () =>
    withCluster(1, async (cluster) => {
      await inDefault(cluster, Pod).create(draft('liveness', probed('livenessProbe', action)));
      await untilPod(cluster, 'liveness', 'runs', running);
      await cluster.advance('4m');
      assert.equal((await inDefault(cluster, Pod).get('liveness')).status.containerStatuses?.[0]?.restartCount, 0);
    }),
  );
}

test('[k8s.io] Probing container should be restarted with a exec "cat /tmp/health" liveness probe [NodeConformance] [Conformance]', () =>
  withCluster(1, async (cluster) => {
    const exec = { exec: { command: ['cat', '/tmp/health'] } };
    await inDefault(cluster, Pod).create(draft('liveness', probed('livenessProbe', exec), { 'unhealthy-after-ms': '20000' }));
    await untilPod(cluster, 'liveness', 'is restarted', ({ status }) => (status.containerStatuses?.[0]?.restartCount ?? 0) >= 1);
  }));

test('[k8s.io] Probing container should have monotonically increasing restart count [NodeConformance] [Conformance]', () =>
  withCluster(1, async (cluster) => {
    const counts: number[] = [];
    const tell = ({ status }: Pod): string => {
      counts.push(status.containerStatuses?.[0]?.restartCount ?? 0);
      return '';
    };
    const seen = await watching(cluster, Pod, '', tell);
    await inDefault(cluster, Pod).create(
      draft('liveness', probed('livenessProbe', http, { initialDelaySeconds: 5 }), { 'unhealthy-after-ms': '10000' }),
    );
    await untilPod(cluster, 'liveness', 'is restarted five times', ({ status }) => (status.containerStatuses?.[0]?.restartCount ?? 0) >= 5);
    seen.end();
    assert.deepEqual(
      counts,
      counts.toSorted((a, b) => a - b),
    );
    assert.deepEqual([...new Set(counts)], [0, 1, 2, 3, 4, 5]);
  }));

test('[k8s.io] Probing container with readiness probe should not be ready before initial delay and never restart [NodeConformance] [Conformance]', () =>
  withCluster(1, async (cluster) => {
    await inDefault(cluster, Pod).create(draft('readiness', probed('readinessProbe', http, { initialDelaySeconds: 30 })));
    const { status } = await untilPod(cluster, 'readiness', 'is ready', running);
    const startedMs = Date.parse(status.containerStatuses?.[0]?.state?.running?.startedAt ?? '');
    const readyMs = Date.parse(status.conditions?.find(({ type }) => type === 'Ready')?.lastTransitionTime ?? '');
    assert.ok(readyMs - startedMs >= 30_000, `ready ${readyMs - startedMs} ms after its start`);
    assert.equal(status.containerStatuses?.[0]?.restartCount, 0);
  }));

test('[k8s.io] Probing container with readiness probe that fails should never be ready and never restart [NodeConformance] [Conformance]', () =>
  withCluster(1, async (cluster) => {
    await inDefault(cluster, Pod).create(draft('readiness', probed('readinessProbe', http), { 'unhealthy-after-ms': '0' }));
    await untilPod(cluster, 'readiness', 'runs', ({ status }) => status.phase === 'Running');
    await cluster.advance('3m');
    const pod = await inDefault(cluster, Pod).get('readiness');
    assert.equal(isReady(pod), false);
    assert.equal(pod.status.containerStatuses?.[0]?.restartCount, 0);
  }));

test('[k8s.io] Kubelet when scheduling a busybox command that always fails in a pod should be possible to delete [NodeConformance] [Conformance]', () =>
  withCluster(1, async (cluster) => {
    await inDefault(cluster, Pod).create(draft('always-fails', {}, ends('main', 1)));
    await untilPod(cluster, 'always-fails', 'has failed', ({ status }) => (status.containerStatuses?.[0]?.restartCount ?? 0) >= 1);
    await inDefault(cluster, Pod).delete('always-fails');
    await untilGone(cluster, Pod, 'always-fails');
    assert.deepEqual(await cluster.running(), []);
  }));

test('[k8s.io] Kubelet when scheduling a busybox command that always fails in a pod should have an terminated reason [NodeConformance] [Conformance]', () =>
  withCluster(1, async (cluster) => {
    await inDefault(cluster, Pod).create(draft('always-fails', { restartPolicy: 'Never' }, ends('main', 1)));
    const { status } = await untilPod(cluster, 'always-fails', 'has ended', (pod) => pod.status.phase === 'Failed');
    assert.equal(status.containerStatuses?.[0]?.state?.terminated?.reason, 'Error');
    assert.equal(status.containerStatuses?.[0]?.state?.terminated?.exitCode, 1);
  }));

test('[k8s.io] Container Runtime blackbox test when starting a container that exits should run with the expected status [NodeConformance] [Conformance]', () =>
  withCluster(1, async (cluster) => {
    const cases = [
      {
        name: 'terminate-cmd-rpa',
        restartPolicy: 'Always',
        phase: 'Running',
        restarts: 2,
        ready: true,
        script: { ...ends('main', 1), 'exits.main': '2' },
      },
      {
        name: 'terminate-cmd-rpof',
        restartPolicy: 'OnFailure',
        phase: 'Running',
        restarts: 1,
        ready: true,
        script: { ...ends('main', 1), 'exits.main': '1' },
      },
      { name: 'terminate-cmd-rpn', restartPolicy: 'Never', phase: 'Failed', restarts: 0, ready: false, script: ends('main', 1) },
    ];
    for (const { name, restartPolicy, script } of cases) await inDefault(cluster, Pod).create(draft(name, { restartPolicy }, script));
    await cluster.advance('5m');
    for (const { name, phase, restarts, ready } of cases) {
      const { status } = await inDefault(cluster, Pod).get(name);
      assert.deepEqual(
        [name, status.phase, status.containerStatuses?.[0]?.restartCount, status.containerStatuses?.[0]?.ready],
        [name, phase, restarts, ready],
      );
    }
  }));

test('[k8s.io] [sig-node] Events should be sent by kubelets and the scheduler about pods scheduling and running [Conformance]', () =>
  withCluster(1, async (cluster) => {
    await inDefault(cluster, Pod).create(draft('told'));
    const { metadata } = await untilPod(cluster, 'told', 'runs', running);
    const from = async (source: string): Promise<readonly Event[]> => {
      const fieldSelector = `involvedObject.kind=Pod,involvedObject.uid=${metadata.uid},involvedObject.namespace=default,source=${source}`;
      return (await inDefault(cluster, Event).list({ fieldSelector })).items;
    };
    await cluster.until(async () => (await from('default-scheduler')).some(({ reason }) => reason === 'Scheduled'), { what: 'the scheduler tells' });
    await cluster.until(async () => (await from('kubelet')).some(({ reason }) => reason === 'Started'), { what: 'the kubelet tells' });
  }));

test('[k8s.io] [sig-node] Pods Extended [k8s.io] Pods Set QOS Class should be set on Pods with matching resource requests and limits for memory and cpu [Conformance]', () =>
  withCluster(1, async (cluster) => {
    const amounts = { cpu: '100m', memory: '100Mi' };
    const resources = { requests: amounts, limits: amounts };
    const created = await inDefault(cluster, Pod).create(draft('guaranteed', { containers: [{ name: 'main', image: 'app:1', resources }] }));
    assert.equal(created.status.qosClass, 'Guaranteed');
  }));

const evictTaint = { key: 'kubernetes.io/e2e-evict-taint-key', value: 'evictTaintVal', effect: 'NoExecute' };
const tolerates = (tolerationSeconds: number): Partial<PodSpec> => ({
  tolerations: [{ key: evictTaint.key, value: evictTaint.value, effect: 'NoExecute', tolerationSeconds }],
});

async function setTaints(cluster: VirtualCluster, taints: Node['spec']['taints']): Promise<void> {
  await cluster.client.resource(Node).patch('node-1', { spec: { taints } });
}

test('[k8s.io] [sig-node] NoExecuteTaintManager Multiple Pods [Serial] evicts pods with minTolerationSeconds [Disruptive] [Conformance]', () =>
  withCluster(1, async (cluster) => {
    const pods = inDefault(cluster, Pod);
    await pods.create(draft('taint-eviction-b1', tolerates(5)));
    await pods.create(draft('taint-eviction-b2', tolerates(25)));
    for (const name of ['taint-eviction-b1', 'taint-eviction-b2']) await untilPod(cluster, name, 'runs', running);
    await setTaints(cluster, [evictTaint]);
    await cluster.advance('4s');
    assert.equal((await pods.list()).items.length, 2);
    await cluster.advance('10s');
    assert.ok(await isGone(pods.get('taint-eviction-b1')));
    assert.equal((await pods.get('taint-eviction-b2')).metadata.deletionTimestamp, undefined);
    await cluster.advance('15s');
    assert.ok(await isGone(pods.get('taint-eviction-b2')));
  }));

test('[k8s.io] [sig-node] NoExecuteTaintManager Single Pod [Serial] removing taint cancels eviction [Disruptive] [Conformance]', () =>
  withCluster(1, async (cluster) => {
    const pods = inDefault(cluster, Pod);
    await pods.create(draft('taint-eviction-4', tolerates(60)));
    await untilPod(cluster, 'taint-eviction-4', 'runs', running);
    await setTaints(cluster, [evictTaint]);
    await cluster.advance('30s');
    await setTaints(cluster, []);
    await cluster.advance('10m');
    const { metadata } = await pods.get('taint-eviction-4');
    assert.equal(metadata.deletionTimestamp, undefined);
  }));
