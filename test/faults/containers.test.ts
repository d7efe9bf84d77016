/** What a container may try on its node, and what the node does about it: see `docs/faults.md`. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Pod } from '../../src/api/kinds.ts';
import { isRunning, loadEchoImage, type RealPods, restartsOf, shell, startRealPods } from '../conformance/real-pods.ts';
import { eventually } from '../support/cluster-under-test.ts';

const hello = 'k8ts.local/hello:1';
const maxPids = 64;
let pods: RealPods;

before(async () => {
  pods = await startRealPods('--pod-max-pids', String(maxPids));
});
after(() => pods.close());

/** It still takes new pods, and runs them. */
async function assertNodeIsWell(name: string): Promise<void> {
  assert.equal(await pods.outputOf(name, { restartPolicy: 'Never', containers: [shell('echo well')] }), 'well\n');
}

describe('one container', { concurrency: 3 }, () => {
  test('that ignores SIGTERM is killed when its grace period is over', async () => {
    await pods.create('stubborn', { terminationGracePeriodSeconds: 2, containers: [shell('trap "" TERM; while :; do sleep 1; done')] });
    await pods.until('stubborn', 'runs', isRunning);
    const leaving = pods.until('stubborn', 'has ended', ({ status }) => status.containerStatuses?.[0]?.state?.terminated !== undefined);
    const beginMs = performance.now();
    await pods.of(Pod).delete('stubborn');
    const [{ status }] = await Promise.all([leaving, pods.untilGone('stubborn')]);
    assert.equal(status.containerStatuses?.[0]?.state?.terminated?.exitCode, 137);
    assert.ok(performance.now() - beginMs >= 1900, 'it was given its time');
  });

  test('that takes too much memory is killed for it, and no other container of its pod', async () => {
    const resources = { limits: { memory: '48Mi' } };
    await pods.create('greedy', {
      restartPolicy: 'Never',
      containers: [
        shell('sleep 2; tail /dev/zero', { name: 'hog', resources }),
        { name: 'calm', image: hello, readinessProbe: { httpGet: { port: 8080, path: '/healthz' }, periodSeconds: 1 } },
      ],
    });
    const of = (pod: Pod, container: string) => pod.status.containerStatuses?.find(({ name }) => name === container);
    const before = await pods.until('greedy', 'serves', (pod) => of(pod, 'calm')?.ready === true);
    const pod = await pods.until('greedy', 'has lost a container', (latest) => of(latest, 'hog')?.state?.terminated !== undefined);
    assert.deepEqual([of(pod, 'hog')?.state?.terminated?.reason, of(pod, 'hog')?.state?.terminated?.exitCode], ['OOMKilled', 137]);
    await sleep(1000);
    const later = await pods.of(Pod).get('greedy');
    assert.deepEqual([later.status.phase, of(later, 'calm')?.ready, of(later, 'calm')?.restartCount], ['Running', true, 0]);
    assert.equal(of(later, 'calm')?.containerID, of(before, 'calm')?.containerID);
    await pods.of(Pod).delete('greedy');
  });

  test('whose image is missing waits for it, alone, and starts when it is there', async () => {
    const late = { name: 'late', image: 'registry.example/echo:1', imagePullPolicy: 'IfNotPresent' };
    const other = { name: 'other', image: hello };
    await pods.create('late', { restartPolicy: 'OnFailure', containers: [late, other] });
    const of = (pod: Pod, container: string) => pod.status.containerStatuses?.find(({ name }) => name === container);
    const pod = await pods.until('late', 'is told so', (latest) => of(latest, 'late')?.state?.waiting?.reason === 'ImagePullBackOff');
    assert.match(of(pod, 'late')?.state?.waiting?.message ?? '', /^Back-off pulling image "registry\.example\/echo:1"/);
    await pods.until('late', 'runs what it can', (latest) => of(latest, 'other')?.state?.running !== undefined);
    await loadEchoImage(pods.cluster);
    await pods.until('late', 'has run it', (latest) => of(latest, 'late')?.state?.terminated?.exitCode === 0);
    assert.equal(await pods.log('late', 'late'), 'entry point: default arguments\n');
    await pods.of(Pod).delete('late');
  });
});

describe('alone on the node', () => {
  test('a fork bomb gets no more processes than a pod may have', async () => {
    await pods.create('witness', { containers: [{ name: 'main', image: hello }] });
    await pods.create('bomb', { containers: [shell('sleep 100000', { resources: { limits: { cpu: '300m', memory: '64Mi' } } })] });
    for (const name of ['witness', 'bomb']) await pods.until(name, 'runs', isRunning);
    const { metadata } = await pods.of(Pod).get('bomb');
    const light = pods.cluster.tryKubectl(['exec', 'bomb', '--', 'sh', '-c', 'bomb() { bomb | bomb & }; bomb; sleep 5']);
    const limited = () => pidsOf(metadata.uid);
    await eventually('it is at its limit', async () => (limited().refused > 0 ? true : undefined));
    for (let look = 0; look < 10; look++) {
      assert.ok(limited().current <= maxPids, `${limited().current} processes`);
      await sleep(50);
    }
    await assertNodeIsWell('beside-bomb');
    assert.equal(restartsOf(await pods.of(Pod).get('witness')), 0);
    await pods.of(Pod).delete('bomb', { gracePeriodSeconds: 1 });
    await pods.untilGone('bomb');
    await light;
    await pods.of(Pod).delete('witness');
  });

  test('a flood of log lines fills no disk, and its end can be read', async (t) => {
    await pods.create('flood', { containers: [shell('yes "$(head -c 200 /dev/zero | tr "\\0" x)"', { resources: { limits: { cpu: '500m' } } })] });
    const { metadata } = await pods.until('flood', 'runs', isRunning);
    const directory = join(pods.cluster.dataDir, 'pod-logs', `default_flood_${metadata.uid}`, 'main');
    let largest = 0;
    const names = new Set<string>();
    await eventually(
      'its log was put aside eight times',
      async () => {
        const files = readdirSync(directory);
        for (const name of files) names.add(name);
        assert.ok(files.length <= 6, files.join());
        largest = Math.max(
          largest,
          files.reduce((sum, name) => sum + (statSync(join(directory, name), { throwIfNoEntry: false })?.size ?? 0), 0),
        );
        return names.size > 8 ? true : undefined;
      },
      60_000,
    );
    // What is kept, and what comes in while the node looks elsewhere.
    t.diagnostic(`at most ${Math.round(largest / 2 ** 20)} MiB at a time, in ${names.size} files one after the other`);
    assert.ok(largest < 500 * 2 ** 20, `${largest} bytes`);
    // What is there at the moment of asking, though more comes faster than it can be sent; a log that was put aside just now has nothing yet.
    const end = await eventually('the end can be read', async () => (await pods.cluster.kubectl('logs flood --tail=1')) || undefined);
    assert.equal(end.length, 201);
    await assertNodeIsWell('beside-flood');
    await pods.of(Pod).delete('flood', { gracePeriodSeconds: 1 });
    await pods.untilGone('flood');
    await eventually('its logs are gone', async () => (statSync(directory, { throwIfNoEntry: false }) ? undefined : true));
  });
});

/** How many processes a pod has, and how often the kernel refused it one more. */
function pidsOf(uid: string): { readonly current: number; readonly refused: number } {
  const { id } = JSON.parse(readFileSync(join(pods.cluster.dataDir, 'cluster.json'), 'utf8')) as { id: string };
  for (const root of ['/sys/fs/cgroup/pids', '/sys/fs/cgroup']) {
    const group = join(root, `k8ts-${id}`, 'kubepods', `pod${uid}`);
    if (!statSync(group, { throwIfNoEntry: false })) continue;
    // Kernels tell of a refusal in the group whose limit it was, older ones in the group whose process it was.
    const refusals = [group, ...readdirSync(group).map((name) => join(group, name))]
      .filter((path) => statSync(join(path, 'pids.events'), { throwIfNoEntry: false }))
      .map((path) => Number(/max (\d+)/.exec(readFileSync(join(path, 'pids.events'), 'utf8'))?.[1] ?? 0));
    return { current: Number(readFileSync(join(group, 'pids.current'), 'utf8')), refused: Math.max(...refusals) };
  }
  throw new Error('the pod has no control group');
}
