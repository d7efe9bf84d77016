import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { isStale } from './staleness.ts';

test('generated files are stale when one is missing or a source is newer', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'k8ts-stale-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const write = (name: string, seconds: number): string => {
    const path = join(folder, name);
    writeFileSync(path, name);
    utimesSync(path, seconds, seconds);
    return path;
  };
  mkdirSync(join(folder, 'generator'));
  const sources = [write('model.json', 100), join(folder, 'generator')];
  write('generator/generate.ts', 100);
  const targets = [write('types.ts', 200), write('schema.json', 200)];
  assert.equal(isStale(targets, sources), false);
  assert.equal(isStale([...targets, join(folder, 'missing.json')], sources), true);
  write('generator/generate.ts', 300);
  assert.equal(isStale(targets, sources), true);
});
