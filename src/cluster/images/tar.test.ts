import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { lstatSync, mkdirSync, mkdtempSync, readFileSync, readlinkSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { entriesOfDirectory, parentDirectories, tarArchive, type TarEntry } from './tar.ts';

describe('a tar archive', () => {
  test("is unpacked by the system's tar", async (t) => {
    const long = `${'directory-with-a-long-name/'.repeat(6)}file`;
    const root = await unpacked(t, [
      { path: 'bin', type: 'directory', mode: 0o755 },
      { path: 'bin/run', type: 'file', mode: 0o750, content: Buffer.from('#!'), mtime: 1_000_000 },
      { path: 'link', type: 'symlink', mode: 0o777, target: `/${long}` },
      { path: 'same', type: 'hardlink', mode: 0o750, target: 'bin/run' },
      { path: 'empty', type: 'file', mode: 0o600 },
      ...parentDirectories([long]),
      { path: long, type: 'file', mode: 0o644, content: Buffer.alloc(1000, 'y') },
    ]);
    assert.equal(readFileSync(join(root, 'bin/run'), 'utf8'), '#!');
    assert.equal(statSync(join(root, 'bin/run')).mode & 0o777, 0o750);
    assert.equal(statSync(join(root, 'bin/run')).mtimeMs, 1_000_000_000);
    assert.equal(statSync(join(root, 'same')).ino, statSync(join(root, 'bin/run')).ino);
    assert.equal(readlinkSync(join(root, 'link')), `/${long}`);
    assert.equal(statSync(join(root, 'empty')).size, 0);
    assert.equal(readFileSync(join(root, long)).length, 1000);
  });

  test('of a directory holds what is in it', async (t) => {
    const source = temporary(t);
    mkdirSync(join(source, 'a/b'), { recursive: true });
    writeFileSync(join(source, 'a/b/file'), 'content');
    symlinkSync('b/file', join(source, 'a/link'));
    const root = await unpacked(t, entriesOfDirectory(source));
    assert.equal(readFileSync(join(root, 'a/link'), 'utf8'), 'content');
    assert.ok(lstatSync(join(root, 'a/link')).isSymbolicLink());
  });

  test('of a file that is not as long as announced is an error', async (t) => {
    const file = join(temporary(t), 'file');
    writeFileSync(file, 'short');
    await assert.rejects(bytesOf([{ path: 'file', type: 'file', mode: 0o644, content: { file, size: 10 } }]), /5 bytes, where 10/);
  });
});

async function unpacked(t: TestContext, entries: Iterable<TarEntry> | AsyncIterable<TarEntry>): Promise<string> {
  const root = temporary(t);
  execFileSync('tar', ['-x', '-p', '-C', root], { input: await bytesOf(entries) });
  return root;
}

async function bytesOf(entries: Iterable<TarEntry> | AsyncIterable<TarEntry>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of tarArchive(entries)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function temporary(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'k8ts-tar-'));
  t.after(() => rmSync(directory, { recursive: true }));
  return directory;
}
