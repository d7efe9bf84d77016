import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { simulatedWorld } from '../world/simulated.ts';
import type { Batch } from './medium.ts';
import { MemoryMedium } from './memory.ts';
import { RevisionedStore, type StoreOptions } from './revisioned-store.ts';
import { del, put, shown } from './store-suite.ts';
import { Conflict, StoreFailure } from './store.ts';

/** A medium whose writes take until the test says how they end. */
class HeldMedium extends MemoryMedium {
  readonly held: { readonly batch: Batch; readonly end: (failure?: Error) => void }[] = [];

  override write(batch: Batch): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = (failure?: Error): void => (failure ? reject(failure) : resolve(super.write(batch)));
      this.held.push({ batch, end });
    });
  }

  /** Waits for the next write and ends it. */
  async next(failure?: Error): Promise<number> {
    for (let turn = 0; this.held.length === 0; turn++) {
      assert.ok(turn < 100, 'nothing is being written');
      await new Promise(setImmediate);
    }
    const write = this.held.shift();
    write?.end(failure);
    await new Promise(setImmediate);
    return write?.batch.commits.length ?? 0;
  }
}

function held(t: TestContext, options: StoreOptions = {}): { medium: HeldMedium; store: RevisionedStore; events: string[] } {
  const medium = new HeldMedium();
  const store = new RevisionedStore(medium, options);
  t.after(() => store.close());
  const events: string[] = [];
  void store.watch('/', 1, (event) => events.push(shown(event)), t.signal);
  return { medium, store, events };
}

async function outcome(promise: Promise<unknown>): Promise<string> {
  return promise.then(String, (error: unknown) => (error instanceof Error ? error.name : String(error)));
}

const diskFull = new Error('disk full');

describe('group commit', () => {
  it('writes what arrives in one turn together, and what arrives during a write in the next', async (t) => {
    const { medium, store, events } = held(t);
    const first = [store.commit([put('/a', '1')]), store.commit([put('/b', '1')])];
    await new Promise(setImmediate);
    const second = [store.commit([put('/c', '1')]), store.commit([put('/a', '2')], [{ key: '/a', modRevision: 2 }]), store.commit([del('/b')])];
    assert.deepEqual([store.revision(), events], [1, []]);
    assert.equal(await medium.next(), 2);
    assert.deepEqual(await Promise.all(first), [2, 3]);
    assert.deepEqual(events, ['2: put /a=1', '3: put /b=1']);
    assert.equal((await store.get('/a'))?.modRevision, 2);
    assert.equal(await medium.next(), 3);
    assert.deepEqual(await Promise.all(second), [4, 5, 6]);
    assert.equal((await store.get('/a'))?.modRevision, 5);
    assert.equal(await store.get('/b'), undefined);
  });
});

describe('a failing medium', () => {
  it('fails every commit of the batch and those accepted after it, as if they had never been', async (t) => {
    const { medium, store, events } = held(t);
    const kept = store.commit([put('/a', '1'), put('/b', '1')]);
    await medium.next();
    assert.equal(await kept, 2);

    const lost = [store.commit([put('/a', '2')]), store.commit([del('/b')]), store.commit([put('/c', '1')])];
    await new Promise(setImmediate);
    lost.push(store.commit([put('/a', '3')], [{ key: '/a', modRevision: 3 }]), store.commit([put('/b', 'new')], [{ key: '/b', modRevision: 0 }]));
    const outcomes = Promise.all(lost.map(outcome));
    await medium.next(diskFull);
    assert.deepEqual(
      await outcomes,
      Array.from({ length: 5 }, () => 'StoreFailure'),
    );

    assert.equal(store.revision(), 2);
    assert.deepEqual(
      (await store.range('/')).items.map(({ key, modRevision }) => [key, modRevision]),
      [
        ['/a', 2],
        ['/b', 2],
      ],
    );
    const again = store.commit(
      [put('/a', '4')],
      [
        { key: '/a', modRevision: 2 },
        { key: '/b', modRevision: 2 },
        { key: '/c', modRevision: 0 },
      ],
    );
    await medium.next();
    assert.equal(await again, 3);
    assert.deepEqual(events, ['2: put /a=1, put /b=1', '3: put /a=4 (was 1)']);
  });

  it('says what the medium said', async (t) => {
    const { medium, store } = held(t);
    const commit = store.commit([put('/a', '1')]);
    const rejected = assert.rejects(commit, (error) => error instanceof StoreFailure && error.message === 'disk full' && error.cause === diskFull);
    await medium.next(diskFull);
    await rejected;
  });

  it('answers a conflict with a lost commit as lost, too: nobody may act on it', async (t) => {
    const { medium, store } = held(t);
    const winner = outcome(store.commit([put('/a', '1')]));
    const loser = outcome(store.commit([put('/a', '2')], [{ key: '/a', modRevision: 0 }]));
    await medium.next(diskFull);
    assert.deepEqual(await Promise.all([winner, loser]), ['StoreFailure', 'StoreFailure']);
  });

  it('still deletes a key in time when a commit that would have kept it was lost', async (t) => {
    const world = simulatedWorld(1);
    const { medium, store } = held(t, { clock: world.clock });
    const first = store.commit([put('/event', '1', world.clock.now() + 1_000)]);
    await medium.next();
    await first;
    const renewal = outcome(store.commit([put('/event', '2')]));
    await world.advance(2_000);
    await medium.next(diskFull);
    assert.equal(await renewal, 'StoreFailure');
    await medium.next();
    assert.equal(await store.get('/event'), undefined);
  });

  it('tries an expiry again that could not be written', async (t) => {
    const world = simulatedWorld(1);
    const { medium, store } = held(t, { clock: world.clock });
    const first = store.commit([put('/event', '1', world.clock.now() + 1_000)]);
    await medium.next();
    await first;
    await world.advance(1_000);
    await medium.next(diskFull);
    assert.ok(await store.get('/event'));
    await world.advance(5_000);
    await medium.next();
    assert.equal(await store.get('/event'), undefined);
  });

  it('keeps the history it had when compacting fails', async (t) => {
    const { medium, store } = held(t);
    for (const value of ['1', '2', '3']) {
      const commit = store.commit([put('/a', value)]);
      await medium.next();
      await commit;
    }
    const compacted = outcome(store.compact(3));
    await medium.next(diskFull);
    assert.equal(await compacted, 'StoreFailure');
    assert.equal(store.oldestRevision(), 1);
    assert.equal((await store.get('/a', 2))?.modRevision, 2);
  });
});

describe('bounds', () => {
  it('refuses commits while too much waits for the medium', async (t) => {
    const { medium, store } = held(t);
    const value = Buffer.alloc(100 * 1024 * 1024);
    const accepted = [store.commit([{ type: 'put', key: '/a', value }]), store.commit([{ type: 'put', key: '/b', value }])];
    await assert.rejects(store.commit([{ type: 'put', key: '/c', value }]), StoreFailure);
    await medium.next();
    await medium.next();
    assert.deepEqual(await Promise.all(accepted), [2, 3]);
    await assert.rejects(store.commit([put('/a', '1')], [{ key: '/a', modRevision: 0 }]), Conflict);
  });
});
