/** What the kubelet does for pods only where the runtime can: containerd 2.1 and runc 1.2 or later, which Debian 12 does not have. */
import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Node } from '../../src/api/kinds.ts';
import { run } from '../../src/kubelet/volumes/mounts.ts';
import { realWorld } from '../../src/world/real.ts';
import { newerContainerd } from '../support/newer-containerd.ts';
import { type RealKubelet, realKubelet } from './real-kubelet.ts';

const world = realWorld({ level: process.env.KUBELET_LOG ?? 'silent' });

describe('pods in a newer containerd', { skip: process.getuid?.() !== 0 && 'needs root' }, () => {
  const path = process.env.PATH;
  let real: RealKubelet;
  before(async () => {
    process.env.PATH = [await newerContainerd(), path].join(delimiter);
    real = await realKubelet(world, '10.201.26');
  });
  after(async () => {
    await real.close();
    process.env.PATH = path;
  });

  test('the node tells what its runtime can do', async () => {
    await real.until(() => real.api.get('Node', 'node-1') !== undefined);
    const { nodeInfo, features, runtimeHandlers } = (real.api.get('Node', 'node-1') as Node).status;
    assert.match(nodeInfo?.containerRuntimeVersion ?? '', /^containerd:\/\/([3-9]|2\.[1-9])/);
    assert.equal(features?.supplementalGroupsPolicy, true);
    const names = runtimeHandlers?.map(({ name }) => name) ?? [];
    assert.deepEqual(
      names,
      names.toSorted((a = '', b = '') => (a < b ? -1 : 1)),
    );
    assert.deepEqual(runtimeHandlers?.find(({ name }) => name === '')?.features, { recursiveReadOnlyMounts: true, userNamespaces: true });
  });

  test('a pod has users of its own: root inside, nobody outside, and files of its volumes are its own', async () => {
    const own = { hostUsers: false, volumes: [{ name: 'scratch', emptyDir: {} }] };
    const mount = { volumeMounts: [{ name: 'scratch', mountPath: '/scratch' }] };
    real.put('users-1', mount, { ...own, securityContext: { fsGroup: 2000 } });
    real.put('users-2', mount, own);
    real.put('host-users');
    await real.until(() => ['users-1', 'users-2', 'host-users'].every(real.isReady));
    const blocks: number[] = [];
    for (const name of ['users-1', 'users-2']) {
      assert.equal(await real.output(name, 'id -u'), '0');
      const [inside, outside, length] = (await real.output(name, 'cat /proc/self/uid_map')).split(/\s+/).map(Number);
      assert.deepEqual([inside, length], [0, 65_536]);
      assert.ok(outside !== undefined && outside >= 65_536 && outside % 65_536 === 0, String(outside));
      blocks.push(outside);
      const directory = join(real.host.directory, 'kubelet/pods', real.pod(name)?.metadata.uid ?? '');
      const kept: unknown = JSON.parse(await readFile(join(directory, 'userns'), 'utf8'));
      const mapping = { hostId: outside, containerId: 0, length: 65_536 };
      assert.deepEqual(kept, { uidMappings: [mapping], gidMappings: [mapping] });
      assert.equal(await real.output(name, 'echo mine > /scratch/file && stat -c %u /scratch/file /etc/hosts && cat /scratch/file'), '0\n0\nmine');
    }
    assert.equal(new Set(blocks).size, 2);
    assert.equal(await real.output('users-1', 'stat -c %g /scratch'), '2000');
    assert.equal((await real.output('host-users', 'cat /proc/self/uid_map')).split(/\s+/)[1], '0');
    // A restarted kubelet starts a container of the pod anew with the same users.
    real.stop();
    real.start();
    await real.until(() => real.kubelet.pods.container('default', 'users-1', 'main') !== undefined);
    await real.host.runtime.stopContainer(real.kubelet.pods.container('default', 'users-1', 'main')?.id ?? '', 0);
    await real.until(() => (real.main('users-1')?.restartCount ?? 0) > 0 && real.isReady('users-1'), 60_000);
    assert.equal(Number((await real.output('users-1', 'cat /proc/self/uid_map')).split(/\s+/)[1]), blocks[0]);
    assert.equal(await real.output('users-1', 'cat /scratch/file'), 'mine');
  });

  test('an image is a volume', async () => {
    real.put(
      'image-volume',
      { volumeMounts: [{ name: 'files', mountPath: '/files' }] },
      { volumes: [{ name: 'files', image: { reference: 'busybox', pullPolicy: 'IfNotPresent' } }] },
    );
    await real.until(() => real.isReady('image-volume'));
    assert.match(await real.output('image-volume', 'ls /files/bin/busybox'), /^\/files\/bin\/busybox$/);
    assert.match(await real.output('image-volume', 'touch /files/new'), /Read-only file system/);
  });

  test('an image that is not there makes its container wait, as its own image does', async () => {
    real.put(
      'no-image-volume',
      { volumeMounts: [{ name: 'files', mountPath: '/files' }] },
      { volumes: [{ name: 'files', image: { reference: 'k8ts.local/nowhere:1', pullPolicy: 'Never' } }] },
    );
    await real.until(() => real.main('no-image-volume')?.state?.waiting?.reason === 'ErrImageNeverPull');
    assert.equal(
      real.main('no-image-volume')?.state?.waiting?.message,
      'Container image "k8ts.local/nowhere:1" is not present with pull policy of Never',
    );
  });

  test('a recursive read-only mount leaves nothing below it to be written', async () => {
    const outer = join(real.host.directory, 'outer');
    await mkdir(join(outer, 'inner'), { recursive: true });
    await run('mount', ['-t', 'tmpfs', 'none', join(outer, 'inner')]);
    try {
      await writeFile(join(outer, 'inner/file'), 'before');
      const mountPath = '/outer';
      const volumes = [{ name: 'outer', hostPath: { path: outer } }];
      real.put('plain', { volumeMounts: [{ name: 'outer', mountPath, readOnly: true }] }, { volumes });
      real.put('recursive', { volumeMounts: [{ name: 'outer', mountPath, readOnly: true, recursiveReadOnly: 'Enabled' }] }, { volumes });
      await real.until(() => real.isReady('plain') && real.isReady('recursive'));
      assert.equal(await real.output('plain', 'echo after > /outer/inner/file; cat /outer/inner/file'), 'after');
      assert.match(await real.output('recursive', 'echo again > /outer/inner/file'), /Read-only file system/);
      const modeOf = (name: string) => real.main(name)?.volumeMounts?.find((mount) => mount.mountPath === mountPath)?.recursiveReadOnly;
      assert.deepEqual([modeOf('plain'), modeOf('recursive')], ['Disabled', 'Enabled']);
      for (const name of ['plain', 'recursive']) real.api.remove('Pod', name, 'default', 1);
      await real.until(() => real.pod('plain') === undefined && real.pod('recursive') === undefined);
    } finally {
      await run('umount', ['--lazy', join(outer, 'inner')]);
    }
  });

  test("a container's status says whom it runs as, and Strict leaves out the groups of the image", async () => {
    const groups = { runAsUser: 1000, runAsGroup: 1000, supplementalGroups: [4000] };
    real.put('strict', {}, { securityContext: { ...groups, supplementalGroupsPolicy: 'Strict' } });
    real.put('merge', {}, { securityContext: groups });
    await real.until(() => real.isReady('strict') && real.isReady('merge'));
    assert.deepEqual(real.main('strict')?.user?.linux, { uid: 1000, gid: 1000, supplementalGroups: [1000, 4000] });
    assert.equal(await real.output('strict', 'id -G'), '1000 4000');
    assert.equal(real.main('merge')?.user?.linux?.uid, 1000);
  });
});
