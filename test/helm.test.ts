/** helm v4, which applies on the server's side: install, upgrade, rollback, test, uninstall; of a small chart, and of one with a kind of its own and hooks. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type ClusterUnderTest, eventually, startClusterUnderTest } from './support/cluster-under-test.ts';
import { type Outcome, run, stockTools } from './support/stock-tools.ts';

const chart = join(import.meta.dirname, 'charts/web');
let cluster: ClusterUnderTest;
before(async () => {
  cluster = await startClusterUnderTest();
});
after(() => cluster.close());

const image = (): Promise<string> => cluster.kubectl('get deployment shop -o jsonpath={.spec.template.spec.containers[0].image}');

test('helm installs, upgrades, rolls back and uninstalls', async () => {
  await cluster.helm(['install', 'shop', chart, '--wait', '--timeout', '60s'], { timeoutMs: 70_000 });
  assert.equal(await image(), 'k8ts.local/hello:1');
  assert.match(await cluster.helm('list'), /shop\s+default\s+1\s.*deployed/);

  await cluster.helm(['upgrade', 'shop', chart, '--set', 'version=2,replicas=2,greeting=hi', '--wait', '--timeout', '60s'], { timeoutMs: 70_000 });
  assert.equal(await image(), 'k8ts.local/hello:2');
  assert.equal(await cluster.kubectl('get deployment shop -o jsonpath={.status.readyReplicas}'), '2');
  assert.equal(await cluster.kubectl('get configmap shop -o jsonpath={.data.GREETING}'), 'hi');

  await cluster.helm(['rollback', 'shop', '1', '--wait', '--timeout', '60s'], { timeoutMs: 70_000 });
  assert.equal(await image(), 'k8ts.local/hello:1');
  assert.equal(await cluster.kubectl('get configmap shop -o jsonpath={.data.GREETING}'), 'hello');
  assert.equal((await cluster.helm(['history', 'shop', '-o', 'json'])).match(/"revision"/g)?.length, 3);

  await cluster.helm(['uninstall', 'shop', '--wait', '--timeout', '60s'], { timeoutMs: 70_000 });
  await eventually('nothing of the release is left', async () => {
    const left = await cluster.kubectl([
      'get',
      'deployments,replicasets,pods,services,configmaps',
      '-l',
      'app.kubernetes.io/instance=shop',
      '-o',
      'name',
    ]);
    return left === '' ? true : undefined;
  });
});

describe('a chart with a kind of its own, hooks and a test', () => {
  const operator = join(import.meta.dirname, 'charts/operator');
  const helm = (...args: readonly string[]): Promise<string> => cluster.helm(args, { timeoutMs: 130_000 });
  const tryHelm = (...args: readonly string[]): Promise<Outcome> => run(stockTools().helm, args, { env: cluster.env, timeoutMs: 130_000 });
  /** Jobs of hooks that are there, in the order they were made. */
  const hooks = async (): Promise<string[]> => {
    const printed = await cluster.kubectl('get jobs -l hook-of=nightly --sort-by=.metadata.creationTimestamp -o jsonpath={.items[*].metadata.name}');
    return printed.split(' ').filter(Boolean);
  };
  const startOf = async (job: string): Promise<number> =>
    Date.parse(await cluster.kubectl(['get', 'job', job, '-o', 'jsonpath={.status.startTime}']));

  test('install makes the kind first, runs hooks by weight and keeps those its policies keep', async () => {
    await helm('install', 'nightly', operator, '--wait', '--timeout', '120s');
    assert.match(await cluster.kubectl('get backups'), /^NAME\s+INTERVAL\nnightly\s+5\n$/);
    assert.equal(await cluster.kubectl('get bk nightly -o jsonpath={.spec.keep}'), '3');
    assert.deepEqual((await hooks()).toSorted(), ['nightly-pre-install-early', 'nightly-pre-install-late']);
    const [ended, begun] = [
      Date.parse(await cluster.kubectl('get job nightly-pre-install-early -o jsonpath={.status.completionTime}')),
      await startOf('nightly-pre-install-late'),
    ];
    assert(ended <= begun, 'the lighter hook ends before the heavier begins');
    assert.equal(await cluster.kubectl('logs job/nightly-pre-install-late'), 'pre-install late\n');
    assert.equal(await cluster.kubectl('get configmap nightly-seed -o jsonpath={.data.made-for}'), '1');
  });

  test('its test passes, and shows what it said', async () => {
    const passed = await helm('test', 'nightly', '--logs', '--timeout', '60s');
    assert.match(passed, /TEST SUITE:\s+nightly-test[\s\S]*Phase:\s+Succeeded/);
    assert.match(passed, /POD LOGS: nightly-test\s+tested/);
  });

  test('upgrade runs its hooks; the server refuses what the kind does not allow', async () => {
    await helm('upgrade', 'nightly', operator, '--set', 'interval=7', '--wait', '--timeout', '120s');
    assert.equal(await cluster.kubectl('get bk nightly -o jsonpath={.spec.intervalMinutes}'), '7');
    const names = await hooks();
    for (const event of ['pre-upgrade', 'post-upgrade'])
      for (const order of ['early', 'late']) assert(names.includes(`nightly-${event}-${order}`), names.join(' '));
    const refused = await tryHelm('upgrade', 'nightly', operator, '--set', 'interval=0', '--timeout', '60s');
    assert.notEqual(refused.code, 0);
    assert.match(refused.stderr, /spec\.intervalMinutes in body should be greater than or equal to 1/);
    assert.equal(await cluster.kubectl('get bk nightly -o jsonpath={.spec.intervalMinutes}'), '7');
  });

  test('a hook that fails stops the upgrade, and the rollback mends it', async () => {
    const failed = await tryHelm('upgrade', 'nightly', operator, '--set', 'interval=9,failing=pre-upgrade', '--timeout', '60s');
    assert.notEqual(failed.code, 0);
    assert.match(failed.stderr, /pre-upgrade hooks failed/);
    assert.equal(await cluster.kubectl('get bk nightly -o jsonpath={.spec.intervalMinutes}'), '7', 'nothing was changed');
    assert.match(await helm('status', 'nightly'), /STATUS: failed/);
    await helm('rollback', 'nightly', '2', '--wait', '--timeout', '120s');
    assert.match(await helm('status', 'nightly'), /STATUS: deployed/);
    assert((await hooks()).includes('nightly-pre-rollback-late'));
    const failing = await tryHelm('upgrade', 'nightly', operator, '--set', 'failing=test', '--wait', '--timeout', '120s');
    assert.equal(failing.code, 0, failing.stderr);
    const tested = await tryHelm('test', 'nightly', '--timeout', '60s');
    assert.notEqual(tested.code, 0, 'its test fails now');
    assert.match(tested.stdout, /Phase:\s+Failed/);
  });

  test('uninstall runs its hooks, and leaves the kind', async () => {
    await helm('uninstall', 'nightly', '--wait', '--timeout', '120s');
    assert.equal(await cluster.kubectl('get backups -o name'), '');
    const names = await hooks();
    assert(names.includes('nightly-pre-delete-early') && names.includes('nightly-pre-delete-late'), names.join(' '));
    assert(!names.some((name) => name.includes('post-delete')), 'a hook that succeeded is gone where its policy says so');
    assert.match(await cluster.kubectl('get crd backups.operator.example.com -o name'), /backups/);
    assert.equal(await helm('list', '-q'), '');
  });
});
