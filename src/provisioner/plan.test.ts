import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Node, PersistentVolume, PersistentVolumeClaim, StorageClass } from '../api/kinds.ts';
import { provisionedBy, provisionerName, selectedNode, storageProvisioner, volumeFinalizer } from './names.ts';
import { newVolume, planClaim, planVolume, type ProvisionView } from './plan.ts';

const uid = '00000001-0000-0000-0000-000000000000';

function classOf(more: Partial<StorageClass> = {}): StorageClass {
  return {
    apiVersion: 'storage.k8s.io/v1',
    kind: 'StorageClass',
    metadata: { name: 'standard', uid: 'c', resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' },
    provisioner: provisionerName,
    volumeBindingMode: 'WaitForFirstConsumer',
    ...more,
  };
}

function claimOf(spec: Partial<PersistentVolumeClaim['spec']> = {}, annotations: Record<string, string> = {}): PersistentVolumeClaim {
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: {
      name: 'data',
      namespace: 'shop',
      uid,
      resourceVersion: '1',
      creationTimestamp: '2026-01-01T00:00:00Z',
      annotations: { [storageProvisioner]: provisionerName, [selectedNode]: 'here', ...annotations },
    },
    spec: { storageClassName: 'standard', accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '2Gi' } }, ...spec },
    status: { phase: 'Pending' },
  };
}

function nodeOf(name: string, ready = 'True', unschedulable = false): Node {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, uid: name, resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' },
    spec: { unschedulable },
    status: { conditions: [{ type: 'Ready', status: ready }] },
  };
}

/** As the API server would have it. */
function stored(draft: ReturnType<typeof newVolume>, phase: string, more: Partial<PersistentVolume['metadata']> = {}): PersistentVolume {
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    ...draft,
    metadata: { uid: 'v', resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z', ...draft.metadata, name: `pvc-${uid}`, ...more },
    status: { phase },
  };
}

const volume = (phase: string, more: Partial<PersistentVolume['metadata']> = {}, policy = 'Delete'): PersistentVolume =>
  stored(newVolume(claimOf(), classOf({ reclaimPolicy: policy }), '/volumes/x', 'here'), phase, more);

/** The provisioner of one node. */
function of(nodeName: string): ProvisionView['serves'] {
  return (name) => name === nodeName;
}

function viewOf(more: Partial<ProvisionView> = {}): ProvisionView {
  return { serves: of('here'), nodes: [nodeOf('here')], storageClass: () => classOf(), volume: () => undefined, ...more };
}

describe('a claim', () => {
  test('is given a directory named for it, by the node that its pod goes to', () => {
    const plan = planClaim(claimOf(), viewOf());
    assert.ok(plan.do === 'provision');
    assert.equal(plan.directory, `pvc-${uid}_shop_data`);
    assert.equal(planClaim(claimOf(), viewOf({ serves: of('there') })).do, 'nothing');
  });

  test('is left alone when it is another provisioner’s, waits for a pod, is leaving, or has its volume', () => {
    const left: [string, PersistentVolumeClaim, Partial<ProvisionView>][] = [
      ['of another', claimOf({}, { [storageProvisioner]: 'example.com/disks' }), {}],
      ['of a class that is gone', claimOf(), { storageClass: () => undefined }],
      ['of a class of another', claimOf(), { storageClass: () => classOf({ provisioner: 'example.com/disks' }) }],
      ['made before', claimOf(), { volume: () => volume('Available') }],
      ['leaving', { ...claimOf(), metadata: { ...claimOf().metadata, deletionTimestamp: '2026-01-01T00:00:00Z' } }, {}],
      ['without a pod', { ...claimOf(), metadata: { ...claimOf().metadata, annotations: { [storageProvisioner]: provisionerName } } }, {}],
    ];
    for (const [what, claim, view] of left) assert.equal(planClaim(claim, viewOf(view)).do, 'nothing', what);
  });

  test('of a class that binds at once is made by exactly one of the nodes that are ready', () => {
    const claim = claimOf();
    delete claim.metadata.annotations?.[selectedNode];
    const nodes = [nodeOf('a'), nodeOf('b'), nodeOf('c', 'False'), nodeOf('d', 'True', true)];
    const makers = nodes.filter(({ metadata }) => {
      const view = viewOf({ serves: of(metadata.name), nodes, storageClass: () => classOf({ volumeBindingMode: 'Immediate' }) });
      return planClaim(claim, view).do === 'provision';
    });
    assert.deepEqual(
      makers.map(({ metadata }) => metadata.name),
      ['b'],
    );
    const nobody = viewOf({ nodes: [nodeOf('here', 'Unknown')], storageClass: () => classOf({ volumeBindingMode: 'Immediate' }) });
    assert.equal(planClaim(claim, nobody).do, 'nothing');
  });

  test('that asks for what a directory cannot be is told so', () => {
    const refused: [Partial<PersistentVolumeClaim['spec']>, RegExp][] = [
      [{ volumeMode: 'Block' }, /"standard": a directory is no block device/],
      [{ accessModes: ['ReadWriteOnce', 'ReadWriteMany'] }, /access mode ReadWriteMany is not supported/],
      [{ accessModes: ['ReadOnlyMany'] }, /access mode ReadOnlyMany is not supported/],
      [{ selector: { matchLabels: { a: 'b' } } }, /claim Selector is not supported/],
      [{ dataSource: { kind: 'PersistentVolumeClaim', name: 'other' } }, /dataSource is not supported/],
    ];
    for (const [spec, message] of refused) {
      const plan = planClaim(claimOf(spec), viewOf());
      assert.ok(plan.do === 'refuse', JSON.stringify(spec));
      assert.match(plan.message, message);
    }
    assert.equal(planClaim(claimOf({ accessModes: ['ReadWriteOncePod'] }), viewOf()).do, 'provision');
  });

  test('grows with what it asks for, and never shrinks', () => {
    const bound = (storage: string, has: string): PersistentVolumeClaim => ({
      ...claimOf({ volumeName: `pvc-${uid}`, resources: { requests: { storage } } }),
      status: { phase: 'Bound', capacity: { storage: has } },
    });
    const view = viewOf({ volume: () => volume('Bound') });
    assert.deepEqual(planClaim(bound('3Gi', '2Gi'), view), { do: 'grow', volume: volume('Bound'), size: '3Gi' });
    assert.equal(planClaim(bound('2Gi', '2Gi'), view).do, 'nothing');
    assert.equal(planClaim(bound('2048Mi', '2Gi'), view).do, 'nothing', 'the same in other words');
    assert.equal(planClaim(bound('1Gi', '2Gi'), view).do, 'nothing');
    assert.equal(planClaim(bound('3Gi', '2Gi'), { ...view, serves: of('there') }).do, 'nothing');
  });
});

describe('a volume', () => {
  test('says who made it, for whom, and where it can be reached', () => {
    const { metadata, spec } = newVolume(claimOf(), classOf(), '/volumes/x', 'here');
    assert.deepEqual(metadata, { name: `pvc-${uid}`, annotations: { [provisionedBy]: provisionerName }, finalizers: [volumeFinalizer] });
    assert.deepEqual(spec?.capacity, { storage: '2Gi' });
    assert.deepEqual([spec?.claimRef?.namespace, spec?.claimRef?.name, spec?.claimRef?.uid], ['shop', 'data', uid]);
    assert.equal(newVolume(claimOf(), classOf({ reclaimPolicy: 'Retain' }), '/x', 'here').metadata.finalizers, undefined);
  });

  const leaving = { deletionTimestamp: '2026-01-01T00:00:00Z' };
  const cases: [string, PersistentVolume, string][] = [
    ['in use stays', volume('Bound'), 'nothing'],
    ['in use stays even when someone deletes it', volume('Bound', leaving), 'nothing'],
    ['that was released goes with its directory', volume('Released'), 'delete'],
    ['that was released and deleted goes with its directory', volume('Released', leaving), 'delete'],
    ['that nobody ever used goes with its directory', volume('Available', leaving), 'delete'],
    ['whose directory went before is left to others', volume('Released', { ...leaving, finalizers: [] }), 'nothing'],
    ['to be retained stays', volume('Released', {}, 'Retain'), 'nothing'],
    ['to be retained after all is let go', volume('Released', { ...leaving, finalizers: [volumeFinalizer] }, 'Retain'), 'let-go'],
    ['of another provisioner stays', volume('Released', { annotations: { [provisionedBy]: 'example.com/disks' } }), 'nothing'],
  ];
  for (const [what, given, wanted] of cases) test(what, () => assert.equal(planVolume(given, of('here')).do, wanted));

  test('of another node is that node’s', () => assert.equal(planVolume(volume('Released'), of('there')).do, 'nothing'));
});

test('one that serves several nodes makes a volume where its pod will be', () => {
  const plan = planClaim(claimOf(), viewOf({ serves: () => true }));
  assert.equal(plan.do === 'provision' && plan.nodeName, 'here');
});
