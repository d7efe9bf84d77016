/** Whatever a client sends, the answer is never the server's fault, and what was refused has changed nothing. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { Fixture } from './fixture.ts';

const configMaps = '/api/v1/namespaces/a/configmaps';
const x = `${configMaps}/x`;

async function withServer(run: (server: Fixture) => Promise<void>): Promise<void> {
  const server = await Fixture.open();
  await server.post(configMaps, { metadata: { name: 'x', labels: { a: '1' }, finalizers: ['a.b/c'] }, data: { a: '1' } });
  await run(server);
  await server.close();
}

const token = fc.constantFrom('a', 'metadata.name', '=', '==', '!=', '!', 'in', 'notin', '(', ')', ',', '>', '<', ' ', '\\', '1', 'ä', '\u0000');
const selector = fc.oneof(
  fc.string(),
  fc.array(token, { maxLength: 8 }).map((parts) => parts.join('')),
);
const small = fc.constantFrom('', '0', '1', '2', '3', '-1', '1e3', '99999999999999999999', 'x', 'Exact', 'NotOlderThan', 'true', 'false');
const continued = fc.oneof(
  fc.string(),
  fc
    .record({
      v: fc.constantFrom('meta.k8s.io/v1', 'v2', 1),
      rv: fc.constantFrom(-2, -1, 0, 1, 2, 1.5, 'x', null),
      start: fc.oneof(fc.string(), fc.constant(7)),
    })
    .map((value) => Buffer.from(JSON.stringify(value)).toString('base64url')),
);

test('selectors, tokens and other parameters of lists', () =>
  withServer(async (server) => {
    const query = fc.record(
      {
        labelSelector: selector,
        fieldSelector: selector,
        limit: small,
        continue: continued,
        // A version that has not come yet is waited for, which is for a clock that runs.
        resourceVersion: small.filter((text) => !/^[23]$|^9+$/.test(text)),
        resourceVersionMatch: small,
        sendInitialEvents: small,
        timeoutSeconds: small,
        allowWatchBookmarks: small,
      },
      { requiredKeys: [] },
    );
    await fc.assert(
      fc.asyncProperty(query, async (parameters) => {
        const text = new URLSearchParams(Object.entries(parameters).map(([key, value]) => [key, value])).toString();
        const { code } = await server.get(`${configMaps}?${text}`);
        assert([200, 400, 410, 422].includes(code), `${code} for ${text}`);
      }),
      { numRuns: 400 },
    );
  }));

const key = fc.constantFrom(
  'metadata',
  'name',
  'labels',
  'finalizers',
  'data',
  'a',
  '$patch',
  '$retainKeys',
  '$setElementOrder/finalizers',
  '$deleteFromPrimitiveList/finalizers',
  '__proto__',
  'resourceVersion',
);
const { tree } = fc.letrec((tie) => ({
  tree: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom('delete', 'replace', 'merge', 'a.b/c', 'x', ''),
    fc.integer(),
    fc.boolean(),
    fc.constant(null),
    tie('list'),
    tie('map'),
  ),
  list: fc.array(tie('tree'), { maxLength: 3 }),
  map: fc.array(fc.tuple(key, tie('tree')), { maxLength: 4 }).map((entries) => Object.fromEntries(entries)),
}));
const pointer = fc
  .array(fc.constantFrom('metadata', 'labels', 'a', 'data', '-', '0', '~0', '~', ''), { maxLength: 4 })
  .map((parts) => parts.map((part) => `/${part}`).join(''));
const operation = fc.record(
  { op: fc.constantFrom('add', 'remove', 'replace', 'move', 'copy', 'test', 'x'), path: pointer, from: pointer, value: tree },
  { requiredKeys: ['op'] },
);
const patches = fc.oneof(
  fc.record({ contentType: fc.constant('application/json-patch+json'), body: fc.oneof(fc.array(operation, { maxLength: 4 }), tree) }),
  fc.record({
    contentType: fc.constantFrom('application/merge-patch+json', 'application/strategic-merge-patch+json', 'application/apply-patch+yaml'),
    body: tree,
  }),
);

test('patches of every type', () =>
  withServer(async (server) => {
    await fc.assert(
      fc.asyncProperty(patches, async ({ contentType, body }) => {
        const before = (await server.get(x)).body;
        const { code } = await server.request('PATCH', `${x}?fieldManager=fuzz&force=true`, { contentType, body: JSON.stringify(body) });
        assert([200, 400, 409, 413, 415, 422].includes(code), `${code} for ${contentType} ${JSON.stringify(body)}`);
        const after = await server.get(x);
        assert.equal(after.code, 200);
        if (code >= 400) assert.deepEqual(after.body, before);
      }),
      { numRuns: 500 },
    );
  }));
