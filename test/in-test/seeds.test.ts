/**
 * Whole clusters on a virtual clock: one history a seed, and what must hold holds, with all faults. A few seeds here; `npm run seeds` runs a thousand, as
 * does this file with SEEDS=1000 in its environment.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { badDay } from '../../src/index.ts';
import { runSeed } from './run-seed.ts';

const seeds = Number(process.env['SEEDS'] ?? 6);

describe('a cluster on a bad day', () => {
  for (let seed = 1; seed <= seeds; seed++) {
    test(`keeps its promises, in one history: seed ${seed}`, async () => {
      const first: string[] = [];
      const second: string[] = [];
      const outcome = await runSeed(seed, { faults: badDay, onWrite: (line) => first.push(line) });
      assert.deepEqual(outcome.broken, [], `npm run seeds ${seed} replays it`);
      await runSeed(seed, { faults: badDay, onWrite: (line) => second.push(line) });
      const parted = first.findIndex((line, i) => line !== second[i]);
      assert.equal(parted, -1, `write ${parted} differs:\n${first[parted]}\n${second[parted]}`);
      assert.equal(second.length, first.length);
    });
  }

  test('another seed has another history', async () => {
    assert.notEqual((await runSeed(1, { rounds: 1 })).history, (await runSeed(2, { rounds: 1 })).history);
  });

  test('things do go wrong', async () => {
    const { faults } = await runSeed(1, { faults: { ...badDay, crash: 0.01, nodeDownEveryMs: 20_000, storeRestartEveryMs: 30_000 } });
    for (const what of [/crashes/, /starts again/, /loses its (power|network)/, /has its \w+ back/, /the store restarts/]) {
      assert.ok(
        faults.some((fault) => what.test(fault)),
        `nothing like ${what} in:\n${faults.join('\n')}`,
      );
    }
  });
});
