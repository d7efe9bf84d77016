import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { Event, PersistentVolume, PersistentVolumeClaim, Pod, StorageClass, VolumeAttributesClass } from '../../src/api/kinds.ts';
import type { Draft, KubeObject } from '../../src/machinery/object.ts';
import { type ControlPlane, type ControlPlaneOptions, notFound, startControlPlane } from './control-plane.ts';

function volume(name: string, spec: Partial<PersistentVolume['spec']> = {}, annotations: Record<string, string> = {}): Draft<PersistentVolume> {
  return {
    metadata: { name, annotations },
    spec: { capacity: { storage: '5Gi' }, accessModes: ['ReadWriteOnce'], hostPath: { path: `/tmp/${name}` }, ...spec },
  };
}

function claim(name: string, spec: Partial<PersistentVolumeClaim['spec']> = {}): Draft<PersistentVolumeClaim> {
  return {
    metadata: { name, namespace: 'default' },
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } }, ...spec },
  };
}

function storageClass(name: string, fields: Partial<StorageClass> = {}, isDefault = false): Draft<StorageClass> {
  const annotations = { 'storageclass.kubernetes.io/is-default-class': String(isDefault) };
  return { metadata: { name, annotations }, provisioner: 'example.com/disks', ...fields };
}

function pod(name: string, volumes: Pod['spec']['volumes']): Draft<Pod> {
  return { metadata: { name, namespace: 'default' }, spec: { containers: [{ name: 'c', image: 'i' }], ...(volumes && { volumes }) } };
}

describe('volumes and claims', () => {
  let plane: ControlPlane;
  const removed: string[] = [];
  const emptied: string[] = [];
  beforeEach(() => [removed, emptied].forEach((list) => list.splice(0)));
  afterEach(() => plane.close());

  async function start(options: ControlPlaneOptions = {}): Promise<void> {
    const emptyPath = async (path: string): Promise<void> => {
      if (path === '/tmp/locked') throw new Error('permission denied');
      emptied.push(path);
      return Promise.resolve();
    };
    plane = await startControlPlane({ ...options, options: { removePath: async (path) => void removed.push(path), emptyPath } });
  }
  const claims = () => plane.admin.resource(PersistentVolumeClaim).namespace('default');
  const volumes = () => plane.admin.resource(PersistentVolume);
  const getClaim = (name: string) => plane.get(PersistentVolumeClaim, name);
  const getVolume = (name: string) => plane.get(PersistentVolume, name);
  async function eventsOf({ metadata }: KubeObject): Promise<string[]> {
    const events = await plane.list(Event);
    return events.filter(({ involvedObject }) => involvedObject.uid === metadata.uid).map(({ reason, message }) => `${reason}: ${message}`);
  }
  /** What an external provisioner does once it is told. */
  function made(name: string, { metadata }: PersistentVolumeClaim, spec: Partial<PersistentVolume['spec']> = {}): Draft<PersistentVolume> {
    return volume(
      name,
      {
        storageClassName: 'gold',
        persistentVolumeReclaimPolicy: 'Delete',
        claimRef: { kind: 'PersistentVolumeClaim', apiVersion: 'v1', namespace: 'default', name: metadata.name, uid: metadata.uid },
        ...spec,
      },
      { 'pv.kubernetes.io/provisioned-by': 'example.com/disks' },
    );
  }

  it('are bound to each other, whichever comes first', async () => {
    await start();
    await plane.create(PersistentVolume, volume('v1'));
    await plane.create(PersistentVolumeClaim, claim('c1'));
    await plane.create(PersistentVolumeClaim, claim('c2'));
    await plane.settle();
    assert.equal((await getClaim('c2')).status.phase, 'Pending');
    await plane.create(PersistentVolume, volume('v2'));
    await plane.settle();
    for (const number of [1, 2]) {
      const [bound, by] = [await getClaim(`c${number}`), await getVolume(`v${number}`)];
      assert.equal(bound.spec.volumeName, by.metadata.name);
      assert.deepEqual(bound.status, { phase: 'Bound', accessModes: ['ReadWriteOnce'], capacity: { storage: '5Gi' } });
      assert.equal(by.status.phase, 'Bound');
      assert.ok(by.status.lastPhaseTransitionTime);
      assert.equal(by.spec.claimRef?.uid, bound.metadata.uid);
    }
    assert.deepEqual(plane.complaints, []);
  });

  for (const lagMs of [undefined, 200])
    it(`are matched one to one, however many come at once${lagMs === undefined ? '' : ' and however late the caches are'}`, async () => {
      await start({ ...(lagMs !== undefined && { lagMs }) });
      await Promise.all(
        Array.from({ length: 20 }, async (_, index) => {
          await plane.create(PersistentVolumeClaim, claim(`c${index}`));
          await plane.create(PersistentVolume, volume(`v${index}`));
        }),
      );
      await plane.until('all are bound', async () => {
        const [all, found] = [await plane.list(PersistentVolumeClaim), await plane.list(PersistentVolume)];
        return all.every(({ status }) => status.phase === 'Bound') && found.every(({ status }) => status.phase === 'Bound');
      });
      const found = await plane.list(PersistentVolume);
      for (const { metadata, spec } of await plane.list(PersistentVolumeClaim))
        assert.equal(found.find((each) => each.metadata.name === spec.volumeName)?.spec.claimRef?.uid, metadata.uid);
    });

  it('survive the controller in the middle of binding', async () => {
    await start();
    await plane.create(PersistentVolume, volume('v1'));
    await plane.create(PersistentVolumeClaim, claim('c1'));
    await plane.restart();
    await plane.until('it is bound', async () => (await getClaim('c1')).status.phase === 'Bound');
  });

  it('say why a claim waits', async () => {
    await start();
    const waiting = await plane.create(PersistentVolumeClaim, claim('c1'));
    const unknown = await plane.create(PersistentVolumeClaim, claim('c2', { storageClassName: 'none' }));
    await plane.create(PersistentVolume, volume('small', { capacity: { storage: '1Mi' } }));
    const named = await plane.create(PersistentVolumeClaim, claim('c3', { volumeName: 'small' }));
    await plane.settle();
    assert.deepEqual(await eventsOf(waiting), ['FailedBinding: no persistent volumes available for this claim and no storage class is set']);
    assert.deepEqual(await eventsOf(unknown), ['ProvisioningFailed: storageclass.storage.k8s.io "none" not found']);
    assert.ok((await eventsOf(named)).includes('VolumeMismatch: Cannot bind to requested volume "small": requested PV is too small'));
  });

  it('give a claim that a default class came too late for that class', async () => {
    await start();
    await plane.create(PersistentVolumeClaim, claim('c1'));
    await plane.settle();
    assert.equal((await getClaim('c1')).spec.storageClassName, undefined);
    await plane.create(StorageClass, storageClass('gold', {}, true));
    await plane.settle();
    const given = await getClaim('c1');
    assert.equal(given.spec.storageClassName, 'gold');
    assert.equal(given.metadata.annotations?.['volume.kubernetes.io/storage-provisioner'], 'example.com/disks');
  });

  it('ask the provisioner, and take what it makes; what it made is its own to remove', async () => {
    await start();
    await plane.create(StorageClass, storageClass('gold'));
    const asked = await plane.create(PersistentVolumeClaim, claim('c1', { storageClassName: 'gold' }));
    await plane.settle();
    assert.deepEqual(
      (await eventsOf(asked)).map((text) => text.slice(0, 123)),
      ["ExternalProvisioning: Waiting for a volume to be created either by the external provisioner 'example.com/disks' or manually"],
    );
    await plane.create(PersistentVolume, made('pvc-1', asked));
    await plane.settle();
    assert.equal((await getClaim('c1')).spec.volumeName, 'pvc-1');
    assert.equal((await getVolume('pvc-1')).status.phase, 'Bound');
    await claims().delete('c1');
    await plane.settle();
    assert.ok(await notFound(getClaim('c1')));
    assert.equal((await getVolume('pvc-1')).status.phase, 'Released');
    assert.deepEqual(removed, []);
    await volumes().delete('pvc-1');
    await plane.settle();
    assert.ok(await notFound(getVolume('pvc-1')));
  });

  it('wait for the first pod where the class says so', async () => {
    await start();
    await plane.create(StorageClass, storageClass('gold', { volumeBindingMode: 'WaitForFirstConsumer' }));
    const waiting = await plane.create(PersistentVolumeClaim, claim('c1', { storageClassName: 'gold' }));
    await plane.create(PersistentVolume, volume('v1', { storageClassName: 'gold' }));
    await plane.settle();
    assert.deepEqual(await eventsOf(waiting), ['WaitForFirstConsumer: waiting for first consumer to be created before binding']);
    await plane.create(Pod, pod('p', [{ name: 'v', persistentVolumeClaim: { claimName: 'c1' } }]));
    await plane.settle();
    assert.ok((await eventsOf(waiting)).includes('WaitForPodScheduled: waiting for pod p to be scheduled'));
    assert.equal((await getClaim('c1')).metadata.annotations, undefined);
    await claims().patch('c1', { metadata: { annotations: { 'volume.kubernetes.io/selected-node': 'n1' } } });
    await plane.settle();
    assert.equal((await getClaim('c1')).metadata.annotations?.['volume.kubernetes.io/storage-provisioner'], 'example.com/disks');
  });

  it('keep, remove or fail to remove the volume of a claim that went, as its policy says', async () => {
    await start();
    const policies: Readonly<Record<string, Partial<PersistentVolume['spec']>>> = {
      kept: { persistentVolumeReclaimPolicy: 'Retain' },
      removed: { persistentVolumeReclaimPolicy: 'Delete' },
      stuck: { persistentVolumeReclaimPolicy: 'Delete', hostPath: { path: '/srv/data' } },
    };
    for (const [name, spec] of Object.entries(policies)) {
      await plane.create(PersistentVolume, volume(name, spec));
      await plane.create(PersistentVolumeClaim, claim(name, { volumeName: name }));
    }
    await plane.settle();
    for (const name of Object.keys(policies)) await claims().delete(name);
    await plane.settle();
    assert.equal((await getVolume('kept')).status.phase, 'Released');
    assert.ok(await notFound(getVolume('removed')));
    assert.deepEqual(removed, ['/tmp/removed']);
    const stuck = await getVolume('stuck');
    const why = 'host_path deleter only supports /tmp/.+ but received provided /srv/data';
    assert.equal(stuck.status.phase, 'Failed');
    assert.equal(stuck.status.message, why);
    assert.deepEqual(await eventsOf(stuck), [`VolumeFailedDelete: ${why}`]);
  });

  it('empty a volume that is to be recycled, and give it to the next claim', async () => {
    await start();
    for (const name of ['reused', 'locked']) {
      await plane.create(PersistentVolume, volume(name, { persistentVolumeReclaimPolicy: 'Recycle' }));
      await plane.create(PersistentVolumeClaim, claim(name, { volumeName: name }));
    }
    await plane.settle();
    for (const name of ['reused', 'locked']) await claims().delete(name);
    await plane.settle();
    assert.deepEqual(emptied, ['/tmp/reused']);
    const reused = await getVolume('reused');
    assert.deepEqual([reused.status.phase, reused.spec.claimRef], ['Available', undefined]);
    assert.deepEqual(await eventsOf(reused), ['VolumeRecycled: Volume recycled']);
    const locked = await getVolume('locked');
    assert.deepEqual([locked.status.phase, locked.status.message], ['Failed', 'Recycle failed: permission denied']);
    await plane.create(PersistentVolumeClaim, claim('next'));
    await plane.settle();
    assert.equal((await getClaim('next')).spec.volumeName, 'reused');
  });

  it('do not empty a volume that a pod still uses', async () => {
    await start();
    await plane.create(PersistentVolume, volume('v1', { persistentVolumeReclaimPolicy: 'Recycle' }));
    await plane.create(PersistentVolumeClaim, claim('c1'));
    await plane.create(Pod, pod('user', [{ name: 'v', persistentVolumeClaim: { claimName: 'c1' } }]));
    await plane.settle();
    await claims().delete('c1');
    await plane.settle();
    const volumeNow = await getVolume('v1');
    assert.equal(volumeNow.status.phase, 'Released');
    assert.deepEqual(await eventsOf(volumeNow), ['VolumeFailedRecycle: Volume is used by pods: default/user']);
    await plane.admin.resource(Pod).namespace('default').delete('user');
    await plane.settle(20_000);
    assert.deepEqual(emptied, ['/tmp/v1']);
    assert.equal((await getVolume('v1')).status.phase, 'Available');
  });

  it('let a volume that was released be used again once its claim is taken off it', async () => {
    await start();
    await plane.create(PersistentVolume, volume('v1', { persistentVolumeReclaimPolicy: 'Retain' }));
    await plane.create(PersistentVolumeClaim, claim('c1'));
    await plane.settle();
    await claims().delete('c1');
    await plane.create(PersistentVolumeClaim, claim('c2'));
    await plane.settle();
    assert.equal((await getClaim('c2')).status.phase, 'Pending');
    await volumes().patch('v1', { spec: { claimRef: null } });
    await plane.settle();
    assert.equal((await getClaim('c2')).spec.volumeName, 'v1');
  });

  it('lose a claim whose volume is gone', async () => {
    await start();
    await plane.create(PersistentVolume, volume('v1'));
    const bound = await plane.create(PersistentVolumeClaim, claim('c1'));
    await plane.settle();
    await volumes().delete('v1');
    await volumes().patch('v1', { metadata: { finalizers: null } });
    await plane.settle();
    assert.deepEqual((await getClaim('c1')).status, { phase: 'Lost' });
    assert.deepEqual(await eventsOf(bound), ['ClaimLost: Bound claim has lost its PersistentVolume. Data on the volume is lost!']);
  });

  it('never give a volume to a new claim of an old name', async () => {
    await start();
    await plane.create(PersistentVolume, volume('v1', { persistentVolumeReclaimPolicy: 'Retain' }));
    const first = await plane.create(PersistentVolumeClaim, claim('c1'));
    await plane.settle();
    await claims().delete('c1');
    await plane.settle();
    await plane.create(PersistentVolumeClaim, claim('c1'));
    await plane.settle();
    assert.equal((await getClaim('c1')).status.phase, 'Pending');
    assert.equal((await getVolume('v1')).spec.claimRef?.uid, first.metadata.uid);
    assert.equal((await getVolume('v1')).status.phase, 'Released');
  });

  it('are told that an expansion is for the driver', async () => {
    await start();
    await plane.create(StorageClass, storageClass('gold', { allowVolumeExpansion: true }));
    const asked = await plane.create(PersistentVolumeClaim, claim('c1', { storageClassName: 'gold' }));
    await plane.create(PersistentVolume, made('pvc-1', asked));
    await plane.settle();
    await claims().patch('c1', { spec: { resources: { requests: { storage: '9Gi' } } } });
    await plane.settle();
    assert.ok((await eventsOf(asked)).includes('ExternalExpanding: waiting for an external controller to expand this PVC'));
    assert.equal((await getClaim('c1')).status.capacity?.['storage'], '5Gi');
  });

  it('grow as far as the node’s part where there is nothing to be done outside it', async () => {
    await start();
    await plane.create(StorageClass, storageClass('gold', { allowVolumeExpansion: true }));
    const { hostPath: _none, ...flexVolume } = volume('v').spec;
    await plane.create(PersistentVolume, {
      metadata: { name: 'v' },
      spec: { ...flexVolume, storageClassName: 'gold', flexVolume: { driver: 'example.com/flex' } },
    });
    const asked = await plane.create(PersistentVolumeClaim, claim('c1', { storageClassName: 'gold' }));
    await plane.settle();
    assert.equal((await getClaim('c1')).status.phase, 'Bound');
    await claims().patch('c1', { spec: { resources: { requests: { storage: '9Gi' } } } });
    await plane.settle();
    const { status } = await getClaim('c1');
    assert.deepEqual(status.capacity, { storage: '5Gi' });
    assert.deepEqual(status.allocatedResources, { storage: '9Gi' });
    assert.deepEqual(status.allocatedResourceStatuses, { storage: 'NodeResizePending' });
    assert.deepEqual(
      status.conditions?.map(({ type }) => type),
      ['FileSystemResizePending'],
    );
    const grown = await getVolume('v');
    assert.equal(grown.spec.capacity?.['storage'], '9Gi');
    assert.equal(grown.metadata.annotations?.['volume.alpha.kubernetes.io/pre-resize-capacity'], '5Gi');
    assert.ok((await eventsOf(asked)).includes('FileSystemResizeRequired: Require file system resize of volume on node'));
  });

  it('keep a class of attributes as long as one of them has it', async () => {
    await start();
    const vac = (name: string): Draft<VolumeAttributesClass> => ({ metadata: { name }, driverName: 'disks.example.com', parameters: { iops: '1' } });
    await plane.create(VolumeAttributesClass, vac('used'));
    await plane.create(VolumeAttributesClass, vac('unused'));
    await plane.create(PersistentVolumeClaim, claim('c1', { volumeAttributesClassName: 'used' }));
    await plane.settle();
    assert.deepEqual((await plane.get(VolumeAttributesClass, 'used')).metadata.finalizers, ['kubernetes.io/vac-protection']);
    for (const name of ['used', 'unused']) await plane.admin.resource(VolumeAttributesClass).delete(name);
    await plane.settle();
    assert.ok(await notFound(plane.get(VolumeAttributesClass, 'unused')));
    assert.ok((await plane.get(VolumeAttributesClass, 'used')).metadata.deletionTimestamp);
    await claims().delete('c1');
    await plane.settle();
    assert.ok(await notFound(plane.get(VolumeAttributesClass, 'used')));
  });
});

describe('ephemeral volumes', () => {
  let plane: ControlPlane;
  afterEach(() => plane.close());
  const scratch = {
    name: 'scratch',
    ephemeral: {
      volumeClaimTemplate: {
        metadata: { labels: { a: 'b' } },
        spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
      },
    },
  };

  it('get a claim of the pod’s own, which goes with it', async () => {
    plane = await startControlPlane();
    const owner = await plane.create(Pod, pod('p', [scratch]));
    await plane.settle();
    const { metadata, spec } = await plane.get(PersistentVolumeClaim, 'p-scratch');
    assert.deepEqual(metadata.labels, { a: 'b' });
    assert.deepEqual(metadata.ownerReferences, [
      { apiVersion: 'v1', kind: 'Pod', name: 'p', uid: owner.metadata.uid, controller: true, blockOwnerDeletion: true },
    ]);
    assert.deepEqual(spec.resources, { requests: { storage: '1Gi' } });
    await plane.admin.resource(Pod).namespace('default').delete('p', { gracePeriodSeconds: 0 });
    await plane.until('it is gone', () => notFound(plane.get(PersistentVolumeClaim, 'p-scratch')));
  });

  it('are refused a claim that is somebody else’s, until it is out of the way', async () => {
    plane = await startControlPlane();
    await plane.create(PersistentVolumeClaim, claim('p-scratch'));
    const owner = await plane.create(Pod, pod('p', [scratch]));
    await plane.settle();
    const events = (await plane.list(Event)).filter(({ involvedObject }) => involvedObject.uid === owner.metadata.uid);
    assert.deepEqual(
      [...new Set(events.map(({ reason, message }) => `${reason}: ${message}`))],
      ['FailedBinding: ephemeral volume scratch: PVC default/p-scratch was not created for pod default/p (pod is not owner)'],
    );
    await plane.admin.resource(PersistentVolumeClaim).namespace('default').delete('p-scratch');
    await plane.until('it has its own', async () =>
      (await plane.list(PersistentVolumeClaim)).some(({ metadata }) => metadata.ownerReferences?.[0]?.uid === owner.metadata.uid),
    );
  });
});
