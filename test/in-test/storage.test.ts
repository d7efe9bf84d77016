/** Claims in a cluster in this process: the default class, and volumes on simulated nodes. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { badDay, PersistentVolume, PersistentVolumeClaim, StatefulSet, startCluster, StorageClass, type VirtualCluster } from '../../src/index.ts';

let cluster: VirtualCluster | undefined;
afterEach(() => cluster?.close());

const set = (replicas: number): string => `
  apiVersion: apps/v1
  kind: StatefulSet
  metadata: { name: db }
  spec:
    replicas: ${replicas}
    serviceName: db
    selector: { matchLabels: { app: db } }
    persistentVolumeClaimRetentionPolicy: { whenScaled: Delete }
    template:
      metadata: { labels: { app: db } }
      spec:
        containers: [{ name: main, image: db, volumeMounts: [{ name: data, mountPath: /data }] }]
    volumeClaimTemplates:
      - metadata: { name: data }
        spec: { accessModes: [ReadWriteOnce], resources: { requests: { storage: 1Gi } } }
`;

const ready = async ({ client }: VirtualCluster, replicas: number): Promise<boolean> => {
  const { status } = await client.resource(StatefulSet).namespace('default').get('db');
  return status.readyReplicas === replicas && status.replicas === replicas;
};

test('a stateful set with claim templates works, and its volumes go with their claims', async () => {
  const it = (cluster = await startCluster({ clock: 'virtual', nodes: 3 }));
  await it.apply(set(3));
  await it.until(() => ready(it, 3), { what: 'three replicas are ready', timeout: '2m' });
  const volumes = it.client.resource(PersistentVolume);
  for (const { spec, status } of (await volumes.list()).items) {
    assert.deepEqual([spec.storageClassName, status.phase, spec.capacity], ['standard', 'Bound', { storage: '1Gi' }]);
  }
  const held = new Set((await volumes.list()).items.map(({ spec }) => spec.claimRef?.name));
  assert.deepEqual(held, new Set(['data-db-0', 'data-db-1', 'data-db-2']));

  await it.client
    .resource(StatefulSet)
    .namespace('default')
    .patch('db', { spec: { replicas: 1 } });
  const left = async (): Promise<boolean> => (await volumes.list()).items.length === 1;
  await it.until(left, { what: 'the volumes of the others are gone', timeout: '5m' });
});

test('a volume outlives its node, and a snapshot has it', async () => {
  const it = (cluster = await startCluster({ clock: 'virtual', nodes: 1 }));
  await it.apply(set(1));
  await it.until(() => ready(it, 1), { timeout: '2m' });
  const prepared = await it.snapshot();
  it.stopNode('node-1');
  await it.advance('1m');
  await it.startNode('node-1');
  await it.until(() => ready(it, 1), { timeout: '5m' });
  await it.client.resource(StatefulSet).namespace('default').delete('db', { propagationPolicy: 'Foreground' });
  await it.restore(prepared);
  await it.until(() => ready(it, 1), { timeout: '5m' });
  const { items } = await it.client.resource(PersistentVolumeClaim).namespace('default').list();
  assert.deepEqual(
    items.map(({ metadata, status }) => [metadata.name, status.phase]),
    [['data-db-0', 'Bound']],
  );
});

test('a test that brings storage of its own has no class but its own', async () => {
  const it = (cluster = await startCluster({ clock: 'virtual', storage: false }));
  await it.settle();
  assert.deepEqual((await it.client.resource(StorageClass).list()).items, []);
});

test('claims come through a bad day', async () => {
  const it = (cluster = await startCluster({ clock: 'virtual', seed: 3, nodes: 3, faults: { ...badDay, crash: badDay.crash * 3 } }));
  const applied = (): Promise<boolean> =>
    it.apply(set(3)).then(
      () => true,
      () => false,
    );
  await it.until(applied, { timeout: '5m' });
  await it.advance('3m');
  await it.stopFaults();
  await it.until(() => ready(it, 3), { timeout: '20m', what: it.faults().join('\n') });
});
