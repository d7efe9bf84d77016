import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memoryStore } from './memory.ts';
import { storeSuite } from './store-suite.ts';

storeSuite('memory', async (t, world, options) => {
  const store = memoryStore({ clock: world.clock, ...options });
  t.after(() => store.close());
  return store;
});

test('a store goes on from the image of another, history included, and each goes its own way', async () => {
  const value = (text: string): Uint8Array => Buffer.from(text);
  const first = memoryStore();
  await first.commit([{ type: 'put', key: '/a', value: value('1') }]);
  await first.commit([{ type: 'put', key: '/a', value: value('2') }]);
  const image = first.image();
  await first.commit([{ type: 'delete', key: '/a' }]);
  await first.close();
  assert.equal(first.image().entries.length, 0, 'also a closed one has an image');

  const second = memoryStore({}, image);
  assert.equal(second.revision(), 3);
  assert.equal(Buffer.from((await second.get('/a'))?.value ?? []).toString(), '2');
  assert.equal(Buffer.from((await second.get('/a', 2))?.value ?? []).toString(), '1');
  assert.equal(await second.commit([{ type: 'put', key: '/b', value: value('3') }], [{ key: '/a', modRevision: 3 }]), 4);
  assert.equal(image.entries.length, 1);
  await second.close();
});
