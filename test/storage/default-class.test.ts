/** Claims that work with nothing to install: when they get their directory, what becomes of it, and what goes wrong. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type ClusterUnderTest, eventually, startClusterUnderTest } from '../support/cluster-under-test.ts';
import { claimOf, image, podOf, podsWithVolumes } from './pods-with-volumes.ts';

let cluster: ClusterUnderTest;
let nodeName: string;
const { create, ready, remove, field, write, read, eventOn } = podsWithVolumes(() => cluster);

before(async () => {
  cluster = await startClusterUnderTest();
  nodeName = (await cluster.kubectl('get nodes -o jsonpath={.items[0].metadata.name}')).trim();
});
after(() => cluster.close());

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

  test('leave nothing when their node’s agent was killed while it made their directory', async () => {
    const orphan = (digit: number): string =>
      join(cluster.dataDir, 'volumes', `pvc-${String(digit).repeat(8)}-0000-4000-8000-000000000000_default_gone`);
    mkdirSync(orphan(1));
    mkdirSync(join(orphan(2), 'data'), { recursive: true });
    const { pid } = JSON.parse(readFileSync(join(cluster.dataDir, 'run/node-agent.json'), 'utf8')) as { pid: number };
    process.kill(pid, 'SIGKILL');
    await cluster.up();
    await eventually('the empty one goes', async () => (existsSync(orphan(1)) ? undefined : true));
    assert.ok(existsSync(orphan(2)), 'what is in the other is somebody’s');
    rmSync(orphan(2), { recursive: true });
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
    await eventually('its status says why', async () => {
      const why = await field('pod of-image', '{.status.containerStatuses[0].state.waiting.message}');
      return /image volumes are not supported by the container runtime: they need containerd 2\.1/.test(why) ? true : undefined;
    });
    await eventOn('Pod/recursive', /Failed: Error: volume "data" requested recursive read-only mode, but it is not supported by the runtime/);
    await remove('pod/of-image', 'pod/recursive');
  });
});
