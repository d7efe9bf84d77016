import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mergeRemote } from './merge-remote.ts';

const reference = (name: string) => ({ $ref: `#/definitions/${name}` });

test("another server's paths and what they lead to are added, and nothing else of it", () => {
  const document = {
    paths: { '/api': {} } as Record<string, unknown>,
    definitions: { Shared: { type: 'object' }, Same: { type: 'string' } } as Record<string, unknown>,
  };
  const remote = {
    paths: { '/apis/g/v1/fish': { get: reference('Fish') }, '/apis/g/v10/fish': { get: reference('Unused') }, '/api': { get: {} } },
    definitions: {
      Fish: { properties: { shared: reference('Shared'), same: reference('Same'), again: reference('Fish') } },
      Shared: { type: 'integer' },
      Same: { type: 'string' },
      Unused: {},
      Kind: { 'x-kubernetes-group-version-kind': [{ group: 'g', version: 'v1', kind: 'Kind' }] },
    },
  };
  mergeRemote(document, remote, '/apis/g/v1');
  assert.deepEqual(Object.keys(document.paths), ['/api', '/apis/g/v1/fish']);
  assert.deepEqual(Object.keys(document.definitions).sort(), ['Fish', 'Kind', 'Same', 'Shared', 'Shared_v2']);
  assert.deepEqual(document.definitions['Fish'], {
    properties: { shared: reference('Shared_v2'), same: reference('Same'), again: reference('Fish') },
  });
  assert.deepEqual(document.definitions['Shared'], { type: 'object' });
});

test('a document of another form adds nothing', () => {
  for (const remote of [{}, { paths: [], definitions: 3 }, { paths: { '/apis/g/v1/x': null } }, { paths: null }]) {
    const document = { paths: {}, definitions: {} };
    mergeRemote(document, remote, '/apis/g/v1');
    assert.deepEqual(document.definitions, {});
  }
});
