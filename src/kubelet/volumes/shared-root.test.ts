import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isShared } from './shared-root.ts';

const line = (point: string, options: string): string => `36 35 98:0 / ${point} rw,noatime ${options}- ext4 /dev/root rw`;

test('the innermost mount says whether mounts are passed on, and of several at a place the last', () => {
  assert.equal(isShared(line('/', 'shared:1 '), '/var/lib/k8ts/kubelet'), true);
  assert.equal(isShared(line('/', ''), '/var/lib/k8ts/kubelet'), false);
  assert.equal(isShared(line('/', 'master:2 '), '/var/lib/k8ts/kubelet'), false);
  assert.equal(isShared([line('/', ''), line('/var/lib', 'shared:7 master:2 ')].join('\n'), '/var/lib/k8ts/kubelet'), true);
  assert.equal(isShared([line('/', 'shared:1 '), line('/var/lib/k8ts', '')].join('\n'), '/var/lib/k8ts/kubelet'), false);
  assert.equal(isShared([line('/', ''), line('/var/lib/k8', 'shared:3 ')].join('\n'), '/var/lib/k8ts/kubelet'), false, 'of another place');
  assert.equal(isShared([line('/a', ''), line('/a', 'shared:3 ')].join('\n'), '/a'), true);
  assert.equal(isShared(String.raw`36 35 98:0 / /with\040blank rw shared:4 - ext4 /dev/root rw`, '/with blank/kubelet'), true);
});
