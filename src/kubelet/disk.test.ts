import assert from 'node:assert/strict';
import { mkdtemp, readFile, readdir, readlink, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { type VolumeFile, realDisk } from './disk.ts';

const disk = realDisk();
let path: string;
beforeEach(async () => (path = await mkdtemp(join(tmpdir(), 'k8ts-disk-'))));
afterEach(() => rm(path, { recursive: true, force: true }));

function files(content: Record<string, string>): Map<string, VolumeFile> {
  return new Map(Object.entries(content).map(([name, text]) => [name, { content: Buffer.from(text), mode: 0o640 }]));
}

describe('an atomic volume', () => {
  test('shows files through links, and swaps all at once', async () => {
    assert.equal(await disk.writeVolume(path, files({ a: '1', 'deep/b': '2' }), undefined), true);
    assert.equal(await readlink(join(path, 'a')), '..data/a');
    assert.equal(await readFile(join(path, 'deep/b'), 'utf8'), '2');
    assert.equal((await stat(join(path, 'a'))).mode & 0o777, 0o640);
    const before = await readlink(join(path, '..data'));

    assert.equal(await disk.writeVolume(path, files({ a: '1', 'deep/b': '2' }), undefined), false, 'nothing changed');
    assert.equal(await readlink(join(path, '..data')), before);

    assert.equal(await disk.writeVolume(path, files({ a: '3', c: '4' }), undefined), true);
    assert.equal(await readFile(join(path, 'a'), 'utf8'), '3');
    assert.deepEqual((await readdir(path)).filter((name) => !name.startsWith('..')).sort(), ['a', 'c']);
    assert.equal((await readdir(path)).filter((name) => name.startsWith('..k8ts_')).length, 1, 'the old directory is gone');
  });

  test('may be empty', async () => {
    assert.equal(await disk.writeVolume(path, files({}), undefined), true);
    assert.equal(await disk.writeVolume(path, files({}), undefined), false);
  });
});

test('reads the end of a file', async () => {
  await disk.writeFile(join(path, 'x/log'), 'hello world', 0o644);
  assert.equal(await disk.readTail(join(path, 'x/log'), 5), 'world');
  assert.equal(await disk.readTail(join(path, 'none'), 5), undefined);
});

test('says what a path is', async () => {
  await disk.writeFile(join(path, 'file'), '', 0o644);
  assert.deepEqual(
    [await disk.kind(path), await disk.kind(join(path, 'file')), await disk.kind(join(path, 'none')), await disk.kind('/dev/null')],
    ['directory', 'file', 'absent', 'character-device'],
  );
});
