import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { CSIDriver, PersistentVolume, Pod } from '../../../api/kinds.ts';
import type { NodeAbility } from './csi-messages.ts';
import {
  attachmentName,
  capability,
  checkLifecycle,
  type CsiVolume,
  inlineCsiVolume,
  needsAttaching,
  ownsByGroup,
  persistentCsiVolume,
  podInfo,
  stagingPaths,
  uniqueName,
} from './csi-volume.ts';

const metadata = { name: 'x', uid: 'u', resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' };
const pod: Pod = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { ...metadata, name: 'p', namespace: 'shop' },
  spec: { containers: [], serviceAccountName: 'clerk' },
  status: {},
};

function driverOf(spec: Partial<CSIDriver['spec']> = {}): CSIDriver {
  return { apiVersion: 'storage.k8s.io/v1', kind: 'CSIDriver', metadata: { ...metadata, name: 'd' }, spec };
}

function volumeOf(spec: Partial<PersistentVolume['spec']> = {}, readOnly = false): CsiVolume {
  const volume: PersistentVolume = {
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata,
    spec: { accessModes: ['ReadWriteOnce'], csi: { driver: 'd', volumeHandle: 'h', fsType: 'ext4' }, ...spec },
    status: {},
  };
  const found = persistentCsiVolume(volume, readOnly);
  assert.ok(found);
  return found;
}

const none: ReadonlySet<NodeAbility> = new Set();

describe('what a driver is asked for', () => {
  const modes: [string[], string, string][] = [
    [['ReadWriteOnce'], 'SINGLE_NODE_WRITER', 'SINGLE_NODE_MULTI_WRITER'],
    [['ReadWriteOncePod'], 'SINGLE_NODE_WRITER', 'SINGLE_NODE_SINGLE_WRITER'],
    [['ReadOnlyMany'], 'MULTI_NODE_READER_ONLY', 'MULTI_NODE_READER_ONLY'],
    [['ReadWriteOnce', 'ReadWriteMany'], 'MULTI_NODE_MULTI_WRITER', 'MULTI_NODE_MULTI_WRITER'],
  ];
  for (const [accessModes, plain, knowing] of modes) {
    test(`${accessModes.join(' and ')} is ${plain}, or ${knowing}`, () => {
      const volume = volumeOf({ accessModes });
      assert.equal(capability(volume, none, undefined).accessMode?.mode, plain);
      assert.equal(capability(volume, new Set(['SINGLE_NODE_MULTI_WRITER'] as const), undefined).accessMode?.mode, knowing);
    });
  }

  test('a device, or a file system with its type, options and, for those who can, the group', () => {
    assert.deepEqual(capability(volumeOf({ volumeMode: 'Block' }), none, 5), { block: {}, accessMode: { mode: 'SINGLE_NODE_WRITER' } });
    const volume = volumeOf({ mountOptions: ['noatime'] });
    assert.deepEqual(capability(volume, none, 5).mount, { fsType: 'ext4', mountFlags: ['noatime'], volumeMountGroup: '' });
    assert.equal(capability(volume, new Set(['VOLUME_MOUNT_GROUP'] as const), 5).mount?.volumeMountGroup, '5');
  });
});

describe('who the files are given to', () => {
  const cases: [string, CsiVolume, CSIDriver | undefined, boolean][] = [
    ['a file system of one node, by default', volumeOf(), undefined, true],
    ['not one of many nodes', volumeOf({ accessModes: ['ReadWriteMany'] }), driverOf(), false],
    ['not one without a type', volumeOf({ csi: { driver: 'd', volumeHandle: 'h' } }), driverOf(), false],
    ['any, where the driver says so', volumeOf({ accessModes: ['ReadWriteMany'] }), driverOf({ fsGroupPolicy: 'File' }), true],
    ['none, where the driver says so', volumeOf(), driverOf({ fsGroupPolicy: 'None' }), false],
    ['nothing read-only', volumeOf({}, true), driverOf({ fsGroupPolicy: 'File' }), false],
    ['no device', volumeOf({ volumeMode: 'Block' }), driverOf({ fsGroupPolicy: 'File' }), false],
  ];
  for (const [what, volume, driver, wanted] of cases) test(what, () => assert.equal(ownsByGroup(volume, driver), wanted));
});

describe('a volume in the pod itself', () => {
  const inline = inlineCsiVolume(pod, 'v', { driver: 'd', nodePublishSecretRef: { name: 's' } });

  test('is named by the pod and its place there, is attached nowhere, and has its secret from the pod’s namespace', () => {
    assert.match(inline.handle, /^csi-[0-9a-f]{64}$/);
    assert.notEqual(inlineCsiVolume(pod, 'w', { driver: 'd' }).handle, inline.handle);
    assert.deepEqual(inline.publishSecret, { name: 's', namespace: 'shop' });
    assert.equal(needsAttaching(inline, driverOf({ attachRequired: true })), false);
  });

  test('needs a driver that is made for it', () => {
    assert.throws(() => checkLifecycle(inline, undefined), /volume mode "Ephemeral" not supported by driver d \(no CSIDriver object\)/);
    assert.throws(() => checkLifecycle(inline, driverOf()), /volume mode "Ephemeral" not supported by driver d \(only supports \["Persistent"\]\)/);
    checkLifecycle(inline, driverOf({ volumeLifecycleModes: ['Ephemeral'] }));
    assert.throws(() => checkLifecycle(volumeOf(), driverOf({ volumeLifecycleModes: ['Ephemeral'] })), /"Persistent" not supported/);
    checkLifecycle(volumeOf(), undefined);
  });
});

test('volumes are attached unless their driver says that they need not be', () => {
  assert.equal(needsAttaching(volumeOf(), undefined), true);
  assert.equal(needsAttaching(volumeOf(), driverOf()), true);
  assert.equal(needsAttaching(volumeOf(), driverOf({ attachRequired: false })), false);
});

test('a driver hears of the pod when it wants to', () => {
  assert.deepEqual(podInfo(volumeOf(), pod, driverOf()), {});
  assert.deepEqual(podInfo(volumeOf(), pod, driverOf({ podInfoOnMount: true })), {
    'csi.storage.k8s.io/pod.name': 'p',
    'csi.storage.k8s.io/pod.namespace': 'shop',
    'csi.storage.k8s.io/pod.uid': 'u',
    'csi.storage.k8s.io/serviceAccount.name': 'clerk',
    'csi.storage.k8s.io/ephemeral': 'false',
  });
});

test('names are those that controllers and drivers know', () => {
  const volume = volumeOf();
  assert.equal(uniqueName(volume), 'kubernetes.io/csi/d^h');
  assert.equal(
    attachmentName(volume, 'n'),
    'csi-9072ed11cc1acb5fa433a877ff339b6311d013f33bddd1d0092711a8ace5b16d',
    'the hash of handle, driver and node',
  );
  assert.match(stagingPaths(volume, '/k').staging, /^\/k\/plugins\/kubernetes\.io\/csi\/d\/[0-9a-f]{64}\/globalmount$/);
});
