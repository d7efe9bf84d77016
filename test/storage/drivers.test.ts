/** Volumes of a driver that users bring, over its gRPC socket: attached, staged, published, grown, and given back. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type ClusterUnderTest, eventually, startClusterUnderTest } from '../support/cluster-under-test.ts';
import { startTestDriver, type TestDriver } from '../support/csi-driver.ts';
import { claimOf, podOf, podsWithVolumes } from './pods-with-volumes.ts';

let cluster: ClusterUnderTest;
let nodeName: string;
const { create, ready, remove, field, inPod, write, read, eventOn } = podsWithVolumes(() => cluster);

before(async () => {
  cluster = await startClusterUnderTest();
  nodeName = (await cluster.kubectl('get nodes -o jsonpath={.items[0].metadata.name}')).trim();
});
after(() => cluster.close());

describe('volumes of a driver', () => {
  const name = 'disks.test.k8ts.io';
  let driver: TestDriver;
  const start = (): Promise<TestDriver> =>
    startTestDriver({
      name,
      kubeletDir: join(cluster.dataDir, 'kubelet'),
      storage: join(cluster.dataDir, 'driver'),
      nodeId: 'node-of-the-driver',
      abilities: ['STAGE_UNSTAGE_VOLUME', 'EXPAND_VOLUME', 'GET_VOLUME_STATS'],
      topology: { 'disks.test.k8ts.io/zone': 'here' },
      maxVolumes: 7,
      deviceOf: () => device,
    });
  /** Behind the block volume, while its test runs. */
  let device = '';
  const persistent = (handle: string, volumeMode = 'Filesystem'): object[] => [
    {
      apiVersion: 'v1',
      kind: 'PersistentVolume',
      metadata: { name: handle },
      spec: {
        capacity: { storage: '1Gi' },
        accessModes: ['ReadWriteOnce'],
        storageClassName: 'driver',
        volumeMode,
        persistentVolumeReclaimPolicy: 'Retain',
        claimRef: { namespace: 'default', name: handle },
        mountOptions: ['noatime'],
        csi: {
          driver: name,
          volumeHandle: handle,
          fsType: 'ext4',
          volumeAttributes: { colour: 'red' },
          nodeStageSecretRef: { name: 'stage', namespace: 'default' },
        },
      },
    },
    claimOf(handle, { storageClassName: 'driver', volumeName: handle, volumeMode }),
  ];
  const count = (call: string): number => driver.calls.filter((each) => each === call).length;

  /** As the driver's controller does, once the node says that it uses the volume. */
  async function attach(handle: string, attachmentMetadata: object): Promise<void> {
    const attachment = await eventually('the attachment', async () => {
      const path = `jsonpath={.items[?(@.spec.source.persistentVolumeName=="${handle}")].metadata.name}`;
      const found = await cluster.kubectl(['get', 'volumeattachments', '-o', path]);
      return found === '' ? undefined : found;
    });
    await eventually('the node says that it is in use', async () =>
      (await field(`node ${nodeName}`, '{.status.volumesInUse[*]}')).includes(`kubernetes.io/csi/${name}^${handle}`) ? true : undefined,
    );
    assert.equal(count(`NodeStageVolume ${handle}`), 0, 'not before it is attached');
    const patch = JSON.stringify({ status: { attached: true, attachmentMetadata } });
    await cluster.kubectl(['patch', 'volumeattachment', attachment, '--subresource=status', '--type=merge', '-p', patch]);
  }

  before(async () => {
    await create(
      {
        apiVersion: 'storage.k8s.io/v1',
        kind: 'CSIDriver',
        metadata: { name },
        spec: {
          attachRequired: true,
          podInfoOnMount: true,
          volumeLifecycleModes: ['Persistent', 'Ephemeral'],
          tokenRequests: [{ audience: 'disks' }],
          requiresRepublish: true,
        },
      },
      { apiVersion: 'storage.k8s.io/v1', kind: 'StorageClass', metadata: { name: 'driver' }, provisioner: name, allowVolumeExpansion: true },
      { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'stage' }, stringData: { key: 'hush' } },
    );
    driver = await start();
  });
  after(() => driver.stop());

  test('the driver is registered, and the API knows', async () => {
    const drivers = await eventually('the CSINode', async () => {
      const { code, stdout } = await cluster.tryKubectl(['get', 'csinode', nodeName, '-o', 'jsonpath={.spec.drivers}']);
      return code === 0 && stdout !== '' ? (JSON.parse(stdout) as unknown) : undefined;
    });
    assert.deepEqual(drivers, [{ allocatable: { count: 7 }, name, nodeID: 'node-of-the-driver', topologyKeys: ['disks.test.k8ts.io/zone'] }]);
    assert.equal(await field(`node ${nodeName}`, '{.metadata.labels.disks\\.test\\.k8ts\\.io/zone}'), 'here');
    await eventually('the driver was told', async () => driver.registrations.find(({ registered }) => registered));
  });

  test('a volume is attached, staged, published, used and given back in the opposite order', async () => {
    await create(...persistent('disk-1'), podOf('user', { claim: 'disk-1', more: { securityContext: { runAsUser: 1000, fsGroup: 3000 } } }));
    await attach('disk-1', { device: '/dev/disk-1' });
    await ready('user');
    await write('user', '/data/file', 'written by a pod');
    assert.equal(driver.read('disk-1', 'file'), 'written by a pod');
    const [stage] = driver.staged;
    assert.deepEqual([stage?.secrets, stage?.publishContext, stage?.volumeContext], [{ key: 'hush' }, { device: '/dev/disk-1' }, { colour: 'red' }]);
    assert.deepEqual(stage?.capability?.mount, { fsType: 'ext4', mountFlags: ['noatime'], volumeMountGroup: '' });
    const publish = driver.published.at(-1);
    assert.equal(publish?.volumeContext['csi.storage.k8s.io/pod.name'], 'user');
    assert.equal(publish?.volumeContext['csi.storage.k8s.io/ephemeral'], 'false');
    const tokens = JSON.parse(publish?.volumeContext['csi.storage.k8s.io/serviceAccount.tokens'] ?? '{}') as Record<string, { token: string }>;
    assert.deepEqual(Object.keys(tokens), ['disks']);
    assert.match(publish?.targetPath ?? '', /\/pods\/[\w-]+\/volumes\/kubernetes.io~csi\/disk-1\/mount$/);
    assert.equal(await inPod('user', `console.log(require('fs').statSync('/data').gid)`), '3000\n');
    assert.equal(await field(`node ${nodeName}`, '{.status.volumesAttached[*].name}'), `kubernetes.io/csi/${name}^disk-1`);
  });

  test('a restarted kubelet finds it again and asks the driver for nothing', async () => {
    const before = driver.calls.length;
    const started = await field('pod user', '{.status.containerStatuses[0].containerID}');
    const { pid } = JSON.parse(readFileSync(join(cluster.dataDir, 'run/node-agent.json'), 'utf8')) as { pid: number };
    process.kill(pid, 'SIGKILL');
    await cluster.up();
    await eventually('it registered again', async () => (driver.registrations.length >= 2 ? true : undefined));
    await ready('user');
    assert.equal(await field('pod user', '{.status.containerStatuses[0].containerID}'), started);
    assert.deepEqual(driver.calls.slice(before), []);
    assert.equal(await read('user', '/data/file'), 'written by a pod');
  });

  test('it grows on its node when its controller has grown it', async () => {
    await cluster.kubectl(['patch', 'pvc', 'disk-1', '-p', '{"spec":{"resources":{"requests":{"storage":"3Gi"}}}}']);
    await cluster.kubectl(['patch', 'pv', 'disk-1', '-p', '{"spec":{"capacity":{"storage":"3Gi"}}}']);
    await eventually(
      'the claim has it',
      async () => ((await field('pvc disk-1', '{.status.capacity.storage}')) === '3Gi' ? true : undefined),
      45_000,
    );
    assert.equal(driver.expanded[0]?.capacityRange?.requiredBytes, 3 * 2 ** 30);
    await eventually('the driver is asked again for what it wants to renew', async () => (count('NodePublishVolume disk-1') >= 2 ? true : undefined));
    assert.equal(count('NodeStageVolume disk-1'), 1);
    const summary = JSON.parse(await cluster.kubectl(`get --raw /api/v1/nodes/${nodeName}/proxy/stats/summary`)) as {
      pods: { podRef: { name: string }; volume?: { name: string; pvcRef?: { name: string }; usedBytes: number; capacityBytes: number }[] }[];
    };
    const volume = summary.pods.find(({ podRef }) => podRef.name === 'user')?.volume?.find(({ name: each }) => each === 'data');
    assert.deepEqual([volume?.pvcRef?.name, volume?.usedBytes, volume?.capacityBytes], ['disk-1', 400, 1000], 'as the driver counts');
  });

  test('its pod is gone when the driver gave it back, and only then is it detached', async () => {
    const before = driver.calls.length;
    await remove('pod/user');
    assert.deepEqual(driver.calls.slice(before), ['NodeUnpublishVolume disk-1', 'NodeUnstageVolume disk-1']);
    await eventually('the node uses it no more', async () => ((await field(`node ${nodeName}`, '{.status.volumesInUse}')) === '' ? true : undefined));
    await eventually('it is detached', async () => ((await cluster.kubectl('get volumeattachments -o name')) === '' ? true : undefined));
    assert.equal(driver.read('disk-1', 'file'), 'written by a pod');
  });

  test('a volume written into the pod itself lives as long as the pod', async () => {
    await create(podOf('inline', { volume: { csi: { driver: name, readOnly: true, volumeAttributes: { size: 'small' } } } }));
    await ready('inline');
    const request = driver.published.at(-1);
    assert.match(request?.volumeId ?? '', /^csi-[0-9a-f]{64}$/);
    assert.deepEqual([request?.readonly, request?.stagingTargetPath, request?.volumeContext['size']], [true, '', 'small']);
    assert.equal(request?.volumeContext['csi.storage.k8s.io/ephemeral'], 'true');
    await remove('pod/inline');
    assert.equal(driver.calls.at(-1), `NodeUnpublishVolume ${request?.volumeId}`);
  });

  test('a block volume is a device in its pod, and given back like others', async () => {
    const file = join(cluster.dataDir, 'driver-disk.img');
    writeFileSync(file, Buffer.alloc(10 * 2 ** 20));
    device = execFileSync('losetup', ['--find', '--show', file], { encoding: 'utf8' }).trim();
    try {
      const devices = { volumeMounts: [], volumeDevices: [{ name: 'data', devicePath: '/dev/disk' }] };
      await create(...persistent('raw', 'Block'), podOf('raw-user', { claim: 'raw', container: { ...devices, securityContext: { runAsUser: 0 } } }));
      await attach('raw', {});
      await ready('raw-user');
      assert.equal(driver.published.at(-1)?.capability?.mount, undefined);
      assert.match(driver.published.at(-1)?.targetPath ?? '', /\/volumeDevices\/kubernetes\.io~csi\/raw\/dev$/);
      await inPod(
        'raw-user',
        `const fs = require('fs'); const f = fs.openSync('/dev/disk', 'rs+'); fs.writeSync(f, 'from a pod'); fs.fsyncSync(f); fs.closeSync(f)`,
      );
      execFileSync('blockdev', ['--flushbufs', device]);
      assert.equal(readFileSync(file).subarray(0, 10).toString(), 'from a pod');
      const before = driver.calls.length;
      await remove('pod/raw-user');
      assert.deepEqual(driver.calls.slice(before), ['NodeUnpublishVolume raw', 'NodeUnstageVolume raw']);
    } finally {
      execFileSync('losetup', ['--detach', device]);
    }
  });

  test('a driver that refuses is quoted, and asked again', async () => {
    driver.failure = 'the disk is on fire';
    await create(podOf('refused', { volume: { csi: { driver: name } } }));
    await eventOn('Pod/refused', /FailedMount: MountVolume.SetUp failed for volume "data" : rpc error: code = Internal desc = the disk is on fire/);
    driver.failure = undefined;
    await ready('refused');
  });

  test('a driver that is gone is missed, and its pods go on when it is back', async () => {
    await driver.stop();
    await eventually('the API knows', async () => ((await field(`csinode ${nodeName}`, '{.spec.drivers[*].name}')) === '' ? true : undefined));
    await create(podOf('waits', { volume: { csi: { driver: name } } }));
    await eventOn('Pod/waits', /FailedMount: .*driver name disks.test.k8ts.io not found in the list of registered CSI drivers/);
    driver = await start();
    await ready('waits');
    await remove('pod/waits', 'pod/refused');
    const mounts = readFileSync('/proc/mounts', 'utf8')
      .split('\n')
      .filter((line) => line.includes(join(cluster.dataDir, 'kubelet')) && line.includes('csi'));
    assert.deepEqual(mounts, []);
  });
});
