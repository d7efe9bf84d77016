/** Volumes that an administrator makes: directories, devices, and what a pod left behind. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type ClusterUnderTest, eventually, startClusterUnderTest } from '../support/cluster-under-test.ts';
import { claimOf, podOf, podsWithVolumes } from './pods-with-volumes.ts';

let cluster: ClusterUnderTest;
let nodeName: string;
const { create, ready, remove, field, inPod, eventOn } = podsWithVolumes(() => cluster);

before(async () => {
  cluster = await startClusterUnderTest();
  nodeName = (await cluster.kubectl('get nodes -o jsonpath={.items[0].metadata.name}')).trim();
});
after(() => cluster.close());

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
