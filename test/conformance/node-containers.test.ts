/**
 * The conformance behaviours of sig-node and of the kubelet about what a container finds, on real containers of one cluster, several pods at once; each test
 * bears the behaviour's name. Those about a pod's life are in `node-lives.test.ts`; those that are only about the API (`node-control.test.ts`) need no container.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { ConfigMap, Node, Pod } from '../../src/api/kinds.ts';
import { parseQuantity } from '../../src/machinery/quantity.ts';
import { eventually } from '../support/cluster-under-test.ts';
import { isRunning, loadEchoImage, once, type PodSpec, type RealPods, shell, startRealPods } from './real-pods.ts';

let pods: RealPods;
let echoImage = '';

before(async () => {
  pods = await startRealPods();
  echoImage = await loadEchoImage(pods.cluster);
});

after(() => pods.close());

describe('several at once', { concurrency: 8 }, () => {
  commands();
  subpaths();
  streams();
  security();
  environment();
});

function commands(): void {
  const echo = (more: object): Partial<PodSpec> => ({ restartPolicy: 'Never', containers: [{ name: 'main', image: echoImage, ...more }] });

  test("[k8s.io] Docker Containers should be able to override the image's default arguments (docker cmd) [NodeConformance] [Conformance]", async () => {
    assert.equal(await pods.outputOf('override-arguments', echo({ args: ['override', 'arguments'] })), 'entry point: override arguments\n');
  });

  test("[k8s.io] Docker Containers should be able to override the image's default command (docker entrypoint) [NodeConformance] [Conformance]", async () => {
    // The image's arguments belong to its own command and go with it.
    assert.equal(await pods.outputOf('override-command', echo({ command: ['/bin/busybox', 'echo', 'other'] })), 'other\n');
  });

  test("[k8s.io] Docker Containers should be able to override the image's default command and arguments [NodeConformance] [Conformance]", async () => {
    const both = { command: ['/bin/busybox', 'echo', 'other:'], args: ['override', 'arguments'] };
    assert.equal(await pods.outputOf('override-all', echo(both)), 'other: override arguments\n');
  });

  test('[k8s.io] Docker Containers should use the image defaults if command and args are blank [NodeConformance] [Conformance]', async () => {
    assert.equal(await pods.outputOf('use-defaults', echo({})), 'entry point: default arguments\n');
  });

  test('[k8s.io] Variable Expansion should allow composing env vars into new env vars [NodeConformance] [Conformance]', async () => {
    const env = [
      { name: 'FOO', value: 'foo-value' },
      { name: 'BAR', value: 'bar-value' },
      { name: 'FOOBAR', value: '$(FOO);;$(BAR)' },
    ];
    const lines = (await pods.outputOf('compose-env', once('env', { env }))).split('\n');
    for (const line of ['FOO=foo-value', 'BAR=bar-value', 'FOOBAR=foo-value;;bar-value']) assert.ok(lines.includes(line), line);
  });

  test("[k8s.io] Variable Expansion should allow substituting values in a container's command [NodeConformance] [Conformance]", async () => {
    const script = 'TEST_VAR=wrong echo "$(TEST_VAR)"';
    assert.equal(await pods.outputOf('expand-command', once(script, { env: [{ name: 'TEST_VAR', value: 'test-value' }] })), 'test-value\n');
  });

  test("[k8s.io] Variable Expansion should allow substituting values in a container's args [NodeConformance] [Conformance]", async () => {
    const more = { command: ['sh', '-c'], args: ['TEST_VAR=wrong echo "$(TEST_VAR)"'], env: [{ name: 'TEST_VAR', value: 'test-value' }] };
    assert.equal(await pods.outputOf('expand-args', once('', more)), 'test-value\n');
  });
}

function subpaths(): void {
  const annotation = { name: 'ANNOTATION', valueFrom: { fieldRef: { fieldPath: "metadata.annotations['mysubpath']" } } };
  const podName = { name: 'POD_NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } };
  const volumes = [{ name: 'workdir1', emptyDir: {} }];
  const mountedAt = (subPathExpr: string): { name: string; mountPath: string; subPathExpr: string } => ({
    name: 'workdir1',
    mountPath: '/subpath_mount',
    subPathExpr,
  });
  const waits = ({ status }: Pod): boolean => status.containerStatuses?.[0]?.state?.waiting?.reason === 'CreateContainerConfigError';

  test('[k8s.io] Variable Expansion should fail substituting values in a volume subpath with absolute path [sig-storage][Slow] [Conformance]', async () => {
    const env = [{ name: 'POD_NAME', value: '/tmp' }];
    await pods.create('absolute-subpath', { volumes, containers: [shell('sleep 1000', { env, volumeMounts: [mountedAt('$(POD_NAME)')] })] });
    const { status } = await pods.until('absolute-subpath', 'is refused', waits);
    assert.equal(status.phase, 'Pending');
    assert.match(status.containerStatuses?.[0]?.state?.waiting?.message ?? '', /must not be an absolute path/);
    await pods.of(Pod).delete('absolute-subpath');
  });

  test('[k8s.io] Variable Expansion should fail substituting values in a volume subpath with backticks [sig-storage][Slow] [Conformance]', async () => {
    const env = [{ name: 'POD_NAME', value: '..' }];
    await pods.create('backsteps-subpath', { volumes, containers: [shell('sleep 1000', { env, volumeMounts: [mountedAt('$(POD_NAME)')] })] });
    const { status } = await pods.until('backsteps-subpath', 'is refused', waits);
    assert.equal(status.phase, 'Pending');
    assert.match(status.containerStatuses?.[0]?.state?.waiting?.message ?? '', /must not contain '\.\.'/);
    await pods.of(Pod).delete('backsteps-subpath');
  });

  test('[k8s.io] Variable Expansion should succeed in writing subpaths in container [sig-storage][Slow] [Conformance]', async () => {
    const volumeMounts = [mountedAt('$(ANNOTATION)/$(POD_NAME)'), { name: 'workdir1', mountPath: '/volume_mount' }];
    const annotations = { mysubpath: 'mypath' };
    await pods.create('foo', { volumes, containers: [shell('sleep 1000', { env: [podName, annotation], volumeMounts })] }, { annotations });
    await pods.until('foo', 'runs', isRunning);
    await pods.inside('foo', 'echo written > /volume_mount/mypath/foo/test.log');
    assert.equal(await pods.inside('foo', 'cat /subpath_mount/test.log'), 'written\n');
    // The mount stays what it was when the container started.
    await pods.of(Pod).patch('foo', { metadata: { annotations: { mysubpath: 'mynewpath' } } });
    assert.equal(await pods.inside('foo', 'cat /subpath_mount/test.log'), 'written\n');
    await pods.of(Pod).delete('foo');
    await pods.untilGone('foo');
  });

  test('[k8s.io] Variable Expansion should verify that a failing subpath expansion can be modified during the lifecycle of a container [sig-storage][Slow] [Conformance]', async () => {
    const volumeMounts = [mountedAt('$(ANNOTATION)/$(POD_NAME)'), { name: 'workdir1', mountPath: '/volume_mount' }];
    const containers = [shell('sleep 1000', { env: [podName, annotation], volumeMounts })];
    await pods.create('mended', { volumes, containers }, { annotations: { notmysubpath: 'mypath' } });
    await pods.until('mended', 'is refused', waits);
    await pods.of(Pod).patch('mended', { metadata: { annotations: { mysubpath: 'mypath' } } });
    await pods.until('mended', 'runs', isRunning);
    await pods.inside('mended', 'test -d /volume_mount/mypath/mended');
    await pods.of(Pod).delete('mended');
  });
}

function streams(): void {
  test('[k8s.io] Kubelet when scheduling a busybox command in a pod should print the output to logs [NodeConformance] [Conformance]', async () => {
    const output = await pods.outputOf('busybox-logs', once("echo 'Hello World'; echo 'and errors' >&2"));
    assert.deepEqual(output.split('\n').toSorted(), ['', 'Hello World', 'and errors']);
  });

  test('[k8s.io] Kubelet when scheduling a busybox Pod with hostAliases should write entries to /etc/hosts [LinuxOnly] [NodeConformance] [Conformance]', async () => {
    const hostAliases = [{ ip: '123.45.67.89', hostnames: ['foo', 'bar'] }];
    const output = await pods.outputOf('busybox-host-aliases', { ...once('cat /etc/hosts'), hostAliases });
    assert.match(output, /^# Kubernetes-managed hosts file\.$/m);
    assert.match(output, /^123\.45\.67\.89\tfoo\tbar$/m);
  });

  test('[k8s.io] Pods should support remote command execution over websockets [NodeConformance] [Conformance]', async () => {
    await pods.create('exec-websocket', { containers: [shell('echo container is alive; sleep 1000')] });
    await pods.until('exec-websocket', 'runs', isRunning);
    const query = 'container=main&stdout=1&stderr=1&command=sh&command=-c&command=echo+remote+execution+test;+echo+and+errors+>%262';
    const messages = await pods.messages(`/api/v1/namespaces/default/pods/exec-websocket/exec?${query}`, ['channel.k8s.io']);
    const channel = (number: number): string =>
      Buffer.concat(messages.filter(([first]) => first === number).map((data) => data.subarray(1))).toString();
    assert.deepEqual([channel(1), channel(2), channel(3)], ['remote execution test\n', 'and errors\n', '']);
    await pods.of(Pod).delete('exec-websocket');
  });

  test('[k8s.io] Pods should support retrieving logs from the container over websockets [NodeConformance] [Conformance]', async () => {
    await pods.create('logs-websocket', { containers: [shell('echo container is alive; sleep 1000')] });
    await pods.until('logs-websocket', 'runs', isRunning);
    const path = '/api/v1/namespaces/default/pods/logs-websocket/log?container=main';
    const alive = async (protocol: string): Promise<string | undefined> => {
      const parts = (await pods.messages(path, [protocol])).map((part) =>
        protocol.startsWith('base64') ? Buffer.from(part.toString(), 'base64') : part,
      );
      return Buffer.concat(parts).toString() || undefined;
    };
    assert.equal(await eventually('what it printed is in its log', () => alive('binary.k8s.io')), 'container is alive\n');
    assert.equal(await alive('base64.binary.k8s.io'), 'container is alive\n');
    await assert.rejects(pods.messages(path, ['channel.k8s.io']), /400/);
    await pods.of(Pod).delete('logs-websocket');
  });
}

function security(): void {
  test('[k8s.io] Security Context When creating a container with runAsUser should run the container with uid 65534 [LinuxOnly] [NodeConformance] [Conformance]', async () => {
    assert.equal(await pods.outputOf('run-as-user', once('id -u', { securityContext: { runAsUser: 65_534 } })), '65534\n');
  });

  test('[k8s.io] Security Context When creating a pod with privileged should run the container as unprivileged when false [LinuxOnly] [NodeConformance] [Conformance]', async () => {
    const output = await pods.outputOf('unprivileged', once('ip link add dummy0 type dummy || true', { securityContext: { privileged: false } }));
    assert.match(output, /Operation not permitted/);
  });

  test('[k8s.io] Security Context When creating a pod with readOnlyRootFilesystem should run the container with writable rootfs when readOnlyRootFilesystem=false [NodeConformance] [Conformance]', async () => {
    const securityContext = { readOnlyRootFilesystem: false };
    assert.equal(await pods.outputOf('writable-root', once('touch /checkfile && echo written', { securityContext })), 'written\n');
  });
}

function environment(): void {
  const variables = (output: string): Map<string, string> =>
    new Map(output.split('\n').map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]));
  const field = (name: string, fieldPath: string): object => ({ name, valueFrom: { fieldRef: { fieldPath } } });
  const resource = (name: string, of: string): object => ({ name, valueFrom: { resourceFieldRef: { resource: of } } });

  test('[sig-node] ConfigMap should be consumable via environment variable [NodeConformance] [Conformance]', async () => {
    await pods.of(ConfigMap).create({ metadata: { name: 'one-variable' }, data: { 'data-1': 'value-1' } });
    const env = [{ name: 'CONFIG_DATA_1', valueFrom: { configMapKeyRef: { name: 'one-variable', key: 'data-1' } } }];
    assert.equal(variables(await pods.outputOf('config-variable', once('env', { env }))).get('CONFIG_DATA_1'), 'value-1');
  });

  test('[sig-node] ConfigMap should be consumable via the environment [NodeConformance] [Conformance]', async () => {
    await pods.of(ConfigMap).create({ metadata: { name: 'all-variables' }, data: { data_1: 'value-1', data_2: 'value-2', data_3: 'value-3' } });
    const envFrom = [{ configMapRef: { name: 'all-variables' } }, { prefix: 'p_', configMapRef: { name: 'all-variables' } }];
    const found = variables(await pods.outputOf('config-environment', once('env', { envFrom })));
    for (const n of ['1', '2', '3']) assert.deepEqual([found.get(`data_${n}`), found.get(`p_data_${n}`)], [`value-${n}`, `value-${n}`]);
  });

  test("[sig-node] Downward API should provide container's limits.cpu/memory and requests.cpu/memory as env vars [NodeConformance] [Conformance]", async () => {
    const env = [
      resource('CPU_LIMIT', 'limits.cpu'),
      resource('MEMORY_LIMIT', 'limits.memory'),
      resource('CPU_REQUEST', 'requests.cpu'),
      resource('MEMORY_REQUEST', 'requests.memory'),
    ] as NonNullable<PodSpec['containers'][0]['env']>;
    const resources = { requests: { cpu: '250m', memory: '32Mi' }, limits: { cpu: '1250m', memory: '64Mi' } };
    const found = variables(await pods.outputOf('downward-resources', once('env', { env, resources })));
    assert.deepEqual(
      ['CPU_LIMIT', 'MEMORY_LIMIT', 'CPU_REQUEST', 'MEMORY_REQUEST'].map((name) => found.get(name)),
      ['2', String(64 * 2 ** 20), '1', String(32 * 2 ** 20)],
    );
  });

  test('[sig-node] Downward API should provide default limits.cpu/memory from node allocatable [NodeConformance] [Conformance]', async () => {
    const env = [resource('CPU_LIMIT', 'limits.cpu'), resource('MEMORY_LIMIT', 'limits.memory')] as NonNullable<PodSpec['containers'][0]['env']>;
    const found = variables(await pods.outputOf('downward-defaults', once('env', { env })));
    const { allocatable = {} } = (await pods.client.resource(Node).list()).items[0]?.status ?? {};
    assert.equal(found.get('CPU_LIMIT'), String(Math.ceil(parseQuantity(allocatable['cpu'] ?? '').toNumber())));
    assert.equal(found.get('MEMORY_LIMIT'), String(parseQuantity(allocatable['memory'] ?? '').toNumber()));
  });

  test('[sig-node] Downward API should provide host IP as an env var [NodeConformance] [Conformance]', async () => {
    const env = [field('HOST_IP', 'status.hostIP')] as NonNullable<PodSpec['containers'][0]['env']>;
    const found = variables(await pods.outputOf('downward-host', once('env', { env })));
    const { addresses = [] } = (await pods.client.resource(Node).list()).items[0]?.status ?? {};
    assert.equal(found.get('HOST_IP'), addresses.find(({ type }) => type === 'InternalIP')?.address);
  });

  test('[sig-node] Downward API should provide pod UID as env vars [NodeConformance] [Conformance]', async () => {
    const env = [field('POD_UID', 'metadata.uid')] as NonNullable<PodSpec['containers'][0]['env']>;
    await pods.create('downward-uid', once('env', { env }));
    const { metadata } = await pods.until('downward-uid', 'has succeeded', ({ status }) => status.phase === 'Succeeded');
    assert.equal(variables(await pods.log('downward-uid')).get('POD_UID'), metadata.uid);
    await pods.of(Pod).delete('downward-uid');
  });

  test('[sig-node] Downward API should provide pod name, namespace and IP address as env vars [NodeConformance] [Conformance]', async () => {
    const env = [field('POD_NAME', 'metadata.name'), field('POD_NAMESPACE', 'metadata.namespace'), field('POD_IP', 'status.podIP')];
    await pods.create('downward-names', once('env; ip -4 -o addr show eth0', { env: env as NonNullable<PodSpec['containers'][0]['env']> }));
    await pods.until('downward-names', 'has succeeded', ({ status }) => status.phase === 'Succeeded');
    const output = await pods.log('downward-names');
    const found = variables(output);
    assert.deepEqual([found.get('POD_NAME'), found.get('POD_NAMESPACE')], ['downward-names', 'default']);
    assert.match(output, new RegExp(`inet ${(found.get('POD_IP') ?? 'none').replaceAll('.', String.raw`\.`)}/`));
    await pods.of(Pod).delete('downward-names');
  });
}
