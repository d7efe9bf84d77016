/** Storage as its users see it: claims that work with nothing to install, volumes of a driver that they bring, and what becomes of data when things go wrong. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type ClusterUnderTest, eventually, startClusterUnderTest } from './support/cluster-under-test.ts';
import { startTestDriver, type TestDriver } from './support/csi-driver.ts';

const image = 'k8ts.local/hello:1';
let cluster: ClusterUnderTest;
let nodeName: string;

before(async () => {
  cluster = await startClusterUnderTest();
  nodeName = (await cluster.kubectl('get nodes -o jsonpath={.items[0].metadata.name}')).trim();
});
after(() => cluster.close());

const create = (...objects: readonly object[]): Promise<string> =>
  cluster.kubectl('create -f -', { input: JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }) });

interface Mounted {
  readonly volume?: object;
  readonly claim?: string;
  readonly more?: object;
  readonly mount?: object;
  readonly container?: object;
  readonly run?: string;
}

/** A pod whose volume `data` is at /data; `run` is a line of JavaScript. */
function podOf(name: string, { volume, claim, more, mount, container, run }: Mounted): object {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: {
      // With none at all the API would not wait for the node.
      terminationGracePeriodSeconds: 1,
      volumes: [{ name: 'data', ...(claim === undefined ? volume : { persistentVolumeClaim: { claimName: claim } }) }],
      containers: [
        {
          name: 'main',
          image,
          ...(run !== undefined && { command: ['node', '-e', run] }),
          volumeMounts: [{ name: 'data', mountPath: '/data', ...mount }],
          ...container,
        },
      ],
      ...more,
    },
  };
}

function claimOf(name: string, spec: object = {}): object {
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name },
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } }, ...spec },
  };
}

const ready = (pod: string): Promise<string> =>
  cluster.kubectl(['wait', '--for=condition=Ready', `pod/${pod}`, '--timeout=60s'], { timeoutMs: 70_000 });
const remove = (...names: string[]): Promise<string> => cluster.kubectl(['delete', ...names, '--timeout=60s'], { timeoutMs: 70_000 });
const field = async (what: string, path: string): Promise<string> => cluster.kubectl(['get', ...what.split(' '), '-o', `jsonpath=${path}`]);
const inPod = (pod: string, script: string): Promise<string> => cluster.kubectl(['exec', pod, '--', 'node', '-e', script]);
const write = (pod: string, file: string, text: string): Promise<string> =>
  inPod(pod, `require('fs').writeFileSync(${JSON.stringify(file)}, ${JSON.stringify(text)})`);
const read = (pod: string, file: string): Promise<string> =>
  inPod(pod, `process.stdout.write(require('fs').readFileSync(${JSON.stringify(file)}, 'utf8'))`);

async function eventOn(object: string, wanted: RegExp): Promise<void> {
  await eventually(`an event ${wanted} on ${object}`, async () => {
    const [kind = '', name = ''] = object.split('/');
    const selector = `involvedObject.kind=${kind},involvedObject.name=${name}`;
    const told = await cluster.kubectl([
      'get',
      'events',
      '--field-selector',
      selector,
      '-o',
      'jsonpath={range .items[*]}{.reason}: {.message}{"\\n"}{end}',
    ]);
    return wanted.test(told) ? true : undefined;
  });
}

describe('claims of the default class', () => {
  const directories = (): string[] => (existsSync(join(cluster.dataDir, 'volumes')) ? readdirSync(join(cluster.dataDir, 'volumes')) : []);

  test('wait for their first pod, and get a directory on its node that only that node reaches', async () => {
    await create(claimOf('data'));
    await eventOn('PersistentVolumeClaim/data', /WaitForFirstConsumer: waiting for first consumer/);
    assert.deepEqual(directories(), []);
    await create(podOf('writer', { claim: 'data', more: { securityContext: { runAsUser: 1000, fsGroup: 2000 } } }));
    await ready('writer');
    await write('writer', '/data/kept', 'kept');
    const volume = await field('pvc data', '{.spec.volumeName}');
    assert.equal(await field(`pv ${volume}`, '{.spec.nodeAffinity.required.nodeSelectorTerms[0].matchExpressions[0].values[0]}'), nodeName);
    assert.equal(await field('pvc data', '{.metadata.annotations.volume\\.kubernetes\\.io/selected-node}'), nodeName);
    assert.equal(await field('pvc data', '{.spec.storageClassName} {.status.capacity.storage}'), 'standard 1Gi');
    assert.deepEqual(directories(), [`${volume}_default_data`]);
    await eventOn('PersistentVolumeClaim/data', /ProvisioningSucceeded: Successfully provisioned volume pvc-/);
  });

  test('grow when more is asked for', async () => {
    await cluster.kubectl(['patch', 'pvc', 'data', '-p', '{"spec":{"resources":{"requests":{"storage":"2Gi"}}}}']);
    await eventually('it has grown', async () => ((await field('pvc data', '{.status.capacity.storage}')) === '2Gi' ? true : undefined));
    assert.equal(await field(`pv ${await field('pvc data', '{.spec.volumeName}')}`, '{.spec.capacity.storage}'), '2Gi');
  });

  test('keep their data when the cluster is taken down and comes up again', async () => {
    const outcome = await cluster.k8ts(['down', '--data-dir', cluster.dataDir], { timeoutMs: 60_000 });
    assert.equal(outcome.code, 0, outcome.stderr);
    assert.equal(directories().length, 1);
    await cluster.up();
    await ready('writer');
    await eventually('the pod reads its data', async () => ((await read('writer', '/data/kept')) === 'kept' ? true : undefined));
  });

  test('take their data along when they go', async () => {
    const volume = await field('pvc data', '{.spec.volumeName}');
    await remove('pod/writer');
    await remove('pvc/data');
    await cluster.kubectl(['wait', '--for=delete', `pv/${volume}`, '--timeout=60s'], { timeoutMs: 70_000 });
    assert.deepEqual(directories(), []);
  });

  test('leave it where the class says Retain, even when the volume goes', async () => {
    await create(
      {
        apiVersion: 'storage.k8s.io/v1',
        kind: 'StorageClass',
        metadata: { name: 'kept' },
        provisioner: 'k8ts.io/host-path',
        reclaimPolicy: 'Retain',
      },
      claimOf('retained', { storageClassName: 'kept', accessModes: ['ReadWriteOncePod'] }),
    );
    // The class binds at once: nobody uses the claim.
    const volume = await eventually(
      'it is bound',
      async () => (await field('pvc retained', '{.status.phase} {.spec.volumeName}')).match(/^Bound (\S+)$/)?.[1],
    );
    const [directory = ''] = directories();
    writeFileSync(join(cluster.dataDir, 'volumes', directory, 'kept'), 'kept');
    await remove('pvc/retained');
    await eventually('it is released', async () => ((await field(`pv ${volume}`, '{.status.phase}')) === 'Released' ? true : undefined));
    await remove(`pv/${volume}`);
    assert.equal(readFileSync(join(cluster.dataDir, 'volumes', directory, 'kept'), 'utf8'), 'kept');
  });

  test('say why they cannot be had', async () => {
    await create(
      claimOf('shared', { storageClassName: 'kept', accessModes: ['ReadWriteMany'] }),
      claimOf('raw', { storageClassName: 'kept', volumeMode: 'Block' }),
    );
    await eventOn('PersistentVolumeClaim/shared', /ProvisioningFailed: .*"kept": .*access mode ReadWriteMany is not supported/);
    await eventOn('PersistentVolumeClaim/raw', /ProvisioningFailed: .*volumeMode Block is not supported/);
    await remove('pvc/shared', 'pvc/raw');
  });
});

describe('what goes wrong', () => {
  test('a full disk: said, nothing lost, and mended when there is room again', async () => {
    const volumes = join(cluster.dataDir, 'volumes');
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k,nr_inodes=3', 'tmpfs', volumes]);
    try {
      writeFileSync(join(volumes, 'one'), '');
      mkdirSync(join(volumes, 'two'));
      await create(claimOf('late'), podOf('late', { claim: 'late' }));
      await eventOn('PersistentVolumeClaim/late', /ProvisioningFailed: .*ENOSPC: no space left on device/);
    } finally {
      execFileSync('umount', [volumes]);
    }
    await ready('late');
    await remove('pod/late');
    await remove('pvc/late');
  });

  test('a full disk under a config map: the old files stay, the new ones come when there is room', async () => {
    await create(
      { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'cm' }, data: { key: 'old' } },
      podOf('reader', { volume: { configMap: { name: 'cm' } } }),
    );
    await ready('reader');
    const uid = await field('pod reader', '{.metadata.uid}');
    const place = join(cluster.dataDir, 'kubelet/pods', uid, 'volumes/kubernetes.io~configmap/data');
    // The volume's directory cannot be given a full disk of its own while the pod sees it; one that takes no new names behaves alike.
    execFileSync('mount', ['--bind', place, place]);
    execFileSync('mount', ['-o', 'remount,bind,ro', place]);
    try {
      await cluster.kubectl(['patch', 'configmap', 'cm', '--type=merge', '-p', '{"data":{"key":"new"}}']);
      await eventOn('Pod/reader', /FailedMount: MountVolume.SetUp failed for volume "data" : /);
      assert.equal(await read('reader', '/data/key'), 'old');
    } finally {
      execFileSync('umount', [place]);
    }
    await eventually('it reads the new', async () => ((await read('reader', '/data/key')) === 'new' ? true : undefined));
    await remove('pod/reader', 'configmap/cm');
  });

  test('a link in a volume leads no subPath out of it', async () => {
    const place = join(cluster.dataDir, 'outside');
    mkdirSync(join(place, 'volume'), { recursive: true });
    writeFileSync(join(place, 'secret'), 'not for pods');
    symlinkSync('../secret', join(place, 'volume', 'way-out'));
    symlinkSync('inside', join(place, 'volume', 'way-round'));
    mkdirSync(join(place, 'volume', 'inside'));
    writeFileSync(join(place, 'volume', 'inside', 'file'), 'for pods');
    const volume = { hostPath: { path: join(place, 'volume') } };
    await create(podOf('out', { volume, mount: { subPath: 'way-out' } }), podOf('round', { volume, mount: { subPath: 'way-round' } }));
    await eventOn('Pod/out', /Failed: Error: failed to prepare subPath for volumeMount "data" of container "main"/);
    await ready('round');
    assert.equal(await read('round', '/data/file'), 'for pods');
    await remove('pod/out', 'pod/round');
    rmSync(place, { recursive: true });
  });

  test('what this runtime or this node cannot do is said', async () => {
    await create(
      podOf('of-image', { volume: { image: { reference: image } } }),
      podOf('recursive', { volume: { emptyDir: {} }, mount: { readOnly: true, recursiveReadOnly: 'Enabled' } }),
    );
    await eventOn(
      'Pod/of-image',
      /FailedMount: MountVolume.SetUp failed for volume "data" : image volumes are not supported by the container runtime/,
    );
    await eventOn('Pod/recursive', /Failed: Error: volume "data" requested recursive read-only mode, but it is not supported by the runtime/);
    await remove('pod/of-image', 'pod/recursive');
  });
});

describe('volumes by hand', () => {
  const localVolume = (name: string, path: string, spec: object = {}): object => ({
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: { name },
    spec: {
      capacity: { storage: '10Mi' },
      accessModes: ['ReadWriteOnce'],
      storageClassName: 'by-hand',
      claimRef: { namespace: 'default', name },
      local: { path },
      nodeAffinity: {
        required: { nodeSelectorTerms: [{ matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: [nodeName] }] }] },
      },
      ...spec,
    },
  });
  const byHand = (name: string, spec: object = {}): object =>
    claimOf(name, { storageClassName: 'by-hand', volumeName: name, resources: { requests: { storage: '10Mi' } }, ...spec });

  test('a block device is one in the container too', async () => {
    const file = join(cluster.dataDir, 'disk.img');
    writeFileSync(file, Buffer.alloc(10 * 2 ** 20));
    const device = execFileSync('losetup', ['--find', '--show', file], { encoding: 'utf8' }).trim();
    try {
      const devices = { volumeMounts: [], volumeDevices: [{ name: 'data', devicePath: '/dev/disk' }] };
      await create(
        localVolume('disk', device, { volumeMode: 'Block' }),
        byHand('disk', { volumeMode: 'Block' }),
        podOf('block', { claim: 'disk', container: { ...devices, securityContext: { runAsUser: 0 } } }),
        podOf('mistaken', { claim: 'disk' }),
      );
      await ready('block');
      await inPod(
        'block',
        `const fs = require('fs'); const f = fs.openSync('/dev/disk', 'rs+'); fs.writeSync(f, 'from a pod'); fs.fsyncSync(f); fs.closeSync(f)`,
      );
      execFileSync('blockdev', ['--flushbufs', device]);
      assert.equal(readFileSync(file).subarray(0, 10).toString(), 'from a pod');
      await eventOn('Pod/mistaken', /Failed: Error: volume data has volumeMode Block, but is specified in volumeMounts/);
      await remove('pod/block', 'pod/mistaken');
      await remove('pvc/disk', 'pv/disk');
    } finally {
      execFileSync('losetup', ['--detach', device]);
    }
  });

  test('a large volume is given to the fsGroup once, when that is asked for', async () => {
    const path = join(cluster.dataDir, 'large');
    mkdirSync(path);
    writeFileSync(join(path, 'early'), '');
    await create(localVolume('large', path), byHand('large'));
    const as = (name: string): object =>
      podOf(name, { claim: 'large', more: { securityContext: { fsGroup: 4000, fsGroupChangePolicy: 'OnRootMismatch' } } });
    await create(as('first'));
    await ready('first');
    assert.deepEqual([statSync(path).gid, statSync(join(path, 'early')).gid], [4000, 4000]);
    await remove('pod/first');
    writeFileSync(join(path, 'late'), '');
    chownSync(join(path, 'late'), 0, 0);
    await create(as('second'));
    await ready('second');
    assert.equal(statSync(join(path, 'late')).gid, 0, 'the root showed that it was done');
    await remove('pod/second');
    await remove('pvc/large', 'pv/large');
  });

  test('a volume that this node does not reach is said to be so', async () => {
    await create(
      localVolume('elsewhere', '/nowhere', {
        nodeAffinity: {
          required: { nodeSelectorTerms: [{ matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: ['another'] }] }] },
        },
      }),
      byHand('elsewhere'),
      localVolume('missing', join(cluster.dataDir, 'not-there')),
      byHand('missing'),
      podOf('elsewhere', { claim: 'elsewhere', more: { nodeName } }),
      podOf('missing', { claim: 'missing', more: { nodeName } }),
    );
    await eventOn('Pod/elsewhere', /FailedMount: MountVolume.NodeAffinity check failed for volume "data" : no matching NodeSelectorTerms/);
    await eventOn('Pod/missing', /FailedMount: MountVolume.NewMounter initialization failed for volume "data" : path ".*not-there" does not exist/);
    await remove('pod/elsewhere', 'pod/missing');
    await remove('pvc/elsewhere', 'pvc/missing', 'pv/elsewhere', 'pv/missing');
  });

  test('what a pod left behind while no kubelet ran is swept, and nothing that is not its own', async () => {
    const path = join(cluster.dataDir, 'host');
    mkdirSync(path);
    writeFileSync(join(path, 'file'), 'kept');
    const volumes = [
      { name: 'memory', emptyDir: { medium: 'Memory' } },
      { name: 'host', hostPath: { path } },
    ];
    const mounts = [
      { name: 'memory', mountPath: '/memory' },
      { name: 'host', mountPath: '/host' },
      { name: 'host', mountPath: '/part', subPath: 'sub' },
    ];
    await create(podOf('left', { volume: { emptyDir: {} }, more: { volumes: [...volumes] }, container: { volumeMounts: mounts } }));
    await ready('left');
    const root = join(cluster.dataDir, 'kubelet/pods', await field('pod left', '{.metadata.uid}'));
    const { pid } = JSON.parse(readFileSync(join(cluster.dataDir, 'run/node-agent.json'), 'utf8')) as { pid: number };
    process.kill(pid, 'SIGKILL');
    await cluster.kubectl('delete pod left --force --grace-period=0');
    assert.ok(existsSync(root));
    await cluster.up();
    await eventually('its directory is gone', async () => (existsSync(root) ? undefined : true));
    assert.ok(!readFileSync('/proc/mounts', 'utf8').includes(root));
    assert.equal(readFileSync(join(path, 'file'), 'utf8'), 'kept');
    assert.ok(existsSync(join(path, 'sub')));
  });
});

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
    });
  const persistent = (handle: string): object[] => [
    {
      apiVersion: 'v1',
      kind: 'PersistentVolume',
      metadata: { name: handle },
      spec: {
        capacity: { storage: '1Gi' },
        accessModes: ['ReadWriteOnce'],
        storageClassName: 'driver',
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
    claimOf(handle, { storageClassName: 'driver', volumeName: handle }),
  ];
  const count = (call: string): number => driver.calls.filter((each) => each === call).length;

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
    const attachment = await eventually('the attachment', async () => {
      const names = await cluster.kubectl('get volumeattachments -o jsonpath={.items[*].metadata.name}');
      return names === '' ? undefined : names;
    });
    await eventually('the node says that it is in use', async () =>
      (await field(`node ${nodeName}`, '{.status.volumesInUse[*]}')) === `kubernetes.io/csi/${name}^disk-1` ? true : undefined,
    );
    assert.equal(count('NodeStageVolume disk-1'), 0, 'not before it is attached');
    await cluster.kubectl([
      'patch',
      'volumeattachment',
      attachment,
      '--subresource=status',
      '--type=merge',
      '-p',
      JSON.stringify({ status: { attached: true, attachmentMetadata: { device: '/dev/disk-1' } } }),
    ]);
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
