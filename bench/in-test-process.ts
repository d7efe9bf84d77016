/** One measurement of `in-test.ts`, in a process of its own: `node in-test-process.ts NAME` prints its figures as JSON. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const bareMb = process.memoryUsage().rss / 2 ** 20;
const loadMs = performance.now();
const face = (await import(join(import.meta.dirname, '../dist/index.js'))) as typeof import('../src/index.ts');
const { Deployment, Lease, startCluster } = face;

const since = (ms: number): number => performance.now() - ms;

async function timed<T>(work: () => Promise<T>): Promise<[number, T]> {
  const begin = performance.now();
  const result = await work();
  return [since(begin), result];
}

const cpuSeconds = (before?: NodeJS.CpuUsage): number => {
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6;
};

const deployment = (replicas: number, image: string, name = 'web'): object => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name },
  spec: {
    replicas,
    selector: { matchLabels: { app: name } },
    strategy: { rollingUpdate: { maxSurge: '25%', maxUnavailable: '25%' } },
    template: { metadata: { labels: { app: name } }, spec: { containers: [{ name: 'main', image }] } },
  },
});

type Cluster = Awaited<ReturnType<typeof startCluster>>;

async function applied(cluster: Cluster, replicas: number, image: string, name = 'web'): Promise<void> {
  await cluster.apply(deployment(replicas, image, name));
  const ready = async (): Promise<boolean> => {
    const { status, metadata } = await cluster.client.resource(Deployment).namespace('default').get(name);
    const { availableReplicas, updatedReplicas, replicas: all, observedGeneration } = status;
    return observedGeneration === metadata.generation && availableReplicas === replicas && updatedReplicas === replicas && all === replicas;
  };
  await cluster.until(ready, { timeout: '1h', what: `${replicas} pods are ready` });
}

const measurements: Readonly<Record<string, () => Promise<Record<string, number>>>> = {
  async start() {
    const [firstMs, first] = await timed(() => startCluster());
    const withLoadingMs = since(loadMs);
    globalThis.gc?.();
    const memoryMb = process.memoryUsage().rss / 2 ** 20 - bareMb;
    const [secondMs, second] = await timed(() => startCluster());
    const [snapshotMs, snapshot] = await timed(() => second.snapshot());
    const [restoreMs] = await timed(() => second.restore(snapshot));
    const [forkMs, fork] = await timed(() => second.fork());
    for (const cluster of [first, second, fork]) await cluster.close();
    return { firstMs, withLoadingMs, memoryMb, secondMs, snapshotMs, restoreMs, forkMs };
  },
  async many() {
    const cluster = await startCluster({ nodes: 1_000, podEvents: 'warnings' });
    const before = process.cpuUsage();
    const [ms] = await timed(() => applied(cluster, 10_000, 'app:1'));
    const used = cpuSeconds(before);
    await cluster.close();
    return { seconds: ms / 1000, cpuSeconds: used };
  },
  async rollout() {
    const cluster = await startCluster({ nodes: 100, podEvents: 'warnings' });
    await applied(cluster, 1_000, 'app:1');
    const before = process.cpuUsage();
    const [ms] = await timed(() => applied(cluster, 1_000, 'app:2'));
    const used = cpuSeconds(before);
    await cluster.close();
    return { podsPerSecond: 1_000 / (ms / 1000), podsPerCpuSecond: 1_000 / used };
  },
  async held() {
    const filling = process.cpuUsage();
    const [fillMs, cluster] = await timed(async () => {
      const started = await startCluster({ nodes: 5_000, podEvents: 'warnings' });
      for (let i = 0; i < 50; i++) await applied(started, 3_000, 'app:1', `web-${i}`);
      return started;
    });
    const fillCpuSeconds = cpuSeconds(filling);
    globalThis.gc?.();
    const steady = process.cpuUsage();
    const [steadyMs] = await timed(() => sleep(180_000));
    const cores = cpuSeconds(steady) / (steadyMs / 1000);
    const memoryMb = process.memoryUsage().rss / 2 ** 20;
    const { items: leases } = await cluster.client.resource(Lease).namespace('kube-node-lease').list();
    if (leases.length !== 5_000) throw new Error(`there are ${leases.length} leases`);
    const oldest = Math.min(...leases.map(({ spec }) => Date.parse(spec.renewTime ?? '')));
    const oldestLeaseSeconds = (cluster.now().getTime() - oldest) / 1000;
    const peakMb = process.resourceUsage().maxRSS / 1024;
    await cluster.close();
    return { fillSeconds: fillMs / 1000, fillCpuSeconds, memoryMb, peakMb, cores, oldestLeaseSeconds };
  },
};

const measurement = measurements[process.argv[2] ?? ''];
if (measurement === undefined) throw new Error(`there is no measurement "${process.argv[2]}", only ${Object.keys(measurements).join(', ')}`);
console.log(JSON.stringify(await measurement()));
