import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { ApiError } from '../../machinery/errors.ts';
import { Fixture } from './fixture.ts';

const configMaps = '/api/v1/namespaces/a/configmaps';

let server: Fixture;
beforeEach(async () => {
  server = await Fixture.open();
});
afterEach(() => server.close());

async function make(...names: readonly string[]): Promise<void> {
  for (const name of names) await server.post(configMaps, { metadata: { name, labels: { first: name.charAt(0) } } });
}

async function names(path: string): Promise<string[]> {
  const { code, body } = await server.get(path);
  assert.equal(code, 200, JSON.stringify(body));
  return body.items?.map((item) => item.metadata.name) ?? [];
}

test('a list is ordered by key, and knows its version', async () => {
  await make('c', 'a', 'b');
  const { body } = await server.get(configMaps);
  assert.equal(body.kind, 'ConfigMapList');
  assert.deepEqual(
    body.items?.map((item) => item.metadata.name),
    ['a', 'b', 'c'],
  );
  assert.equal(body.metadata.resourceVersion, String(server.store.revision()));
  assert.deepEqual(await names('/api/v1/namespaces/none/configmaps'), []);
  assert.deepEqual(await names('/api/v1/configmaps'), ['a', 'b', 'c']);
});

test('selectors: labels, fields, and what cannot be selected', async () => {
  await make('aa', 'ab', 'ba');
  assert.deepEqual(await names(`${configMaps}?labelSelector=first%3Da`), ['aa', 'ab']);
  assert.deepEqual(await names(`${configMaps}?labelSelector=first+notin+(a)`), ['ba']);
  assert.deepEqual(await names(`${configMaps}?fieldSelector=metadata.name%3Dab`), ['ab']);
  assert.deepEqual(await names(`${configMaps}?fieldSelector=metadata.name!%3Dab`), ['aa', 'ba']);
  assert.deepEqual(await names('/api/v1/configmaps?fieldSelector=metadata.namespace%3Da,metadata.name%3Dba'), ['ba']);
  const unsupported = await server.get(`${configMaps}?fieldSelector=data.x%3Dy`);
  assert.equal(unsupported.code, 400);
  assert.equal(unsupported.body['message'], 'field label not supported: data.x');
});

test('pods are selected by node and phase', async () => {
  for (const [name, nodeName] of [
    ['p1', 'n1'],
    ['p2', 'n2'],
    ['p3', undefined],
  ] as const) {
    await server.post('/api/v1/namespaces/a/pods', {
      metadata: { name },
      spec: { ...(nodeName && { nodeName }), containers: [{ name: 'c', image: 'nginx' }] },
    });
  }
  assert.deepEqual(await names('/api/v1/pods?fieldSelector=spec.nodeName%3Dn1'), ['p1']);
  assert.deepEqual(await names('/api/v1/pods?fieldSelector=spec.nodeName%3D'), ['p3']);
  assert.deepEqual(await names('/api/v1/namespaces/a/pods?fieldSelector=status.phase%3DPending,spec.nodeName%3Dn2'), ['p2']);
  await server.post('/api/v1/namespaces/a/pods/p3/binding', { target: { kind: 'Node', name: 'n1' } });
  assert.deepEqual(await names('/api/v1/pods?fieldSelector=spec.nodeName%3Dn1'), ['p1', 'p3']);
});

test('pages show one moment, whatever happens between them', async () => {
  await make('a', 'b', 'c', 'd', 'e');
  const first = await server.get(`${configMaps}?limit=2`);
  assert.deepEqual(
    first.body.items?.map((item) => item.metadata.name),
    ['a', 'b'],
  );
  assert.equal(first.body.metadata.remainingItemCount, 3);
  const token = encodeURIComponent(first.body.metadata.continue ?? '');

  await server.delete(`${configMaps}/c`);
  await make('bb');
  await server.patch(`${configMaps}/d`, { data: { new: 'x' } });
  const second = await server.get(`${configMaps}?limit=2&continue=${token}`);
  assert.deepEqual(
    second.body.items?.map((item) => [item.metadata.name, item['data']]),
    [
      ['c', undefined],
      ['d', undefined],
    ],
  );
  assert.equal(second.body.metadata.resourceVersion, first.body.metadata.resourceVersion);
  const third = await server.get(`${configMaps}?limit=2&continue=${encodeURIComponent(second.body.metadata.continue ?? '')}`);
  assert.deepEqual(
    third.body.items?.map((item) => item.metadata.name),
    ['e'],
  );
  assert.equal(third.body.metadata.continue, undefined);
});

test('pages with a selector, from the cache and from history, hold as many as asked for', async () => {
  await make('a1', 'b1', 'a2', 'b2', 'a3', 'a4');
  const pages = async (between: () => Promise<unknown>): Promise<string[][]> => {
    const found: string[][] = [];
    for (let token = ''; ;) {
      const { body } = await server.get(`${configMaps}?limit=2&labelSelector=first%3Da&continue=${encodeURIComponent(token)}`);
      found.push(body.items?.map((item) => item.metadata.name) ?? []);
      assert.equal(body.metadata.remainingItemCount, undefined);
      token = body.metadata.continue ?? '';
      if (token === '') return found;
      await between();
    }
  };
  assert.deepEqual(await pages(async () => {}), [
    ['a1', 'a2'],
    ['a3', 'a4'],
  ]);
  assert.deepEqual(await pages(() => make(`a0${server.store.revision()}`)), [
    ['a1', 'a2'],
    ['a3', 'a4'],
  ]);
});

test('a page whose version was compacted is Expired', async () => {
  await make('a', 'b', 'c');
  const token = encodeURIComponent((await server.get(`${configMaps}?limit=1`)).body.metadata.continue ?? '');
  await make('d');
  await server.store.compact(server.store.revision());
  const { code, body } = await server.get(`${configMaps}?limit=1&continue=${token}`);
  assert.equal(code, 410);
  assert.equal(body['reason'], 'Expired');
  assert.match(body['message'], /^The provided continue parameter is too old to display a consistent list result\./);
  // The token in the answer goes on where the page would have begun, with what is there now.
  const rest = await server.get(`${configMaps}?continue=${encodeURIComponent(body.metadata.continue ?? '')}`);
  assert.deepEqual(
    rest.body.items?.map(({ metadata }) => metadata.name),
    ['b', 'c', 'd'],
  );
  assert.equal(rest.body.metadata.resourceVersion, String(server.store.revision()));
});

test('a continue token says the version: no other may be asked for', async () => {
  await make('a', 'b');
  const token = encodeURIComponent((await server.get(`${configMaps}?limit=1`)).body.metadata.continue ?? '');
  assert.equal((await server.get(`${configMaps}?limit=1&resourceVersion=0&continue=${token}`)).code, 200);
  const { code, body } = await server.get(`${configMaps}?limit=1&resourceVersion=3&continue=${token}`);
  assert.equal(code, 400);
  assert.equal(body['message'], 'specifying resource version is not allowed when using continue');
});

test('pages show the version of the first, whatever happens meanwhile', async () => {
  await make('a', 'b', 'c', 'd', 'e');
  const first = (await server.get(`${configMaps}?limit=2`)).body;
  await make('bb', 'f');
  await server.delete(`${configMaps}/c`);
  await server.patch(`${configMaps}/d`, { data: { n: '1' } });
  const names: string[] = [];
  let token = first.metadata.continue;
  const remaining: (number | undefined)[] = [];
  while (token !== undefined) {
    const { body } = await server.get(`${configMaps}?limit=1&continue=${encodeURIComponent(token)}`);
    for (const { metadata, ...rest } of body.items ?? []) {
      names.push(metadata.name);
      assert.equal(rest['data'], undefined);
    }
    remaining.push(body.metadata.remainingItemCount);
    assert.equal(body.metadata.resourceVersion, first.metadata.resourceVersion);
    token = body.metadata.continue;
  }
  assert.deepEqual(names, ['c', 'd', 'e']);
  assert.deepEqual(remaining, [2, 1, undefined]);
});

test('resource versions: any, at least, exactly, the future, and nonsense', async () => {
  await make('a');
  const { resourceVersion } = (await server.get(configMaps)).body.metadata;
  await make('b');
  assert.deepEqual(await names(`${configMaps}?resourceVersion=0`), ['a', 'b']);
  assert.deepEqual(await names(`${configMaps}?resourceVersion=${resourceVersion}`), ['a', 'b']);
  assert.deepEqual(await names(`${configMaps}?resourceVersion=${resourceVersion}&resourceVersionMatch=NotOlderThan`), ['a', 'b']);
  assert.deepEqual(await names(`${configMaps}?resourceVersion=${resourceVersion}&resourceVersionMatch=Exact`), ['a']);
  assert.deepEqual(await names(`${configMaps}?resourceVersion=${resourceVersion}&limit=5`), ['a']);
  assert.equal((await server.get(`${configMaps}?resourceVersion=x`)).code, 400);
  assert.equal((await server.get(`${configMaps}?resourceVersion=0&resourceVersionMatch=Exact`)).code, 422);

  const future = server.get(`${configMaps}?resourceVersion=${server.store.revision() + 5}`);
  await server.world.advance(3_000);
  const { code, body } = await future;
  assert.equal(code, 504);
  assert.match(body['message'], /^Too large resource version: \d+, current: \d+$/);
  assert.deepEqual(body['details'].causes, [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }]);
});

test('a read of a version that is about to come waits for it', async () => {
  const soon = server.get(`${configMaps}?resourceVersion=${server.store.revision() + 1}`);
  await make('a');
  assert.deepEqual(
    (await soon).body.items?.map((item) => item.metadata.name),
    ['a'],
  );
});

test('a watch without a version begins with all there is', async () => {
  await make('a', 'b');
  const watch = await server.watch(configMaps);
  await make('c');
  await server.patch(`${configMaps}/a`, { data: { k: 'v' } });
  await server.delete(`${configMaps}/b`);
  assert.deepEqual(watch.lines(), ['ADDED a', 'ADDED b', 'ADDED c', 'MODIFIED a', 'DELETED b']);
  assert.equal(watch.events.at(-1)?.object['metadata'].resourceVersion, String(server.store.revision()));
  watch.close();
  assert.equal(await watch.ended, undefined);
});

test('a watch from a version tells what came after it, once', async () => {
  await make('a');
  const revision = server.store.revision();
  await make('b');
  await server.delete(`${configMaps}/a`);
  const watch = await server.watch(`${configMaps}?resourceVersion=${revision}`);
  await make('c');
  assert.deepEqual(watch.lines(), ['ADDED b', 'DELETED a', 'ADDED c']);
  watch.close();
});

test('an object that enters or leaves the selection is ADDED or DELETED', async () => {
  await make('x');
  const watch = await server.watch(`${configMaps}?labelSelector=on%3Dyes&resourceVersion=${server.store.revision()}`);
  await server.patch(`${configMaps}/x`, { metadata: { labels: { on: 'yes' } } });
  await server.patch(`${configMaps}/x`, { data: { a: '1' } });
  await server.patch(`${configMaps}/x`, { metadata: { labels: { on: 'no' } }, data: { a: '2' } });
  await server.patch(`${configMaps}/x`, { data: { a: '3' } });
  assert.deepEqual(watch.lines(), ['ADDED x', 'MODIFIED x', 'DELETED x']);
  const last = watch.events.at(-1)?.object;
  assert.deepEqual(last?.['data'], { a: '1' }, 'the last state that could be seen');
  assert.equal(last?.['metadata'].resourceVersion, String(server.store.revision() - 1), 'at the version at which it went');
  watch.close();
});

test('watches of one object, one node and one namespace hear of nothing else', async () => {
  const from = `resourceVersion=${server.store.revision()}`;
  await server.post('/api/v1/namespaces', { metadata: { name: 'b' } });
  const object = await server.watch(`${configMaps}?fieldSelector=metadata.name%3Dx&${from}`);
  const namespace = await server.watch(`${configMaps}?${from}`);
  const all = await server.watch(`/api/v1/configmaps?${from}`);
  const node = await server.watch(`/api/v1/pods?fieldSelector=spec.nodeName%3Dn1&${from}`);
  await make('x', 'y');
  await server.post('/api/v1/namespaces/b/configmaps', { metadata: { name: 'x' } });
  for (const name of ['p1', 'p2'])
    await server.post('/api/v1/namespaces/a/pods', { metadata: { name }, spec: { containers: [{ name: 'c', image: 'nginx' }] } });
  await server.post('/api/v1/namespaces/a/pods/p1/binding', { target: { kind: 'Node', name: 'n1' } });
  await server.post('/api/v1/namespaces/a/pods/p2/binding', { target: { kind: 'Node', name: 'n2' } });
  await server.delete('/api/v1/namespaces/a/pods/p1', { gracePeriodSeconds: 0 });
  assert.deepEqual(object.lines(), ['ADDED x']);
  assert.deepEqual(namespace.lines(), ['ADDED x', 'ADDED y']);
  assert.deepEqual(all.lines(), ['ADDED x', 'ADDED y', 'ADDED x']);
  assert.deepEqual(node.lines(), ['ADDED p1', 'DELETED p1']);
  for (const watch of [object, namespace, all, node]) watch.close();
});

test('sendInitialEvents marks the end of what there is', async () => {
  await make('a');
  const watch = await server.watch(`${configMaps}?sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true`);
  await make('b');
  assert.deepEqual(watch.lines(), ['ADDED a', 'BOOKMARK', 'ADDED b']);
  assert.deepEqual(watch.events[1]?.object, {
    kind: 'ConfigMap',
    apiVersion: 'v1',
    metadata: { resourceVersion: String(server.store.revision() - 1), annotations: { 'k8s.io/initial-events-end': 'true' } },
  });
  watch.close();
  assert.equal((await server.get(`${configMaps}?sendInitialEvents=true`)).code, 422);
});

test('bookmarks tell an idle watcher how far the server is', async () => {
  const asking = await server.watch(`${configMaps}?allowWatchBookmarks=true`);
  const other = await server.watch(configMaps);
  await server.post('/api/v1/namespaces', { metadata: { name: 'b' } });
  await server.world.advance(61_000);
  assert.deepEqual(asking.lines(), ['BOOKMARK']);
  assert.equal(asking.events[0]?.object['metadata'].resourceVersion, String(server.store.revision()));
  assert.deepEqual(other.lines(), []);
  await server.world.advance(61_000);
  assert.equal(asking.events.length, 1, 'nothing new to tell');
  asking.close();
  other.close();
  await server.world.advance(61_000);
});

test('a watch ends after timeoutSeconds, or of itself after half an hour or more', async () => {
  const short = await server.watch(`${configMaps}?timeoutSeconds=5`);
  await server.watch(configMaps);
  await server.world.advance(5_000);
  assert.equal(await short.ended, undefined);
  assert.equal(server.world.pendingTimers(), 1);
  await server.world.advance(3_600_000);
  assert.equal(server.world.pendingTimers(), 0);
});

test('a watch from a version too old ends with Expired', async () => {
  await server.restart();
  await make('a');
  const watch = await server.watch(`${configMaps}?resourceVersion=1`);
  const error = await watch.ended;
  assert(error instanceof ApiError);
  assert.equal(error.reason, 'Expired');
  assert.match(error.message, /^too old resource version: 1 \(\d+\)$/);
});

test('a watcher that falls behind is ended, and the others go on', async () => {
  let room = 2;
  const slow = await server.watch(configMaps, () => room-- > 0);
  const quick = await server.watch(configMaps);
  await make('a', 'b', 'c', 'd');
  const error = await slow.ended;
  assert(error instanceof ApiError);
  assert.equal(error.code, 410);
  assert.equal(slow.events.length, 3);
  assert.equal(quick.events.length, 4);
  quick.close();
});

test('everything is there again after a restart, with its versions', async () => {
  await make('a', 'b');
  const before = await server.get(configMaps);
  await server.restart();
  assert.deepEqual((await server.get(configMaps)).body, before.body);
  assert.equal((await server.patch(`${configMaps}/a`, { data: { k: 'v' } })).code, 200);
});

test('closing ends every watch normally', async () => {
  const watch = await server.watch(configMaps);
  await server.verbs.close();
  assert.equal(await watch.ended, undefined);
});
