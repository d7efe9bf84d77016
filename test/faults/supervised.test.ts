/**
 * What `k8ts up` started in the background comes back by itself when it dies, stays away when it was told to go, and goes when its files go. The nodes are
 * simulated: with real containers `killed.test.ts` kills.
 */
import assert from 'node:assert/strict';
import { closeSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { type ClusterUnderTest, eventually, startClusterUnderTest } from '../support/cluster-under-test.ts';

const daemons = ['control-plane', 'node-agent'] as const;
type Daemon = (typeof daemons)[number];

let started: ClusterUnderTest | undefined;
beforeEach(async () => {
  started = await startClusterUnderTest('--runtime', 'simulated');
});
afterEach(() => started?.close());

function cluster(): ClusterUnderTest {
  assert(started, 'the cluster is up');
  return started;
}

interface Record {
  readonly pid: number;
  readonly attempt: number;
  readonly ready: boolean;
}

function recordOf(daemon: Daemon): Record {
  return JSON.parse(readFileSync(join(cluster().dataDir, 'run', `${daemon}.json`), 'utf8')) as Record;
}

const kill = (daemon: Daemon): void => void process.kill(recordOf(daemon).pid, 'SIGKILL');

/** Started again so often, and ready. */
const isBack = (daemon: Daemon, attempt: number): Promise<Record> =>
  eventually(
    `the ${daemon} is back`,
    async () => {
      const record = recordOf(daemon);
      return record.attempt === attempt && record.ready ? record : undefined;
    },
    60_000,
  );

/** Processes of the cluster: daemons, and those who look after them. */
function processes(): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
        return words.includes(cluster().dataDir) ? [`${pid} ${words}`] : [];
      } catch {
        return [];
      }
    });
}

const allGone = (): Promise<boolean> =>
  eventually('every process of the cluster is gone', async () => {
    assert.deepEqual(processes(), []);
    return true;
  });

test('a daemon that is killed comes back, and its log says so', async () => {
  for (const daemon of daemons) {
    const { pid } = recordOf(daemon);
    kill(daemon);
    assert.notEqual((await isBack(daemon, 1)).pid, pid);
    const log = readFileSync(join(cluster().dataDir, 'logs', `${daemon}.log`), 'utf8');
    assert.match(log, /"component":"supervisor","exitCode":137,"attempt":1,"delaySeconds":1,/);
  }
  await cluster().kubectl('create deployment web --image=nginx --replicas=2');
  await cluster().kubectl('rollout status deployment web --timeout=60s', { timeoutMs: 70_000 });
});

test('up waits until what was killed a moment ago is back', async () => {
  for (const daemon of daemons) kill(daemon);
  await cluster().up();
  for (const daemon of daemons) assert.deepEqual([recordOf(daemon).attempt, recordOf(daemon).ready], [0, true]);
  assert.match(await cluster().kubectl('get nodes'), / Ready /);
  // Nobody else starts it, too.
  assert.equal(processes().filter((line) => /daemon\.(ts|js) (control-plane|node-agent)/.test(line) && !line.includes('supervise.sh')).length, 2);
});

test('what was told to go does not come back, whether it ran or was on its way back', async () => {
  const down = async (): Promise<void> => {
    const outcome = await cluster().k8ts(['down', '--data-dir', cluster().dataDir], { timeoutMs: 60_000 });
    assert.equal(outcome.code, 0, outcome.stderr);
  };
  await down();
  await allGone();
  await cluster().up();
  for (const daemon of daemons) kill(daemon);
  await down();
  await allGone();
});

test('daemons whose data directory is removed end, and say so', async () => {
  // The logs go too; who has them open reads on.
  const logs = daemons.map((daemon) => openSync(join(cluster().dataDir, 'logs', `${daemon}.log`), 'r'));
  rmSync(cluster().dataDir, { recursive: true, force: true });
  await allGone();
  for (const log of logs) {
    assert.match(readFileSync(log, 'utf8'), /"msg":"the data directory was removed beneath this process, which ends"/);
    closeSync(log);
  }
});
