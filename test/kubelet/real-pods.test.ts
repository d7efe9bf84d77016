/** The kubelet's pods in Debian's containerd: what only a real kernel and a real runtime can show. The API is the kubelet's own small fake. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import type { Node } from '../../src/api/kinds.ts';
import { realWorld } from '../../src/world/real.ts';
import { type RealKubelet, realKubelet } from './real-kubelet.ts';

const world = realWorld({ level: process.env.KUBELET_LOG ?? 'silent' });

describe('pods in real containers', { skip: process.getuid?.() !== 0 && 'needs root' }, () => {
  let real: RealKubelet;
  before(async () => {
    real = await realKubelet(world, '10.201.9');
    real.api.put({ kind: 'ConfigMap', metadata: { name: 'settings', namespace: 'default' }, data: { color: 'red', size: 'big' } });
  });
  after(() => real.close());

  test('one starts, is reached, and leaves nothing behind', async () => {
    const startMs = world.clock.now();
    const made = real.put('simple', { imagePullPolicy: 'Always', resources: { requests: { cpu: '100m' }, limits: { memory: '64Mi' } } });
    await real.until(() => real.isReady('simple'));
    const tookMs = world.clock.now() - startMs;
    assert.match(real.pod('simple')?.status.podIP ?? '', /^10\.201\.9\./);
    assert.match(real.pod('simple')?.status.containerStatuses?.[0]?.containerID ?? '', /^containerd:\/\//);
    assert.equal(real.pod('simple')?.status.containerStatuses?.[0]?.image, 'docker.io/library/busybox:latest');
    assert.ok((await real.output('simple', 'cat /proc/self/cgroup')).includes(`/kubepods/burstable/pod${made.metadata.uid}/`));
    assert.match(
      await real.output('simple', 'cat /etc/resolv.conf'),
      /search default\.svc\.cluster\.local svc\.cluster\.local cluster\.local.*\nnameserver 10\.96\.0\.10\noptions ndots:5/s,
    );
    assert.match(await real.output('simple', 'cat /etc/hosts'), new RegExp(`${real.pod('simple')?.status.podIP}\tsimple`));
    assert.equal(await real.output('simple', 'hostname'), 'simple');
    const files = join(real.host.directory, 'kubelet/pods', made.metadata.uid);
    assert.ok(existsSync(files));
    assert.ok(existsSync(real.kubelet.pods.container('default', 'simple', 'main')?.logPath ?? ''));
    const stopMs = world.clock.now();
    real.api.remove('Pod', 'simple', 'default', 30);
    await real.until(() => real.pod('simple') === undefined);
    console.log(`# ready after ${tookMs} ms, gone after ${world.clock.now() - stopMs} ms`);
    assert.equal(existsSync(files), false);
    for (const root of ['/sys/fs/cgroup', '/sys/fs/cgroup/memory', '/sys/fs/cgroup/cpu']) {
      assert.equal(existsSync(join(root, real.host.containerd.controlGroup, 'kubepods/burstable', `pod${made.metadata.uid}`)), false);
    }
    await real.until(() => !existsSync(join(real.host.directory, 'pod-logs', `default_simple_${made.metadata.uid}`)));
  });

  test('volumes, environment and the downward API', async () => {
    real.put(
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
    await real.until(() => real.isReady('volumes'));
    assert.equal(await real.output('volumes', 'cat /config/color /one/size; echo $COLOR'), 'redbigred');
    assert.equal(await real.output('volumes', 'echo $IP'), real.pod('volumes')?.status.podIP);
    assert.equal(await real.output('volumes', 'cat /all/deep/size /all/labels'), 'bigapp="volumes"');
    assert.match(await real.output('volumes', 'cat /all/token'), /^token-of-default/);
    assert.equal(
      await real.output('volumes', 'echo x > /scratch/x && echo y > /memory/y && stat -c %g /scratch/x && df /memory | tail -1 | cut -d" " -f1'),
      '2000\ntmpfs',
    );
    assert.match(await real.output('volumes', 'id'), /uid=1000 gid=1000 groups=(1000,)?2000/);
    assert.match(await real.output('volumes', 'echo x > /all/x'), /Read-only file system/);

    const configMap = real.api.get('ConfigMap', 'settings', 'default');
    await real.api.request({
      method: 'PUT',
      path: '/api/v1/namespaces/default/configmaps/settings',
      body: { ...configMap, data: { color: 'blue', size: 'small' } },
    });
    const endMs = world.clock.now() + 5000;
    while ((await real.output('volumes', 'cat /config/color')) !== 'blue') assert.ok(world.clock.now() < endMs);
    assert.equal(await real.output('volumes', 'cat /one/size'), 'big', 'a sub-path keeps the file it had');
    const { uid } = real.pod('volumes')?.metadata ?? { uid: '' };
    real.api.remove('Pod', 'volumes', 'default', 5);
    await real.until(() => real.pod('volumes') === undefined);
    assert.equal(readFileSync('/proc/self/mountinfo', 'utf8').includes(uid), false);
  });

  test('one that fails tells why, and starts again', async () => {
    real.put('failing', { command: ['sh', '-c', 'echo last words > /dev/termination-log; exit 7'] });
    await real.until(() => real.pod('failing')?.status.containerStatuses?.[0]?.lastState?.terminated !== undefined);
    await real.until(() => real.pod('failing')?.status.containerStatuses?.[0]?.state?.waiting?.reason === 'CrashLoopBackOff');
    const ended = real.pod('failing')?.status.containerStatuses?.[0]?.lastState?.terminated;
    assert.deepEqual([ended?.exitCode, ended?.reason, ended?.message], [7, 'Error', 'last words\n']);
    real.api.remove('Pod', 'failing', 'default', 5);
  });

  test('a command that is not there', async () => {
    real.put('missing', { command: ['/no/such/thing'] });
    await real.until(() => real.pod('missing')?.status.containerStatuses?.[0]?.state?.waiting?.reason !== 'ContainerCreating');
    await real.until(() => (real.pod('missing')?.status.containerStatuses?.[0]?.restartCount ?? 0) > 0);
    assert.equal(real.pod('missing')?.status.containerStatuses?.[0]?.lastState?.terminated?.reason, 'StartError');
    real.api.remove('Pod', 'missing', 'default', 5);
  });

  test('probes over the network and in the container', async () => {
    real.put(
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
    await real.until(() => real.isReady('probed'));
    await real.output('probed', 'rm /www/healthz');
    await real.until(() => real.pod('probed')?.status.containerStatuses?.[0]?.restartCount === 1 && real.isReady('probed'), 40_000);
    real.api.remove('Pod', 'probed', 'default', 1);
  });

  test('jobs end, init containers first', async () => {
    real.put(
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
    await real.until(() => real.pod('job')?.status.phase === 'Succeeded');
    assert.match(readFileSync(real.kubelet.pods.container('default', 'job', 'main')?.logPath ?? '', 'utf8'), / stdout F hello\n$/);
  });

  test('a restarted kubelet touches no container', async () => {
    real.put('steady', {});
    await real.until(() => real.isReady('steady'));
    const before = real.pod('steady');
    real.stop();
    real.start();
    await real.kubelet.started;
    await real.until(() => real.kubelet.pods.container('default', 'steady', 'main')?.running === true);
    await pause(300);
    assert.deepEqual(real.pod('steady')?.status, before?.status);
    const node = real.api.get('Node', 'node-1') as Node;
    assert.equal(node.status.conditions?.find(({ type }) => type === 'Ready')?.status, 'True');
  });

  test('hooks, host paths and the host network', async () => {
    const shared = join(real.host.directory, 'shared');
    const tell = (word: string) => ({ exec: { command: ['sh', '-c', `echo ${word} >> /shared/said`] } });
    real.put(
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
    await real.until(() => real.isReady('hooked'));
    assert.equal(real.pod('hooked')?.status.podIP, '192.0.2.1');
    assert.ok((await real.output('hooked', 'ip link')).includes('kt102019'), "the host's interfaces are there");
    await real.until(() => readFileSync(join(shared, 'said'), 'utf8').includes('started'));
    real.api.remove('Pod', 'hooked', 'default', 10);
    await real.until(() => real.pod('hooked') === undefined);
    assert.deepEqual(readFileSync(join(shared, 'said'), 'utf8').trim().split('\n'), ['begun', 'started', 'stopping']);
    assert.ok(existsSync(join(shared, 'said')), "a host path is not the pod's to remove");
  });

  test('one that takes too much memory is killed for it', async () => {
    real.put(
      'hungry',
      { command: ['sh', '-c', 'x=a; while :; do x=$x$x; done'], resources: { limits: { memory: '16Mi' } } },
      { restartPolicy: 'Never' },
    );
    await real.until(() => real.pod('hungry')?.status.phase === 'Failed');
    const ended = real.pod('hungry')?.status.containerStatuses?.[0]?.state?.terminated;
    assert.deepEqual([ended?.reason, ended?.exitCode], ['OOMKilled', 137]);
  });

  test('one that must not run as root does not', async () => {
    real.put('rootless', { securityContext: { runAsNonRoot: true } });
    await real.until(() => real.pod('rootless')?.status.containerStatuses?.[0]?.state?.waiting?.reason === 'CreateContainerConfigError');
    assert.match(
      real.pod('rootless')?.status.containerStatuses?.[0]?.state?.waiting?.message ?? '',
      /^container has runAsNonRoot and image will run as root \(pod: "rootless_default\(.*\)", container: main\)$/,
    );
    real.put('secure', {
      securityContext: { runAsUser: 1000, readOnlyRootFilesystem: true, allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
    });
    await real.until(() => real.isReady('secure'));
    const facts = await real.output('secure', 'id -u; touch /x 2>&1; grep -E "^(CapEff|NoNewPrivs)" /proc/1/status');
    assert.match(facts, /^1000\n.*Read-only file system\nCapEff:\s+0+\nNoNewPrivs:\s+1$/);
    real.api.remove('Pod', 'rootless', 'default', 0);
  });

  test('twenty at once', async () => {
    const startMs = world.clock.now();
    for (let count = 0; count < 20; count++) real.put(`many-${count}`, {});
    await real.until(() => Array.from({ length: 20 }, (_, count) => real.isReady(`many-${count}`)).every(Boolean), 60_000);
    console.log(`# twenty ready after ${world.clock.now() - startMs} ms`);
  });
});
