/** Blocks of ids of pods with users of their own. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Pod } from '../api/kinds.ts';
import { realDisk } from './disk.ts';
import { createUserNamespaces } from './user-namespaces.ts';

describe('user namespaces', () => {
  let rootDir: string;
  before(async () => {
    rootDir = await mkdtemp(join(tmpdir(), 'k8ts-userns-'));
  });
  after(() => rm(rootDir, { recursive: true, force: true }));

  test('pods get blocks that nobody else has, keep them over a restart, and give them back with their directory', async () => {
    const disk = realDisk();
    const options = { disk, rootDir, maxPods: 3 };
    const users = createUserNamespaces(options);
    assert.equal(await users.of(pod('host')), undefined);
    const [a, b] = await Promise.all([users.of(pod('a', false)), users.of(pod('b', false))]);
    assert.deepEqual(a, { hostId: 65_536, containerId: 0, length: 65_536 });
    assert.equal(b?.hostId, 131_072);
    assert.deepEqual(JSON.parse(await readFile(join(rootDir, 'pods/a/userns'), 'utf8')), { uidMappings: [a], gidMappings: [a] });

    const restarted = createUserNamespaces(options);
    assert.equal((await restarted.of(pod('c', false)))?.hostId, 196_608);
    assert.deepEqual(await restarted.of(pod('a', false)), a);
    await assert.rejects(restarted.of(pod('d', false)), /could not find an empty slot to allocate a user namespace/);
    await disk.removeTree(join(rootDir, 'pods/b'));
    assert.deepEqual(await restarted.of(pod('d', false)), b);
  });

  test('a spoiled file is no licence to give the pod other ids', async () => {
    const users = createUserNamespaces({ disk: realDisk(), rootDir, maxPods: 5 });
    for (const text of ['', '{}', '{"uidMappings":[{"hostId":0,"containerId":0,"length":65536}]}', 'null']) {
      await writeFile(join(rootDir, 'pods/a/userns'), text);
      await assert.rejects(users.of(pod('a', false)), /the file that keeps the user namespace of pod a is spoiled/, text);
    }
  });
});

function pod(uid: string, hostUsers?: boolean): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: uid, namespace: 'default', uid, resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' },
    spec: { containers: [], ...(hostUsers !== undefined && { hostUsers }) },
    status: {},
  };
}
