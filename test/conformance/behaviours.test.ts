/** Every behaviour of the catalogue that an API server shows has a test of its name, or a reason why not. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { projectRoot } from '../support/stock-tools.ts';
import { behaviours, withoutTest } from './behaviours.ts';

/** Names of tests as the sources write them; what they put together from constants of the same file is put together here too. */
function testNames(source: string): string[] {
  const constants = new Map([...source.matchAll(/^const (\w+) = '([^']*)';$/gm)].map(([, name = '', value = '']) => [name, value]));
  const filled = (text: string): string => text.replaceAll(/\$\{(\w+)\}/g, (whole, name: string) => constants.get(name) ?? whole);
  return [...source.matchAll(/\b(?:test|it)\(\s*(['"`])((?:(?!\1).)*)\1/g)].map(([, , name = '']) => filled(name));
}

test('each behaviour has a test of its name, or a reason why not', (t) => {
  const files = globSync(['src/**/*.test.ts', 'test/**/*.test.ts'], { cwd: projectRoot });
  const names = new Set(files.flatMap((file) => testNames(readFileSync(join(projectRoot, file), 'utf8'))));
  const missing: string[] = [];
  for (const [owner, list] of Object.entries(behaviours)) {
    const whole = list.map((name) => `[${owner}] ${name}`);
    const tested = whole.filter((name) => names.has(name));
    t.diagnostic(`${owner}: ${tested.length} of ${whole.length}`);
    missing.push(...whole.filter((name) => !names.has(name)));
  }
  for (const name of missing) t.diagnostic(`no test: ${name}: ${withoutTest.get(name) ?? 'no reason'}`);
  assert.deepEqual(missing.toSorted(), [...withoutTest.keys()].toSorted());
});
