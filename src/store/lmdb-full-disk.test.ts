import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';

// A limit on the size of files stands in for a full disk: the same failing writes at the same places, without root.
const canLimit = spawnSync('prlimit', ['--version']).status === 0;

describe('lmdb: a full disk', () => {
  it('fails writes, keeps reading, and goes on when there is space again', { skip: canLimit ? false : 'needs prlimit', timeout: 60_000 }, (t) => {
    const path = mkdtempSync(join(tmpdir(), 'k8ts-full-'));
    t.after(() => rmSync(path, { recursive: true, force: true }));
    const program = join(import.meta.dirname, 'lmdb-full-disk-writer.ts');
    const result = spawnSync('prlimit', ['--fsize=2000000:', process.execPath, program, path], { encoding: 'utf8' });
    assert.equal(result.status, 0, result.stderr.slice(-4_000));
    assert.equal(result.stdout.trim(), 'the store came through');
  });
});
