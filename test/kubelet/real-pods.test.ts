/** The kubelet's pods in Debian's containerd: what only a real kernel and a real runtime can show. The API is the kubelet's own small fake. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import type { Node, Pod } from '../../src/api/kinds.ts';
import type { V1Container, V1PodSpec } from '../../src/api/types.ts';
import { createInformers } from '../../src/client/informers.ts';
import { createClient } from '../../src/client/typed-client.ts';
import { loadImages } from '../../src/cluster/images/load.ts';
import { type FakeApi, fakeApi } from '../../src/kubelet/fake-api.ts';
import { type Kubelet, createKubelet } from '../../src/kubelet/kubelet.ts';
import { realWorld } from '../../src/world/real.ts';
import { type PrivateContainerd, privateContainerd } from '../containers/private-containerd.ts';
import { buildBusyboxImage } from '../images/debian-image.ts';

const world = realWorld({ level: process.env.KUBELET_LOG ?? 'silent' });

describe('pods in real containers', { skip: process.getuid?.() !== 0 && 'needs root' }, () => {
  let host: PrivateContainerd;
  let api: FakeApi;
  let kubelet: Kubelet;
  let stop: () => void;

  function start(): void {
    const client = createClient(api);
    const informers = createInformers(client, world);
    kubelet = createKubelet({
      world,
      client,
      informers,
      runtime: host.runtime,
      nodeName: 'node-1',
      nodeIps: ['192.0.2.1'],
      rootDir: join(host.directory, 'kubelet'),
      logRoot: join(host.directory, 'pod-logs'),
      cgroupPrefix: host.containerd.controlGroup,
      clusterDns: ['10.96.0.10'],
      clusterDomain: 'cluster.local',
      serverPort: 10250,
    });
    stop = () => {
      kubelet.close();
      informers.close();
    };
  }

  before(async () => {
    host = await privateContainerd(world, '10.201.9');
    await loadImages({ socket: host.containerd.socket, path: await buildBusyboxImage() });
    api = fakeApi(world);
    api.put({ kind: 'ConfigMap', metadata: { name: 'settings', namespace: 'default' }, data: { color: 'red', size: 'big' } });
    start();
  });
  after(async () => {
    for (const { metadata } of api.all('Pod')) api.remove('Pod', metadata.name, metadata.namespace, 1);
    await until(() => api.all('Pod').length === 0);
    stop();
    await host.close();
  });

  async function until(done: () => boolean, limitMs = 20_000): Promise<void> {
    const endMs = world.clock.now() + limitMs;
    while (!done()) {
      assert.ok(
        world.clock.now() < endMs,
        `still not so: ${JSON.stringify(api.all('Pod').map(({ metadata }) => pod(metadata.name)?.status))} ${said().join('\n')}`,
      );
      await pause(5);
    }
  }

  function said(): string[] {
    return api.all('Event').map((event) => JSON.stringify('message' in event ? event.message : ''));
  }

  function put(name: string, container: Partial<V1Container>, spec: Partial<V1PodSpec> = {}): Pod {
    const main: V1Container = {
      name: 'main',
      image: 'busybox',
      command: ['sh', '-c', 'trap "exit 0" TERM; while :; do sleep 0.1; done'],
      ...container,
    };
    const meta = { name, namespace: 'default', labels: { app: name } };
    return api.put({
      kind: 'Pod',
      metadata: meta,
      spec: { nodeName: 'node-1', restartPolicy: 'Always', containers: [main], ...spec },
      status: { phase: 'Pending' },
    }) as Pod;
  }

  function pod(name: string): Pod | undefined {
    return api.get('Pod', name, 'default') as Pod | undefined;
  }

  function isReady(name: string): boolean {
    return pod(name)?.status.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') === true;
  }

  async function output(name: string, command: string): Promise<string> {
    const id = kubelet.pods.container('default', name, 'main')?.id ?? '';
    const { stdout, stderr } = await host.runtime.execSync(id, ['sh', '-c', command], 10);
    return Buffer.concat([stdout, stderr]).toString('utf8').trim();
  }

  test('one starts, is reached, and leaves nothing behind', async () => {
    const startMs = world.clock.now();
    const made = put('simple', { imagePullPolicy: 'Always', resources: { requests: { cpu: '100m' }, limits: { memory: '64Mi' } } });
    await until(() => isReady('simple'));
    const tookMs = world.clock.now() - startMs;
    assert.match(pod('simple')?.status.podIP ?? '', /^10\.201\.9\./);
    assert.match(pod('simple')?.status.containerStatuses?.[0]?.containerID ?? '', /^containerd:\/\//);
    assert.equal(pod('simple')?.status.containerStatuses?.[0]?.image, 'docker.io/library/busybox:latest');
    assert.ok((await output('simple', 'cat /proc/self/cgroup')).includes(`/kubepods/burstable/pod${made.metadata.uid}/`));
    assert.match(
      await output('simple', 'cat /etc/resolv.conf'),
      /search default\.svc\.cluster\.local svc\.cluster\.local cluster\.local.*\nnameserver 10\.96\.0\.10\noptions ndots:5/s,
    );
    assert.match(await output('simple', 'cat /etc/hosts'), new RegExp(`${pod('simple')?.status.podIP}\tsimple`));
    assert.equal(await output('simple', 'hostname'), 'simple');
    const files = join(host.directory, 'kubelet/pods', made.metadata.uid);
    assert.ok(existsSync(files));
    assert.ok(existsSync(kubelet.pods.container('default', 'simple', 'main')?.logPath ?? ''));
    const stopMs = world.clock.now();
    api.remove('Pod', 'simple', 'default', 30);
    await until(() => pod('simple') === undefined);
    console.log(`# ready after ${tookMs} ms, gone after ${world.clock.now() - stopMs} ms`);
    assert.equal(existsSync(files), false);
    for (const root of ['/sys/fs/cgroup', '/sys/fs/cgroup/memory', '/sys/fs/cgroup/cpu']) {
      assert.equal(existsSync(join(root, host.containerd.controlGroup, 'kubepods/burstable', `pod${made.metadata.uid}`)), false);
    }
    await until(() => !existsSync(join(host.directory, 'pod-logs', `default_simple_${made.metadata.uid}`)));
  });

  test('volumes, environment and the downward API', async () => {
    put(
      'volumes',
      {
        env: [
          { name: 'COLOR', valueFrom: { configMapKeyRef: { name: 'settings', key: 'color' } } },
          { name: 'IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
        ],
        volumeMounts: [
          { name: 'config', mountPath: '/config' },
          { name: 'config', mountPath: '/one/size', subPath: 'size' },
          { name: 'scratch', mountPath: '/scratch' },
          { name: 'memory', mountPath: '/memory' },
          { name: 'all', mountPath: '/all', readOnly: true },
        ],
        securityContext: { runAsUser: 1000, runAsGroup: 1000 },
      },
      {
        securityContext: { fsGroup: 2000 },
        volumes: [
          { name: 'config', configMap: { name: 'settings' } },
          { name: 'scratch', emptyDir: {} },
          { name: 'memory', emptyDir: { medium: 'Memory', sizeLimit: '8Mi' } },
          {
            name: 'all',
            projected: {
              sources: [
                { serviceAccountToken: { path: 'token', expirationSeconds: 3607 } },
                { configMap: { name: 'settings', items: [{ key: 'size', path: 'deep/size' }] } },
                { downwardAPI: { items: [{ path: 'labels', fieldRef: { fieldPath: 'metadata.labels' } }] } },
              ],
            },
          },
        ],
      },
    );
    await until(() => isReady('volumes'));
    assert.equal(await output('volumes', 'cat /config/color /one/size; echo $COLOR'), 'redbigred');
    assert.equal(await output('volumes', 'echo $IP'), pod('volumes')?.status.podIP);
    assert.equal(await output('volumes', 'cat /all/deep/size /all/labels'), 'bigapp="volumes"');
    assert.match(await output('volumes', 'cat /all/token'), /^token-of-default/);
    assert.equal(
      await output('volumes', 'echo x > /scratch/x && echo y > /memory/y && stat -c %g /scratch/x && df /memory | tail -1 | cut -d" " -f1'),
      '2000\ntmpfs',
    );
    assert.match(await output('volumes', 'id'), /uid=1000 gid=1000 groups=(1000,)?2000/);
    assert.match(await output('volumes', 'echo x > /all/x'), /Read-only file system/);

    const configMap = api.get('ConfigMap', 'settings', 'default');
    await api.request({
      method: 'PUT',
      path: '/api/v1/namespaces/default/configmaps/settings',
      body: { ...configMap, data: { color: 'blue', size: 'small' } },
    });
    const endMs = world.clock.now() + 5000;
    while ((await output('volumes', 'cat /config/color')) !== 'blue') assert.ok(world.clock.now() < endMs);
    assert.equal(await output('volumes', 'cat /one/size'), 'big', 'a sub-path keeps the file it had');
    const { uid } = pod('volumes')?.metadata ?? { uid: '' };
    api.remove('Pod', 'volumes', 'default', 5);
    await until(() => pod('volumes') === undefined);
    assert.equal(readFileSync('/proc/self/mountinfo', 'utf8').includes(uid), false);
  });

  test('one that fails tells why, and starts again', async () => {
    put('failing', { command: ['sh', '-c', 'echo last words > /dev/termination-log; exit 7'] });
    await until(() => pod('failing')?.status.containerStatuses?.[0]?.lastState?.terminated !== undefined);
    await until(() => pod('failing')?.status.containerStatuses?.[0]?.state?.waiting?.reason === 'CrashLoopBackOff');
    const ended = pod('failing')?.status.containerStatuses?.[0]?.lastState?.terminated;
    assert.deepEqual([ended?.exitCode, ended?.reason, ended?.message], [7, 'Error', 'last words\n']);
    api.remove('Pod', 'failing', 'default', 5);
  });

  test('a command that is not there', async () => {
    put('missing', { command: ['/no/such/thing'] });
    await until(() => pod('missing')?.status.containerStatuses?.[0]?.state?.waiting?.reason !== 'ContainerCreating');
    await until(() => (pod('missing')?.status.containerStatuses?.[0]?.restartCount ?? 0) > 0);
    assert.equal(pod('missing')?.status.containerStatuses?.[0]?.lastState?.terminated?.reason, 'StartError');
    api.remove('Pod', 'missing', 'default', 5);
  });

  test('probes over the network and in the container', async () => {
    put(
      'probed',
      {
        command: ['sh', '-c', 'mkdir /www; echo ok > /www/healthz; exec httpd -f -p 8080 -h /www'],
        ports: [{ name: 'http', containerPort: 8080 }],
        startupProbe: { tcpSocket: { port: 8080 }, periodSeconds: 1, failureThreshold: 30 },
        readinessProbe: { httpGet: { path: '/healthz', port: 'http' }, periodSeconds: 1 },
        livenessProbe: { exec: { command: ['cat', '/www/healthz'] }, periodSeconds: 1, failureThreshold: 1 },
      },
      { terminationGracePeriodSeconds: 1 },
    );
    await until(() => isReady('probed'));
    await output('probed', 'rm /www/healthz');
    await until(() => pod('probed')?.status.containerStatuses?.[0]?.restartCount === 1 && isReady('probed'), 40_000);
    api.remove('Pod', 'probed', 'default', 1);
  });

  test('jobs end, init containers first', async () => {
    put(
      'job',
      { command: ['sh', '-c', 'cat /shared/x'], volumeMounts: [{ name: 'shared', mountPath: '/shared' }] },
      {
        restartPolicy: 'Never',
        volumes: [{ name: 'shared', emptyDir: {} }],
        initContainers: [
          {
            name: 'init',
            image: 'busybox',
            command: ['sh', '-c', 'echo hello > /shared/x'],
            volumeMounts: [{ name: 'shared', mountPath: '/shared' }],
          },
        ],
      },
    );
    await until(() => pod('job')?.status.phase === 'Succeeded');
    assert.match(readFileSync(kubelet.pods.container('default', 'job', 'main')?.logPath ?? '', 'utf8'), / stdout F hello\n$/);
  });

  test('a restarted kubelet touches no container', async () => {
    put('steady', {});
    await until(() => isReady('steady'));
    const before = pod('steady');
    stop();
    start();
    await kubelet.started;
    await until(() => kubelet.pods.container('default', 'steady', 'main')?.running === true);
    await pause(300);
    assert.deepEqual(pod('steady')?.status, before?.status);
    const node = api.get('Node', 'node-1') as Node;
    assert.equal(node.status.conditions?.find(({ type }) => type === 'Ready')?.status, 'True');
  });

  test('hooks, host paths and the host network', async () => {
    const shared = join(host.directory, 'shared');
    const tell = (word: string) => ({ exec: { command: ['sh', '-c', `echo ${word} >> /shared/said`] } });
    put(
      'hooked',
      {
        env: [{ name: 'WORD', value: 'begun' }],
        args: ['$(WORD)'],
        command: ['sh', '-c', 'trap "exit 0" TERM; echo $0 >> /shared/said; while :; do sleep 0.1; done'],
        lifecycle: {
          postStart: { exec: { command: ['sh', '-c', 'until [ -s /shared/said ]; do sleep 0.05; done; echo started >> /shared/said'] } },
          preStop: tell('stopping'),
        },
        volumeMounts: [{ name: 'shared', mountPath: '/shared' }],
      },
      { hostNetwork: true, volumes: [{ name: 'shared', hostPath: { path: shared, type: 'DirectoryOrCreate' } }] },
    );
    await until(() => isReady('hooked'));
    assert.equal(pod('hooked')?.status.podIP, '192.0.2.1');
    assert.ok((await output('hooked', 'ip link')).includes('kt102019'), "the host's interfaces are there");
    await until(() => readFileSync(join(shared, 'said'), 'utf8').includes('started'));
    api.remove('Pod', 'hooked', 'default', 10);
    await until(() => pod('hooked') === undefined);
    assert.deepEqual(readFileSync(join(shared, 'said'), 'utf8').trim().split('\n'), ['begun', 'started', 'stopping']);
    assert.ok(existsSync(join(shared, 'said')), "a host path is not the pod's to remove");
  });

  test('one that takes too much memory is killed for it', async () => {
    put('hungry', { command: ['sh', '-c', 'x=a; while :; do x=$x$x; done'], resources: { limits: { memory: '16Mi' } } }, { restartPolicy: 'Never' });
    await until(() => pod('hungry')?.status.phase === 'Failed');
    const ended = pod('hungry')?.status.containerStatuses?.[0]?.state?.terminated;
    assert.deepEqual([ended?.reason, ended?.exitCode], ['OOMKilled', 137]);
  });

  test('one that must not run as root does not', async () => {
    put('rootless', { securityContext: { runAsNonRoot: true } });
    await until(() => pod('rootless')?.status.containerStatuses?.[0]?.state?.waiting?.reason === 'CreateContainerConfigError');
    assert.match(
      pod('rootless')?.status.containerStatuses?.[0]?.state?.waiting?.message ?? '',
      /^container has runAsNonRoot and image will run as root \(pod: "rootless_default\(.*\)", container: main\)$/,
    );
    put('secure', {
      securityContext: { runAsUser: 1000, readOnlyRootFilesystem: true, allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
    });
    await until(() => isReady('secure'));
    const facts = await output('secure', 'id -u; touch /x 2>&1; grep -E "^(CapEff|NoNewPrivs)" /proc/1/status');
    assert.match(facts, /^1000\n.*Read-only file system\nCapEff:\s+0+\nNoNewPrivs:\s+1$/);
    api.remove('Pod', 'rootless', 'default', 0);
  });

  test('twenty at once', async () => {
    const startMs = world.clock.now();
    for (let count = 0; count < 20; count++) put(`many-${count}`, {});
    await until(() => Array.from({ length: 20 }, (_, count) => isReady(`many-${count}`)).every(Boolean), 60_000);
    console.log(`# twenty ready after ${world.clock.now() - startMs} ms`);
  });
});
