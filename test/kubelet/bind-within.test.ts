/** subPath against those who would lead it out of its volume, with real mounts. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { bindWithin } from '../../src/kubelet/volumes/bind-within.ts';

let top: string;
let volume: string;
let target: string;

beforeEach(() => {
  top = mkdtempSync(join(tmpdir(), 'k8ts-bind-'));
  [volume, target] = [join(top, 'volume'), join(top, 'mounts', '0')];
  mkdirSync(join(volume, 'inside'), { recursive: true, mode: 0o777 });
  execFileSync('chmod', ['2777', volume]);
  writeFileSync(join(volume, 'inside', 'file'), 'inside');
  mkdirSync(join(top, 'outside'));
  writeFileSync(join(top, 'outside', 'file'), 'outside');
});
afterEach(() => {
  if (readFileSync('/proc/self/mountinfo', 'utf8').includes(` ${target} `)) execFileSync('umount', [target]);
  rmSync(top, { recursive: true });
});

const mounted = (): string => readFileSync(join(target, 'file'), 'utf8');

test('a directory, a file and what a link inside leads to are found', async () => {
  assert.equal(await bindWithin(volume, 'inside', target), target);
  assert.equal(mounted(), 'inside');
  symlinkSync('inside', join(volume, 'link'));
  await bindWithin(volume, 'link', target);
  assert.equal(mounted(), 'inside');
  execFileSync('umount', [target]);
  rmSync(target, { recursive: true });
  await bindWithin(volume, 'inside/file', target);
  assert.equal(readFileSync(target, 'utf8'), 'inside');
});

test('what is missing is made, as open as the volume itself', async () => {
  await bindWithin(volume, 'new/deep', target);
  for (const path of ['new', 'new/deep']) assert.equal(statSync(join(volume, path)).mode & 0o7777, 0o2777, path);
});

test('links that lead out, or nowhere, are refused, and nothing is made outside', async () => {
  symlinkSync('../outside', join(volume, 'out'));
  symlinkSync(join(top, 'outside'), join(volume, 'absolute'));
  symlinkSync('../elsewhere', join(volume, 'nowhere'));
  for (const path of ['out', 'absolute', 'out/new', 'absolute/file'])
    await assert.rejects(bindWithin(volume, path, target), /not within volume path/, path);
  for (const path of ['nowhere', 'nowhere/new']) await assert.rejects(bindWithin(volume, path, target), /leads nowhere/, path);
  assert.ok(!existsSync(join(top, 'elsewhere')) && !existsSync(join(top, 'outside', 'new')));
});

test('whoever swaps a directory for a link meanwhile never gets more than the volume', async () => {
  symlinkSync('../outside', join(volume, 'swap'));
  let over = false;
  // What is not there at the moment, or made anew by the other side, is let be.
  const swap = (from: string, to: string): Promise<void> => rename(join(volume, from), join(volume, to)).catch(() => {});
  const swapping = (async () => {
    while (!over) {
      await swap('inside', 'away');
      await swap('swap', 'inside');
      await swap('inside', 'swap');
      await swap('away', 'inside');
    }
  })();
  const outcomes = new Set<string>();
  try {
    for (let round = 0; round < 40; round++) {
      try {
        await bindWithin(volume, 'inside', target);
        outcomes.add(mounted());
      } catch (error) {
        outcomes.add(error instanceof Error ? 'refused' : 'odd');
      }
    }
  } finally {
    over = true;
    await swapping;
  }
  outcomes.delete('refused');
  outcomes.delete('inside');
  assert.deepEqual([...outcomes], []);
});
