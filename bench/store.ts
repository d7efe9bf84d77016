/** How many durable commits a second the lmdb store takes, by itself, and how fast it opens: `node bench/store.ts [DIRECTORY]` prints the figures. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openLmdbStore } from '../src/store/lmdb.ts';
import type { Store } from '../src/store/store.ts';
import { realWorld } from '../src/world/real.ts';
import type { Figure } from './figure.ts';

const world = realWorld({ level: 'error' });
const inFlight = 32;
const keys = 100_000;
const value = Buffer.alloc(1_000, 'x');

export async function storeSpeed(parent: string = tmpdir()): Promise<Figure[]> {
  const path = mkdtempSync(join(parent, 'k8ts-bench-store-'));
  try {
    let store = await openLmdbStore({ path, world });
    const creates = await commitsPerSecond(keys, async (i) => {
      const key = keyOf(i);
      await store.commit([{ type: 'put', key, value }], [{ key, modRevision: 0 }]);
    });
    const updates = await commitsPerSecond(keys / 2, (i) => store.commit([{ type: 'put', key: keyOf((i * 7_919) % keys), value }]));
    const reads = await readsPerSecond(store);
    await store.close();
    const startMs = world.clock.now();
    store = await openLmdbStore({ path, world });
    const openMs = world.clock.now() - startMs;
    await store.close();
    return [
      { what: 'store: durable creates of 1 kB, 32 in flight', value: creates, unit: '/s', aim: 20_000, better: 'more' },
      { what: 'store: durable updates of 1 kB, 32 in flight', value: updates, unit: '/s', better: 'more' },
      { what: 'store: reads of one key', value: reads, unit: '/s', better: 'more' },
      { what: 'store: opening with 100,000 keys', value: openMs, unit: 'ms', aim: 1_000, better: 'less' },
    ];
  } finally {
    rmSync(path, { recursive: true });
  }
}

function keyOf(i: number): string {
  return `/registry/configmaps/default/config-${i}`;
}

async function commitsPerSecond(total: number, commit: (i: number) => Promise<unknown>): Promise<number> {
  const startMs = world.clock.now();
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < total) await commit(next++);
  };
  await Promise.all(Array.from({ length: inFlight }, lane));
  return total / ((world.clock.now() - startMs) / 1_000);
}

async function readsPerSecond(store: Store): Promise<number> {
  const startMs = world.clock.now();
  for (let i = 0; i < keys; i++) await store.get(keyOf((i * 7_919) % keys));
  return keys / ((world.clock.now() - startMs) / 1_000);
}

if (import.meta.main)
  for (const { what, value: figure, unit } of await storeSpeed(process.argv[2])) console.log(`${what}: ${Math.round(figure)} ${unit}`);
