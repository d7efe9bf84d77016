/** Every behaviour of the groups that simulated nodes can show is tested by its name in this folder, or listed as needing a real container; none is both. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { needsContainers } from './needs-containers.ts';

/**
 * How many the catalogue has, by the mark their names begin with; the kubelet's oldest have `k8s.io`. Of sig-storage there are tests from later releases'
 * catalogues too, so that its number says nothing.
 */
const catalogue: Readonly<Record<string, number>> = {
  'sig-apps': 18,
  'sig-instrumentation': 1,
  'sig-network': 24,
  'sig-node': 11,
  'sig-scheduling': 7,
  'k8s.io': 46,
};

function markOf(name: string): string {
  return /^\[([\w.-]+)\]/.exec(name)?.[1] ?? '';
}

test('each behaviour has a test of its name, or is listed with what it needs', (t) => {
  const sources = globSync('*.test.ts', { cwd: import.meta.dirname }).map((file) => readFileSync(join(import.meta.dirname, file), 'utf8'));
  const written = sources.flatMap((source) =>
    [...source.matchAll(/(['"])(\[[\w.-]+\] (?:(?!\1).)*\[Conformance\])\1/g)].map(([, , name = '']) => name),
  );
  const tested = new Set(written.filter((name) => name !== ''));
  const listed = needsContainers.flatMap(({ behaviours }) => behaviours);
  assert.deepEqual(
    listed.filter((name) => tested.has(name)),
    [],
  );
  const all = new Set([...tested, ...listed]);
  for (const [mark, count] of Object.entries(catalogue)) {
    const shown = [...tested].filter((name) => markOf(name) === mark).length;
    t.diagnostic(`${mark}: ${shown} of ${count}`);
    assert.equal([...all].filter((name) => markOf(name) === mark).length, count, mark);
  }
});
