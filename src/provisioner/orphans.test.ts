import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PersistentVolume, PersistentVolumeClaim } from '../api/kinds.ts';
import { orphanedDirectories } from './orphans.ts';

const created = { resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' };
const uid = (digit: number): string => `${String(digit).repeat(8)}-0000-4000-8000-000000000000`;
const directory = (digit: number): string => `pvc-${uid(digit)}_default_data`;

const claim: PersistentVolumeClaim = {
  apiVersion: 'v1',
  kind: 'PersistentVolumeClaim',
  metadata: { name: 'data', namespace: 'default', uid: uid(1), ...created },
  spec: {},
  status: {},
};

function volume(name: string, path: string): PersistentVolume {
  return { apiVersion: 'v1', kind: 'PersistentVolume', metadata: { name, uid: name, ...created }, spec: { local: { path } }, status: {} };
}

test('a directory is nobody’s when its claim and its volume are gone, and nothing else leads to it', () => {
  const volumes = [volume(`pvc-${uid(2)}`, `/volumes/${directory(2)}`), volume('by-hand', `/volumes/${directory(3)}`)];
  const names = [1, 2, 3, 4].map(directory);
  assert.deepEqual(orphanedDirectories([...names, 'lost+found', 'pvc-short_default_data'], [claim], volumes), [directory(4)]);
});
