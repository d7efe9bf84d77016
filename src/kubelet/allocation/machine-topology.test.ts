import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { readTopology } from './machine-topology.ts';

function sysfs(files: Record<string, string>): string {
  const directory = mkdtempSync(join(tmpdir(), 'k8ts-sysfs-'));
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), `${content}\n`);
  }
  return directory;
}

describe("a machine's topology", () => {
  test('is read from sysfs: threads of a core, sockets, caches, and memory by node', () => {
    const cpu = (id: number, siblings: string, socket: number, cache: string): Record<string, string> => ({
      [`cpu/cpu${id}/topology/thread_siblings_list`]: siblings,
      [`cpu/cpu${id}/topology/physical_package_id`]: String(socket),
      [`cpu/cpu${id}/cache/index3/shared_cpu_list`]: cache,
    });
    const directory = sysfs({
      'cpu/online': '0-3',
      ...cpu(0, '0,2', 0, '0,2'),
      ...cpu(1, '1,3', 1, '1,3'),
      ...cpu(2, '0,2', 0, '0,2'),
      ...cpu(3, '1,3', 1, '1,3'),
      'node/node0/cpulist': '0,2',
      'node/node0/meminfo': 'Node 0 MemTotal:       1024 kB\nNode 0 MemFree: 3 kB',
      'node/node0/distance': '10 21',
      'node/node2/cpulist': '1,3',
      'node/node2/meminfo': 'Node 2 MemTotal:       2048 kB',
      'node/node2/distance': '21 10',
      'node/has_cpu': '0,2',
    });
    try {
      const { cpus, nodes } = readTopology({ directory, memoryBytes: 1 });
      assert.deepEqual(
        cpus.map(({ id, core, socket, node, cache }) => [id, core, socket, node, cache]),
        [
          [0, 0, 0, 0, 0],
          [1, 1, 1, 2, 1],
          [2, 0, 0, 0, 0],
          [3, 1, 1, 2, 1],
        ],
      );
      assert.deepEqual(
        nodes.map(({ id, memoryBytes, distances }) => [id, memoryBytes, distances.get(2)]),
        [
          [0, 2 ** 20, 21],
          [2, 2 ** 21, 10],
        ],
      );
      // One that lives in a part of the machine has that part alone.
      assert.deepEqual(
        readTopology({ directory, memoryBytes: 1, allowed: [1, 3] }).cpus.map(({ id }) => id),
        [1, 3],
      );
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  test('is flat where the kernel tells nothing', () => {
    const directory = sysfs({ 'cpu/online': '0-1' });
    try {
      const { cpus, nodes } = readTopology({ directory, memoryBytes: 4096 });
      assert.deepEqual(
        cpus.map(({ core, node }) => [core, node]),
        [
          [0, 0],
          [1, 0],
        ],
      );
      assert.deepEqual([nodes.length, nodes[0]?.memoryBytes], [1, 4096]);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
