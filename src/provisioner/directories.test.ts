import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync, existsSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type Directories, realDirectories } from './directories.ts';

let top: string;
let directories: Directories;
before(() => {
  top = mkdtempSync(join(tmpdir(), 'k8ts-volumes-'));
  directories = realDirectories(join(top, 'volumes'));
});
after(() => rmSync(top, { recursive: true }));

test('whoever the pod runs as may write there, and what is there stays when it is made again', async () => {
  const path = directories.pathOf('a');
  await directories.make(path);
  assert.equal(statSync(path).mode & 0o777, 0o777);
  writeFileSync(join(path, 'file'), 'kept');
  await directories.make(path);
  await directories.removeIfEmpty(path);
  assert.ok(existsSync(join(path, 'file')));
  await directories.remove(path);
  await directories.remove(path);
  await directories.removeIfEmpty(path);
  assert.ok(!existsSync(path));
});

test('nothing but a volume’s directory is ever removed', async () => {
  const outside = join(top, 'outside');
  mkdirSync(outside);
  writeFileSync(join(outside, 'file'), 'kept');
  for (const path of ['', '/', top, join(top, 'volumes'), outside, join(top, 'volumes', 'a', 'b'), `${top}/volumes/../outside`, `${top}/volumes/`]) {
    await assert.rejects(async () => directories.remove(path), /is no volume's directory/, path);
    await assert.rejects(async () => directories.make(path), /is no volume's directory/, path);
  }
  await directories.make(directories.pathOf('b'));
  symlinkSync(outside, join(directories.pathOf('b'), 'link'));
  await directories.remove(directories.pathOf('b'));
  assert.ok(existsSync(join(outside, 'file')), 'links are not followed');
});
