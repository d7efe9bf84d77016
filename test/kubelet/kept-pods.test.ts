/** What a node does with pods while they run: gives them other resources, runs those of files, ends those that take too much, lets go of its memory of none. */
import assert from 'node:assert/strict';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Pod } from '../../src/api/kinds.ts';
import type { V1Container, V1ResourceRequirements } from '../../src/api/types.ts';
import { manifestDirectory } from '../../src/kubelet/static-pods/manifest-directory.ts';
import { defaultPlacement } from '../../src/kubelet/configuration/placement-settings.ts';
import { realWorld } from '../../src/world/real.ts';
import { type RealKubelet, realKubelet } from './real-kubelet.ts';

const world = realWorld({ level: process.env.KUBELET_LOG ?? 'silent' });

describe('pods while they run', { skip: process.getuid?.() !== 0 && 'needs root' }, () => {
  let it: RealKubelet;
  let manifests: string;

  before(async () => {
    it = await realKubelet(world, '10.201.14', ({ directory }) => {
      manifests = join(directory, 'manifests');
      return { manifests: manifestDirectory(manifests, world), settings: { allowedUnsafeSysctls: ['kernel.msg*'] } };
    });
    await mkdir(manifests, { recursive: true });
  });
  after(() => it.close());

  /** What the kernel was told: of version 1 or 2, whichever it has. */
  async function limits(cgroup: string): Promise<{ memory: number; cpu: number }> {
    const read = async (...paths: string[]): Promise<string> => {
      for (const path of paths) if (existsSync(path)) return (await readFile(path, 'utf8')).trim();
      throw new Error(`none of ${paths.join(', ')} is there`);
    };
    const memory = await read(`/sys/fs/cgroup/memory${cgroup}/memory.limit_in_bytes`, `/sys/fs/cgroup${cgroup}/memory.max`);
    const cpu = await read(`/sys/fs/cgroup/cpu${cgroup}/cpu.cfs_quota_us`, `/sys/fs/cgroup${cgroup}/cpu.max`);
    return { memory: Number(memory), cpu: Number(cpu.split(' ')[0]) };
  }

  async function resize(name: string, resources: V1ResourceRequirements): Promise<void> {
    const pod = it.pod(name) as Pod;
    const containers = pod.spec.containers.map((container) => ({ ...container, resources }));
    const metadata = { ...pod.metadata, generation: (pod.metadata.generation ?? 1) + 1 };
    await it.api.request({
      method: 'PUT',
      path: `/api/v1/namespaces/default/pods/${name}`,
      body: { ...pod, metadata, spec: { ...pod.spec, containers } },
    });
  }

  const amounts = (cpu: string, memory: string): V1ResourceRequirements => ({ requests: { cpu, memory }, limits: { cpu, memory } });

  test('get other resources without a restart: the kernel says so', async () => {
    const { uid } = it.put('resized', { resources: amounts('200m', '32Mi') }).metadata;
    await it.until(() => it.isReady('resized'));
    const pod = `${it.host.containerd.controlGroup}/kubepods/pod${uid}`;
    const container = join(pod, it.main('resized')?.containerID?.split('://')[1] ?? '');
    assert.deepEqual(await limits(pod), { memory: 32 * 2 ** 20, cpu: 20_000 });
    for (const [cpu, memory, wanted] of [
      ['400m', '64Mi', { memory: 64 * 2 ** 20, cpu: 40_000 }],
      ['100m', '24Mi', { memory: 24 * 2 ** 20, cpu: 10_000 }],
    ] as const) {
      await resize('resized', amounts(cpu, memory));
      await it.until(() => it.main('resized')?.resources?.limits?.memory === memory);
      await it.until(async () => (await limits(pod)).memory === wanted.memory);
      assert.deepEqual(await limits(pod), wanted);
      assert.deepEqual(await limits(container), wanted);
    }
    assert.equal(it.main('resized')?.restartCount, 0);
    await it.until(() => it.events().filter((event) => event.startsWith('ResizeCompleted')).length === 2);
    assert.equal(
      it.pod('resized')?.status.conditions?.some(({ type }) => type.startsWith('PodResize')),
      false,
    );
  });

  test('keep the memory that they use, and give it when they do not', async () => {
    const volumeMounts = [{ name: 'memory', mountPath: '/memory' }];
    const volumes = [{ name: 'memory', emptyDir: { medium: 'Memory' } }];
    it.put('shrinking', { resources: amounts('200m', '64Mi'), volumeMounts }, { volumes });
    await it.until(() => it.isReady('shrinking'));
    await it.output('shrinking', 'dd if=/dev/zero of=/memory/x bs=1M count=40');
    await resize('shrinking', amounts('200m', '24Mi'));
    const condition = () => it.pod('shrinking')?.status.conditions?.find(({ type }) => type === 'PodResizeInProgress');
    await it.until(() => condition()?.reason === 'Error');
    assert.match(condition()?.message ?? '', /^attempting to set container "main" memory limit \(25165824\) below current usage \(4\d{7}\)$/);
    assert.equal(it.main('shrinking')?.resources?.limits?.memory, '64Mi');
    await it.output('shrinking', 'rm /memory/x');
    await it.until(() => it.main('shrinking')?.resources?.limits?.memory === '24Mi');
    assert.deepEqual([it.main('shrinking')?.restartCount, condition()], [0, undefined]);
  });

  test('get other resources as a whole, and their containers with them', async () => {
    const { uid } = it.put('whole', {}, { resources: amounts('200m', '32Mi') }).metadata;
    await it.until(() => it.isReady('whole'));
    const cgroup = `${it.host.containerd.controlGroup}/kubepods/pod${uid}`;
    const container = join(cgroup, it.main('whole')?.containerID?.split('://')[1] ?? '');
    for (const path of [cgroup, container]) assert.deepEqual(await limits(path), { memory: 32 * 2 ** 20, cpu: 20_000 });
    const pod = it.pod('whole') as Pod;
    await it.api.request({
      method: 'PUT',
      path: '/api/v1/namespaces/default/pods/whole',
      body: { ...pod, metadata: { ...pod.metadata, generation: 2 }, spec: { ...pod.spec, resources: amounts('300m', '48Mi') } },
    });
    await it.until(() => it.pod('whole')?.status.resources?.limits?.memory === '48Mi');
    for (const path of [cgroup, container]) assert.deepEqual(await limits(path), { memory: 48 * 2 ** 20, cpu: 30_000 });
    assert.equal(it.main('whole')?.restartCount, 0);
  });

  test('come from files: added, changed, spoiled, removed', async () => {
    const file = join(manifests, 'web.yaml');
    const manifest = (word: string): string => `apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  terminationGracePeriodSeconds: 1
  containers: [{name: main, image: busybox, imagePullPolicy: IfNotPresent, command: [sh, -c, 'trap "exit 0" TERM; echo ${word}; while :; do sleep 0.1; done']}]
`;
    const said = async (): Promise<string> => {
      const path = it.kubelet.pods.container('default', 'web-node-1', 'main')?.logPath ?? '';
      return existsSync(path) ? readFile(path, 'utf8') : '';
    };
    await writeFile(file, manifest('first'));
    await it.until(() => it.isReady('web-node-1'));
    assert.match(await said(), /first\n$/);
    const mirror = it.pod('web-node-1');
    assert.equal(mirror?.metadata.annotations?.['kubernetes.io/config.source'], 'file');
    it.api.remove('Pod', 'web-node-1', 'default', 0);
    await it.until(() => it.isReady('web-node-1'));
    assert.notEqual(it.pod('web-node-1')?.metadata.uid, mirror?.metadata.uid);
    assert.equal(it.main('web-node-1')?.containerID, mirror?.status.containerStatuses?.[0]?.containerID, 'the pod itself ran on');
    await writeFile(file, manifest('second'));
    await it.until(async () => it.isReady('web-node-1') && (await said()).endsWith('second\n'));
    await writeFile(file, 'spoiled: {');
    it.put('meanwhile');
    await it.until(() => it.isReady('meanwhile'));
    assert.equal(it.isReady('web-node-1'), true);
    await rm(file);
    await it.until(() => it.pod('web-node-1') === undefined);
    await it.until(async () => !(await it.host.runtime.listPodSandboxes()).some(({ name }) => name === 'web-node-1'));
  });

  test('are ended when their emptyDir outgrows its limit', async () => {
    it.put(
      'hoarder',
      {
        command: ['sh', '-c', 'dd if=/dev/zero of=/scratch/file bs=1M count=3; sleep 1000'],
        volumeMounts: [{ name: 'scratch', mountPath: '/scratch' }],
      },
      { volumes: [{ name: 'scratch', emptyDir: { sizeLimit: '1Mi' } }] },
    );
    await it.until(() => it.pod('hoarder')?.status.phase === 'Failed', 60_000);
    assert.equal(it.pod('hoarder')?.status.reason, 'Evicted');
    assert.equal(it.pod('hoarder')?.status.message, 'Usage of EmptyDir volume "scratch" exceeds the limit "1Mi". ');
    assert.ok(it.events().includes('Evicted: Usage of EmptyDir volume "scratch" exceeds the limit "1Mi". '));
  });

  test('get the sysctls they may have, and those alone', async () => {
    const sysctls = (name: string, value: string) => ({ securityContext: { sysctls: [{ name, value }] } });
    it.put('safe', {}, sysctls('net.ipv4.ip_unprivileged_port_start', '99'));
    it.put('allowed', {}, sysctls('kernel.msgmax', '65000'));
    it.put('forbidden', {}, sysctls('kernel.sem', '1'));
    await it.until(() => it.isReady('safe') && it.isReady('allowed') && it.pod('forbidden')?.status.phase === 'Failed');
    assert.equal(await it.output('safe', 'cat /proc/sys/net/ipv4/ip_unprivileged_port_start'), '99');
    assert.equal(await it.output('allowed', 'cat /proc/sys/kernel/msgmax'), '65000');
    assert.equal(it.pod('forbidden')?.status.reason, 'SysctlForbidden');
    it.put('mapped', {}, { hostUsers: false });
    await it.until(() => it.events().some((event) => /^FailedCreatePodSandBox: .*runtime does not support user namespaces/.test(event)));
  });

  test('are looked into by an ephemeral container, which sees the processes of its target', async () => {
    it.put('watched', { command: ['sleep', '12345'] });
    await it.until(() => it.isReady('watched'));
    const pod = it.pod('watched') as Pod;
    const look = { name: 'look', image: 'busybox', command: ['sh', '-c', 'ps; sleep 1000'], targetContainerName: 'main' };
    await it.api.request({
      method: 'PUT',
      path: '/api/v1/namespaces/default/pods/watched',
      body: { ...pod, spec: { ...pod.spec, ephemeralContainers: [look] } },
    });
    await it.until(() => it.pod('watched')?.status.ephemeralContainerStatuses?.[0]?.state?.running !== undefined);
    const log = it.kubelet.pods.container('default', 'watched', 'look')?.logPath ?? '';
    await it.until(async () => (await readFile(log, 'utf8')).includes('sleep 12345'));
  });

  test('and a container restarted by its own rule keeps its last end', async () => {
    const restartPolicyRules = [{ action: 'Restart', exitCodes: { operator: 'In', values: [42] } }];
    it.put(
      'ruled',
      {
        command: ['sh', '-c', 'test -f /v/tried && exit 0; touch /v/tried; exit 42'],
        restartPolicy: 'Never',
        restartPolicyRules,
        volumeMounts: [{ name: 'v', mountPath: '/v' }],
      },
      { restartPolicy: 'Never', volumes: [{ name: 'v', emptyDir: {} }] },
    );
    await it.until(() => it.pod('ruled')?.status.phase === 'Succeeded');
    assert.deepEqual([it.main('ruled')?.restartCount, it.main('ruled')?.lastState?.terminated?.exitCode], [1, 42]);
  });
});

describe('a pod that starts anew as a whole', { skip: process.getuid?.() !== 0 && 'needs root' }, () => {
  test('when one of its containers exits so: init containers run again, the address stays, hooks are left out', async () => {
    const it = await realKubelet(world, '10.201.24');
    try {
      const volumeMounts = [{ name: 'v', mountPath: '/v' }];
      const restartPolicyRules = [{ action: 'RestartAllContainers', exitCodes: { operator: 'In', values: [88] } }];
      const sleeps = 'trap "exit 0" TERM; while :; do sleep 0.1; done';
      const shell = (name: string, command: string): V1Container => ({ name, image: 'busybox', command: ['sh', '-c', command], volumeMounts });
      it.put(
        'renewed',
        {},
        {
          restartPolicy: 'Never',
          volumes: [{ name: 'v', emptyDir: {} }],
          initContainers: [shell('setup', 'echo setup >> /v/log')],
          containers: [
            { ...shell('main', sleeps), lifecycle: { preStop: { exec: { command: ['touch', '/v/hooked'] } } } },
            { ...shell('watcher', `while [ ! -f /v/go ]; do sleep 0.1; done; rm /v/go; exit 88`), restartPolicy: 'Never', restartPolicyRules },
          ],
        },
      );
      await it.until(() => it.isReady('renewed'));
      const before = it.pod('renewed')?.status;
      assert.equal(before?.conditions?.find(({ type }) => type === 'AllContainersRestarting')?.status, 'False');
      await it.output('renewed', 'touch /v/go');
      await it.until(() => it.main('renewed')?.restartCount === 1 && it.isReady('renewed'));
      const after = it.pod('renewed')?.status;
      const statuses = [...(after?.initContainerStatuses ?? []), ...(after?.containerStatuses ?? [])];
      assert.deepEqual(
        statuses.map(({ name, restartCount }) => [name, restartCount]),
        [
          ['setup', 1],
          ['main', 1],
          ['watcher', 1],
        ],
      );
      assert.equal(statuses.find(({ name }) => name === 'watcher')?.lastState?.terminated?.exitCode, 88);
      assert.equal(after?.podIP, before?.podIP);
      assert.equal(await it.output('renewed', 'cat /v/log; ls /v'), 'setup\nsetup\nlog');
      assert.equal(after?.conditions?.find(({ type }) => type === 'AllContainersRestarting')?.status, 'False');
    } finally {
      await it.close();
    }
  });
});

describe('whole CPUs on a node that gives them', { skip: process.getuid?.() !== 0 && 'needs root' }, () => {
  test('belong to one container, also for a new kubelet, and the others keep off', async () => {
    const settings = {
      placement: {
        ...defaultPlacement,
        cpuPolicy: 'static' as const,
        reservedCpus: '0',
        memoryPolicy: 'Static' as const,
        // What eviction keeps free, and nothing else, is kept back.
        reservedMemory: new Map([[0, 100 * 2 ** 20]]),
        topologyPolicy: 'single-numa-node' as const,
      },
    };
    const it = await realKubelet(world, '10.201.15', () => ({ settings }));
    try {
      const allowed = (name: string): Promise<string> => it.output(name, 'grep Cpus_allowed_list /proc/1/status | cut -f2');
      it.put('shares');
      await it.until(() => it.isReady('shares'));
      const before = await allowed('shares');
      it.put('owns', { resources: { limits: { cpu: '1', memory: '32Mi' } } });
      await it.until(() => it.isReady('owns'));
      assert.equal(await allowed('owns'), '1');
      assert.equal(await it.output('owns', 'cat /sys/fs/cgroup/cpuset/cpuset.mems 2>/dev/null || cat /sys/fs/cgroup/cpuset.mems.effective'), '0');
      const kept = async (file: string): Promise<unknown> => JSON.parse(await readFile(join(it.host.directory, 'kubelet', file), 'utf8')).entries;
      await it.until(async () => Object.keys((await kept('cpu_manager_state').catch(() => ({}))) ?? {}).length === 1);
      const { uid } = it.pod('owns')?.metadata ?? { uid: '' };
      assert.deepEqual(await kept('cpu_manager_state'), { [uid]: { main: '1' } });
      assert.deepEqual(await kept('memory_manager_state'), { [uid]: { main: [{ numaAffinity: [0], type: 'memory', size: 32 * 2 ** 20 }] } });
      it.put('too-late', { resources: { limits: { cpu: '1', memory: '32Mi' } } });
      await it.until(() => it.pod('too-late')?.status.phase === 'Failed');
      assert.equal(it.pod('too-late')?.status.reason, 'TopologyAffinityError');
      assert.equal(it.pod('too-late')?.status.message, 'Pod was rejected: Resources cannot be allocated with Topology locality');
      await it.until(async () => !(await allowed('shares')).includes('1'));
      it.stop();
      it.start();
      await it.kubelet.started;
      it.put('late');
      await it.until(() => it.isReady('late'));
      assert.equal((await allowed('late')).includes('1'), false);
      it.api.remove('Pod', 'owns', 'default', 1);
      await it.until(async () => (await allowed('shares')) === before);
    } finally {
      await it.close();
    }
  });
});
