import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { open } from 'lmdb';
import { simulatedWorld } from '../world/simulated.ts';
import { formatVersion, openLmdbStore } from './lmdb.ts';
import { put, shown, storeSuite } from './store-suite.ts';
import { StoreFailure } from './store.ts';

function directory(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'k8ts-store-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

storeSuite('lmdb', async (t, world, options) => {
  const path = directory(t);
  const store = await openLmdbStore({ path, world, ...options });
  t.after(() => store.close());
  return store;
});

describe('lmdb: opening', () => {
  it('finds everything again: values, revisions, history, expiry', async (t) => {
    const path = directory(t);
    const world = simulatedWorld(1);
    const first = await openLmdbStore({ path, world });
    await first.commit([put('/a', '1'), put('/b', '1')]);
    await first.commit([put('/a', '2'), put('/event', 'x', world.clock.now() + 1_000)]);
    await first.commit([{ type: 'delete', key: '/b' }]);
    await first.compact(2);
    await first.close();

    const store = await openLmdbStore({ path, world });
    t.after(() => store.close());
    assert.equal(store.revision(), 4);
    assert.equal(store.oldestRevision(), 2);
    assert.deepEqual((await store.get('/a'))?.createRevision, 2);
    assert.equal(Buffer.from((await store.get('/b', 3))?.value ?? []).toString(), '1');
    const events: string[] = [];
    await store.watch('/', 2, (event) => events.push(shown(event)), t.signal);
    assert.deepEqual(events, ['3: put /a=2 (was 1), put /event=x', '4: delete /b (was 1)']);
    await assert.rejects(store.commit([put('/a', '3')], [{ key: '/a', modRevision: 2 }]));
    await world.advance(1_000);
    await store.commit([put('/c', '1')]);
    assert.equal(await store.get('/event'), undefined);
  });

  it('refuses data of a newer version in a plain sentence', async (t) => {
    const path = directory(t);
    const database = open({ path, noSubdir: false, encoding: 'json', overlappingSync: false });
    await database.openDB({ name: 'meta', encoding: 'json' }).put('format', formatVersion + 1);
    await database.close();
    await assert.rejects(openLmdbStore({ path, world: simulatedWorld(1) }), (error) => {
      assert.ok(error instanceof StoreFailure);
      assert.match(error.message, new RegExp(`${path} has format version ${formatVersion + 1}, this program reads version ${formatVersion}`));
      return true;
    });
  });

  it('refuses a directory that is in use, and not one whose user died', async (t) => {
    const path = directory(t);
    const world = simulatedWorld(1);
    const store = await openLmdbStore({ path, world });
    await assert.rejects(openLmdbStore({ path, world }), /is in use by this process/);
    await store.close();
    writeFileSync(join(path, 'owner.pid'), `1 - x\n`);
    await assert.rejects(openLmdbStore({ path, world }), /is in use by process 1:/);
    // The process id lives, but it is another process than the one that held the directory.
    writeFileSync(join(path, 'owner.pid'), `${process.pid} 12345 x\n`);
    const again = await openLmdbStore({ path, world });
    await again.close();
    writeFileSync(join(path, 'owner.pid'), '');
    await (await openLmdbStore({ path, world })).close();
  });

  it('says what is wrong with a path that cannot be used', async (t) => {
    const path = join(directory(t), 'file');
    writeFileSync(path, 'not a directory');
    await assert.rejects(openLmdbStore({ path, world: simulatedWorld(1) }), (error) => error instanceof StoreFailure && error.message.includes(path));
    const damaged = directory(t);
    writeFileSync(join(damaged, 'data.mdb'), Buffer.alloc(8_192, 'x'));
    await assert.rejects(
      openLmdbStore({ path: damaged, world: simulatedWorld(1) }),
      (error) => error instanceof StoreFailure && error.message.includes(damaged),
    );
  });

  it('refuses a key longer than the medium holds without touching others', async (t) => {
    const store = await openLmdbStore({ path: directory(t), world: simulatedWorld(1) });
    t.after(() => store.close());
    const other = store.commit([put('/a', '1')]);
    await assert.rejects(store.commit([put(`/${'x'.repeat(3_000)}`, '1')]), /must have between 1 and 1978 bytes/);
    assert.equal(await other, 2);
  });
});
