/**
 * The node's clock jumps, by libfaketime in the daemons: an hour ahead, as after a suspend or the first answer of a time server, and back again. What runs is
 * not touched, and all goes on: see `docs/faults.md`.
 */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Lease, Node, Pod } from '../../src/api/kinds.ts';
import { isRunning, type RealPods, restartsOf, shell, startRealPods } from '../conformance/real-pods.ts';
import { eventually } from '../support/cluster-under-test.ts';
import { debianPackage } from '../support/debian-packages.ts';

const hello = 'k8ts.local/hello:1';
const hourMs = 3_600_000;
const directory = mkdtempSync(join(tmpdir(), 'k8ts-clock-'));
const offset = join(directory, 'offset');
let pods: RealPods;

before(async () => {
  writeFileSync(offset, '+0');
  const variables = {
    LD_PRELOAD: libraryBelow(join(await debianPackage('bookworm', 'libfaketime'), 'usr/lib')),
    FAKETIME_TIMESTAMP_FILE: offset,
    FAKETIME_CACHE_DURATION: '1',
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
    DONT_FAKE_MONOTONIC: '1',
  };
  Object.assign(process.env, variables);
  try {
    pods = await startRealPods();
  } finally {
    for (const name of Object.keys(variables)) Reflect.deleteProperty(process.env, name);
  }
});
after(async () => {
  await pods.close();
  rmSync(directory, { recursive: true });
});

function libraryBelow(lib: string): string {
  const found = readdirSync(lib)
    .map((triplet) => join(lib, triplet, 'faketime/libfaketime.so.1'))
    .find((path) => existsSync(path));
  assert(found !== undefined);
  return found;
}

async function renewedMs(): Promise<number> {
  const [lease] = (await pods.client.resource(Lease).namespace('kube-node-lease').list()).items;
  return Date.parse(lease?.spec?.renewTime ?? '');
}

/** The node tells of itself at the time that is now; it is ready, and stays so. */
async function assertNodeGoesOn(aheadMs: number): Promise<void> {
  await eventually('the node renews its lease by the new clock', async () =>
    Math.abs((await renewedMs()) - performance.timeOrigin - performance.now() - aheadMs) < 60_000 ? true : undefined,
  );
  await eventually('the node is ready', async () => {
    const [node] = (await pods.client.resource(Node).list()).items;
    return node?.status.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') && node.spec.taints === undefined
      ? true
      : undefined;
  });
}

async function tokenIsGood(): Promise<true | undefined> {
  const token = await pods.cluster.kubectl(['exec', 'steady', '-c', 'reader', '--', 'cat', '/var/run/secrets/kubernetes.io/serviceaccount/token']);
  const review = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec: { token } };
  const answer = await pods.cluster.kubectl('create -o jsonpath={.status.authenticated} -f -', { input: JSON.stringify(review) });
  return answer === 'true' ? true : undefined;
}

test('the clock jumps ahead by an hour and back: nothing that runs is touched, and all goes on', async () => {
  const probe = { httpGet: { path: '/healthz', port: 8080 }, periodSeconds: 1 };
  await pods.create('steady', {
    containers: [{ name: 'main', image: hello, livenessProbe: probe, readinessProbe: probe }, shell('sleep 100000', { name: 'reader' })],
  });
  const { status } = await pods.until('steady', 'serves', isRunning);
  const untouched = status.containerStatuses?.map(({ containerID }) => containerID);
  assert.ok(await tokenIsGood());
  for (const [name, jump, aheadMs] of [
    ['ahead', '+1h', hourMs],
    ['back', '+0', 0],
  ] as const) {
    const stubborn = `stubborn-${name}`;
    await pods.create(stubborn, { terminationGracePeriodSeconds: 6, containers: [shell('trap "" TERM; while :; do sleep 1; done')] });
    await pods.until(stubborn, 'runs', isRunning);
    await pods.of(Pod).delete(stubborn);
    await sleep(500);
    writeFileSync(offset, jump);
    await assertNodeGoesOn(aheadMs);
    await pods.untilGone(stubborn);
    assert.equal(await pods.outputOf(`new-${name}`, { restartPolicy: 'Never', containers: [shell('echo well')] }), 'well\n');
    const pod = await pods.until('steady', 'serves still', isRunning);
    assert.deepEqual(
      pod.status.containerStatuses?.map(({ containerID }) => containerID),
      untouched,
    );
    assert.equal(restartsOf(pod), 0);
    await eventually("the pod's token is good, or good again", tokenIsGood, 60_000);
    await pods.cluster.kubectl('create deployment other --image=k8ts.local/hello:1');
    await pods.cluster.kubectl('rollout status deployment/other --timeout=30s');
    await pods.cluster.kubectl('delete deployment other');
  }
});
