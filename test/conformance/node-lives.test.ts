/**
 * The conformance behaviours of sig-node and of the kubelet about a pod's life (hooks, probes, init containers, ends, evictions), on real containers of one
 * cluster, several pods at once; each test bears the behaviour's name.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Event, Node, Pod } from '../../src/api/kinds.ts';
import { isReason } from '../../src/machinery/errors.ts';
import { eventually } from '../support/cluster-under-test.ts';
import { isReady, isRunning, once, type PodSpec, type RealPods, restartsOf, shell, startRealPods } from './real-pods.ts';

const hello = 'k8ts.local/hello:1';
let pods: RealPods;
/** Prints the path of every request it is sent. */
let handlerIp = '';

before(async () => {
  pods = await startRealPods();
  const server = `require('node:http').createServer((request, response) => { console.log(request.method + ' ' + request.url); response.end('ok'); }).listen(8080)`;
  await pods.create('handler', {
    containers: [{ name: 'main', image: hello, command: ['node', '-e', server], readinessProbe: { httpGet: { port: 8080 }, periodSeconds: 1 } }],
  });
  handlerIp = (await pods.until('handler', 'answers', isRunning)).status.podIP ?? '';
});

after(() => pods.close());

async function untilHandled(request: string): Promise<void> {
  await eventually(`the handler was asked for ${request}`, async () => ((await pods.log('handler')).includes(request) ? true : undefined));
}

describe('several at once', { concurrency: 8 }, () => {
  hooks();
  termination();
  probing();
  initContainers();
  lives();
});

describe('one at a time', () => taints());

function hooks(): void {
  const ask = (what: string): { exec: { command: string[] } } => ({
    exec: { command: ['sh', '-c', `wget -q -O- http://${handlerIp}:8080/${what}`] },
  });

  test('[k8s.io] Container Lifecycle Hook when create a pod with lifecycle hook should execute poststart exec hook properly [NodeConformance] [Conformance]', async () => {
    await pods.create('poststart', { containers: [shell('sleep 1000', { lifecycle: { postStart: ask('echo?msg=poststart') } })] });
    await pods.until('poststart', 'runs', isRunning);
    // It runs only once its hook is through.
    assert.match(await pods.log('handler'), /GET \/echo\?msg=poststart/);
    await pods.of(Pod).delete('poststart');
  });

  test('[k8s.io] Container Lifecycle Hook when create a pod with lifecycle hook should execute prestop exec hook properly [NodeConformance] [Conformance]', async () => {
    const containers = [shell('sleep 1000', { lifecycle: { preStop: ask('echo?msg=prestop-exec') } })];
    await pods.create('prestop-exec', { containers, terminationGracePeriodSeconds: 15 });
    await pods.until('prestop-exec', 'runs', isRunning);
    assert.doesNotMatch(await pods.log('handler'), /prestop-exec/);
    await pods.of(Pod).delete('prestop-exec', { gracePeriodSeconds: 5 });
    await untilHandled('GET /echo?msg=prestop-exec');
    await pods.untilGone('prestop-exec');
  });

  test('[k8s.io] Container Lifecycle Hook when create a pod with lifecycle hook should execute prestop http hook properly [NodeConformance] [Conformance]', async () => {
    const preStop = { httpGet: { path: '/echo?msg=prestop-http', host: handlerIp, port: 8080 } };
    await pods.create('prestop-http', { containers: [shell('sleep 1000', { lifecycle: { preStop } })], terminationGracePeriodSeconds: 15 });
    await pods.until('prestop-http', 'runs', isRunning);
    await pods.of(Pod).delete('prestop-http', { gracePeriodSeconds: 5 });
    await untilHandled('GET /echo?msg=prestop-http');
    await pods.untilGone('prestop-http');
  });

  test('[k8s.io] [sig-node] PreStop should call prestop when killing a pod [Conformance]', async () => {
    const write = { exec: { command: ['wget', '-q', '-O-', '--post-data={"Source": "prestop"}', `http://${handlerIp}:8080/write`] } };
    await pods.create('tester', { containers: [shell('sleep 1000', { lifecycle: { preStop: write } })], terminationGracePeriodSeconds: 15 });
    await pods.until('tester', 'runs', isRunning);
    assert.doesNotMatch(await pods.log('handler'), /POST \/write/);
    await pods.of(Pod).delete('tester', { gracePeriodSeconds: 5 });
    await pods.untilGone('tester');
    assert.match(await pods.log('handler'), /POST \/write/);
  });
}

function termination(): void {
  async function messageOf(name: string, script: string, more: Parameters<typeof shell>[1]): Promise<string | undefined> {
    await pods.create(name, once(script, more));
    const { status } = await pods.until(name, 'has succeeded', (pod) => pod.status.phase === 'Succeeded');
    await pods.of(Pod).delete(name);
    return status.containerStatuses?.[0]?.state?.terminated?.message;
  }

  test('[k8s.io] Container Runtime blackbox test on terminated container should report termination message [LinuxOnly] as empty when pod succeeds and TerminationMessagePolicy FallbackToLogsOnError is set [NodeConformance] [Conformance]', async () => {
    assert.equal(await messageOf('message-empty', 'echo DONE; exit 0', { terminationMessagePolicy: 'FallbackToLogsOnError' }), undefined);
  });

  test('[k8s.io] Container Runtime blackbox test on terminated container should report termination message [LinuxOnly] from file when pod succeeds and TerminationMessagePolicy FallbackToLogsOnError is set [NodeConformance] [Conformance]', async () => {
    const script = 'echo DONE; echo -n OK > /dev/termination-log; exit 0';
    assert.equal(await messageOf('message-file', script, { terminationMessagePolicy: 'FallbackToLogsOnError' }), 'OK');
  });

  test('[k8s.io] Container Runtime blackbox test on terminated container should report termination message [LinuxOnly] if TerminationMessagePath is set as non-root user and at a non-default path [NodeConformance] [Conformance]', async () => {
    const more = { terminationMessagePath: '/dev/termination-custom-log', securityContext: { runAsUser: 1000 } };
    assert.equal(await messageOf('message-path', 'echo -n DONE > /dev/termination-custom-log', more), 'DONE');
  });

  test('[k8s.io] Container Runtime blackbox test when starting a container that exits should run with the expected status [NodeConformance] [Conformance]', async () => {
    const cases = [
      { name: 'terminate-cmd-rpa', restartPolicy: 'Always', fails: 2, phase: 'Running', restarts: 2, ready: true },
      { name: 'terminate-cmd-rpof', restartPolicy: 'OnFailure', fails: 1, phase: 'Succeeded', restarts: 1, ready: false },
      { name: 'terminate-cmd-rpn', restartPolicy: 'Never', fails: 1, phase: 'Failed', restarts: 0, ready: false },
    ];
    await Promise.all(
      cases.map(async ({ name, restartPolicy, fails, phase, restarts, ready }) => {
        const then = restartPolicy === 'Always' ? 'sleep 1000' : 'exit 0';
        const script = `echo x >> /count/runs; if [ $(wc -l < /count/runs) -le ${fails} ]; then exit 1; fi; ${then}`;
        await pods.create(name, {
          restartPolicy,
          volumes: [{ name: 'count', emptyDir: {} }],
          containers: [shell(script, { volumeMounts: [{ name: 'count', mountPath: '/count' }] })],
        });
        const settled = (pod: Pod): boolean => pod.status.phase === phase && restartsOf(pod) === restarts && isReady(pod) === ready;
        const { status } = await pods.until(name, `is ${phase} after ${restarts} restarts`, settled);
        assert.equal(status.containerStatuses?.[0]?.ready, ready);
        const state = status.containerStatuses?.[0]?.state;
        assert.equal(state?.running === undefined ? state?.terminated?.exitCode : 'running', { Running: 'running', Succeeded: 0, Failed: 1 }[phase]);
        await pods.of(Pod).delete(name);
      }),
    );
  });
}

function probing(): void {
  const server = (script: string): object => ({ name: 'main', image: hello, command: ['node', '-e', script] });
  /** Well for `ms`, then with errors; the socket stays open. */
  const wellFor = (ms: number): string =>
    `const begin = performance.now(); require('node:http').createServer((request, response) => { response.statusCode = performance.now() - begin < ${ms} ? 200 : 500; response.end(); }).listen(8080)`;
  const probed = (container: object, probes: object): Partial<PodSpec> => ({ containers: [{ ...container, ...probes } as PodSpec['containers'][0]] });
  const observedMs = 25_000;

  test('[k8s.io] Probing container should *not* be restarted with a /healthz http liveness probe [NodeConformance] [Conformance]', async () => {
    const livenessProbe = { httpGet: { path: '/healthz', port: 8080 }, initialDelaySeconds: 5, periodSeconds: 1, failureThreshold: 5 };
    await pods.create('liveness-http', probed({ name: 'main', image: hello }, { livenessProbe }));
    await pods.until('liveness-http', 'runs', isRunning);
    await sleep(observedMs);
    const pod = await pods.of(Pod).get('liveness-http');
    assert.deepEqual([isRunning(pod), restartsOf(pod)], [true, 0]);
    await pods.of(Pod).delete('liveness-http');
  });

  test('[k8s.io] Probing container should *not* be restarted with a tcp:8080 liveness probe [NodeConformance] [Conformance]', async () => {
    const livenessProbe = { tcpSocket: { port: 8080 }, initialDelaySeconds: 5, periodSeconds: 1, failureThreshold: 5 };
    await pods.create('liveness-tcp', probed(server(wellFor(10_000)), { livenessProbe }));
    await pods.until('liveness-tcp', 'runs', isRunning);
    await sleep(observedMs);
    const pod = await pods.of(Pod).get('liveness-tcp');
    assert.deepEqual([isRunning(pod), restartsOf(pod)], [true, 0]);
    await pods.of(Pod).delete('liveness-tcp');
  });

  test('[k8s.io] Probing container should be restarted with a exec "cat /tmp/health" liveness probe [NodeConformance] [Conformance]', async () => {
    const livenessProbe = { exec: { command: ['cat', '/tmp/health'] }, initialDelaySeconds: 5, periodSeconds: 1, failureThreshold: 1 };
    const script = 'echo ok > /tmp/health; sleep 10; rm /tmp/health; sleep 600';
    await pods.create('liveness-exec', probed(shell(script), { livenessProbe }));
    const { metadata } = await pods.until('liveness-exec', 'is started again', (pod) => restartsOf(pod) === 1 && isRunning(pod));
    const events = await pods.of(Event).list({ fieldSelector: `involvedObject.uid=${metadata.uid},reason=Unhealthy` });
    assert.match(events.items[0]?.message ?? '', /Liveness probe failed: cat: can't open '\/tmp\/health'/);
    await pods.of(Pod).delete('liveness-exec');
  });

  test('[k8s.io] Probing container should have monotonically increasing restart count [NodeConformance] [Conformance]', async () => {
    const livenessProbe = { httpGet: { path: '/healthz', port: 8080 }, initialDelaySeconds: 1, periodSeconds: 1, failureThreshold: 1 };
    await pods.create('liveness-restarts', probed(server(wellFor(3000)), { livenessProbe }));
    // The back-off doubles each time: five are counted on the virtual clock (node-control.test.ts).
    for (const count of [1, 2, 3]) {
      const pod = await pods.until('liveness-restarts', `is started again ${count} times`, (latest) => restartsOf(latest) >= count, 90_000);
      assert.equal(restartsOf(pod), count);
    }
    await pods.of(Pod).delete('liveness-restarts');
  });

  test('[k8s.io] Probing container with readiness probe should not be ready before initial delay and never restart [NodeConformance] [Conformance]', async () => {
    const readinessProbe = { httpGet: { path: '/healthz', port: 8080 }, initialDelaySeconds: 10, periodSeconds: 1 };
    await pods.create('readiness-delay', probed({ name: 'main', image: hello }, { readinessProbe }));
    const pod = await pods.until('readiness-delay', 'is ready', isRunning);
    const startedMs = Date.parse(pod.status.containerStatuses?.[0]?.state?.running?.startedAt ?? '');
    const readyMs = Date.parse(pod.status.conditions?.find(({ type }) => type === 'Ready')?.lastTransitionTime ?? '');
    // Both are told in whole seconds.
    assert.ok(readyMs - startedMs >= 9000, `ready ${readyMs - startedMs} ms after its start`);
    assert.equal(restartsOf(pod), 0);
    await pods.of(Pod).delete('readiness-delay');
  });

  test('[k8s.io] Probing container with readiness probe that fails should never be ready and never restart [NodeConformance] [Conformance]', async () => {
    const readinessProbe = { exec: { command: ['/bin/false'] }, periodSeconds: 1 };
    await pods.create('readiness-fails', probed(shell('sleep 1000'), { readinessProbe }));
    await pods.until('readiness-fails', 'runs', ({ status }) => status.phase === 'Running');
    await sleep(observedMs);
    const pod = await pods.of(Pod).get('readiness-fails');
    assert.deepEqual([isReady(pod), restartsOf(pod), pod.status.phase], [false, 0, 'Running']);
    await pods.of(Pod).delete('readiness-fails');
  });
}

function initContainers(): void {
  const init = (name: string, script: string): PodSpec['containers'][0] => shell(script, { name });
  const initialized = ({ status }: Pod): string | undefined => status.conditions?.find(({ type }) => type === 'Initialized')?.status;

  test('[k8s.io] InitContainer [NodeConformance] should invoke init containers on a RestartNever pod [Conformance]', async () => {
    const initContainers = [init('init1', 'true'), init('init2', 'true')];
    await pods.create('init-never', { ...once('true'), initContainers });
    const pod = await pods.until('init-never', 'has succeeded', ({ status }) => status.phase === 'Succeeded');
    assert.equal(initialized(pod), 'True');
    const [first, second] = (pod.status.initContainerStatuses ?? []).map(({ state }) => state?.terminated);
    assert.deepEqual([first?.exitCode, second?.exitCode], [0, 0]);
    assert.ok((first?.finishedAt ?? '') <= (second?.startedAt ?? ''), 'one after the other');
    await pods.of(Pod).delete('init-never');
  });

  test('[k8s.io] InitContainer [NodeConformance] should not start app containers and fail the pod if init containers fail on a RestartNever pod [Conformance]', async () => {
    const initContainers = [init('init1', 'true'), init('init2', 'false')];
    await pods.create('init-fails', { ...once('true'), initContainers });
    const pod = await pods.until('init-fails', 'has failed', ({ status }) => status.phase === 'Failed');
    assert.equal(initialized(pod), 'False');
    assert.deepEqual(
      pod.status.initContainerStatuses?.map(({ state }) => state?.terminated?.exitCode),
      [0, 1],
    );
    assert.equal(pod.status.containerStatuses?.[0]?.state?.waiting?.reason, 'PodInitializing');
    await pods.of(Pod).delete('init-fails');
  });

  test('[k8s.io] InitContainer [NodeConformance] should not start app containers if init containers fail on a RestartAlways pod [Conformance]', async () => {
    const initContainers = [init('init1', 'false'), init('init2', 'true')];
    await pods.create('init-again', { initContainers });
    const tried = ({ status }: Pod): boolean => (status.initContainerStatuses?.[0]?.restartCount ?? 0) >= 3;
    const pod = await pods.until('init-again', 'has been tried thrice more', tried, 90_000);
    assert.deepEqual([pod.status.phase, initialized(pod), restartsOf(pod)], ['Pending', 'False', 0]);
    assert.equal(pod.status.initContainerStatuses?.[1]?.state?.waiting?.reason, 'PodInitializing');
    assert.equal(pod.status.containerStatuses?.[0]?.state?.waiting?.reason, 'PodInitializing');
    await pods.of(Pod).delete('init-again');
  });
}

function lives(): void {
  test('[k8s.io] Kubelet when scheduling a busybox command that always fails in a pod should have an terminated reason [NodeConformance] [Conformance]', async () => {
    await pods.create('bin-false', { containers: [shell('/bin/false')] });
    const ended = ({ status }: Pod): boolean => status.containerStatuses?.[0]?.state?.terminated !== undefined;
    const { status } = await pods.until('bin-false', 'has ended', ended);
    assert.deepEqual(
      status.containerStatuses?.map(({ state }) => [state?.terminated?.reason, state?.terminated?.exitCode]),
      [['Error', 1]],
    );
    await pods.of(Pod).delete('bin-false');
  });

  test('[k8s.io] Kubelet when scheduling a busybox command that always fails in a pod should be possible to delete [NodeConformance] [Conformance]', async () => {
    await pods.create('bin-false-deleted', { containers: [shell('/bin/false')] });
    await pods.until('bin-false-deleted', 'has failed', (pod) => restartsOf(pod) >= 1);
    await pods.of(Pod).delete('bin-false-deleted');
    await pods.untilGone('bin-false-deleted');
  });

  test('[k8s.io] Pods should be submitted and removed [NodeConformance] [Conformance]', async () => {
    const labels = { name: 'foo-submitted', time: 'submitted' };
    const selected = { labelSelector: 'time=submitted' };
    assert.deepEqual((await pods.of(Pod).list(selected)).items, []);
    const { resourceVersion } = (await pods.of(Pod).list(selected)).metadata;
    const heard: string[] = [];
    const enough = new AbortController();
    const watching = (async () => {
      for await (const { type, object } of pods.of(Pod).watch({ ...selected, resourceVersion, signal: enough.signal })) {
        heard.push(`${type}${object.metadata.deletionTimestamp === undefined ? '' : ' leaving'}`);
        if (type === 'DELETED') break;
      }
    })();
    await pods.create('submitted', { terminationGracePeriodSeconds: 30, containers: [{ name: 'main', image: hello }] }, { labels });
    await pods.until('submitted', 'runs', isRunning);
    await pods.of(Pod).delete('submitted', { gracePeriodSeconds: 30 });
    await pods.untilGone('submitted');
    await Promise.race([watching, sleep(30_000, undefined, { ref: false }).then(() => enough.abort())]);
    assert.equal(heard[0], 'ADDED');
    assert.ok(heard.includes('MODIFIED leaving'), heard.join());
    assert.match(heard.at(-1) ?? '', /^DELETED/);
    assert.deepEqual((await pods.of(Pod).list(selected)).items, []);
  });

  test('[k8s.io] Pods should be updated [NodeConformance] [Conformance]', async () => {
    await pods.create('updated', {}, { labels: { time: 'before' } });
    const before = await pods.until('updated', 'runs', isRunning);
    await pods.of(Pod).patch('updated', { metadata: { labels: { time: 'afterwards' } } });
    const [found] = (await pods.of(Pod).list({ labelSelector: 'time=afterwards' })).items;
    assert.equal(found?.metadata.uid, before.metadata.uid);
    assert.equal(found.status.containerStatuses?.[0]?.containerID, before.status.containerStatuses?.[0]?.containerID);
    await pods.of(Pod).delete('updated');
  });

  test('[k8s.io] Pods should allow activeDeadlineSeconds to be updated [NodeConformance] [Conformance]', async () => {
    await pods.create('deadline', {});
    await pods.until('deadline', 'runs', isRunning);
    await pods.of(Pod).patch('deadline', { spec: { activeDeadlineSeconds: 5 } });
    const { status } = await pods.until('deadline', 'is past its deadline', (pod) => pod.status.phase === 'Failed');
    assert.equal(status.reason, 'DeadlineExceeded');
    await pods.of(Pod).delete('deadline');
  });

  test('[k8s.io] Pods should get a host IP [NodeConformance] [Conformance]', async () => {
    await pods.create('host-ip', {});
    const { status } = await pods.until('host-ip', 'has a host IP', (pod) => (pod.status.hostIP ?? '') !== '');
    const { addresses = [] } = (await pods.client.resource(Node).list()).items[0]?.status ?? {};
    assert.equal(status.hostIP, addresses.find(({ type }) => type === 'InternalIP')?.address);
    await pods.of(Pod).delete('host-ip');
  });

  test('[k8s.io] [sig-node] Events should be sent by kubelets and the scheduler about pods scheduling and running [Conformance]', async () => {
    await pods.create('told', {});
    const { metadata } = await pods.until('told', 'runs', isRunning);
    const reasonsFrom = async (source: string): Promise<readonly (string | undefined)[]> => {
      const fieldSelector = `involvedObject.kind=Pod,involvedObject.uid=${metadata.uid},involvedObject.namespace=default,source=${source}`;
      return (await pods.of(Event).list({ fieldSelector })).items.map(({ reason }) => reason);
    };
    const tells = (source: string, wanted: string): Promise<true> =>
      eventually(`${source} tells of ${wanted}`, async () => ((await reasonsFrom(source)).includes(wanted) ? true : undefined));
    await tells('default-scheduler', 'Scheduled');
    for (const reason of ['Pulled', 'Created', 'Started']) await tells('kubelet', reason);
    await pods.of(Pod).delete('told');
  });

  test('[k8s.io] [sig-node] Pods Extended [k8s.io] Pods Set QOS Class should be set on Pods with matching resource requests and limits for memory and cpu [Conformance]', async () => {
    const amounts = { cpu: '100m', memory: '100Mi' };
    await pods.create('guaranteed', { containers: [shell('sleep 1000', { resources: { requests: amounts, limits: amounts } })] });
    const { status, metadata } = await pods.until('guaranteed', 'runs', isRunning);
    assert.equal(status.qosClass, 'Guaranteed');
    // Its cgroup is where its class says: not below burstable or besteffort.
    assert.match(await pods.inside('guaranteed', 'cat /proc/self/cgroup'), new RegExp(`kubepods/pod${metadata.uid}`));
    await pods.of(Pod).delete('guaranteed');
  });
}

function taints(): void {
  const taint = { key: 'kubernetes.io/e2e-evict-taint-key', value: 'evictTaintVal', effect: 'NoExecute' };
  const tolerates = (tolerationSeconds?: number): Partial<PodSpec> => ({
    tolerations: [
      { key: taint.key, operator: 'Equal', value: taint.value, effect: 'NoExecute', ...(tolerationSeconds !== undefined && { tolerationSeconds }) },
    ],
  });
  const setTaints = async (list: readonly object[]): Promise<void> => {
    const [node] = (await pods.client.resource(Node).list()).items;
    await pods.client.resource(Node).patch(node?.metadata.name ?? '', { spec: { taints: list } });
  };
  const leaves = async (name: string): Promise<boolean> => {
    try {
      return (await pods.of(Pod).get(name)).metadata.deletionTimestamp !== undefined;
    } catch (error) {
      if (isReason(error, 'NotFound')) return true;
      throw error;
    }
  };

  test('[k8s.io] [sig-node] NoExecuteTaintManager Multiple Pods [Serial] evicts pods with minTolerationSeconds [Disruptive] [Conformance]', async () => {
    await Promise.all([pods.create('taint-eviction-b1', tolerates(3)), pods.create('taint-eviction-b2', tolerates(12))]);
    for (const name of ['taint-eviction-b1', 'taint-eviction-b2']) await pods.until(name, 'runs', isRunning);
    await setTaints([taint]);
    try {
      await pods.untilGone('taint-eviction-b1');
      assert.equal(await leaves('taint-eviction-b2'), false);
      await pods.untilGone('taint-eviction-b2');
    } finally {
      await setTaints([]);
    }
  });

  test('[k8s.io] [sig-node] NoExecuteTaintManager Single Pod [Serial] removing taint cancels eviction [Disruptive] [Conformance]', async () => {
    await pods.create('taint-eviction-4', tolerates(8));
    await pods.until('taint-eviction-4', 'runs', isRunning);
    await setTaints([taint]);
    await sleep(3000);
    await setTaints([]);
    await sleep(10_000);
    assert.equal(await leaves('taint-eviction-4'), false);
    await pods.of(Pod).delete('taint-eviction-4');
  });
}
