import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { emptyTree, removeTree } from './remove-tree.ts';

describe('what was a volume', () => {
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'k8ts-remove-tree-'));
    for (const name of ['volume', 'elsewhere']) mkdirSync(join(root, name));
    writeFileSync(join(root, 'elsewhere', 'kept'), '');
    mkdirSync(join(root, 'volume', 'a', 'b'), { recursive: true });
    writeFileSync(join(root, 'volume', '.hidden'), '');
    symlinkSync('../elsewhere', join(root, 'volume', 'link'));
  });
  afterEach(() => rmSync(root, { recursive: true }));

  it('is removed as a whole, and nothing it leads to', async () => {
    await removeTree(join(root, 'volume'));
    await removeTree(join(root, 'volume'));
    assert.deepEqual(readdirSync(root), ['elsewhere']);
    assert.deepEqual(readdirSync(join(root, 'elsewhere')), ['kept']);
  });

  it('is emptied of all that is in it, and of nothing it leads to', async () => {
    await emptyTree(join(root, 'volume'));
    assert.deepEqual(readdirSync(join(root, 'volume')), []);
    assert.deepEqual(readdirSync(join(root, 'elsewhere')), ['kept']);
  });

  it('is empty when it is not there; what is no directory cannot be emptied', async () => {
    await emptyTree(join(root, 'absent'));
    await assert.rejects(emptyTree(join(root, 'elsewhere', 'kept')), { code: 'ENOTDIR' });
  });
});
