/** How fast a cluster starts, and what it takes when nothing happens. */
import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ClusterUnderTest, startClusterUnderTest } from '../test/support/cluster-under-test.ts';
import { launcher, start } from '../test/support/stock-tools.ts';
import { type Figure, median } from './figure.ts';

const rounds = 5;
const idleMs = 20_000;

export async function startSpeed(): Promise<Figure[]> {
  const cluster = await startClusterUnderTest();
  try {
    const [apiReady, nodeReady]: [number[], number[]] = [[], []];
    for (let round = 0; round < rounds; round++) {
      await cluster.k8ts(['down', '--data-dir', cluster.dataDir], { timeoutMs: 60_000 });
      const begin = performance.now();
      const up = start(launcher, ['up', '--data-dir', cluster.dataDir, '--port', String(cluster.port)], { env: cluster.env, timeoutMs: 120_000 });
      up.stdout?.resume();
      up.stderr?.resume();
      const exited = new Promise((resolve) => up.on('close', resolve));
      await apiAnswers(cluster.port);
      apiReady.push((performance.now() - begin) / 1000);
      await exited;
      nodeReady.push((performance.now() - begin) / 1000);
    }
    return [
      { what: 'API ready (warm install, from the command)', value: median(apiReady), unit: 's', upstream: 3.5, aim: 0.5, better: 'less' },
      { what: 'node Ready (the same)', value: median(nodeReady), unit: 's', aim: 2, better: 'less' },
      ...(await idle(cluster)),
    ];
  } finally {
    await cluster.close();
  }
}

async function idle(cluster: ClusterUnderTest): Promise<Figure[]> {
  const pid = (name: string): number => (JSON.parse(readFileSync(join(cluster.dataDir, 'run', `${name}.json`), 'utf8')) as { pid: number }).pid;
  const [plane, agent] = [pid('control-plane'), pid('node-agent')];
  await sleep(10_000);
  const before = [cpuSeconds(plane), cpuSeconds(agent)];
  await sleep(idleMs);
  const after = [cpuSeconds(plane), cpuSeconds(agent)];
  const percent = (index: number): number => (((after[index] ?? NaN) - (before[index] ?? NaN)) / (idleMs / 1000)) * 100;
  return [
    { what: 'control plane, idle memory', value: residentMiB(plane), unit: 'MiB', upstream: 496, aim: 150, better: 'less' },
    { what: 'node agent, idle memory', value: residentMiB(agent), unit: 'MiB', aim: 100, better: 'less' },
    { what: 'control plane, idle CPU', value: percent(0), unit: '%', aim: 1, better: 'less' },
    { what: 'node agent, idle CPU', value: percent(1), unit: '%', aim: 1, better: 'less' },
  ];
}

function residentMiB(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? NaN) / 1024;
}

function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

async function apiAnswers(port: number): Promise<void> {
  for (;;) {
    const ready = await new Promise<boolean>((resolve) => {
      const call = request({ host: '127.0.0.1', port, path: '/readyz', rejectUnauthorized: false, timeout: 1000 }, (response) => {
        response.resume();
        resolve(response.statusCode === 200);
      });
      call.on('error', () => resolve(false));
      call.end();
    });
    if (ready) return;
    await sleep(5);
  }
}
