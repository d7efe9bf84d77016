/** What `last-will.test.ts` runs: tests whose set-up throws after it has started a cluster, and whose own tidying up throws, too. */
import { after, before, test } from 'node:test';
import { startClusterUnderTest } from './cluster-under-test.ts';

before(async () => {
  await startClusterUnderTest('--nodes', '2');
  throw new Error('the set-up went wrong');
});
after(() => {
  throw new Error('so did tidying up');
});

test('is never begun', () => undefined);
