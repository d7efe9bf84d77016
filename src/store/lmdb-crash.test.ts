import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { realWorld } from '../world/real.ts';
import type { World } from '../world/world.ts';
import { openLmdbStore } from './lmdb.ts';
import type { Store } from './store.ts';

/** `K8TS_KILLS=200 node --test src/store/lmdb-crash.test.ts` for a long run. */
const kills = Number(process.env['K8TS_KILLS'] ?? 4);
const lanes = 8;

async function numberAt(store: Store, key: string): Promise<number> {
  const found = await store.get(key);
  return found ? Number(Buffer.from(found.value).toString().split(' ')[0]) : 0;
}

/** Runs the writer, kills it at some moment, and answers what it said was acknowledged: the last number and revision of each lane. */
async function killedWriter(path: string, world: World, afterMs: number): Promise<Map<number, { n: number; revision: number }>> {
  const writer = spawn(process.execPath, [join(import.meta.dirname, 'lmdb-writer.ts'), path, String(lanes)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  const started = new Promise<void>((resolve) => {
    writer.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      resolve();
    });
  });
  const ended = new Promise<void>((resolve) => {
    writer.on('close', () => resolve());
  });
  await Promise.race([started, ended]);
  await world.clock.sleep(afterMs);
  writer.kill('SIGKILL');
  await ended;
  const acknowledged = new Map<number, { n: number; revision: number }>();
  for (const line of output.split('\n').slice(0, -1)) {
    const [lane = -1, n = 0, revision = 0] = line.split(' ').map(Number);
    acknowledged.set(lane, { n, revision });
  }
  return acknowledged;
}

describe('lmdb: a process killed while it writes', () => {
  it(`loses nothing it acknowledged and leaves no half commit, ${kills} times over`, { timeout: 60_000 + kills * 5_000 }, async (t) => {
    const path = mkdtempSync(join(tmpdir(), 'k8ts-crash-'));
    t.after(() => rmSync(path, { recursive: true, force: true }));
    const world = realWorld({ level: 'error' });
    for (let round = 0; round < kills; round++) {
      const acknowledged = await killedWriter(path, world, world.random.int(120));
      assert.ok(acknowledged.size > 0, 'the writer acknowledged something');
      const store = await openLmdbStore({ path, world, history: { revisions: 200 } });
      try {
        for (const [lane, { n, revision }] of acknowledged) {
          const left = await numberAt(store, `/left/${lane}`);
          assert.ok(left >= n, `lane ${lane}: ${n} was acknowledged, ${left} is there`);
          assert.ok(store.revision() >= revision);
        }
        for (let lane = 0; lane < lanes; lane++) {
          const left = await numberAt(store, `/left/${lane}`);
          assert.equal(await numberAt(store, `/right/${lane}`), left);
          assert.equal(await numberAt(store, `/many/${lane}/${left % 500}`), left);
        }
        await assertHistoryWhole(store);
      } finally {
        await store.close();
      }
    }
  });
});

/** Every revision kept is there, once, with its three changes, and leads to the present state. */
async function assertHistoryWhole(store: Store): Promise<void> {
  const oldest = store.oldestRevision();
  const abort = new AbortController();
  const seen: number[] = [];
  await store.watch(
    '/',
    oldest,
    ({ revision, changes }) => {
      seen.push(revision);
      assert.equal(changes.length, 3);
    },
    abort.signal,
  );
  abort.abort();
  assert.deepEqual(
    seen,
    Array.from({ length: store.revision() - oldest }, (_, i) => oldest + 1 + i),
  );
}
