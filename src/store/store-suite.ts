/** What every store does, whatever it keeps its bytes in. Each implementation's test calls this with a way to make one. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import fc from 'fast-check';
import { simulatedWorld, type SimulatedWorld } from '../world/simulated.ts';
import type { StoreOptions } from './revisioned-store.ts';
import { Compacted, Conflict, FutureRevision, type KeyValue, type Operation, type Store, type StoreEvent, StoreFailure } from './store.ts';

/** Makes an empty store that is closed when the test ends. */
export type MakeStore = (
  t: TestContext,
  world: SimulatedWorld,
  options?: Pick<StoreOptions, 'history' | 'recentEvents' | 'recentBytes'>,
) => Promise<Store>;

export function put(key: string, value: string, expiresAtMs?: number): Operation {
  return { type: 'put', key, value: Buffer.from(value), ...(expiresAtMs !== undefined && { expiresAtMs }) };
}

export function del(key: string): Operation {
  return { type: 'delete', key };
}

function textOf(item: KeyValue | undefined): string | undefined {
  return item && Buffer.from(item.value).toString();
}

/** `3: put /a=1 (was 0), delete /b (was x)`, so that a failed comparison can be read. */
export function shown({ revision, changes }: StoreEvent): string {
  const words = changes.map((change) => {
    const was = change.previous ? ` (was ${textOf(change.previous)})` : '';
    return change.type === 'put' ? `put ${change.key}=${Buffer.from(change.value).toString()}${was}` : `delete ${change.key}${was}`;
  });
  return `${revision}: ${words.join(', ')}`;
}

async function watched(store: Store, prefix: string, after: number, t: TestContext): Promise<{ events: string[]; stop: () => void }> {
  const abort = new AbortController();
  t.after(() => abort.abort());
  const events: string[] = [];
  await store.watch(prefix, after, (event) => events.push(shown(event)), abort.signal);
  return { events, stop: () => abort.abort() };
}

export function storeSuite(name: string, make: MakeStore): void {
  const open = (t: TestContext, options?: Parameters<MakeStore>[2]): Promise<Store> => make(t, simulatedWorld(1), options);

  describe(`${name}: commits`, () => {
    it('begins at revision 1, empty', async (t) => {
      const store = await open(t);
      assert.equal(store.revision(), 1);
      assert.deepEqual(await store.range(''), { revision: 1, items: [], remaining: 0 });
      assert.equal(await store.get('/a'), undefined);
    });

    it('gives each commit the next revision and remembers when a key was made and last written', async (t) => {
      const store = await open(t);
      assert.equal(await store.commit([put('/a', '1')]), 2);
      assert.equal(await store.commit([put('/a', '2')]), 3);
      const found = await store.get('/a');
      assert.deepEqual([textOf(found), found?.createRevision, found?.modRevision], ['2', 2, 3]);
      assert.equal(store.revision(), 3);
    });

    it('makes a key anew after its deletion', async (t) => {
      const store = await open(t);
      await store.commit([put('/a', '1')]);
      await store.commit([del('/a')]);
      assert.equal(await store.get('/a'), undefined);
      await store.commit([put('/a', '2')]);
      assert.equal((await store.get('/a'))?.createRevision, 4);
    });

    it('does several operations as one revision', async (t) => {
      const store = await open(t);
      await store.commit([put('/a', '1'), put('/b', '1')]);
      assert.equal(await store.commit([put('/a', '2'), del('/b'), put('/c', '2')]), 3);
      const { items } = await store.range('/');
      assert.deepEqual(
        items.map((item) => [item.key, textOf(item), item.modRevision]),
        [
          ['/a', '2', 3],
          ['/c', '2', 3],
        ],
      );
    });

    it('gives no revision to a commit that changes nothing', async (t) => {
      const store = await open(t);
      await store.commit([put('/a', '1')]);
      assert.equal(await store.commit([del('/nothing')]), 2);
      assert.equal(await store.commit([]), 2);
      assert.equal(store.revision(), 2);
    });

    it('refuses a key that occurs twice, and writes nothing of it', async (t) => {
      const store = await open(t);
      await assert.rejects(store.commit([put('/a', '1'), put('/a', '2')]), /occurs twice/);
      assert.equal(store.revision(), 1);
      assert.equal(await store.commit([put('/a', '3')]), 2);
    });

    it('keeps empty and binary values and keys beyond ASCII', async (t) => {
      const store = await open(t);
      const value = Uint8Array.from({ length: 256 }, (_, i) => i);
      await store.commit([
        { type: 'put', key: '/binary', value },
        { type: 'put', key: '/ключ/鍵/🔑', value: new Uint8Array() },
      ]);
      assert.deepEqual([...((await store.get('/binary'))?.value ?? [])], [...value]);
      assert.equal((await store.get('/ключ/鍵/🔑'))?.value.length, 0);
    });

    it('keeps a value of some megabytes', async (t) => {
      const store = await open(t);
      const value = Buffer.alloc(3 * 1024 * 1024, 'x');
      await store.commit([{ type: 'put', key: '/large', value }]);
      await store.commit([{ type: 'put', key: '/large', value: Buffer.alloc(10) }]);
      assert.ok(value.equals((await store.get('/large', 2))?.value ?? Buffer.alloc(0)));
    });
  });

  describe(`${name}: guards`, () => {
    it('refuses a commit whose guard does not hold, naming key and revision', async (t) => {
      const store = await open(t);
      await store.commit([put('/a', '1')]);
      await assert.rejects(store.commit([put('/a', '2')], [{ key: '/a', modRevision: 7 }]), (error) => {
        assert.ok(error instanceof Conflict);
        assert.deepEqual([error.key, error.actual], ['/a', 2]);
        return true;
      });
      await assert.rejects(store.commit([put('/a', '2')], [{ key: '/a', modRevision: 0 }]), Conflict);
      await assert.rejects(store.commit([put('/b', '2')], [{ key: '/b', modRevision: 1 }]), Conflict);
      assert.equal(store.revision(), 2);
      assert.equal(textOf(await store.get('/a')), '1');
      assert.equal(await store.get('/b'), undefined);
    });

    it('looks at keys it does not write, too', async (t) => {
      const store = await open(t);
      await store.commit([put('/namespace', '1')]);
      await store.commit([put('/namespace/a', '1')], [{ key: '/namespace', modRevision: 2 }]);
      await store.commit([del('/namespace')]);
      await assert.rejects(store.commit([put('/namespace/b', '1')], [{ key: '/namespace', modRevision: 2 }]), Conflict);
    });

    it('judges commits by those before them, durable or not', async (t) => {
      const store = await open(t);
      const first = store.commit([put('/a', '1')], [{ key: '/a', modRevision: 0 }]);
      const second = store.commit([put('/a', '2')], [{ key: '/a', modRevision: 2 }]);
      const loser = store.commit([put('/a', 'x')], [{ key: '/a', modRevision: 2 }]);
      const gone = store.commit([del('/a')], [{ key: '/a', modRevision: 3 }]);
      const again = store.commit([put('/a', '3')], [{ key: '/a', modRevision: 0 }]);
      await assert.rejects(loser, (error) => error instanceof Conflict && error.actual === 3);
      assert.deepEqual(await Promise.all([first, second, gone, again]), [2, 3, 4, 5]);
      assert.equal(textOf(await store.get('/a')), '3');
    });

    it('lets one of many win, each time', async (t) => {
      const store = await open(t);
      let last = 0;
      for (let round = 0; round < 20; round++) {
        const outcomes = await Promise.allSettled(
          Array.from({ length: 8 }, (_, i) => store.commit([put('/leader', String(i))], [{ key: '/leader', modRevision: last }])),
        );
        const won = outcomes.filter((outcome) => outcome.status === 'fulfilled');
        assert.equal(won.length, 1);
        last = won[0]?.value ?? 0;
      }
      assert.equal(last, 21);
    });

    it('tells of a conflict when the reader can see what it conflicts with', async (t) => {
      const store = await open(t);
      void store.commit([put('/a', '1')]);
      await assert.rejects(store.commit([put('/a', '2')], [{ key: '/a', modRevision: 0 }]), Conflict);
      assert.equal((await store.get('/a'))?.modRevision, 2);
    });
  });

  describe(`${name}: reading`, () => {
    it('shows a commit only once it is durable', async (t) => {
      const store = await open(t);
      await store.commit([put('/a', '1'), put('/b', '1'), put('/d', '1')]);
      const commit = store.commit([put('/a', '2'), del('/b'), put('/c', '2')]);
      const progress = { settled: false };
      void commit.then(() => (progress.settled = true));
      while (!progress.settled) {
        const { revision, items } = await store.range('/');
        // Read and revision belong together at every moment.
        const state = items.map((item) => `${item.key}=${textOf(item)}`).join(' ');
        assert.equal(state, revision === 2 ? '/a=1 /b=1 /d=1' : '/a=2 /c=2 /d=1');
        await new Promise(setImmediate);
      }
      await commit;
      assert.equal(textOf(await store.get('/c')), '2');
    });

    it('orders keys by their bytes', async (t) => {
      const store = await open(t);
      const keys = ['/a', '/a-', '/a/b', '/ab', '/é', '/\uffee', '/😀', '/Z'];
      await Promise.all(keys.map((key) => store.commit([put(key, 'x')])));
      const { items } = await store.range('/');
      assert.deepEqual(
        items.map(({ key }) => key),
        keys.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))),
      );
    });

    it('takes the prefix literally', async (t) => {
      const store = await open(t);
      await store.commit([put('/pods/a', '1'), put('/pods/b', '1'), put('/podsx', '1'), put('/pod', '1'), put('/q', '1')]);
      const keys = (await store.range('/pods/')).items.map(({ key }) => key);
      assert.deepEqual(keys, ['/pods/a', '/pods/b']);
    });

    it('pages through a range at one revision while keys come and go', async (t) => {
      const store = await open(t);
      for (let i = 0; i < 10; i++) await store.commit([put(`/k${i}`, 'old')]);
      const first = await store.range('/k', { limit: 4 });
      assert.deepEqual([first.items.length, first.remaining, first.revision], [4, 6, 11]);
      await store.commit([del('/k5'), put('/k45', 'new'), put('/k6', 'new'), put('/k0', 'new')]);
      const second = await store.range('/k', { limit: 4, after: '/k3', revision: first.revision });
      assert.deepEqual(
        second.items.map((item) => `${item.key}=${textOf(item)}`),
        ['/k4=old', '/k5=old', '/k6=old', '/k7=old'],
      );
      assert.equal(second.remaining, 2);
      const now = await store.range('/k', { limit: 4, after: '/k3' });
      assert.deepEqual(
        now.items.map((item) => `${item.key}=${textOf(item)}`),
        ['/k4=old', '/k45=new', '/k6=new', '/k7=old'],
      );
    });

    it('reads as of any revision kept', async (t) => {
      const store = await open(t, { recentEvents: 2 });
      await store.commit([put('/a', '1')]);
      await store.commit([put('/a', '2'), put('/b', '1')]);
      await store.commit([del('/a')]);
      await store.commit([put('/a', '3')]);
      const at = async (revision: number): Promise<string> =>
        (await store.range('/', { revision })).items
          .map((item) => `${item.key}=${textOf(item)}@${item.createRevision}/${item.modRevision}`)
          .join(' ');
      assert.equal(await at(1), '');
      assert.equal(await at(2), '/a=1@2/2');
      assert.equal(await at(3), '/a=2@2/3 /b=1@3/3');
      assert.equal(await at(4), '/b=1@3/3');
      assert.equal(await at(5), '/a=3@5/5 /b=1@3/3');
      assert.equal(textOf(await store.get('/a', 3)), '2');
      assert.equal(await store.get('/a', 4), undefined);
    });

    it('refuses revisions that have not happened', async (t) => {
      const store = await open(t);
      await assert.rejects(store.range('/', { revision: 2 }), FutureRevision);
      await assert.rejects(store.get('/a', 2), FutureRevision);
      await assert.rejects(store.compact(2), FutureRevision);
    });
  });

  describe(`${name}: watching`, () => {
    it('hands over each commit before it is acknowledged, in order, with what was there before', async (t) => {
      const store = await open(t);
      const { events } = await watched(store, '/', 1, t);
      await store.commit([put('/a', '1')]);
      assert.deepEqual(events, ['2: put /a=1']);
      await store.commit([put('/a', '2'), put('/b', '1')]);
      await store.commit([del('/a')]);
      assert.deepEqual(events, ['2: put /a=1', '3: put /a=2 (was 1), put /b=1', '4: delete /a (was 2)']);
    });

    it('shows the changes below the prefix only', async (t) => {
      const store = await open(t);
      const { events } = await watched(store, '/a/', 1, t);
      await store.commit([put('/a/1', 'x'), put('/b/1', 'x')]);
      await store.commit([put('/b/2', 'x')]);
      await store.commit([put('/a/2', 'x')]);
      assert.deepEqual(events, ['2: put /a/1=x', '4: put /a/2=x']);
    });

    for (const [where, recentEvents] of [
      ['memory', 1_000],
      ['the medium', 1],
    ] as const) {
      it(`replays the past from ${where}, then goes on`, async (t) => {
        const store = await open(t, { recentEvents });
        await store.commit([put('/a', '1')]);
        await store.commit([put('/a', '2'), put('/b', '1')]);
        await store.commit([del('/a'), put('/other', 'x')]);
        await store.commit([put('/a', '3')]);
        await store.commit([del('/b')]);
        const { events } = await watched(store, '/', 2, t);
        const past = ['3: put /a=2 (was 1), put /b=1', '4: delete /a (was 2), put /other=x', '5: put /a=3', '6: delete /b (was 1)'];
        assert.deepEqual(events, past);
        await store.commit([put('/c', '1')]);
        assert.deepEqual(events, [...past, '7: put /c=1']);
      });
    }

    it('misses nothing and repeats nothing when it begins amid commits', async (t) => {
      const store = await open(t);
      const commits = Array.from({ length: 50 }, (_, i) => store.commit([put(`/k${i % 7}`, String(i))]));
      await commits[20];
      const { events } = await watched(store, '/', 10, t);
      await Promise.all(commits);
      assert.deepEqual(
        events.map((event) => Number(event.split(':')[0])),
        Array.from({ length: 41 }, (_, i) => i + 11),
      );
    });

    it('waits for a revision that is yet to come', async (t) => {
      const store = await open(t);
      const { events } = await watched(store, '/', 3, t);
      for (const value of ['1', '2', '3']) await store.commit([put('/a', value)]);
      assert.deepEqual(events, ['4: put /a=3 (was 2)']);
    });

    it('ends when the signal aborts, even from within the handler', async (t) => {
      const store = await open(t);
      const { events, stop } = await watched(store, '/', 1, t);
      const abort = new AbortController();
      let seen = 0;
      await store.commit([put('/a', '1')]);
      await store.watch(
        '/',
        1,
        () => {
          seen++;
          abort.abort();
        },
        abort.signal,
      );
      stop();
      await store.commit([put('/a', '2')]);
      assert.deepEqual(events, ['2: put /a=1']);
      assert.equal(seen, 1);
    });

    it('goes on for others when a handler throws', async (t) => {
      const store = await open(t);
      await store.watch('/', 1, () => assert.fail('a bug'), t.signal);
      const { events } = await watched(store, '/', 1, t);
      await store.commit([put('/a', '1')]);
      await store.commit([put('/a', '2')]);
      assert.equal(events.length, 2);
    });
  });

  describe(`${name}: compaction`, () => {
    it('forgets the past, keeps the present', async (t) => {
      const store = await open(t, { recentEvents: 1 });
      for (const value of ['1', '2', '3', '4']) await store.commit([put('/a', value), put('/b', value)]);
      await store.commit([del('/b')]);
      await store.compact(4);
      assert.equal(store.oldestRevision(), 4);
      await assert.rejects(store.get('/a', 3), (error) => error instanceof Compacted && error.oldest === 4);
      await assert.rejects(store.range('/', { revision: 2 }), Compacted);
      await assert.rejects(
        store.watch('/', 3, () => undefined, t.signal),
        Compacted,
      );
      assert.equal(textOf(await store.get('/a', 4)), '3');
      assert.equal(textOf(await store.get('/b', 5)), '4');
      const { events } = await watched(store, '/', 4, t);
      assert.deepEqual(events, ['5: put /a=4 (was 3), put /b=4 (was 3)', '6: delete /b (was 4)']);
      assert.equal(textOf(await store.get('/a')), '4');
      await store.compact(2);
      assert.equal(store.oldestRevision(), 4);
    });

    it('keeps as many revisions as asked for', async (t) => {
      const store = await open(t, { history: { revisions: 10 } });
      for (let i = 0; i < 50; i++) await store.commit([put('/a', String(i))]);
      const oldest = store.oldestRevision();
      assert.ok(oldest >= 40 && oldest <= 41, `oldest is ${oldest}`);
      assert.equal(textOf(await store.get('/a', 45)), '43');
    });

    it('keeps revisions as long as asked for', async (t) => {
      const world = simulatedWorld(1);
      const store = await make(t, world, { history: { revisions: 1_000, ageMs: 60_000 } });
      await world.advance(5_000);
      await store.commit([put('/a', '1')]);
      await world.advance(30_000);
      await store.commit([put('/a', '2')]);
      await world.advance(45_000);
      await store.commit([put('/a', '3')]);
      assert.equal(store.oldestRevision(), 2);
      assert.equal(textOf(await store.get('/a', 3)), '2');
    });
  });

  describe(`${name}: expiry`, () => {
    it('deletes a key when its time has come, as a commit like any other', async (t) => {
      const world = simulatedWorld(1);
      const store = await make(t, world);
      const { events } = await watched(store, '/', 1, t);
      await store.commit([put('/event', 'x', world.clock.now() + 60_000), put('/stays', 'x')]);
      await world.advance(59_999);
      assert.ok(await store.get('/event'));
      await world.advance(1);
      await settledTo(store, 3);
      assert.equal(await store.get('/event'), undefined);
      assert.ok(await store.get('/stays'));
      assert.deepEqual(events.slice(1), ['3: delete /event (was x)']);
    });

    it('counts anew when the key is written again, and not at all when written without a time', async (t) => {
      const world = simulatedWorld(1);
      const store = await make(t, world);
      const inMs = (ms: number): number => world.clock.now() + ms;
      await store.commit([put('/a', '1', inMs(1_000)), put('/b', '1', inMs(1_000)), put('/c', '1', inMs(1_000))]);
      await store.commit([put('/a', '2', inMs(5_000)), put('/b', '2')]);
      await world.advance(1_000);
      await settledTo(store, 4);
      assert.deepEqual(
        (await store.range('/')).items.map(({ key }) => key),
        ['/a', '/b'],
      );
      await world.advance(4_000);
      await settledTo(store, 5);
      await world.advance(100_000);
      assert.deepEqual(
        (await store.range('/')).items.map(({ key }) => key),
        ['/b'],
      );
    });

    it('takes them in order of time, however many', async (t) => {
      const world = simulatedWorld(1);
      const store = await make(t, world);
      const order = Array.from({ length: 1_500 }, (_, i) => (i * 7_919) % 1_500);
      await Promise.all(order.map((n) => store.commit([put(`/k${n}`, 'x', world.clock.now() + 1_000 + n)])));
      const { events } = await watched(store, '/', 1_501, t);
      await world.advance(3_000);
      await settledTo(store, 3_001);
      assert.deepEqual(
        events.map((event) => Number(/k(\d+)/.exec(event)?.[1])),
        Array.from({ length: 1_500 }, (_, i) => i),
      );
      assert.equal(world.pendingTimers(), 0);
    });

    it('leaves no timer behind when closed', async (t) => {
      const world = simulatedWorld(1);
      const store = await make(t, world);
      await store.commit([put('/a', '1', world.clock.now() + 1_000)]);
      await store.close();
      assert.equal(world.pendingTimers(), 0);
    });
  });

  describe(`${name}: closing`, () => {
    it('finishes what was accepted and refuses what comes after', async (t) => {
      const store = await open(t);
      const accepted = store.commit([put('/a', '1')]);
      const closed = store.close();
      await assert.rejects(store.commit([put('/a', '2')]), StoreFailure);
      assert.equal(await accepted, 2);
      await closed;
      await assert.rejects(store.get('/a'), StoreFailure);
      await store.close();
    });
  });

  describe(`${name}: against a model`, () => {
    it('agrees with a plain map after any commits, at every revision, through every watch', async (t) => {
      const keys = ['/a', '/a/b', '/b', '/b/😀'];
      const operation = fc.record({ key: fc.constantFrom(...keys), put: fc.boolean(), value: fc.string({ maxLength: 4 }) });
      const commits = fc.array(
        fc.record({ operations: fc.uniqueArray(operation, { selector: ({ key }) => key, maxLength: 3 }), wait: fc.boolean() }),
        {
          maxLength: 30,
        },
      );
      await fc.assert(
        fc.asyncProperty(commits, fc.constantFrom(1, 3, 100), async (sequence, recentEvents) => {
          const store = await open(t, { recentEvents });
          const live = await watched(store, '/', 1, t);
          const model = new Map<string, string>();
          const states = [new Map(model)];
          const pending: Promise<number>[] = [];
          for (const { operations, wait } of sequence) {
            let changed = false;
            for (const { key, put: isPut, value } of operations) {
              changed ||= isPut || model.has(key);
              if (isPut) model.set(key, value);
              else model.delete(key);
            }
            if (changed) states.push(new Map(model));
            const commit = store.commit(operations.map(({ key, put: isPut, value }) => (isPut ? put(key, value) : del(key))));
            pending.push(commit);
            if (wait) await commit;
          }
          await Promise.all(pending);
          assert.equal(store.revision(), states.length);
          for (const [i, state] of states.entries()) {
            const { items } = await store.range('/', { revision: i + 1 });
            const expected = [...state].toSorted(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
            assert.deepEqual(
              items.map((item) => [item.key, textOf(item)]),
              expected,
            );
            const replayed = await watched(store, '/', i + 1, t);
            assert.deepEqual(replayed.events, live.events.slice(i));
          }
          await store.close();
        }),
        { numRuns: 25 },
      );
    });
  });
}

/** Waits for commits the store makes by itself; they are under way when this is called. */
async function settledTo(store: Store, revision: number): Promise<void> {
  const deadline = AbortSignal.timeout(10_000);
  while (store.revision() < revision) {
    await new Promise(setImmediate);
    assert.ok(!deadline.aborted, `still at revision ${store.revision()}`);
  }
}
