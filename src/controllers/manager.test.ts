import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ConfigMap } from '../api/kinds.ts';
import type { Client } from '../client/client.ts';
import { createInformers } from '../client/informers.ts';
import { createClient } from '../client/typed-client.ts';
import { simulatedWorld } from '../world/simulated.ts';
import { absent, aliases } from './aliases.ts';
import { allControllers } from './all-controllers.ts';
import type { ControllerDefinition } from './controller.ts';
import { runController, selectControllers } from './manager.ts';

describe('the list of controllers', () => {
  const names = (list: string): readonly string[] => selectControllers(list, allControllers).map(({ name }) => name);
  it('may be all, all but some, or some', () => {
    assert.equal(names('*').length, allControllers.length);
    assert.ok(!names('*,-namespace-controller').includes('namespace-controller'));
    assert.deepEqual(names('namespace-controller'), ['namespace-controller']);
  });
  it('knows the names of before 1.28, and forgives those of controllers there is no need for', () => {
    assert.deepEqual(names('deployment,job'), ['deployment-controller', 'job-controller']);
    assert.ok(!names('*,-nodelifecycle').includes('node-lifecycle-controller'));
    assert.equal(names('*,bootstrapsigner,tokencleaner').length, allControllers.length);
    assert.deepEqual(names('node-route-controller,-service'), []);
    assert.deepEqual(names('job, -job'), ['job-controller'], 'a name wins over its own exclusion');
  });
  it('has no old name for nobody', () => {
    const known = new Set(allControllers.map(({ name }) => name));
    for (const [old, name] of Object.entries(aliases)) assert.ok(known.has(name) || absent.has(name), `${old} stands for ${name}, which is nobody`);
    assert.deepEqual(
      [...absent].filter((name) => known.has(name)),
      [],
    );
  });
  it('names no one unknown', () => assert.throws(() => names('*,-nope'), /"nope" is not in the list of known controllers/));
  it('has each once', () => assert.equal(new Set(names('*')).size, allControllers.length));
});

describe('a running controller', () => {
  /** A server without objects: every list is empty and no watch says anything. */
  function emptyServer(): Client {
    return createClient({
      shared: true,
      request: () => Promise.resolve({ apiVersion: 'v1', kind: 'ConfigMapList', metadata: { resourceVersion: '1' }, items: [] }),
      // oxlint-disable-next-line require-yield
      async *watch(request) {
        await new Promise((_, reject) => request.signal?.addEventListener('abort', () => reject(new Error('closed'))));
      },
      close: () => undefined,
    });
  }

  async function calls(
    reconcile: (key: string, call: number) => Promise<void | { requeueAfterMs: number }>,
    ms: number,
  ): Promise<[string, number][]> {
    const world = simulatedWorld(1);
    const startMs = world.clock.now();
    const seen: [string, number][] = [];
    const client = emptyServer();
    const informers = createInformers(client, world);
    const definition: ControllerDefinition = {
      name: 'test',
      serviceAccount: 'test',
      setup(context) {
        context.watch(ConfigMap);
        context.enqueue('a');
        return {
          reconcile(key) {
            seen.push([key, world.clock.now() - startMs]);
            return reconcile(key, seen.length);
          },
        };
      },
    };
    const running = runController(definition, { world, informers, clientFor: () => client });
    await running.started;
    await world.advance(ms);
    await running.close();
    informers.close();
    assert.equal(world.pendingTimers(), 0);
    return seen;
  }

  it('works on as many keys at once as it is told to, generally or by its name', async () => {
    async function atOnce(options: { concurrency?: number; concurrencyOf?: Record<string, number> }): Promise<number> {
      const world = simulatedWorld(1);
      const client = emptyServer();
      const informers = createInformers(client, world);
      let [now, most] = [0, 0];
      const definition: ControllerDefinition = {
        name: 'test',
        serviceAccount: 'test',
        setup(context) {
          for (let i = 0; i < 20; i++) context.enqueue(`key ${i}`);
          return {
            async reconcile() {
              most = Math.max(most, ++now);
              await world.clock.sleep(10);
              now--;
            },
          };
        },
      };
      const running = runController(definition, { world, informers, clientFor: () => client, ...options });
      await running.started;
      await world.advance(1000);
      await running.close();
      informers.close();
      return most;
    }
    assert.equal(await atOnce({}), 5);
    assert.equal(await atOnce({ concurrency: 3 }), 3);
    assert.equal(await atOnce({ concurrency: 3, concurrencyOf: { test: 7, other: 1 } }), 7);
  });

  it('reconciles a key once', async () => assert.deepEqual(await calls(() => Promise.resolve(), 10_000), [['a', 0]]));

  it('looks again when it asked to', async () => {
    const answer = (_key: string, call: number): Promise<void | { requeueAfterMs: number }> =>
      Promise.resolve(call === 1 ? { requeueAfterMs: 3000 } : undefined);
    assert.deepEqual(await calls(answer, 10_000), [
      ['a', 0],
      ['a', 3000],
    ]);
  });

  it('tries again after a failure, each time later, until it succeeds', async () => {
    const answer = (_key: string, call: number): Promise<void> => (call < 4 ? Promise.reject(new Error('not yet')) : Promise.resolve());
    assert.deepEqual(
      (await calls(answer, 10_000)).map(([, ms]) => ms),
      [0, 5, 15, 35],
    );
  });
});
