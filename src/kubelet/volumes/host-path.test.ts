import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { realDisk, simulatedDisk } from '../disk.ts';
import { makeHostPath } from './host-path.ts';

const disk = realDisk();
let top: string;
const server = createServer();

before(async () => {
  top = mkdtempSync(join(tmpdir(), 'k8ts-host-path-'));
  mkdirSync(join(top, 'directory'));
  writeFileSync(join(top, 'file'), 'text');
  await new Promise<void>((resolve) => server.listen(join(top, 'socket'), resolve));
});
after(() => {
  server.close();
  rmSync(top, { recursive: true });
});

describe('what is at the path is what the pod expects', () => {
  const kinds = ['directory', 'file', 'socket', 'absent'];
  const accepts: Record<string, string[]> = {
    '': kinds,
    Directory: ['directory'],
    DirectoryOrCreate: ['directory', 'absent'],
    File: ['file'],
    FileOrCreate: ['file', 'absent'],
    Socket: ['socket'],
    CharDevice: [],
    BlockDevice: [],
  };
  for (const [type, accepted] of Object.entries(accepts)) {
    test(type === '' ? 'no type: anything' : type, async () => {
      for (const kind of kinds) {
        const path = join(top, kind === 'absent' ? `absent-${type}` : kind);
        const making = makeHostPath(disk, { path, type });
        if (accepted.includes(kind)) assert.equal((await making).path, path, kind);
        else await assert.rejects(making, { message: new RegExp(`^hostPath type check failed: ${path} is not a `) }, kind);
      }
    });
  }

  test('a character device is one', async () => {
    assert.equal((await makeHostPath(disk, { path: '/dev/null', type: 'CharDevice' })).path, '/dev/null');
    await assert.rejects(makeHostPath(disk, { path: '/dev/null', type: 'BlockDevice' }), /is not a block device/);
  });
});

test('what is made is made as the pod’s processes need it, and a file only where there is a directory for it', async () => {
  await makeHostPath(disk, { path: join(top, 'made', 'deep'), type: 'DirectoryOrCreate' });
  assert.equal(statSync(join(top, 'made', 'deep')).mode & 0o777, 0o755);
  await makeHostPath(disk, { path: join(top, 'made-file'), type: 'FileOrCreate' });
  assert.equal(statSync(join(top, 'made-file')).mode & 0o777, 0o644);
  await assert.rejects(makeHostPath(disk, { path: join(top, 'no', 'file'), type: 'FileOrCreate' }), /no such file or directory/);
});

test('nothing is looked for, or made, on a simulated node', async () => {
  const path = join(top, 'simulated');
  assert.equal((await makeHostPath(simulatedDisk(), { path, type: 'BlockDevice' })).path, path);
  await makeHostPath(simulatedDisk(), { path, type: 'DirectoryOrCreate' });
  assert.ok(!existsSync(path));
});
