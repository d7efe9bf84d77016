/** The README's tutorial on three nodes, as it stands there: with an nginx nobody here wrote, in an image built from Debian's packages. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { buildNginxImage } from './images/debian-image.ts';
import { type ClusterUnderTest, startClusterUnderTest } from './support/cluster-under-test.ts';
import { cacheDirectory, launcher, projectRoot, run, stockTools } from './support/stock-tools.ts';

let cluster: ClusterUnderTest;
before(async () => {
  cluster = await startClusterUnderTest('--nodes', '3');
  const loaded = await cluster.k8ts(['image', 'load', await buildNginxImage(cacheDirectory()), '--data-dir', cluster.dataDir], {
    timeoutMs: 120_000,
  });
  assert.equal(loaded.code, 0, loaded.stderr);
});
after(() => cluster.close());

function tutorial(): string[] {
  const text = readFileSync(join(projectRoot, 'README.md'), 'utf8');
  const section = text.slice(text.indexOf('<!-- three nodes'), text.indexOf('\n## A cluster inside a test'));
  return [...section.matchAll(/```sh\n([\s\S]*?)```/g)].map((match) => match[1] ?? '');
}

test('the tutorial on three nodes works as typed', async () => {
  const blocks = tutorial();
  assert.equal(blocks.length, 7, 'the README has its tutorial');
  // `./k8ts` as typed in the clone, for this test's cluster.
  const directory = join(dirname(cluster.dataDir), 'clone');
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, 'k8ts'), `#!/bin/sh\nexec ${launcher} "$@" --data-dir ${cluster.dataDir}\n`, { mode: 0o755 });
  const separator = '=== next block ===';
  const script = `set -eu\ncd ${directory}\n${blocks.join(`\necho '${separator}'\n`)}`;
  const env = { ...cluster.env, PATH: `${dirname(stockTools().kubectl)}:${process.env['PATH'] ?? ''}` };
  const outcome = await run('sh', ['-c', script], { env, timeoutMs: 400_000 });
  assert.equal(outcome.code, 0, outcome.stdout + outcome.stderr);
  const [nodes = '', web = '', shop = '', restarted = '', killed = '', drained = ''] = outcome.stdout.split(`${separator}\n`);
  assert.equal(nodes.match(/^node-\d\s+Ready/gm)?.length, 3);
  assert.equal(web.match(/<title>Welcome to nginx!<\/title>/g)?.length, 3, web);
  const kept = ['kept by shop-0', 'kept by shop-1', 'kept by shop-2'];
  assert.deepEqual(shop.match(/^kept by shop-\d$/gm), kept);
  assert.deepEqual(restarted.match(/^kept by shop-\d$/gm), kept);
  const running = killed.split('\n').filter((line) => /^web-\S+\s+1\/1\s+Running/.test(line));
  assert.deepEqual([...new Set(running.flatMap((line) => line.match(/node-\d/g) ?? []))].sort(), ['node-1', 'node-2'], killed);
  assert.equal(running.length, 3, killed);
  assert.match(drained, /node\/node-2 drained/);
  assert.equal(drained.match(/^node-\d\s+Ready\s/gm)?.length, 3);
});
