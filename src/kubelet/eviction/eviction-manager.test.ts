import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import type { Node, Pod } from '../../api/kinds.ts';
import type { V1PodSpec } from '../../api/types.ts';
import { type Rig, closeRigs, condition, events, podOf, putPod, rig } from '../kubelet-rig.ts';
import type { Gauge } from './gauge.ts';
import type { LocalUsage } from './local-storage.ts';
import type { Reading } from './pressure.ts';
import { type Signal, thresholdsOf } from './thresholds.ts';

afterEach(closeRigs);

const mebi = 2 ** 20;

interface Dial extends Gauge {
  readonly readings: Map<Signal, Reading>;
  /** By the pod's name. */
  readonly used: Map<string, Partial<LocalUsage>>;
  apart: boolean;
}

function dial(): Dial {
  const readings = new Map<Signal, Reading>();
  const used = new Map<string, Partial<LocalUsage>>();
  const nothing: LocalUsage = { memoryBytes: 0, disk: onDisk({}), processes: 0, containers: [], volumes: new Map() };
  const made: Dial = {
    readings,
    used,
    apart: false,
    imagesApart: async () => made.apart,
    read: async () => new Map(readings),
    usage: async (pods) => new Map(pods.map(({ metadata }) => [metadata.uid, { ...nothing, ...used.get(metadata.name) }])),
  };
  return made;
}

function onDisk(parts: Partial<LocalUsage['disk']>): LocalUsage['disk'] {
  const none = { bytes: 0, inodes: 0 };
  return { layers: none, logs: none, volumes: none, ...parts };
}

function memory(available: number): Reading {
  return { available: available * mebi, capacity: 8192 * mebi };
}

const asking = (request: string, limit = request): Partial<V1PodSpec> => ({
  containers: [{ name: 'main', image: 'nginx:1', resources: { requests: { memory: request }, limits: { memory: limit } } }],
});

async function ready(it: Rig, ...names: string[]): Promise<void> {
  await it.world.advanceUntil(() => names.every((name) => condition(podOf(it, name), 'Ready') === 'True'), 5000);
}

function nodeCondition({ api }: Rig, type: string) {
  return (api.get('Node', 'node-1') as Node | undefined)?.status.conditions?.find((candidate) => candidate.type === type);
}

const failed = (it: Rig, ...names: string[]): string[] => names.filter((name) => podOf(it, name)?.status.phase === 'Failed');

describe('a node that runs out of memory', () => {
  test('says so, and ends the pod that took the most beyond its request', async () => {
    const gauge = dial();
    gauge.readings.set('memory.available', memory(4000));
    const it = rig(undefined, { gauge });
    putPod(it, asking('1Gi', '2Gi'), { name: 'modest' });
    putPod(it, asking('100Mi', '2Gi'), { name: 'greedy' });
    await ready(it, 'modest', 'greedy');
    gauge.used.set('modest', { memoryBytes: 900 * mebi });
    gauge.used.set('greedy', { memoryBytes: 1500 * mebi, containers: [{ name: 'main', memoryBytes: 1500 * mebi, diskBytes: 0 }] });
    gauge.readings.set('memory.available', memory(99));
    await it.world.advanceUntil(() => failed(it, 'greedy', 'modest').length > 0, 15_000);
    const pod = podOf(it, 'greedy');
    assert.equal(pod?.status.phase, 'Failed');
    assert.equal(pod?.status.reason, 'Evicted');
    assert.equal(
      pod?.status.message,
      'The node was low on resource: memory. Threshold quantity: 100Mi, available: 99Mi. Container main was using 1500Mi, request is 100Mi, has larger consumption of memory. ',
    );
    const target = pod?.status.conditions?.find(({ type }) => type === 'DisruptionTarget');
    assert.deepEqual([target?.status, target?.reason], ['True', 'TerminationByKubelet']);
    assert.ok(events(it).some((event) => event.startsWith('Evicted: The node was low on resource: memory.')));
    assert.equal(nodeCondition(it, 'MemoryPressure')?.reason, 'KubeletHasInsufficientMemory');
    assert.ok(events(it).includes('EvictionThresholdMet: Attempting to reclaim memory'));

    gauge.readings.set('memory.available', memory(4000));
    await it.world.advance(290_000);
    assert.equal(nodeCondition(it, 'MemoryPressure')?.status, 'True', 'the condition does not flap');
    await it.world.advance(20_000);
    assert.equal(nodeCondition(it, 'MemoryPressure')?.status, 'False');
    assert.deepEqual(failed(it, 'modest'), []);
  });

  test('ends one at a time, by priority among those beyond their requests, and passes over critical ones', async () => {
    const gauge = dial();
    gauge.readings.set('memory.available', memory(4000));
    const it = rig(undefined, { gauge });
    putPod(it, { priority: 2_000_000_000 }, { name: 'critical' });
    putPod(it, { priority: 10 }, { name: 'high' });
    putPod(it, { priority: -5 }, { name: 'low' });
    putPod(it, asking('1Gi'), { name: 'within' });
    const names = ['critical', 'high', 'low', 'within'];
    await ready(it, ...names);
    for (const name of names) gauge.used.set(name, { memoryBytes: 500 * mebi });
    gauge.readings.set('memory.available', memory(10));
    const order: string[] = [];
    for (let count = 1; count <= 3; count++) {
      await it.world.advanceUntil(() => failed(it, ...names).length === count, 15_000);
      order.push(...failed(it, ...names).filter((name) => !order.includes(name)));
    }
    assert.deepEqual(order, ['low', 'high', 'within']);
    await it.world.advance(60_000);
    assert.equal(podOf(it, 'critical')?.status.phase, 'Running');
  });

  test('takes no best-effort pods, but such as asked for memory', async () => {
    const gauge = dial();
    gauge.readings.set('memory.available', memory(10));
    const it = rig(undefined, { gauge });
    await it.world.advanceUntil(() => nodeCondition(it, 'MemoryPressure')?.status === 'True', 15_000);
    putPod(it, {}, { name: 'best-effort' });
    putPod(it, { tolerations: [{ key: 'node.kubernetes.io/memory-pressure', operator: 'Exists', effect: 'NoSchedule' }] }, { name: 'tolerant' });
    await it.world.advance(1000);
    assert.equal(podOf(it, 'best-effort')?.status.reason, 'Evicted');
    assert.equal(podOf(it, 'best-effort')?.status.message, 'The node had condition: [MemoryPressure]. ');
    assert.notEqual(podOf(it, 'tolerant')?.status.phase, 'Failed');
  });

  test('waits for a soft threshold, and gives its pods time to end', async () => {
    const gauge = dial();
    gauge.readings.set('memory.available', memory(4000));
    const evictionThresholds = thresholdsOf({
      hard: { 'memory.available': '100Mi' },
      soft: { 'memory.available': '1Gi' },
      softGracePeriods: { 'memory.available': '60s' },
    });
    const it = rig(() => ({ stopDelayMs: 60_000 }), { gauge, settings: { evictionThresholds, evictionMaxGraceSeconds: 20 } });
    putPod(it);
    await ready(it, 'web');
    gauge.readings.set('memory.available', memory(1000));
    await it.world.advance(55_000);
    assert.equal(nodeCondition(it, 'MemoryPressure')?.status, 'True');
    assert.equal(
      events(it).some((event) => event.startsWith('Evicted')),
      false,
    );
    await it.world.advanceUntil(() => events(it).some((event) => event.startsWith('Evicted')), 20_000);
    const atMs = it.world.clock.now();
    await it.world.advanceUntil(() => podOf(it)?.status.phase === 'Failed', 60_000);
    assert.equal(it.world.clock.now() - atMs, 20_000);
  });

  test('does not end a second pod before the first is gone', async () => {
    const gauge = dial();
    const evictionThresholds = thresholdsOf({
      hard: {},
      soft: { 'memory.available': '1Gi' },
      softGracePeriods: { 'memory.available': '5s' },
    });
    const it = rig(() => ({ stopDelayMs: 60_000 }), { gauge, settings: { evictionThresholds, evictionMaxGraceSeconds: 25 } });
    for (const name of ['first', 'second']) putPod(it, {}, { name });
    await ready(it, 'first', 'second');
    gauge.used.set('first', { memoryBytes: 200 * mebi });
    gauge.used.set('second', { memoryBytes: 100 * mebi });
    gauge.readings.set('memory.available', memory(500));
    const evictions = (): number => events(it).filter((event) => event.startsWith('Evicted')).length;
    await it.world.advanceUntil(() => evictions() === 1, 30_000);
    await it.world.advance(24_000);
    assert.equal(evictions(), 1, 'room is on its way');
    await it.world.advanceUntil(() => evictions() === 2, 5000);
    await it.world.advance(1000);
    assert.deepEqual(failed(it, 'first', 'second'), ['first']);
  });

  test('or of what all pods together may have, does the same, where pods are held to that', async () => {
    for (const enforcePodsAllocatable of [true, false]) {
      const gauge = dial();
      const it = rig(undefined, { gauge, settings: { enforcePodsAllocatable } });
      putPod(it);
      await ready(it, 'web');
      gauge.readings.set('memory.available', memory(4000));
      gauge.readings.set('allocatableMemory.available', { available: 99 * mebi, capacity: 1024 * mebi });
      await it.world.advance(25_000);
      assert.equal(podOf(it, 'web')?.status.reason, enforcePodsAllocatable ? 'Evicted' : undefined);
      assert.equal(nodeCondition(it, 'MemoryPressure')?.status, enforcePodsAllocatable ? 'True' : 'False');
    }
  });
});

describe('a node that runs out of disk', () => {
  const disk = (percent: number): Reading => ({ available: percent * 1000, capacity: 100_000 });

  test('first takes back what nobody needs', async () => {
    const gauge = dial();
    gauge.readings.set('imagefs.available', disk(50));
    const it = rig(undefined, { gauge });
    for (const image of ['old:1', 'old:2']) it.runtime.localImages.add(image);
    putPod(it);
    await ready(it, 'web');
    gauge.readings.set('imagefs.available', disk(14));
    const read = gauge.read.bind(gauge);
    // Room comes with the images' going.
    gauge.read = async () => {
      if (!it.runtime.localImages.has('old:1')) gauge.readings.set('imagefs.available', disk(40));
      return read();
    };
    await it.world.advance(60_000);
    assert.deepEqual([...it.runtime.localImages], ['nginx:1']);
    assert.equal(podOf(it)?.status.phase, 'Running');
    assert.equal(nodeCondition(it, 'DiskPressure')?.status, 'True', 'for its time');
  });

  test('ends who filled it, and takes no others', async () => {
    const gauge = dial();
    gauge.readings.set('nodefs.inodesFree', disk(50));
    const it = rig(undefined, { gauge });
    for (const name of ['few', 'many']) putPod(it, {}, { name });
    await ready(it, 'few', 'many');
    gauge.used.set('few', { disk: onDisk({ layers: { bytes: 0, inodes: 10 } }) });
    gauge.used.set('many', { disk: onDisk({ logs: { bytes: 0, inodes: 10_000 } }) });
    gauge.readings.set('nodefs.inodesFree', disk(4));
    await it.world.advanceUntil(() => failed(it, 'few', 'many').length > 0, 15_000);
    assert.equal(podOf(it, 'many')?.status.message, 'The node was low on resource: inodes. Threshold quantity: 5000, available: 4000. ');
    putPod(it, asking('1Mi'), { name: 'late' });
    await it.world.advanceUntil(() => podOf(it, 'late')?.status.phase === 'Failed', 5000);
    assert.equal(podOf(it, 'late')?.status.message, 'The node had condition: [DiskPressure]. ');
  });

  for (const [signal, victim] of [
    ['nodefs.available', 'hoarder'],
    ['imagefs.available', 'builder'],
  ] as const) {
    test(`with images on a disk of their own, and ${signal} short: ends who fills that disk`, async () => {
      const gauge = dial();
      gauge.apart = true;
      const it = rig(undefined, { gauge });
      it.runtime.localImages.add('old:1');
      for (const name of ['hoarder', 'builder']) putPod(it, {}, { name });
      await ready(it, 'hoarder', 'builder');
      gauge.used.set('hoarder', { disk: onDisk({ logs: { bytes: 600, inodes: 1 }, layers: { bytes: 1, inodes: 1 } }) });
      gauge.used.set('builder', { disk: onDisk({ volumes: { bytes: 300, inodes: 1 }, layers: { bytes: 200, inodes: 1 } }) });
      gauge.readings.set(signal, disk(4));
      await it.world.advanceUntil(() => failed(it, 'hoarder', 'builder').length > 0, 15_000);
      assert.deepEqual(failed(it, 'hoarder', 'builder'), [victim]);
      assert.equal(it.runtime.localImages.has('old:1'), signal === 'nodefs.available', 'images are taken back where they help');
    });
  }

  test('and of process ids, the same', async () => {
    const gauge = dial();
    const it = rig(undefined, { gauge, settings: { evictionThresholds: thresholdsOf({ hard: { 'pid.available': '10%' } }) } });
    for (const name of ['calm', 'fork-bomb']) putPod(it, {}, { name });
    await ready(it, 'calm', 'fork-bomb');
    gauge.used.set('fork-bomb', { processes: 30_000 });
    gauge.readings.set('pid.available', { available: 1000, capacity: 32_768 });
    await it.world.advanceUntil(() => failed(it, 'fork-bomb').length > 0, 15_000);
    assert.match(podOf(it, 'fork-bomb')?.status.message ?? '', /^The node was low on resource: pids\./);
    assert.equal(nodeCondition(it, 'PIDPressure')?.reason, 'KubeletHasInsufficientPID');
  });
});

describe('a pod that writes more than it may', () => {
  const limited: Partial<V1PodSpec> = {
    volumes: [{ name: 'scratch', emptyDir: { sizeLimit: '1Mi' } }],
    containers: [{ name: 'main', image: 'nginx:1', resources: { limits: { 'ephemeral-storage': '4Mi' } } }],
  };
  const cases: readonly (readonly [name: string, usage: Partial<LocalUsage>, message: string | undefined])[] = [
    ['into its emptyDir', { volumes: new Map([['scratch', mebi + 1]]) }, 'Usage of EmptyDir volume "scratch" exceeds the limit "1Mi". '],
    ['just what it may', { volumes: new Map([['scratch', mebi]]), disk: onDisk({ layers: { bytes: 4 * mebi, inodes: 1 } }) }, undefined],
    [
      'altogether',
      { disk: onDisk({ logs: { bytes: 4 * mebi + 1, inodes: 1 } }) },
      'Pod ephemeral local storage usage exceeds the total limit of containers 4Mi. ',
    ],
    [
      'in one container',
      { containers: [{ name: 'main', memoryBytes: 0, diskBytes: 5 * mebi }] },
      'Container main exceeded its local ephemeral storage limit "4Mi". ',
    ],
  ];
  for (const [name, usage, message] of cases) {
    test(`${name} is ${message === undefined ? 'left alone' : 'evicted'}`, async () => {
      const gauge = dial();
      const it = rig(undefined, { gauge });
      putPod(it, limited);
      await ready(it, 'web');
      gauge.used.set('web', usage);
      await it.world.advance(15_000);
      const pod: Pod | undefined = podOf(it);
      assert.equal(pod?.status.phase, message === undefined ? 'Running' : 'Failed');
      assert.equal(pod?.status.message, message);
    });
  }
});
