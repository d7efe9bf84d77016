import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { pauseExecutable } from './pause.ts';

const architecture = process.arch === 'arm64' ? 'arm64' : 'amd64';

describe('the pause executable', () => {
  for (const built of ['amd64', 'arm64'] as const) {
    test(`for ${built} is an ELF file of a few hundred bytes`, () => {
      const executable = pauseExecutable(built);
      assert.equal(executable.toString('latin1', 1, 4), 'ELF');
      assert.ok(executable.length < 400, `${executable.length} bytes`);
    });
  }

  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    test(`waits, and ends on ${signal} with code 0`, async (t) => {
      const child = await start(t);
      child.kill('SIGCHLD');
      child.kill(signal);
      assert.deepEqual(await once(child, 'exit'), [0, null]);
    });
  }

  test(
    'reaps children that it did not start, as process 1',
    { skip: process.getuid?.() !== 0 && 'needs root for a process namespace' },
    async (t) => {
      const file = executableFile(t);
      // The shell becomes pause while its own child goes on, and is orphaned to process 1 when it ends.
      const script = `sh -c 'sleep 0.05' & exec ${file}`;
      const child = spawn('unshare', ['--pid', '--fork', '--kill-child', 'sh', '-c', script], { stdio: 'ignore' });
      t.after(() => child.kill('SIGKILL'));
      const pause = await until(() => childrenOf(child.pid ?? 0)[0]);
      await until(() => (readFileSync(`/proc/${pause}/comm`, 'utf8').startsWith('pause') ? true : undefined));
      await until(() => (childrenOf(pause).length === 0 ? true : undefined));
      process.kill(pause, 'SIGTERM');
      assert.deepEqual(await once(child, 'exit'), [0, null]);
    },
  );
});

async function start(t: TestContext): Promise<ChildProcess> {
  const child = spawn(executableFile(t), { stdio: 'ignore' });
  t.after(() => child.kill('SIGKILL'));
  // It is ready when it sits in rt_sigtimedwait, whose number differs between the architectures.
  const waiting = architecture === 'amd64' ? '128 ' : '137 ';
  await until(() => (readFileSync(`/proc/${child.pid}/syscall`, 'utf8').startsWith(waiting) ? true : undefined));
  return child;
}

function executableFile(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'k8ts-pause-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const file = join(directory, 'pause');
  writeFileSync(file, pauseExecutable(architecture), { mode: 0o755 });
  return file;
}

function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
}

async function until<T>(look: () => T | undefined): Promise<T> {
  for (let tries = 0; tries < 500; tries++) {
    const found = look();
    if (found !== undefined) return found;
    await sleep(10);
  }
  throw new Error('it did not come about');
}
