import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import type { Lease, Node } from '../api/kinds.ts';
import type { V1PodSpec } from '../api/types.ts';
import { closeRigs, condition, events, main, podOf, putPod, rig } from './kubelet-rig.ts';

afterEach(closeRigs);

describe('the life of a pod', () => {
  test('goes Pending, Running, Ready, and away when it is deleted', async () => {
    const it = rig();
    putPod(it);
    await it.world.advanceUntil(() => condition(podOf(it), 'Ready') === 'True', 5000);
    const pod = podOf(it);
    assert.equal(pod?.status.phase, 'Running');
    assert.equal(pod?.status.podIP, '10.88.0.2');
    assert.equal(pod?.status.hostIP, '192.0.2.1');
    assert.equal(pod?.status.qosClass, 'BestEffort');
    assert.match(main(pod)?.containerID ?? '', /^simulated:\/\/[0-9a-f]{64}$/);
    assert.equal(main(pod)?.started, true);
    assert.deepEqual(it.runtime.calls, ['run-sandbox web', 'pull nginx:1', 'create web/main#0', 'start web/main']);

    it.api.remove('Pod', 'web', 'default');
    await it.world.advanceUntil(() => podOf(it) === undefined, 5000);
    await it.world.advance(0);
    assert.deepEqual(it.runtime.calls.slice(4), ['stop web/main', 'stop-sandbox web', 'remove-sandbox web']);
    assert.deepEqual(
      events(it).map((event) => event.split(':')[0]),
      ['Starting', 'Pulling', 'Pulled', 'Created', 'Started', 'Killing'],
    );
  });
});

describe('restart policies', () => {
  test('a container that keeps crashing waits longer and longer', async () => {
    const it = rig(() => ({ runTimeMs: 1000, exitCode: 3 }));
    const startMs = it.world.clock.now();
    putPod(it);
    const starts: number[] = [];
    for (let count = 1; count <= 4; count++) {
      await it.world.advanceUntil(() => (main(podOf(it))?.restartCount ?? 0) === count, 400_000);
      starts.push(Math.round((it.world.clock.now() - startMs) / 1000));
    }
    // Ran 1 s each: at once after the first exit, then 10 s, 20 s and 40 s after the next.
    assert.deepEqual(starts, [1, 12, 33, 74]);
    await it.world.advanceUntil(() => main(podOf(it))?.state?.waiting !== undefined, 5000);
    const status = main(podOf(it));
    assert.equal(status?.state?.waiting?.reason, 'CrashLoopBackOff');
    assert.match(status?.state?.waiting?.message ?? '', /^back-off 1m20s restarting failed container=main pod=web_default\(.*\)$/);
    assert.equal(status?.lastState?.terminated?.exitCode, 3);
    assert.equal(status?.lastState?.terminated?.reason, 'Error');
    assert.equal(podOf(it)?.status.phase, 'Running');
    assert.equal(condition(podOf(it), 'Ready'), 'False');
    assert.ok(events(it).some((event) => event.startsWith('BackOff: Back-off restarting failed container main in pod web_default')));
    // Only the last dead instance is kept.
    assert.equal((await it.runtime.listContainers()).length, 2);
  });

  for (const [policy, exitCode, phase] of [
    ['Never', 0, 'Succeeded'],
    ['Never', 1, 'Failed'],
    ['OnFailure', 0, 'Succeeded'],
  ] as const) {
    test(`${policy} and exit code ${exitCode} make ${phase}`, async () => {
      const it = rig(() => ({ runTimeMs: 500, exitCode }));
      putPod(it, { restartPolicy: policy });
      await it.world.advanceUntil(() => podOf(it)?.status.phase === phase, 5000);
      await it.world.advance(20_000);
      const pod = podOf(it);
      assert.equal(pod?.status.phase, phase);
      assert.equal(main(pod)?.state?.terminated?.exitCode, exitCode);
      assert.equal(main(pod)?.restartCount, 0);
      assert.equal(pod?.status.podIP, '10.88.0.2');
      assert.equal(condition(pod, 'PodReadyToStartContainers'), 'False');
      assert.equal((await it.runtime.listPodSandboxes())[0]?.ready, false);
      assert.equal((await it.runtime.listContainers()).length, 1, 'the container stays for its log');
    });
  }
});

describe('what is told of earlier instances', () => {
  test('the failure before a success, though both ended at once', async () => {
    const it = rig((_, { attempt }) => ({ runTimeMs: 0, exitCode: attempt === 0 ? 5 : 0 }));
    putPod(it, { restartPolicy: 'OnFailure' });
    await it.world.advanceUntil(() => podOf(it)?.status.phase === 'Succeeded', 30_000);
    await it.world.advance(20_000);
    assert.equal(main(podOf(it))?.restartCount, 1);
    assert.equal(main(podOf(it))?.lastState?.terminated?.exitCode, 5);
    assert.equal(main(podOf(it))?.state?.terminated?.exitCode, 0);
  });

  test('also of init containers', async () => {
    const it = rig((_, { name, attempt }) => (name === 'first' ? { runTimeMs: 0, exitCode: attempt === 0 ? 9 : 0 } : {}));
    putPod(it, { initContainers: [{ name: 'first', image: 'busybox:1' }] });
    await it.world.advanceUntil(() => condition(podOf(it), 'Ready') === 'True', 30_000);
    assert.equal(main(podOf(it), 'first')?.restartCount, 1);
    assert.equal(main(podOf(it), 'first')?.lastState?.terminated?.exitCode, 9);
  });

  test('when the runtime has lost them, also for a new kubelet', async () => {
    const it = rig((_, { attempt }) => (attempt === 0 ? { runTimeMs: 10, exitCode: 4 } : {}));
    putPod(it);
    await it.world.advanceUntil(() => main(podOf(it))?.restartCount === 1 && condition(podOf(it), 'Ready') === 'True', 30_000);
    it.stop();
    const dead = (await it.runtime.listContainers()).find(({ state }) => state === 'exited');
    await it.runtime.removeContainer(dead?.id ?? '');
    it.start();
    await it.world.advance(30_000);
    assert.equal(main(podOf(it))?.lastState?.terminated?.exitCode, 4);
    it.stop();
    for (const { id } of await it.runtime.listPodSandboxes()) await it.runtime.removePodSandbox(id);
    it.start();
    await it.world.advanceUntil(() => main(podOf(it))?.restartCount === 2 && condition(podOf(it), 'Ready') === 'True', 30_000);
  });
});

describe("a container's own restart policy", () => {
  test('goes before that of the pod', async () => {
    const it = rig((_, { name, attempt }) => (name === 'main' ? { runTimeMs: 5000 } : attempt === 0 ? { runTimeMs: 10, exitCode: 1 } : {}));
    const again = { name: 'again', image: 'nginx:1', restartPolicy: 'OnFailure' };
    putPod(it, { restartPolicy: 'Never', containers: [{ name: 'main', image: 'nginx:1' }, again] });
    await it.world.advanceUntil(() => main(podOf(it), 'again')?.restartCount === 1, 4000);
    await it.world.advanceUntil(() => main(podOf(it))?.state?.terminated !== undefined, 10_000);
    assert.equal(podOf(it)?.status.phase, 'Running');
  });

  test('may look at the exit code', async () => {
    const it = rig((_, { attempt }) => ({ runTimeMs: 10, exitCode: attempt < 2 ? 42 : 7 }));
    const rules = [{ action: 'Restart', exitCodes: { operator: 'In', values: [42, 43] } }];
    putPod(it, { restartPolicy: 'Never', containers: [{ name: 'main', image: 'nginx:1', restartPolicy: 'Never', restartPolicyRules: rules }] });
    await it.world.advanceUntil(() => podOf(it)?.status.phase === 'Failed', 60_000);
    assert.equal(main(podOf(it))?.restartCount, 2);
    assert.equal(main(podOf(it))?.state?.terminated?.exitCode, 7);
  });
});

describe('init containers', () => {
  const init = [
    { name: 'one', image: 'busybox:1' },
    { name: 'two', image: 'busybox:1' },
  ];

  test('run one after the other before the others', async () => {
    const it = rig((_, { name }) => (name === 'main' ? {} : { runTimeMs: 1000 }));
    putPod(it, { initContainers: init });
    await it.world.advanceUntil(() => main(podOf(it), 'one')?.state?.running !== undefined, 5000);
    assert.equal(main(podOf(it))?.state?.waiting?.reason, 'PodInitializing');
    assert.equal(podOf(it)?.status.phase, 'Pending');
    assert.equal(condition(podOf(it), 'Initialized'), 'False');
    await it.world.advanceUntil(() => condition(podOf(it), 'Ready') === 'True', 5000);
    assert.equal(condition(podOf(it), 'Initialized'), 'True');
    assert.deepEqual(
      it.runtime.calls.filter((call) => call.startsWith('start')),
      ['start web/one', 'start web/two', 'start web/main'],
    );
  });

  test('one that fails under restart policy Never fails the pod', async () => {
    const it = rig((_, { name }) => (name === 'one' ? { runTimeMs: 10, exitCode: 2 } : {}));
    putPod(it, { initContainers: init, restartPolicy: 'Never' });
    await it.world.advanceUntil(() => podOf(it)?.status.phase === 'Failed', 5000);
    assert.deepEqual(
      it.runtime.calls.filter((call) => call.startsWith('start')),
      ['start web/one'],
    );
  });

  test('a sidecar runs beside the containers, and ends after them', async () => {
    const it = rig((_, { name }) => (name === 'main' ? { runTimeMs: 1000 } : {}));
    putPod(it, { initContainers: [{ name: 'proxy', image: 'envoy:1', restartPolicy: 'Always' }], restartPolicy: 'Never' });
    await it.world.advanceUntil(() => podOf(it)?.status.phase === 'Succeeded', 5000);
    assert.deepEqual(
      it.runtime.calls.filter((call) => call.startsWith('st')),
      ['start web/proxy', 'start web/main', 'stop web/proxy', 'stop-sandbox web'],
    );
  });
});

describe('probes', () => {
  const httpGet = { path: '/', port: 80 };

  test('readiness decides whether the pod is ready', async () => {
    const it = rig(() => ({ readyAfterMs: 3500, unhealthyAfterMs: 9000 }));
    putPod(it, { containers: [{ name: 'main', image: 'nginx:1', readinessProbe: { httpGet, periodSeconds: 1, failureThreshold: 2 } }] });
    await it.world.advanceUntil(() => main(podOf(it))?.started === true, 1000);
    const startMs = it.world.clock.now();
    assert.equal(main(podOf(it))?.ready, false);
    await it.world.advanceUntil(() => condition(podOf(it), 'Ready') === 'True', 10_000);
    assert.equal(it.world.clock.now() - startMs, 4000);
    await it.world.advanceUntil(() => condition(podOf(it), 'Ready') === 'False', 10_000);
    assert.equal(it.world.clock.now() - startMs, 10_000);
    assert.ok(events(it).includes('Unhealthy: Readiness probe failed: HTTP probe failed with statuscode: 503'));
  });

  test('liveness restarts the container; startup holds it back', async () => {
    const it = rig(() => ({ readyAfterMs: 2500, unhealthyAfterMs: 5000 }));
    const container = {
      name: 'main',
      image: 'nginx:1',
      startupProbe: { httpGet, periodSeconds: 1, failureThreshold: 10 },
      livenessProbe: { exec: { command: ['true'] }, periodSeconds: 1, failureThreshold: 1 },
    };
    putPod(it, { containers: [container] });
    await it.world.advanceUntil(() => main(podOf(it))?.state?.running !== undefined, 1000);
    assert.equal(main(podOf(it))?.started, false);
    await it.world.advanceUntil(() => condition(podOf(it), 'Ready') === 'True', 10_000);
    assert.equal(main(podOf(it))?.restartCount, 0);
    await it.world.advanceUntil(() => main(podOf(it))?.restartCount === 1, 10_000);
    assert.equal(main(podOf(it))?.lastState?.terminated?.exitCode, 143);
    assert.ok(events(it).includes('Killing: Container main failed liveness probe, will be restarted'));
  });
});

describe('what a container needs first', () => {
  test('a missing ConfigMap holds it back until it appears', async () => {
    const it = rig();
    putPod(it, {
      containers: [{ name: 'main', image: 'nginx:1', env: [{ name: 'A', valueFrom: { configMapKeyRef: { name: 'settings', key: 'a' } } }] }],
    });
    await it.world.advanceUntil(() => main(podOf(it))?.state?.waiting?.reason === 'CreateContainerConfigError', 5000);
    assert.equal(main(podOf(it))?.state?.waiting?.message, 'configmap "settings" not found');
    it.api.put({ kind: 'ConfigMap', metadata: { name: 'settings', namespace: 'default' }, data: { a: 'b' } });
    const atMs = it.world.clock.now();
    await it.world.advanceUntil(() => condition(podOf(it), 'Ready') === 'True', 5000);
    assert.equal(it.world.clock.now(), atMs, 'no waiting once the ConfigMap is there');
  });

  test('a missing volume source keeps the pod from getting a sandbox', async () => {
    const it = rig();
    putPod(it, { volumes: [{ name: 'v', secret: { secretName: 'gone' } }] });
    await it.world.advanceUntil(() => events(it).some((event) => event.startsWith('FailedMount')), 5000);
    await it.world.settle();
    assert.ok(events(it).includes('FailedMount: MountVolume.SetUp failed for volume "v" : secret "gone" not found'));
    assert.equal(main(podOf(it))?.state?.waiting?.reason, 'ContainerCreating');
    assert.deepEqual(it.runtime.calls, []);
    it.api.put({ kind: 'Secret', metadata: { name: 'gone', namespace: 'default' }, data: {} });
    await it.world.advanceUntil(() => condition(podOf(it), 'Ready') === 'True', 5000);
  });

  test('an image no registry has', async () => {
    const it = rig();
    it.runtime.missingImages.add('nginx:1');
    putPod(it);
    await it.world.advanceUntil(() => main(podOf(it))?.state?.waiting?.reason === 'ErrImagePull', 5000);
    await it.world.advanceUntil(() => main(podOf(it))?.state?.waiting?.reason === 'ImagePullBackOff', 5000);
    assert.match(main(podOf(it))?.state?.waiting?.message ?? '', /^Back-off pulling image "nginx:1": ErrImagePull: rpc error/);
    const seen = events(it);
    assert.ok(
      seen.includes('Failed: Error: ErrImagePull') &&
        seen.includes('Failed: Error: ImagePullBackOff') &&
        seen.includes('BackOff: Back-off pulling image "nginx:1"'),
    );
    it.runtime.missingImages.clear();
    await it.world.advanceUntil(() => condition(podOf(it), 'Ready') === 'True', 15_000);
  });

  test('an image that may not be pulled', async () => {
    const it = rig();
    putPod(it, { containers: [{ name: 'main', image: 'local:1', imagePullPolicy: 'Never' }] });
    await it.world.advanceUntil(() => main(podOf(it))?.state?.waiting?.reason === 'ErrImageNeverPull', 5000);
    assert.equal(main(podOf(it))?.state?.waiting?.message, 'Container image "local:1" is not present with pull policy of Never');
  });
});

describe('keeping and losing', () => {
  test('a restarted kubelet touches nothing', async () => {
    const it = rig();
    putPod(it, { initContainers: [{ name: 'first', image: 'busybox:1' }] });
    await it.world.advanceUntil(() => main(podOf(it), 'first')?.state?.running !== undefined, 5000);
    it.runtime.exit((await it.runtime.listContainers())[0]?.id ?? '', 0);
    await it.world.advanceUntil(() => condition(podOf(it), 'Ready') === 'True', 5000);
    const before = { calls: [...it.runtime.calls], pod: podOf(it) };
    it.stop();
    it.start();
    await it.world.advance(120_000);
    assert.deepEqual(it.runtime.calls, before.calls);
    assert.deepEqual(podOf(it)?.status, before.pod?.status);
    assert.equal(podOf(it)?.metadata.resourceVersion, before.pod?.metadata.resourceVersion, 'not even the status was written');
    it.api.remove('Pod', 'web', 'default');
    await it.world.advanceUntil(() => podOf(it) === undefined, 5000);
  });

  test('what a kubelet finds of pods deleted meanwhile is removed', async () => {
    const it = rig();
    putPod(it);
    await it.world.advanceUntil(() => condition(podOf(it), 'Ready') === 'True', 5000);
    it.stop();
    it.api.remove('Pod', 'web', 'default', 0);
    it.start();
    await it.world.advance(1000);
    assert.equal((await it.runtime.listPodSandboxes()).length, 0);
    assert.equal((await it.runtime.listContainers()).length, 0);
  });

  test('a sandbox that died is replaced, and what ran in it starts again', async () => {
    const it = rig();
    putPod(it);
    await it.world.advanceUntil(() => condition(podOf(it), 'Ready') === 'True', 5000);
    it.runtime.killSandbox((await it.runtime.listPodSandboxes())[0]?.id ?? '');
    await it.world.advanceUntil(() => main(podOf(it))?.restartCount === 1 && condition(podOf(it), 'Ready') === 'True', 30_000);
    assert.equal(it.runtime.calls.filter((call) => call.startsWith('run-sandbox')).length, 2);
    assert.ok(events(it).some((event) => event.startsWith('SandboxChanged')));
  });

  test('the slow relist finds what events did not tell', async () => {
    const it = rig();
    putPod(it);
    await it.world.advanceUntil(() => condition(podOf(it), 'Ready') === 'True', 5000);
    it.runtime.setEventsLost(true);
    it.runtime.exit((await it.runtime.listContainers())[0]?.id ?? '', 1);
    await it.world.advanceUntil(() => main(podOf(it))?.restartCount === 1, 11_000);
  });

  test('a status that could not be written is written later', async () => {
    const it = rig();
    const { ApiError } = await import('../machinery/errors.ts');
    it.api.failure = ({ method, path }) => (method === 'PATCH' && path.endsWith('/web/status') ? new ApiError('InternalError', 'no') : undefined);
    putPod(it);
    await it.world.advance(3000);
    assert.equal(condition(podOf(it), 'Ready'), undefined);
    it.api.failure = undefined;
    await it.world.advanceUntil(() => condition(podOf(it), 'Ready') === 'True', 15_000);
  });
});

describe('ending', () => {
  test('a container that does not obey is killed when the grace period is over', async () => {
    const it = rig(() => ({ stopDelayMs: 60_000 }));
    putPod(it);
    await it.world.advanceUntil(() => condition(podOf(it), 'Ready') === 'True', 5000);
    it.api.remove('Pod', 'web', 'default', 7);
    const atMs = it.world.clock.now();
    await it.world.advanceUntil(() => podOf(it) === undefined, 60_000);
    assert.equal(it.world.clock.now() - atMs, 7000);
  });

  test('a second, shorter deletion hurries the first up', async () => {
    const it = rig(() => ({ stopDelayMs: 60_000 }));
    putPod(it);
    await it.world.advanceUntil(() => condition(podOf(it), 'Ready') === 'True', 5000);
    const atMs = it.world.clock.now();
    it.api.remove('Pod', 'web', 'default', 30);
    await it.world.advance(2000);
    it.api.remove('Pod', 'web', 'default', 3);
    await it.world.advanceUntil(() => podOf(it) === undefined, 60_000);
    assert.equal(it.world.clock.now() - atMs, 5000);
  });

  test('a preStop hook runs first, within the grace period', async () => {
    const it = rig();
    putPod(it, { containers: [{ name: 'main', image: 'nginx:1', lifecycle: { preStop: { sleep: { seconds: 4 } } } }] });
    await it.world.advanceUntil(() => condition(podOf(it), 'Ready') === 'True', 5000);
    it.api.remove('Pod', 'web', 'default', 30);
    const atMs = it.world.clock.now();
    await it.world.advanceUntil(() => podOf(it) === undefined, 60_000);
    assert.equal(it.world.clock.now() - atMs, 4000);
  });

  test('deleted before it was started, it is gone at once, whatever it waited for', async () => {
    const it = rig();
    putPod(it, {}, { annotations: { 'simulated.k8ts.local/pull-delay-ms': '60000' } });
    await it.world.advance(1000);
    it.api.remove('Pod', 'web', 'default');
    await it.world.advanceUntil(() => podOf(it) === undefined, 1000);
  });

  test('activeDeadlineSeconds', async () => {
    const it = rig();
    putPod(it, { activeDeadlineSeconds: 20 });
    await it.world.advanceUntil(() => podOf(it)?.status.phase === 'Failed', 30_000);
    assert.equal(podOf(it)?.status.reason, 'DeadlineExceeded');
    assert.equal(podOf(it)?.status.message, 'Pod was active on the node longer than the specified deadline');
    assert.equal(condition(podOf(it), 'Ready'), 'False');
  });

  test('a pod that does not fit is refused', async () => {
    const it = rig();
    putPod(it, { containers: [{ name: 'main', image: 'nginx:1', resources: { requests: { cpu: '3' } } }] });
    await it.world.advanceUntil(() => condition(podOf(it), 'Ready') === 'True', 5000);
    putPod(it, { containers: [{ name: 'main', image: 'nginx:1', resources: { requests: { cpu: '2' } } }] }, { name: 'big' });
    await it.world.advanceUntil(() => podOf(it, 'big')?.status.phase === 'Failed', 5000);
    assert.equal(podOf(it, 'big')?.status.reason, 'OutOfcpu');
    assert.equal(
      podOf(it, 'big')?.status.message,
      "Pod was rejected: Node didn't have enough resource: cpu, requested: 2000, used: 3000, capacity: 4000",
    );
    assert.equal(podOf(it)?.status.phase, 'Running');
    it.api.remove('Pod', 'big', 'default');
    await it.world.advanceUntil(() => podOf(it, 'big') === undefined, 5000);
  });

  test('pods deleted by force make room at once, even while their containers end', async () => {
    const it = rig(() => ({ stopDelayMs: 20_000 }));
    const asking = (cpu: string): Partial<V1PodSpec> => ({ containers: [{ name: 'main', image: 'nginx:1', resources: { requests: { cpu } } }] });
    for (const name of ['a', 'b', 'c', 'd']) putPod(it, asking('1'), { name });
    await it.world.advanceUntil(() => ['a', 'b', 'c', 'd'].every((name) => condition(podOf(it, name), 'Ready') === 'True'), 5000);
    for (const name of ['a', 'b', 'c']) it.api.remove('Pod', name, 'default', 0);
    putPod(it, asking('3'), { name: 'preemptor' });
    await it.world.advanceUntil(() => podOf(it, 'preemptor')?.status.phase !== 'Pending', 5000);
    assert.equal(podOf(it, 'preemptor')?.status.phase, 'Running');
    // The one that is still in the API counts on.
    putPod(it, asking('1'), { name: 'late' });
    await it.world.advanceUntil(() => podOf(it, 'late')?.status.phase === 'Failed', 5000);
    assert.equal(podOf(it, 'late')?.status.reason, 'OutOfcpu');
  });

  test('a pod on its way out counts until the API has it no more', async () => {
    const it = rig(() => ({ stopDelayMs: 20_000 }));
    const containers = [{ name: 'main', image: 'nginx:1', resources: { requests: { cpu: '3' } } }];
    putPod(it, { containers });
    await it.world.advanceUntil(() => condition(podOf(it), 'Ready') === 'True', 5000);
    it.api.remove('Pod', 'web', 'default');
    putPod(it, { containers }, { name: 'next' });
    await it.world.advanceUntil(() => podOf(it, 'next')?.status.phase === 'Failed', 5000);
    assert.equal(podOf(it, 'next')?.status.reason, 'OutOfcpu');
  });
});

describe('the node', () => {
  test('registers, is Ready, and renews its lease every ten seconds', async () => {
    const it = rig();
    await it.world.advance(100);
    const node = it.api.get('Node', 'node-1') as Node;
    assert.equal(node.metadata.labels?.['kubernetes.io/hostname'], 'node-1');
    assert.deepEqual(node.status.allocatable?.cpu, '4');
    assert.equal(node.status.conditions?.find(({ type }) => type === 'Ready')?.reason, 'KubeletReady');
    const renewed = (): string => String((it.api.get('Lease', 'node-1', 'kube-node-lease') as Lease).spec?.renewTime);
    const first = renewed();
    await it.world.advance(10_000);
    assert.equal(Date.parse(renewed()) - Date.parse(first), 10_000);
    const writes = it.api.requests.filter((request) => request === 'PATCH /api/v1/nodes/node-1/status').length;
    await it.world.advance(299_000);
    assert.equal(
      it.api.requests.filter((request) => request === 'PATCH /api/v1/nodes/node-1/status').length,
      writes + 1,
      'quiet but for one heartbeat',
    );
  });

  test('says that the network is not ready, and when it is, at once', async () => {
    const it = rig();
    it.runtime.setNetworkReady(false);
    putPod(it);
    await it.world.advance(12_000);
    const ready = () => (it.api.get('Node', 'node-1') as Node).status.conditions?.find(({ type }) => type === 'Ready');
    assert.equal(ready()?.status, 'False');
    assert.match(ready()?.message ?? '', /^container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady/);
    it.runtime.setNetworkReady(true);
    await it.world.advance(300);
    assert.equal(ready()?.status, 'True');
  });

  test('leaves nothing behind when it is closed', async () => {
    const it = rig();
    putPod(it, { containers: [{ name: 'main', image: 'nginx:1', livenessProbe: { httpGet: { port: 80 } } }] });
    await it.world.advanceUntil(() => condition(podOf(it), 'Ready') === 'True', 5000);
    closeRigs();
    await it.world.advance(0);
    assert.equal(it.world.pendingTimers(), 0);
  });
});
