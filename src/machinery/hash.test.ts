import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { contentHash, podTemplateHash } from './hash.ts';

test('the hash is short, safe and always the same', () => {
  const template = { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'web', image: 'nginx' }] } };
  const hash = podTemplateHash(template);
  assert.match(hash, /^[bcdfghjklmnpqrstvwxz2456789]{1,10}$/);
  assert.equal(hash, podTemplateHash(structuredClone(template)));
  assert.notEqual(hash, podTemplateHash(template, 0));
  assert.notEqual(podTemplateHash(template, 1), podTemplateHash(template, 0));
  assert.notEqual(hash, podTemplateHash({ ...template, spec: { containers: [{ name: 'web', image: 'nginx:2' }] } }));
});

test('key order and undefined fields do not count', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (value) => {
      const reversed = Object.fromEntries(Object.entries(value).reverse());
      assert.equal(contentHash({ ...reversed, '\0absent': undefined }), contentHash(value));
    }),
  );
});
