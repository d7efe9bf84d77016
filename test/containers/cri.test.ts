/** The runtime over CRI, against Debian's containerd. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, describe, test, type TestContext } from 'node:test';
import { loadImages } from '../../src/cluster/images/load.ts';
import { isNotFound, RuntimeError } from '../../src/kubelet/runtime/cri-error.ts';
import type { RuntimeEvent } from '../../src/kubelet/runtime/runtime.ts';
import { realWorld } from '../../src/world/real.ts';
import { buildBusyboxImage } from '../images/debian-image.ts';
import { type PrivateContainerd, privateContainerd } from './private-containerd.ts';

const world = realWorld({ level: 'silent' });

describe('containers over CRI', { skip: process.getuid?.() !== 0 && 'needs root' }, () => {
  let host: PrivateContainerd;

  before(async () => {
    host = await privateContainerd(world, '10.201.1');
    await loadImages({ socket: host.containerd.socket, path: await buildBusyboxImage() });
  });
  after(() => host.close());

  test('the runtime says what it is, and that it is ready', async () => {
    const { runtimeName, runtimeApiVersion } = await host.runtime.version();
    assert.deepEqual([runtimeName, runtimeApiVersion], ['containerd', 'v1']);
    const { conditions } = await host.runtime.status();
    assert.deepEqual(
      conditions.filter(({ status }) => !status),
      [],
    );
  });

  test('a container runs in its pod, and is told of as its configuration says', async (t) => {
    const { runtime } = host;
    const labels = { 'io.kubernetes.pod.name': 'whole' };
    const container = host.container('busybox', {
      command: ['sh', '-c', 'echo $GREETING; pwd; hostname; exec sleep 1000'],
      env: [{ key: 'GREETING', value: 'good day' }],
      workingDir: '/var',
      labels,
      resources: { cpuShares: 512, memoryLimitBytes: 32 * 1024 * 1024, oomScoreAdj: 900 },
    });
    const events = new EventLog(host, t);
    const { sandboxId, containerId, logPath } = await host.run('whole', container);
    await events.seen({ id: containerId, type: 'started' });
    const status = await runtime.containerStatus(containerId);
    assert.equal(status.state, 'running');
    assert.equal(status.sandboxId, sandboxId);
    assert.deepEqual(status.labels, { ...labels, 'io.kubernetes.pod.uid': 'uid-whole', 'io.kubernetes.container.name': 'main' });
    assert.ok(status.startedAtMs >= status.createdAtMs && status.finishedAtMs === 0);
    const sandbox = await runtime.podSandboxStatus(sandboxId);
    assert.ok(sandbox.ready);
    assert.match(sandbox.ips[0] ?? '', /^10\.201\.1\./);
    assert.ok((await runtime.listPodSandboxes()).some(({ id, name }) => id === sandboxId && name === 'whole'));
    assert.ok((await runtime.listContainers()).some(({ id }) => id === containerId));

    const { stdout, stderr, exitCode } = await runtime.execSync(containerId, ['sh', '-c', 'echo out; echo err >&2; exit 3'], 10);
    assert.deepEqual([stdout.toString(), stderr.toString(), exitCode], ['out\n', 'err\n', 3]);
    const usage = (await runtime.containerStats()).find((stats) => stats.containerId === containerId);
    assert.ok(usage !== undefined && usage.memoryWorkingSetBytes > 0 && usage.cpuNanoseconds > 0);
    await runtime.updateContainerResources(containerId, { memoryLimitBytes: 64 * 1024 * 1024 });

    await runtime.stopContainer(containerId, 0);
    await events.seen({ id: containerId, type: 'exited' });
    const stopped = await runtime.containerStatus(containerId);
    assert.deepEqual([stopped.state, stopped.exitCode, stopped.reason], ['exited', 137, 'Error']);
    const logged = readFileSync(logPath, 'utf8').trimEnd().split('\n');
    assert.deepEqual(
      logged.map((line) => line.split(' ').slice(1).join(' ')),
      ['stdout F good day', 'stdout F /var', 'stdout F whole'],
    );
    await runtime.stopPodSandbox(sandboxId);
    await runtime.removePodSandbox(sandboxId);
    await events.seen({ id: sandboxId, type: 'removed' });
    assert.ok(!(await runtime.listContainers()).some(({ id }) => id === containerId));
  });

  test('an exit is told of when CRI knows it, at once', async (t) => {
    const events = new EventLog(host, t);
    const { containerId } = await host.run('short', host.container('busybox', { command: ['sh', '-c', 'exit 5'] }));
    await events.seen({ id: containerId, type: 'exited' });
    const { state, exitCode, finishedAtMs } = await host.runtime.containerStatus(containerId);
    assert.deepEqual([state, exitCode], ['exited', 5]);
    assert.ok(world.clock.now() - finishedAtMs < 2_000);
  });

  test('a container over its memory limit is killed, and says so', async (t) => {
    const events = new EventLog(host, t);
    const container = host.container('busybox', {
      command: ['sh', '-c', 'x=$(head -c 100000000 /dev/zero | tr "\\0" x); echo ${#x}'],
      resources: { memoryLimitBytes: 8 * 1024 * 1024 },
    });
    const { containerId } = await host.run('hungry', container);
    await events.seen({ id: containerId, type: 'exited' });
    assert.equal((await host.runtime.containerStatus(containerId)).reason, 'OOMKilled');
  });

  test('a port on the loopback inside the pod can be reached', async () => {
    const command = ['sh', '-c', 'echo hello from inside > /tmp/page; exec httpd -f -p 127.0.0.1:7 -h /tmp'];
    const { sandboxId, containerId } = await host.run('loop', host.container('busybox', { command }));
    const listening = ['sh', '-c', 'while ! grep -q ":0007 00000000:0000 0A" /proc/net/tcp; do usleep 10000; done'];
    assert.equal((await host.runtime.execSync(containerId, listening, 10)).exitCode, 0);
    const connection = await host.runtime.portForward(sandboxId, 7);
    connection.write('GET /page HTTP/1.0\r\n\r\n');
    assert.match(await text(connection), /^HTTP\/1\.[01] 200 OK[^]*\r\n\r\nhello from inside\n$/);
    await assert.rejects(async () => text(await host.runtime.portForward(sandboxId, 9)), /connection refused/);
  });

  test('what is not there is told apart from what went wrong', async () => {
    const { runtime } = host;
    await assert.rejects(runtime.containerStatus('nosuch'), isNotFound);
    await assert.rejects(runtime.podSandboxStatus('nosuch'), isNotFound);
    assert.equal(await runtime.imageStatus('k8ts.local/nosuch:1'), undefined);
    await runtime.stopPodSandbox('nosuch');
    await runtime.removePodSandbox('nosuch');
    await runtime.removeContainer('nosuch');
    const config = host.sandbox('unstartable');
    mkdirSync(config.logDirectory, { recursive: true });
    const sandboxId = await runtime.runPodSandbox(config);
    const containerId = await runtime.createContainer(sandboxId, host.container('busybox', { command: ['/no/such/program'] }), config);
    await assert.rejects(
      runtime.startContainer(containerId),
      (error) => error instanceof RuntimeError && !isNotFound(error) && /no such file/.test(error.message),
    );
    await assert.rejects(runtime.createContainer(sandboxId, host.container('k8ts.local/nosuch:1'), config), RuntimeError);
  });

  test('built images are there by their names, without a registry', async () => {
    const image = await host.runtime.imageStatus('k8ts.local/pause:1');
    assert.deepEqual(image?.repoTags, ['k8ts.local/pause:1']);
    const names = (await host.runtime.listImages()).flatMap(({ repoTags }) => repoTags);
    assert.ok(names.includes('docker.io/library/busybox:latest'));
    assert.ok((await host.runtime.imageFsUsage()).mountpoint.startsWith(join(host.directory, 'containerd')));
  });
});

/** Remembers what happened, and waits for what has not. */
class EventLog {
  readonly #seen: RuntimeEvent[] = [];
  readonly #end = new AbortController();
  #wake: () => void = () => undefined;

  constructor({ runtime }: PrivateContainerd, test: TestContext) {
    // Also of a test that failed: whoever still listens keeps the process alive.
    test.after(() => this.#end.abort());
    runtime.events((event) => {
      this.#seen.push(event);
      this.#wake();
    }, this.#end.signal);
  }

  async seen(wanted: RuntimeEvent): Promise<void> {
    const isThere = (): boolean => this.#seen.some(({ id, type }) => id === wanted.id && type === wanted.type);
    while (!isThere()) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}
