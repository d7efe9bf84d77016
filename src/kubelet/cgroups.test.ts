import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { simulatedWorld } from '../world/simulated.ts';
import { realCgroups } from './cgroups.ts';

describe('a cgroup of others on the node', () => {
  let mountpoint = '';
  before(() => {
    mountpoint = mkdtempSync(join(tmpdir(), 'k8ts-cgroups-'));
    for (const controller of ['cpu', 'memory', 'pids']) {
      mkdirSync(join(mountpoint, controller, 'system'), { recursive: true });
      writeFileSync(join(mountpoint, controller, 'cgroup.procs'), '');
    }
  });
  after(() => rmSync(mountpoint, { recursive: true }));

  test('is held to what is reserved for it', async () => {
    const cgroups = realCgroups({ mountpoint, log: simulatedWorld(1).log });
    await cgroups.limitExisting('/system', { cpuShares: 512, memoryLimitBytes: 2 ** 20, pids: 100 });
    const read = (file: string): string => readFileSync(join(mountpoint, file), 'utf8');
    assert.deepEqual(
      [read('cpu/system/cpu.shares'), read('memory/system/memory.limit_in_bytes'), read('pids/system/pids.max')],
      ['512', '1048576', '100'],
    );
  });

  test('is there or not', () => {
    const cgroups = realCgroups({ mountpoint, log: simulatedWorld(1).log });
    assert.deepEqual([cgroups.has('/system'), cgroups.has('/elsewhere')], [true, false]);
  });
});
