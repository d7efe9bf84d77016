/** Logs of simulated containers, asked for over the wire. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CoreV1Api, KubeConfig } from '@kubernetes/client-node';
import { Pod, startCluster } from '../../src/index.ts';

const pod = (name: string, annotations: Record<string, string> = {}): object => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, annotations },
  spec: { restartPolicy: 'Never', containers: [{ name: 'main', image: 'app:1' }] },
});

test('shows what simulated containers wrote to whoever asks over the wire', async (t) => {
  const cluster = await startCluster({ port: 0 });
  t.after(() => cluster.close());
  const script = (name: string): string => `simulated.k8ts.local/${name}`;
  await cluster.apply([
    pod('talker', { [script('logs')]: 'one\ntwo\nthree', [script('message')]: 'bye', [script('run-time-ms')]: '300' }),
    pod('silent'),
  ]);
  const running = async (name: string): Promise<boolean> =>
    (await cluster.client.resource(Pod).namespace('default').get(name)).status.phase !== 'Pending';
  await cluster.until(async () => (await running('talker')) && (await running('silent')), { what: 'both run' });
  const config = new KubeConfig();
  config.loadFromString(cluster.kubeconfig());
  const api = config.makeApiClient(CoreV1Api);
  const log = (name: string, options: { tailLines?: number; follow?: boolean } = {}): Promise<string> =>
    api.readNamespacedPodLog({ namespace: 'default', name, ...options });
  assert.equal(await log('talker', { follow: true }), 'one\ntwo\nthree\nbye\n');
  assert.equal(await log('talker', { tailLines: 2 }), 'three\nbye\n');
  assert.equal(await log('silent'), '');
});
