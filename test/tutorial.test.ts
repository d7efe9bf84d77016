/** The README's first ten minutes, as they stand there, on real containers and without any registry. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { type ClusterUnderTest, startClusterUnderTest } from './support/cluster-under-test.ts';
import { projectRoot, run, stockTools } from './support/stock-tools.ts';

let cluster: ClusterUnderTest;
before(async () => {
  cluster = await startClusterUnderTest();
});
after(() => cluster.close());

/** The shell blocks of the README's tutorial, in order. */
function tutorial(): string[] {
  const text = readFileSync(join(projectRoot, 'README.md'), 'utf8');
  const section = text.slice(text.indexOf('<!-- tutorial'), text.indexOf('\n## Three nodes'));
  return [...section.matchAll(/```sh\n([\s\S]*?)```/g)].map((match) => match[1] ?? '');
}

test('the tutorial works as typed', async () => {
  const blocks = tutorial();
  assert(blocks.length >= 5, 'the README has its tutorial');
  const separator = '=== next block ===';
  const script = `set -eu\n${blocks.join(`\necho '${separator}'\n`)}`;
  const env = { ...cluster.env, PATH: `${dirname(stockTools().kubectl)}:${process.env['PATH'] ?? ''}` };
  const outcome = await run('sh', ['-c', script], { env, timeoutMs: 180_000 });
  assert.equal(outcome.code, 0, outcome.stdout + outcome.stderr);
  const [first = '', answered = '', scaled = '', rolled = '', replaced = '', tidied = ''] = outcome.stdout.split(`${separator}\n`);
  assert.match(first, /Ready\s+control-plane|Ready\s+<none>/);
  assert.match(answered, /^hello from web-\S+, version 1$/m);
  assert(new Set(scaled.match(/hello from web-\S+/g)).size > 1, `several replicas answer:\n${scaled}`);
  assert.deepEqual(rolled.match(/version \d/g), ['version 2', 'version 1']);
  assert.match(replaced, /web-\S+\s+1\/1\s+Running/);
  assert.match(tidied, /service "web" deleted/);
});
