/**
 * How long real containers take, from the request to what a user waits for, beside what the container runtime alone takes in the same run. Pods are waited for
 * by watch, as a controller would; Deployments by stock kubectl, as a user would.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Pod } from '../src/api/kinds.ts';
import { isRunning, type RealPods, realPodsOf } from '../test/conformance/real-pods.ts';
import { type ClusterUnderTest, startClusterUnderTest } from '../test/support/cluster-under-test.ts';
import { bareCri } from './bare-cri.ts';
import { type Figure, median } from './figure.ts';
import { serviceSpeed } from './service-speed.ts';

const image = 'k8ts.local/hello:1';
/** Takes next to nothing, and ends as soon as it is told to. */
const tinyImage = 'k8ts.local/pause:1';
const rounds = 7;

export async function podSpeed(): Promise<Figure[]> {
  const bare = await bareCri(image);
  const cluster = await startClusterUnderTest();
  const pods = realPodsOf(cluster);
  try {
    return [
      { what: 'CRI calls alone for 1 pod', value: bare.one, unit: 's', aim: 0.2, better: 'less' },
      { what: 'CRI calls alone for 20 pods', value: bare.twenty, unit: 's', aim: 1.63, better: 'less' },
      ...(await starts(pods, bare.one)),
      ...(await deployments(cluster, bare.twenty)),
      ...(await crowds(pods)),
      ...(await idleWithPods(cluster, pods)),
      ...(await serviceSpeed(pods)),
    ];
  } finally {
    await pods.close();
  }
}

/** One pod after the other. */
async function starts(pods: RealPods, bareSeconds: number): Promise<Figure[]> {
  const seconds: number[] = [];
  for (let round = -1; round < rounds; round++) {
    const name = `single-${round + 1}`;
    const took = await timed(async () => {
      await pods.create(name, { containers: [{ name: 'main', image }] });
      await pods.until(name, 'runs', isRunning);
    });
    // The first one warms the way.
    if (round >= 0) seconds.push(took);
    await pods.of(Pod).delete(name);
    await pods.untilGone(name);
  }
  return [
    { what: 'pod: create → Running, P50', value: median(seconds), unit: 's', aim: 0.35, better: 'less' },
    { what: '  as a multiple of the CRI calls alone', value: median(seconds) / bareSeconds, unit: '×', aim: 1.75, better: 'less' },
  ];
}

async function deployments(cluster: ClusterUnderTest, bareSeconds: number): Promise<Figure[]> {
  await timed(() => deployed(cluster, 'warm', 1));
  const one: number[] = [];
  for (let round = 0; round < 5; round++) one.push(await timed(() => deployed(cluster, `one-${round}`, 1)));
  await cluster.kubectl('delete deployment --all');
  const twenty: number[] = [];
  for (let round = 0; round < 2; round++) {
    await deployed(cluster, `many-${round}`, 1);
    twenty.push(
      await timed(async () => {
        await cluster.kubectl(`scale deployment many-${round} --replicas=20`);
        await cluster.kubectl(`rollout status deployment many-${round} --timeout=120s`, { timeoutMs: 130_000 });
      }),
    );
    await cluster.kubectl(`delete deployment many-${round}`);
    await cluster.kubectl('wait --for=delete pod --all --timeout=60s', { timeoutMs: 70_000 });
  }
  return [
    { what: 'Deployment of 1 replica, apply → available', value: median(one), unit: 's', upstream: 1.37, aim: 0.4, better: 'less' },
    { what: '1 → 20 replicas on one node', value: median(twenty), unit: 's', upstream: 13.6, aim: 2.5, better: 'less' },
    { what: '  as a multiple of the CRI calls alone', value: median(twenty) / bareSeconds, unit: '×', aim: 1.53, better: 'less' },
  ];
}

/** Many pods that do nothing: made at once, and deleted at once. */
async function crowds(pods: RealPods): Promise<Figure[]> {
  const named = (count: number, prefix: string): string[] => Array.from({ length: count }, (_, index) => `${prefix}-${index}`);
  const run = async (names: readonly string[]): Promise<void> => {
    await Promise.all(
      names.map((name) => pods.create(name, { terminationGracePeriodSeconds: 30, containers: [{ name: 'main', image: tinyImage }] })),
    );
    await Promise.all(names.map((name) => pods.until(name, 'runs', isRunning, 120_000)));
  };
  const remove = async (names: readonly string[]): Promise<void> => {
    await Promise.all(names.map((name) => pods.of(Pod).delete(name)));
    await Promise.all(names.map((name) => pods.untilGone(name)));
  };
  const deletions: number[] = [];
  for (const round of [0, 1, 2]) {
    const twenty = named(20, `leaving-${round}`);
    await run(twenty);
    deletions.push(await timed(() => remove(twenty)));
  }
  const hundred = named(100, 'crowd');
  const all = await timed(() => run(hundred));
  await remove(hundred);
  return [
    { what: 'delete of 20 pods that exit at once', value: median(deletions), unit: 's', aim: 2, better: 'less' },
    { what: '100 pods on one node, create → Running', value: all, unit: 's', aim: 12, better: 'less' },
  ];
}

const idleMs = 20_000;

/** What the node agent takes while twenty probed pods run and nothing happens. */
async function idleWithPods({ dataDir }: ClusterUnderTest, pods: RealPods): Promise<Figure[]> {
  const names = Array.from({ length: 20 }, (_, index) => `idle-${index}`);
  const readinessProbe = { httpGet: { path: '/healthz', port: 8080 } };
  await Promise.all(names.map((name) => pods.create(name, { containers: [{ name: 'main', image, readinessProbe }] })));
  await Promise.all(names.map((name) => pods.until(name, 'runs', isRunning)));
  const { pid } = JSON.parse(readFileSync(join(dataDir, 'run', 'node-agent.json'), 'utf8')) as { pid: number };
  await sleep(10_000);
  const before = cpuSeconds(pid);
  await sleep(idleMs);
  const percent = ((cpuSeconds(pid) - before) / (idleMs / 1000)) * 100;
  const memory = Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? NaN) / 1024;
  await Promise.all(names.map((name) => pods.of(Pod).delete(name)));
  await Promise.all(names.map((name) => pods.untilGone(name)));
  return [
    { what: 'node agent with 20 pods, idle memory', value: memory, unit: 'MiB', aim: 100, better: 'less' },
    { what: 'node agent with 20 pods, idle CPU', value: percent, unit: '%', aim: 1, better: 'less' },
  ];
}

/** User and system time of a process so far. */
function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

async function deployed(cluster: ClusterUnderTest, name: string, replicas: number): Promise<void> {
  await cluster.kubectl(`create deployment ${name} --image=${image} --replicas=${replicas}`);
  await cluster.kubectl(`rollout status deployment ${name} --timeout=60s`);
}

async function timed(action: () => Promise<void>): Promise<number> {
  const begin = performance.now();
  await action();
  return (performance.now() - begin) / 1000;
}
