/** The command line used wrongly: an exit code of 1 and plain words, nothing written and no process left. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { downWithAllIn } from '../support/last-will.ts';
import { type Outcome, run } from '../support/stock-tools.ts';
import { askedCluster, assertPlain } from './asked-cluster.ts';

const asked = askedCluster();
const directory = mkdtempSync(join(tmpdir(), 'k8ts-bad-'));
const will = downWithAllIn(directory);
after(() => {
  rmSync(directory, { recursive: true, force: true });
  will.withdraw();
});

describe('the command line', () => {
  /** With a kubeconfig of their own, as the last of them down leaves none chosen. */
  const quiet = { timeoutMs: 30_000, env: { KUBECONFIG: join(directory, 'kubeconfig') } };
  /** It ends with 1 and plain words; its message is answered. */
  function assertRefused(outcome: Outcome, says: RegExp): void {
    assert.equal(outcome.code, 1, outcome.stdout + outcome.stderr);
    assert.match(outcome.stderr, says);
    assertPlain(outcome.stderr);
  }
  const newDataDir = (): string => join(mkdtempSync(join(directory, 'up-')), 'data');
  const free = ['--port', '6497', '--runtime', 'simulated'];

  test('a port in use', async () => {
    const dataDir = newDataDir();
    const outcome = await asked.cluster.k8ts(['up', '--data-dir', dataDir, '--port', String(asked.cluster.port), '--runtime', 'simulated'], quiet);
    assertRefused(outcome, new RegExp(`^k8ts: port ${asked.cluster.port} is in use by another program: stop that, or choose another with --port\n$`));
    assert(!existsSync(dataDir), 'nothing was written');
    await assertNoProcess(dataDir);
  });

  test('a port in use that the kubelet needs leaves no process behind, and another --port leads out of it', async () => {
    const dataDir = newDataDir();
    // The kubelet's port follows from the API server's.
    const blocker = createServer();
    await new Promise<void>((resolve) => blocker.listen(10_250 + 10 * (6497 - 6443), '0.0.0.0', resolve));
    try {
      assertRefused(
        await asked.cluster.k8ts(['up', '--data-dir', dataDir, ...free], quiet),
        /^k8ts: port 10790 is in use by another program: stop that, or choose another with --port\n$/,
      );
      await assertNoProcess(dataDir);
      const elsewhere = await asked.cluster.k8ts(['up', '--data-dir', dataDir, '--port', '6498', '--runtime', 'simulated'], quiet);
      assert.equal(elsewhere.code, 0, elsewhere.stderr);
    } finally {
      blocker.close();
      await asked.cluster.k8ts(['down', '--purge', '--data-dir', dataDir], quiet);
    }
  });

  test('a data directory of a newer version, of no JSON, and of no cluster', async () => {
    const dataDir = newDataDir();
    mkdirSync(dataDir);
    const contents = new Map([
      ['{"dataVersion":99}', /was written by a newer k8ts \(data version 99, this one knows \d+\)/],
      ['{"dataVer', /cluster.json cannot be read .*: restore it, or start afresh with another --data-dir/],
      ['5', /cluster.json does not describe a cluster: restore it/],
      ['{"dataVersion":1}', /cluster.json does not describe a cluster: restore it/],
    ]);
    for (const [content, says] of contents) {
      writeFileSync(join(dataDir, 'cluster.json'), content);
      for (const verb of [['up', ...free], ['down', '--purge'], ['status']])
        assertRefused(await asked.cluster.k8ts([...verb, '--data-dir', dataDir], quiet), says);
      assert.equal(readFileSync(join(dataDir, 'cluster.json'), 'utf8'), content);
    }
  });

  test('a data directory that cannot be one', async () => {
    const file = join(directory, 'a-file');
    writeFileSync(file, '');
    for (const path of [file, join(file, 'below'), '/proc/k8ts/data'])
      assertRefused(await asked.cluster.k8ts(['up', '--data-dir', path, ...free], quiet), /^k8ts: .*(cannot be written|cannot be read)/);
  });

  test('flags that make no sense', async () => {
    const dataDir = newDataDir();
    const cases: readonly (readonly [string[], RegExp])[] = [
      [['up', '--nodes', '0'], /a count is a whole number from 1 up/],
      [['up', '--nodes', 'many'], /a count is a whole number from 1 up/],
      [['up', '--port', '99999'], /a port is a whole number from 1 to 65535/],
      [['up', '--runtime', 'docker'], /Allowed choices are containerd, simulated/],
      [['up', '--store', 'mysql', '--port', '6497'], /--store mysql is not there yet/],
      [['up', '--bind-address', 'nowhere.invalid', '--port', '6497'], /this machine has no address nowhere.invalid/],
      [['up', '--token-auth-file', '/nope', '--port', '6497'], /the token file \/nope is not there/],
      [['up', '--frob'], /unknown option '--frob'/],
      [['frob'], /unknown command 'frob'/],
    ];
    for (const [args, says] of cases)
      assertRefused(await asked.cluster.k8ts(args.includes('up') ? [...args, '--data-dir', dataDir] : args, quiet), says);
    assert(!existsSync(dataDir), 'nothing was written');
  });

  test('images that are none', { skip: process.getuid?.() === 0 ? false : 'needs a real runtime' }, async () => {
    const text = join(directory, 'text.tar');
    writeFileSync(text, 'this is no archive');
    const empty = mkdtempSync(join(directory, 'empty-'));
    for (const path of [text, empty, join(directory, 'nope.tar')]) {
      const outcome = await asked.cluster.k8ts(['image', 'load', path, '--data-dir', asked.cluster.dataDir], quiet);
      assertRefused(outcome, /^k8ts: \S+ could not be loaded: /);
      assert.equal(outcome.stderr.trim().split('\n').length, 1, outcome.stderr);
    }
    assertRefused(await asked.cluster.k8ts(['image', 'load', text, '--data-dir', join(directory, 'none')], quiet), /there is no cluster in/);
  });
});

async function assertNoProcess(dataDir: string): Promise<void> {
  const { stdout } = await run('ps', ['-eo', 'args']);
  assert.deepEqual(
    stdout.split('\n').filter((line) => line.includes(dataDir)),
    [],
  );
}
