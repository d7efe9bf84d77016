/** Scheduler, volume controller and a provisioner from outside at work together: a volume is made where the pod goes, and goes where the pod went. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import {
  type Draft,
  isReason,
  PersistentVolume,
  PersistentVolumeClaim,
  Pod,
  startCluster,
  StatefulSet,
  StorageClass,
  type VirtualCluster,
} from '../../src/index.ts';

const provisioner = 'example.com/disks';
const finalizer = 'external-provisioner.volume.kubernetes.io/finalizer';

describe('a class whose volumes are made outside, for the first pod', () => {
  let cluster: VirtualCluster;
  beforeEach(async () => {
    cluster = await startCluster({ clock: 'virtual', nodes: 3 });
    await cluster.client.resource(StorageClass).create({ metadata: { name: 'gold' }, provisioner, volumeBindingMode: 'WaitForFirstConsumer' });
  });
  afterEach(() => cluster.close());

  const claims = () => cluster.client.resource(PersistentVolumeClaim).namespace('default');
  const volumes = () => cluster.client.resource(PersistentVolume);

  /** What a provisioner does with what it finds, once. */
  async function provision(): Promise<void> {
    for (const { metadata, spec, status } of (await claims().list()).items) {
      const { annotations = {}, name, uid } = metadata;
      const node = annotations['volume.kubernetes.io/selected-node'];
      if (status.phase !== 'Pending' || node === undefined || annotations['volume.kubernetes.io/storage-provisioner'] !== provisioner) continue;
      const volume: Draft<PersistentVolume> = {
        metadata: { name: `pvc-${uid}`, annotations: { 'pv.kubernetes.io/provisioned-by': provisioner }, finalizers: [finalizer] },
        spec: {
          capacity: { storage: spec.resources?.requests?.['storage'] ?? '0' },
          accessModes: ['ReadWriteOnce'],
          persistentVolumeReclaimPolicy: 'Delete',
          storageClassName: 'gold',
          hostPath: { path: `/srv/${name}` },
          claimRef: { apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace: 'default', name, uid },
          nodeAffinity: {
            required: { nodeSelectorTerms: [{ matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: [node] }] }] },
          },
        },
      };
      await volumes()
        .create(volume)
        .catch((error: unknown) => {
          if (!isReason(error, 'AlreadyExists')) throw error;
        });
    }
    for (const { metadata, status } of (await volumes().list()).items) {
      if (status.phase !== 'Released' || metadata.deletionTimestamp !== undefined) continue;
      const finalizers = metadata.finalizers?.filter((each) => each !== finalizer);
      await volumes().patch(metadata.name, { metadata: { finalizers } });
      await volumes().delete(metadata.name);
    }
  }

  async function until(what: string, done: () => Promise<boolean>): Promise<void> {
    await cluster.until(
      async () => {
        await provision();
        return done();
      },
      { what, timeout: '2m' },
    );
  }

  it('has them made on the node the pod goes to, and removed after the claim', async () => {
    await claims().create({
      metadata: { name: 'data', namespace: 'default' },
      spec: { storageClassName: 'gold', accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
    });
    await cluster.settle();
    assert.equal((await claims().get('data')).metadata.annotations, undefined, 'nobody uses it yet');
    const pods = cluster.client.resource(Pod).namespace('default');
    await pods.create({
      metadata: { name: 'p', namespace: 'default' },
      spec: { containers: [{ name: 'c', image: 'i' }], volumes: [{ name: 'data', persistentVolumeClaim: { claimName: 'data' } }] },
    });
    await until('the pod runs', async () => (await pods.get('p')).status.phase === 'Running');
    const { spec } = await pods.get('p');
    const claim = await claims().get('data');
    assert.equal(claim.metadata.annotations?.['volume.kubernetes.io/selected-node'], spec.nodeName);
    assert.equal(claim.spec.volumeName, `pvc-${claim.metadata.uid}`);
    await pods.delete('p');
    await claims().delete('data');
    await until('the volume is gone', async () => (await volumes().list()).items.length === 0);
  });

  it('gives each pod of a stateful set its own, which the pod comes back to', async () => {
    const sets = cluster.client.resource(StatefulSet).namespace('default');
    await cluster.apply(`
      apiVersion: apps/v1
      kind: StatefulSet
      metadata: {name: db, namespace: default}
      spec:
        serviceName: db
        replicas: 3
        selector: {matchLabels: {app: db}}
        template:
          metadata: {labels: {app: db}}
          spec: {containers: [{name: c, image: i, volumeMounts: [{name: data, mountPath: /data}]}]}
        volumeClaimTemplates:
        - metadata: {name: data}
          spec: {storageClassName: gold, accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
    `);
    const ready = async (): Promise<boolean> => (await sets.get('db')).status.readyReplicas === 3;
    await until('three are ready', ready);
    const pods = cluster.client.resource(Pod).namespace('default');
    const before = await pods.get('db-1');
    assert.deepEqual(
      (await claims().list()).items.map(({ metadata, status }) => `${metadata.name} ${status.phase}`),
      ['data-db-0 Bound', 'data-db-1 Bound', 'data-db-2 Bound'],
    );
    await pods.delete('db-1');
    await until('another is there', async () =>
      (await pods.list()).items.some(({ metadata }) => metadata.name === 'db-1' && metadata.uid !== before.metadata.uid),
    );
    await until('three are ready again', ready);
    assert.equal((await pods.get('db-1')).spec.nodeName, before.spec.nodeName, 'its volume reaches no other node');
  });
});
