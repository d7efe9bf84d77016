/**
 * The cluster inside a test: how soon it is there, what it weighs, and how it does with many nodes and pods. Each figure in a process of its own, so that
 * none is measured in the wake of another.
 */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Figure } from './figure.ts';

const run = promisify(execFile);
const root = join(import.meta.dirname, '..');

/** What `in-test-process.ts` measures under the name. */
async function measured(name: string, ...nodeFlags: string[]): Promise<Readonly<Record<string, number>>> {
  const script = join(import.meta.dirname, 'in-test-process.ts');
  const { stdout } = await run(process.execPath, ['--expose-gc', ...nodeFlags, script, name], { cwd: root, maxBuffer: 2 ** 20 });
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Record<string, number>;
}

export async function inTestSpeed(): Promise<Figure[]> {
  await run(process.execPath, [join(root, 'tools/build.ts')], { cwd: root });
  const start = await measured('start');
  const many = await measured('many');
  const rollout = await measured('rollout');
  const figure = (what: string, value: number | undefined, unit: string, aim: number, better: Figure['better'] = 'less'): Figure[] =>
    value === undefined ? [] : [{ what, value, unit, aim, better }];
  return [
    ...figure('in-process cluster ready, first in the process', start['firstMs'], 'ms', 150),
    ...figure('  with loading the package', start['withLoadingMs'], 'ms', 250),
    ...figure('in-process cluster ready, second', start['secondMs'], 'ms', 30),
    ...figure('  its memory, over bare Node', start['memoryMb'], 'MB', 60),
    ...figure('snapshot', start['snapshotMs'], 'ms', 5),
    ...figure('restore', start['restoreMs'], 'ms', 30),
    ...figure('fork', start['forkMs'], 'ms', 30),
    ...figure('10,000 pods on 1,000 nodes, apply → all Ready', many['seconds'], 's', 20),
    ...figure('  processor time of it', many['cpuSeconds'], 's', 20),
    ...figure('rollout of 1,000 replicas', rollout['podsPerSecond'], 'pods/s', 500, 'more'),
    ...figure('  per second of processor time', rollout['podsPerCpuSecond'], 'pods/s', 500, 'more'),
  ];
}

/** 5,000 nodes hold 150,000 pods of fifty Deployments: some minutes and some gigabytes, so only when asked for by name. */
export async function heldCluster(): Promise<Figure[]> {
  await run(process.execPath, [join(root, 'tools/build.ts')], { cwd: root });
  // Room beyond the aim: a heap that is full is swept over and over, and the process ends before it can be measured.
  const held = await measured('held', '--max-old-space-size=6000');
  const figure = (what: string, name: string, unit: string, aim?: number): Figure => ({
    what,
    value: held[name] ?? Number.NaN,
    unit,
    ...(aim !== undefined && { aim }),
    better: 'less',
  });
  return [
    figure('150,000 pods on 5,000 nodes, until all Ready', 'fillSeconds', 's'),
    figure('  processor time of it', 'fillCpuSeconds', 's'),
    figure('  memory, leases renewing', 'memoryMb', 'MB', 4096),
    figure('  the most memory at any time', 'peakMb', 'MB'),
    figure('  processor time a second, leases renewing', 'cores', 's', 1),
    figure('  the oldest lease', 'oldestLeaseSeconds', 's', 40),
  ];
}
