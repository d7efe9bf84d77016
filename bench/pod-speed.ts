/** How long real containers take, from the request to what a user waits for. */
import { type ClusterUnderTest, startClusterUnderTest } from '../test/support/cluster-under-test.ts';
import { type Figure, median } from './figure.ts';

const image = 'k8ts.local/hello:1';

export async function podSpeed(): Promise<Figure[]> {
  const cluster = await startClusterUnderTest();
  try {
    await timed(() => deployed(cluster, 'warm', 1));
    const one: number[] = [];
    for (let round = 0; round < 5; round++) one.push(await timed(() => deployed(cluster, `one-${round}`, 1)));
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
    }
    return [
      { what: 'Deployment of 1 replica, apply → available', value: median(one), unit: 's', upstream: 1.37, aim: 0.4, better: 'less' },
      { what: '1 → 20 replicas on one node', value: median(twenty), unit: 's', upstream: 13.6, aim: 3, better: 'less' },
    ];
  } finally {
    await cluster.close();
  }
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
