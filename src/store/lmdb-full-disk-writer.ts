/** The other process of `lmdb-full-disk.test.ts`: runs with a limit on file sizes, fills the store up to it, lifts the limit and goes on. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { realWorld } from '../world/real.ts';
import { openLmdbStore } from './lmdb.ts';
import { StoreFailure } from './store.ts';

const [path = ''] = process.argv.slice(2);
const world = realWorld({ level: 'silent' });
let store = await openLmdbStore({ path, world });
const written = new Set<string>();

async function writeMany(prefix: string): Promise<{ done: number; failed: number }> {
  let done = 0;
  let failed = 0;
  async function lane(n: number): Promise<void> {
    for (let i = 0; i < 300; i++) {
      const key = `${prefix}/${n}/${i}`;
      try {
        await store.commit([{ type: 'put', key, value: Buffer.alloc(1_000, 'x') }], [{ key, modRevision: 0 }]);
        written.add(key);
        done++;
      } catch (error) {
        assert.ok(error instanceof StoreFailure, String(error));
        assert.ok(error.message.startsWith(`writing to ${path} failed: `), error.message);
        failed++;
      }
    }
  }
  await Promise.all(Array.from({ length: 8 }, (_, n) => lane(n)));
  return { done, failed };
}

async function assertAllThere(): Promise<void> {
  const { items } = await store.range('/');
  assert.deepEqual(new Set(items.map(({ key }) => key)), written);
  assert.equal(store.revision(), 1 + written.size);
}

const full = await writeMany('/full');
assert.ok(full.done > 100 && full.failed > 100, JSON.stringify(full));
await assertAllThere();
execFileSync('prlimit', ['--pid', String(process.pid), '--fsize=unlimited:']);
const after = await writeMany('/after');
assert.equal(after.failed, 0);
await assertAllThere();
await store.close();
store = await openLmdbStore({ path, world });
await assertAllThere();
await store.close();
console.log('the store came through');
