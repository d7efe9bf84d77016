/** docs/adding-a-kind.md shows a kind as it is in the tree, so that what it shows compiles. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

test("the guide's example is the file it names", () => {
  const guide = readFileSync(join(import.meta.dirname, '../../docs/adding-a-kind.md'), 'utf8');
  const example = /```ts\n(.*?)```/s.exec(guide)?.[1];
  assert.equal(example, readFileSync(join(import.meta.dirname, 'kinds/runtime-class.ts'), 'utf8'));
});
