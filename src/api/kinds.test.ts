/** The declarations against the published model; `apiserver/golden/facts.test.ts` has what a real server says of them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { apiVersionOf, type Kind } from './kind.ts';
import { allKinds } from './kinds.ts';
import model from './generated/operations.json' with { type: 'json' };
import served from './generated/served-kinds.json' with { type: 'json' };

function pathOf(kind: Kind): string {
  return `${apiVersionOf(kind)}/${kind.resource}`;
}

test('every kind of the published model is declared, at its path and with its scope', () => {
  const declared = allKinds.map((kind) => `${pathOf(kind)} ${kind.kind} ${kind.namespaced}`).toSorted();
  const expected = served.map(({ group, version, kind, resource, namespaced }) => {
    const groupVersion = group === '' ? version : `${group}/${version}`;
    return `${groupVersion}/${resource} ${kind} ${namespaced}`;
  });
  assert.deepEqual(declared, expected.toSorted());
});

test('every subresource of the published model is declared', () => {
  const found = new Map<string, Set<string>>();
  for (const { path } of model.operations) {
    const [, group, version, resource, subresource] =
      /^\/(?:api|apis\/([^/]+))\/(v\d+)\/(?:namespaces\/\{namespace\}\/)?([a-z]+)\/\{name\}\/([a-z]+)(?:\/\{path\})?$/.exec(path) ?? [];
    if (version === undefined || resource === undefined || subresource === undefined) continue;
    const key = group === undefined ? `${version}/${resource}` : `${group}/${version}/${resource}`;
    found.set(key, (found.get(key) ?? new Set()).add(subresource));
  }
  for (const kind of allKinds)
    assert.deepEqual(Object.keys(kind.subresources).toSorted(), [...(found.get(pathOf(kind)) ?? [])].toSorted(), pathOf(kind));
});
