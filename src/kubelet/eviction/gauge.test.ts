import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { describe, test } from 'node:test';
import { noCgroups } from '../cgroups.ts';
import { simulatedWorld } from '../../world/simulated.ts';
import { simulatedRuntime } from '../runtime/simulated.ts';
import { type Gauge, realGauge } from './gauge.ts';

/** Of this machine, whose images are said to lie at `imagesAt`. */
function gauge(rootDir: string, imagesAt: string): Gauge {
  const runtime = { ...simulatedRuntime(simulatedWorld(1)), imageFsUsage: async () => ({ mountpoint: imagesAt, usedBytes: 0, inodesUsed: 0 }) };
  return realGauge({ runtime, rootDir, logRoot: rootDir, memoryBytes: 2 ** 40, cgroups: noCgroups('/nosuch') });
}

describe('what a machine has left', () => {
  test('is read of memory, process ids, and the file systems of the kubelet, of images and of containers', async (t) => {
    const directory = await mkdtemp(`${tmpdir()}/k8ts-gauge-`);
    t.after(() => rm(directory, { recursive: true }));
    const readings = await gauge(directory, directory).read();
    for (const signal of ['memory.available', 'pid.available', 'nodefs.available', 'imagefs.available', 'containerfs.available'] as const) {
      const reading = readings.get(signal);
      assert.ok(reading && reading.available > 0 && reading.available <= reading.capacity, `${signal} ${JSON.stringify(reading)}`);
    }
    assert.equal(readings.has('allocatableMemory.available'), false, 'pods are held to nothing together');
  });

  test('of a file system that cannot be asked is unknown', async () => {
    const readings = await gauge('/nosuch/place', '').read();
    assert.deepEqual(
      [...readings.keys()].filter((signal) => /fs\./.test(signal)),
      [],
    );
  });

  for (const [name, imagesAt, apart] of [
    ['with the kubelet', '/', false],
    ['on another file system', '/proc', true],
    ['nobody knows where', '', false],
    ['at a place that is not there', '/nosuch/place', false],
  ] as const) {
    test(`images are ${name}`, async () => assert.equal(await gauge('/', imagesAt).imagesApart(), apart));
  }
});
