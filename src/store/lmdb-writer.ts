/**
 * The other process of `lmdb-crash.test.ts`: writes to a store as fast as it can, tells each acknowledged commit on standard output, and waits to be
 * killed. Each commit puts the same number under two keys, so that half a commit would show.
 */
import { writeSync } from 'node:fs';
import { realWorld } from '../world/real.ts';
import { openLmdbStore } from './lmdb.ts';

const [path = '', lanesText = '8'] = process.argv.slice(2);
const store = await openLmdbStore({ path, world: realWorld({ level: 'error' }), history: { revisions: 200 } });

async function write(lane: number): Promise<never> {
  const last = await store.get(`/left/${lane}`);
  for (let n = Number(last ? Buffer.from(last.value).toString().split(' ')[0] : 0) + 1; ; n++) {
    const value = Buffer.from(`${n} ${'x'.repeat((n * 37) % 3_000)}`);
    const revision = await store.commit([
      { type: 'put', key: `/left/${lane}`, value },
      { type: 'put', key: `/right/${lane}`, value },
      { type: 'put', key: `/many/${lane}/${n % 500}`, value },
    ]);
    writeSync(1, `${lane} ${n} ${revision}\n`);
  }
}

await Promise.all(Array.from({ length: Number(lanesText) }, (_, lane) => write(lane)));
