import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { simulatedWorld } from '../world/simulated.ts';
import { realDisk } from './disk.ts';
import { simulatedHost } from './host.ts';
import { removeLog, rotateLogs } from './log-rotation.ts';
import { simulatedRuntime } from './runtime/simulated.ts';

test('a log past 10 MiB is renamed away, and five files are kept', async () => {
  const world = simulatedWorld(1);
  const directory = await mkdtemp(join(tmpdir(), 'k8ts-logs-'));
  try {
    const logPath = join(directory, '0.log');
    const reopened: string[] = [];
    const runtime = { ...simulatedRuntime(world), reopenContainerLog: async (id: string) => void reopened.push(id) };
    const container = { id: 'c', state: 'running', logPath } as const;
    const observed = { uids: () => ['u'], pod: () => ({ containers: [container] }) };
    const host = { ...simulatedHost(), disk: realDisk() };
    for (let round = 0; round < 7; round++) {
      await writeFile(logPath, '');
      await rotateLogs({ world, runtime, host, observed });
      assert.equal(reopened.length, round, 'a small log stays');
      await truncate(logPath, 10 * 2 ** 20 + 1);
      await rotateLogs({ world, runtime, host, observed });
      await world.advance(1000);
    }
    assert.deepEqual((await readdir(directory)).sort(), [
      '0.log.20260101-000003',
      '0.log.20260101-000004',
      '0.log.20260101-000005',
      '0.log.20260101-000006',
    ]);
    for (const name of ['0.log', '1.log', '10.log']) await writeFile(join(directory, name), '');
    await removeLog(host.disk, logPath);
    assert.deepEqual((await readdir(directory)).sort(), ['1.log', '10.log'], 'all of one instance goes, and of no other');
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});

test('a flood is looked after more often, and what is kept of it takes no more than five files of the limit', async () => {
  const world = simulatedWorld(1);
  const directory = await mkdtemp(join(tmpdir(), 'k8ts-logs-'));
  try {
    const logPath = join(directory, '0.log');
    await writeFile(logPath, '');
    const flooded = () => truncate(logPath, 20 * 2 ** 20);
    const runtime = { ...simulatedRuntime(world), reopenContainerLog: () => writeFile(logPath, '').then(flooded) };
    const container = { id: 'c', state: 'running', logPath } as const;
    const observed = { uids: () => ['u'], pod: () => ({ containers: [container] }) };
    const host = { ...simulatedHost(), disk: realDisk() };
    await flooded();
    const rotatedInOneSecond = [];
    for (let round = 0; round < 4; round++) {
      rotatedInOneSecond.push(await rotateLogs({ world, runtime, host, observed }));
      await world.advance(100);
    }
    assert.deepEqual(rotatedInOneSecond, [1, 1, 1, 1]);
    assert.deepEqual((await readdir(directory)).sort(), ['0.log', '0.log.20260101-000000.200', '0.log.20260101-000000.300']);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});
