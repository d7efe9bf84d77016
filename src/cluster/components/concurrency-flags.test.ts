import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allControllers } from '../../controllers/all-controllers.ts';
import { concurrencyFlags } from './concurrency-flags.ts';

test('every flag is about a controller there is, and is read under the name commander gives it', () => {
  for (const { flag, field, controller } of concurrencyFlags) {
    assert.ok(
      allControllers.some(({ name }) => name === controller),
      `--${flag}: there is no ${controller}`,
    );
    assert.equal(
      field,
      flag.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase()),
    );
  }
});
