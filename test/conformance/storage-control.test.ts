/**
 * The conformance behaviours of sig-storage that need no real container: the life of storage objects, and what the controllers make of them. Each test bears
 * the behaviour's name; those that are newer than the shared list bear that of release 1.36.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  ConfigMap,
  CSIDriver,
  CSINode,
  CSIStorageCapacity,
  type Draft,
  isReason,
  type KubeObject,
  PersistentVolume,
  PersistentVolumeClaim,
  Pod,
  ReplicationController,
  type ResourceClient,
  startCluster,
  StorageClass,
  type VirtualCluster,
  VolumeAttachment,
  VolumeAttributesClass,
} from '../../src/index.ts';

async function withCluster(run: (cluster: VirtualCluster) => Promise<void>): Promise<void> {
  const cluster = await startCluster({ clock: 'virtual', nodes: 1 });
  try {
    await run(cluster);
  } finally {
    await cluster.close();
  }
}

const driver = 'disks.example.com';
const mine = { test: 'storage' };
const labelSelector = 'test=storage';

function volumeDraft(name: string): Draft<PersistentVolume> {
  return {
    metadata: { name, labels: mine },
    spec: {
      capacity: { storage: '1Gi' },
      accessModes: ['ReadWriteOnce'],
      persistentVolumeReclaimPolicy: 'Retain',
      storageClassName: 'by-hand',
      csi: { driver, volumeHandle: name },
    },
  };
}

function claimDraft(name: string): Draft<PersistentVolumeClaim> {
  return {
    metadata: { name, namespace: 'default', labels: mine },
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } }, storageClassName: 'by-hand' },
  };
}

function attachmentDraft(name: string): Draft<VolumeAttachment> {
  return { metadata: { name, labels: mine }, spec: { attacher: driver, nodeName: 'node-1', source: { persistentVolumeName: `of-${name}` } } };
}

async function isGone(read: Promise<unknown>): Promise<boolean> {
  return read.then(
    () => false,
    (error: unknown) => isReason(error, 'NotFound'),
  );
}

/** What these behaviours ask of every kind: create, get, list, patch, update, delete, watch the deletion, delete a collection. */
async function livesThrough<T extends KubeObject>(
  cluster: VirtualCluster,
  resource: ResourceClient<T>,
  draft: (name: string) => Draft<T>,
): Promise<void> {
  const created = await resource.create(draft('first'));
  assert.equal(created.metadata.name, 'first');
  assert.equal((await resource.get('first')).metadata.uid, created.metadata.uid);
  assert.deepEqual(
    (await resource.list({ labelSelector })).items.map(({ metadata }) => metadata.uid),
    [created.metadata.uid],
  );
  const patched = await resource.patch('first', { metadata: { labels: { patched: 'true' } } });
  assert.deepEqual(patched.metadata.labels, { ...mine, patched: 'true' });
  await cluster.settle();
  const current = await resource.get('first');
  const updated = await resource.update({ ...current, metadata: { ...current.metadata, labels: { ...current.metadata.labels, updated: 'true' } } });
  assert.deepEqual(updated.metadata.labels, { ...mine, patched: 'true', updated: 'true' });
  assert.deepEqual((await resource.list({ labelSelector: 'updated=true' })).items.length, 1);

  await resource.delete('first');
  await cluster.until(() => isGone(resource.get('first')), { what: 'the first is gone' });
  for (const name of ['second', 'third']) await resource.create(draft(name));
  assert.equal((await resource.list({ labelSelector })).items.length, 2);
  await resource.deleteCollection({ labelSelector });
  await cluster.until(async () => (await resource.list({ labelSelector })).items.length === 0, { what: 'all are gone' });
}

test('[sig-storage] PersistentVolumes CSI Conformance should run through the lifecycle of a PV and a PVC [Conformance]', () =>
  withCluster(async (cluster) => {
    const volumes = cluster.client.resource(PersistentVolume);
    const claims = cluster.client.resource(PersistentVolumeClaim).namespace('default');
    await volumes.create(volumeDraft('pv'));
    await claims.create(claimDraft('pvc'));
    await cluster.until(async () => (await claims.get('pvc')).status.phase === 'Bound' && (await volumes.get('pv')).status.phase === 'Bound', {
      what: 'claim and volume are bound',
    });
    assert.equal((await claims.get('pvc')).spec.volumeName, 'pv');
    assert.equal((await volumes.get('pv')).spec.claimRef?.name, 'pvc');
    assert.equal((await volumes.list({ labelSelector })).items.length, 1);
    assert.equal((await claims.list({ labelSelector })).items.length, 1);
    for (const resource of [volumes, claims])
      await resource.patch(resource === volumes ? 'pv' : 'pvc', { metadata: { labels: { patched: 'true' } } });
    assert.equal((await volumes.get('pv')).metadata.labels?.['patched'], 'true');
    assert.equal((await claims.get('pvc')).metadata.labels?.['patched'], 'true');

    await claims.delete('pvc');
    await cluster.until(() => isGone(claims.get('pvc')), { what: 'the claim is gone' });
    await cluster.until(async () => (await volumes.get('pv')).status.phase === 'Released', { what: 'the volume is released' });
    await volumes.delete('pv');
    await cluster.until(() => isGone(volumes.get('pv')), { what: 'the volume is gone' });

    await volumes.create(volumeDraft('pv'));
    await claims.create(claimDraft('pvc'));
    await cluster.until(async () => (await claims.get('pvc')).status.phase === 'Bound', { what: 'the second pair is bound' });
    await claims.deleteCollection({ labelSelector });
    await cluster.until(async () => (await claims.list({ labelSelector })).items.length === 0, { what: 'the claims are gone' });
    await volumes.deleteCollection({ labelSelector });
    await cluster.until(async () => (await volumes.list({ labelSelector })).items.length === 0, { what: 'the volumes are gone' });
  }));

test('[sig-storage] PersistentVolumes CSI Conformance should apply changes to a pv/pvc status [Conformance]', () =>
  withCluster(async (cluster) => {
    const volumes = cluster.client.resource(PersistentVolume);
    const claims = cluster.client.resource(PersistentVolumeClaim).namespace('default');
    await volumes.create(volumeDraft('pv'));
    await claims.create(claimDraft('pvc'));
    await cluster.until(async () => (await claims.get('pvc')).status.phase === 'Bound', { what: 'they are bound' });
    const condition = (reason: string) => ({ type: 'StatusPatched', status: 'True', reason, message: 'set by a test' });
    assert.equal((await claims.getSubresource<PersistentVolumeClaim>('pvc', 'status')).status.phase, 'Bound');
    assert.equal((await volumes.getSubresource<PersistentVolume>('pv', 'status')).status.phase, 'Bound');

    const patched = await claims.patch('pvc', { status: { conditions: [condition('patched')] } }, { subresource: 'status' });
    assert.equal(patched.status.conditions?.[0]?.reason, 'patched');
    assert.equal((await volumes.patch('pv', { status: { message: 'patched' } }, { subresource: 'status' })).status.message, 'patched');

    await cluster.settle();
    const claim = await claims.get('pvc');
    const updated = await claims.updateStatus({ ...claim, status: { ...claim.status, conditions: [condition('updated')] } });
    assert.equal(updated.status.conditions?.[0]?.reason, 'updated');
    const volume = await volumes.get('pv');
    assert.equal((await volumes.updateStatus({ ...volume, status: { ...volume.status, message: 'updated' } })).status.message, 'updated');
  }));

test('[sig-storage] StorageClasses CSI Conformance should run through the lifecycle of a StorageClass [Conformance]', () =>
  withCluster((cluster) =>
    livesThrough(cluster, cluster.client.resource(StorageClass), (name) => ({ metadata: { name, labels: mine }, provisioner: driver })),
  ));

test('[sig-storage] VolumeAttachment Conformance should run through the lifecycle of a VolumeAttachment [Conformance]', () =>
  withCluster((cluster) => livesThrough(cluster, cluster.client.resource(VolumeAttachment), attachmentDraft)));

test('[sig-storage] VolumeAttachment Conformance should apply changes to a volumeattachment status [Conformance]', () =>
  withCluster(async (cluster) => {
    const attachments = cluster.client.resource(VolumeAttachment);
    await attachments.create(attachmentDraft('one'));
    const patched = await attachments.patch('one', { status: { attached: true } }, { subresource: 'status' });
    assert.equal(patched.status.attached, true);
    assert.equal((await attachments.getSubresource<VolumeAttachment>('one', 'status')).status.attached, true);
    const updated = await attachments.updateStatus({ ...patched, status: { attached: false } });
    assert.equal(updated.status.attached, false);
    await attachments.delete('one');
    await cluster.until(() => isGone(attachments.get('one')), { what: 'it is gone' });
  }));

test('[sig-storage] CSINodes CSI Conformance should run through the lifecycle of a csinode [Conformance]', () =>
  withCluster((cluster) =>
    livesThrough(cluster, cluster.client.resource(CSINode), (name) => ({
      metadata: { name, labels: mine },
      spec: { drivers: [{ name: driver, nodeID: name }] },
    })),
  ));

test('[sig-storage] CSIInlineVolumes should run through the lifecycle of a CSIDriver [Conformance]', () =>
  withCluster((cluster) =>
    livesThrough(cluster, cluster.client.resource(CSIDriver), (name) => ({ metadata: { name, labels: mine }, spec: { attachRequired: false } })),
  ));

test('[sig-storage] CSIStorageCapacity should support CSIStorageCapacities API operations [Conformance]', () =>
  withCluster(async (cluster) => {
    const capacities = cluster.client.resource(CSIStorageCapacity);
    const draft = (name: string): Draft<CSIStorageCapacity> => ({
      metadata: { name, namespace: 'default', labels: mine },
      storageClassName: 'gold',
      capacity: '10Gi',
      maximumVolumeSize: '1Gi',
    });
    const { resourceVersion } = (await capacities.list()).metadata;
    await livesThrough(cluster, capacities.namespace('default'), draft);
    const seen = new Set<string>();
    for await (const { type } of capacities.watch({ labelSelector, resourceVersion })) {
      seen.add(type);
      if (seen.size === 3) break;
    }
    assert.deepEqual([...seen].sort(), ['ADDED', 'DELETED', 'MODIFIED']);
    await capacities.namespace('default').create(draft('fourth'));
    assert.equal((await capacities.list({ labelSelector })).items.length, 1, 'over all namespaces');
  }));

test('[sig-storage] VolumeAttributesClass should run through the lifecycle of a VolumeAttributesClass', () =>
  withCluster((cluster) =>
    livesThrough(cluster, cluster.client.resource(VolumeAttributesClass), (name) => ({
      metadata: { name, labels: mine },
      driverName: driver,
      parameters: { iops: '1' },
    })),
  ));

test('[sig-storage] CSIInlineVolumes should support CSIVolumeSource in Pod API [Conformance]', () =>
  withCluster(async (cluster) => {
    const pods = cluster.client.resource(Pod).namespace('default');
    await cluster.client
      .resource(CSIDriver)
      .create({ metadata: { name: driver }, spec: { attachRequired: false, volumeLifecycleModes: ['Ephemeral'] } });
    await pods.create({
      metadata: { name: 'inline', namespace: 'default', labels: mine },
      spec: {
        containers: [{ name: 'main', image: 'app', volumeMounts: [{ name: 'data', mountPath: '/data' }] }],
        volumes: [{ name: 'data', csi: { driver, readOnly: true, volumeAttributes: { size: '1Gi' } } }],
      },
    });
    const found = (await pods.get('inline')).spec.volumes?.find(({ name }) => name === 'data');
    assert.deepEqual(found, { name: 'data', csi: { driver, readOnly: true, volumeAttributes: { size: '1Gi' } } });
    assert.equal((await pods.list({ labelSelector })).items.length, 1);
    await pods.patch('inline', { metadata: { labels: { patched: 'true' } } });
    await pods.deleteCollection({ labelSelector });
    await cluster.until(async () => (await pods.list({ labelSelector })).items.length === 0, { what: 'the pod is gone' });
  }));

test('[sig-storage] EmptyDir wrapper volumes should not cause race condition when used for configmaps [Serial] [Conformance]', () =>
  withCluster(async (cluster) => {
    const names = Array.from({ length: 50 }, (_, index) => `racey-${index}`);
    for (const name of names)
      await cluster.client.resource(ConfigMap).create({ metadata: { name, namespace: 'default' }, data: { 'data-1': 'value-1' } });
    const controllers = cluster.client.resource(ReplicationController).namespace('default');
    for (const round of ['wrapped-1', 'wrapped-2', 'wrapped-3']) {
      await controllers.create({
        metadata: { name: round, namespace: 'default' },
        spec: {
          replicas: 5,
          selector: { name: round },
          template: {
            metadata: { labels: { name: round } },
            spec: {
              containers: [{ name: 'main', image: 'app', volumeMounts: names.map((name) => ({ name, mountPath: `/etc/${name}` })) }],
              volumes: names.map((name) => ({ name, configMap: { name, items: [{ key: 'data-1', path: 'data-1' }] } })),
            },
          },
        },
      });
      await cluster.until(async () => (await controllers.get(round)).status.readyReplicas === 5, { what: 'all five run', timeout: '5m' });
      await controllers.delete(round, { propagationPolicy: 'Foreground' });
      await cluster.until(() => isGone(controllers.get(round)), { what: 'they are gone', timeout: '5m' });
    }
  }));
