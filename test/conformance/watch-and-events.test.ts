/** Behaviours of watches and events, each by its name in the conformance catalogue, over HTTPS with the official JavaScript client. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { CoreV1Api, EventsV1Api, KubeConfig, PatchStrategy, setHeaderOptions, V1MicroTime, Watch, type V1ConfigMap } from '@kubernetes/client-node';
import { startTestServer, type TestServer } from '../apiserver/server.ts';

let server: TestServer;
let config: KubeConfig;
let core: CoreV1Api;
let events: EventsV1Api;

before(async () => {
  server = await startTestServer();
  config = new KubeConfig();
  const base64 = (text: string): string => Buffer.from(text).toString('base64');
  config.loadFromOptions({
    clusters: [{ name: 'test', server: `https://127.0.0.1:${server.port}`, caData: base64(server.ca.certificate) }],
    users: [{ name: 'admin', certData: base64(server.admin.certificate), keyData: base64(server.admin.key) }],
    contexts: [{ name: 'test', cluster: 'test', user: 'admin' }],
    currentContext: 'test',
  });
  core = config.makeApiClient(CoreV1Api);
  events = config.makeApiClient(EventsV1Api);
});

after(() => server.close());

interface Seen {
  readonly type: string;
  readonly name: string;
  readonly version: string;
  readonly data: Record<string, string> | undefined;
}

/** A watch of config maps in a namespace, and what it has seen. */
class Watching {
  readonly seen: Seen[] = [];
  private wake: (() => void) | undefined;
  private request: AbortController | undefined;

  static async begin(namespace: string, query: { labelSelector?: string; resourceVersion?: string }): Promise<Watching> {
    const watching = new Watching();
    watching.request = await new Watch(config).watch(
      `/api/v1/namespaces/${namespace}/configmaps`,
      query,
      (type: string, { metadata, data }: V1ConfigMap) => {
        watching.seen.push({ type, name: metadata?.name ?? '', version: metadata?.resourceVersion ?? '', data });
        watching.wake?.();
      },
      () => undefined,
    );
    return watching;
  }

  async until(count: number): Promise<readonly Seen[]> {
    while (this.seen.length < count) {
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
    return this.seen;
  }

  lines(): string[] {
    return this.seen.map(({ type, name }) => `${type} ${name}`);
  }

  end(): void {
    this.request?.abort();
  }
}

async function namespace(name: string): Promise<string> {
  await core.createNamespace({ body: { metadata: { name } } });
  return name;
}

async function listVersion(inNamespace: string): Promise<string> {
  return (await core.listNamespacedConfigMap({ namespace: inNamespace })).metadata?.resourceVersion ?? '';
}

const create = (inNamespace: string, name: string, labels: Record<string, string> = {}): Promise<V1ConfigMap> =>
  core.createNamespacedConfigMap({ namespace: inNamespace, body: { metadata: { name, labels } } });

async function change(inNamespace: string, name: string, how: (map: V1ConfigMap) => void): Promise<V1ConfigMap> {
  const body = await core.readNamespacedConfigMap({ namespace: inNamespace, name });
  how(body);
  return core.replaceNamespacedConfigMap({ namespace: inNamespace, name, body });
}

const mutate = (inNamespace: string, name: string, mutation: string): Promise<V1ConfigMap> =>
  change(inNamespace, name, (map) => {
    map.data = { mutation };
  });

test('[sig-api-machinery] Watchers should observe add, update, and delete watch notifications on configmaps [Conformance]', async () => {
  const place = await namespace('watch-a-b');
  const resourceVersion = await listVersion(place);
  const [a, b, both] = await Promise.all(
    ['which=a', 'which=b', 'which in (a,b)'].map((labelSelector) => Watching.begin(place, { labelSelector, resourceVersion })),
  );
  assert.ok(a !== undefined && b !== undefined && both !== undefined);
  try {
    await create(place, 'map-a', { which: 'a' });
    await create(place, 'map-other', { which: 'c' });
    await mutate(place, 'map-a', '1');
    await mutate(place, 'map-a', '2');
    await core.deleteNamespacedConfigMap({ namespace: place, name: 'map-a' });
    await create(place, 'map-b', { which: 'b' });
    await core.deleteNamespacedConfigMap({ namespace: place, name: 'map-b' });
    await both.until(6);
    await a.until(4);
    await b.until(2);
    const ofA = ['ADDED map-a', 'MODIFIED map-a', 'MODIFIED map-a', 'DELETED map-a'];
    const ofB = ['ADDED map-b', 'DELETED map-b'];
    assert.deepEqual([a.lines(), b.lines(), both.lines()], [ofA, ofB, [...ofA, ...ofB]]);
    assert.deepEqual(
      a.seen.map(({ data }) => data?.['mutation']),
      [undefined, '1', '2', '2'],
    );
  } finally {
    for (const watching of [a, b, both]) watching.end();
  }
});

test('[sig-api-machinery] Watchers should be able to start watching from a specific resource version [Conformance]', async () => {
  const place = await namespace('watch-from');
  await create(place, 'map');
  const first = await mutate(place, 'map', '1');
  await mutate(place, 'map', '2');
  await core.deleteNamespacedConfigMap({ namespace: place, name: 'map' });
  const watching = await Watching.begin(place, { resourceVersion: first.metadata?.resourceVersion ?? '' });
  try {
    await watching.until(2);
    assert.deepEqual(watching.lines(), ['MODIFIED map', 'DELETED map']);
    assert.equal(watching.seen[0]?.data?.['mutation'], '2');
  } finally {
    watching.end();
  }
});

test('[sig-api-machinery] Watchers should be able to restart watching from the last resource version observed by the previous watch [Conformance]', async () => {
  const place = await namespace('watch-again');
  const before = await Watching.begin(place, { resourceVersion: await listVersion(place) });
  await create(place, 'map');
  await mutate(place, 'map', '1');
  const last = (await before.until(2)).at(-1);
  before.end();
  await mutate(place, 'map', '2');
  await core.deleteNamespacedConfigMap({ namespace: place, name: 'map' });
  const again = await Watching.begin(place, { resourceVersion: last?.version ?? '' });
  try {
    await again.until(2);
    assert.deepEqual(again.lines(), ['MODIFIED map', 'DELETED map']);
    assert.equal(again.seen[0]?.data?.['mutation'], '2');
  } finally {
    again.end();
  }
});

test('[sig-api-machinery] Watchers should observe an object deletion if it stops meeting the requirements of the selector [Conformance]', async () => {
  const place = await namespace('watch-label');
  const watching = await Watching.begin(place, { labelSelector: 'watched=yes', resourceVersion: await listVersion(place) });
  try {
    await create(place, 'map', { watched: 'yes' });
    await mutate(place, 'map', '1');
    await change(place, 'map', ({ metadata }) => {
      if (metadata) metadata.labels = { watched: 'no' };
    });
    await mutate(place, 'map', '2');
    await change(place, 'map', ({ metadata }) => {
      if (metadata) metadata.labels = { watched: 'yes' };
    });
    await mutate(place, 'map', '3');
    await core.deleteNamespacedConfigMap({ namespace: place, name: 'map' });
    await watching.until(6);
    assert.deepEqual(
      watching.seen.map(({ type, data }) => `${type} ${data?.['mutation'] ?? '-'}`),
      ['ADDED -', 'MODIFIED 1', 'DELETED 1', 'ADDED 2', 'MODIFIED 3', 'DELETED 3'],
    );
  } finally {
    watching.end();
  }
});

test('[sig-api-machinery] Watchers should receive events on concurrent watches in same order [Conformance]', async () => {
  const place = await namespace('watch-order');
  const writes = 40;
  const first = await Watching.begin(place, { resourceVersion: await listVersion(place) });
  const later: { readonly watching: Watching; readonly skipped: number }[] = [];
  // Creations, changes and deletions, while watches are opened from what the first has seen.
  const writing = (async () => {
    for (let i = 0; i < writes; i++) {
      const name = `map-${i % 5}`;
      const round = Math.floor(i / 5) % 3;
      if (round === 0) await create(place, name);
      else if (round === 1) await mutate(place, name, String(i));
      else await core.deleteNamespacedConfigMap({ namespace: place, name });
    }
  })();
  try {
    for (let count = 1; count <= writes; count++) {
      const seen = (await first.until(count))[count - 1];
      if (count % 4 === 0) later.push({ watching: await Watching.begin(place, { resourceVersion: seen?.version ?? '' }), skipped: count });
    }
    await writing;
    const versions = first.seen.map(({ version }) => version);
    assert.equal(new Set(versions).size, writes);
    for (const { watching, skipped } of later) {
      await watching.until(writes - skipped);
      assert.deepEqual(
        watching.seen.map(({ version }) => version),
        versions.slice(skipped),
      );
    }
  } finally {
    first.end();
    for (const { watching } of later) watching.end();
  }
});

const eventIn = (inNamespace: string, name: string, labels: Record<string, string>) => ({
  namespace: inNamespace,
  body: {
    metadata: { name, labels },
    involvedObject: { namespace: inNamespace },
    message: 'This is a test event',
    reason: 'Test',
    type: 'Normal',
  },
});

test('[sig-api-machinery] Events should ensure that an event can be fetched, patched, deleted, and listed [Conformance]', async () => {
  const place = await namespace('event-one');
  const labelSelector = 'testevent-constant=true';
  const find = async (): Promise<string[]> =>
    (await core.listEventForAllNamespaces({ labelSelector })).items.map(({ metadata }) => metadata.name ?? '');
  await core.createNamespacedEvent(eventIn(place, 'test-event', { 'testevent-constant': 'true' }));
  assert.deepEqual(await find(), ['test-event']);
  await core.patchNamespacedEvent(
    { name: 'test-event', namespace: place, body: { message: 'This is a test event - patched' } },
    setHeaderOptions('Content-Type', PatchStrategy.StrategicMergePatch),
  );
  const patched = await core.readNamespacedEvent({ name: 'test-event', namespace: place });
  assert.equal(patched.message, 'This is a test event - patched');
  assert.equal(patched.reason, 'Test');
  // The same event in its other group.
  assert.equal((await events.readNamespacedEvent({ name: 'test-event', namespace: place })).note, 'This is a test event - patched');
  await core.deleteNamespacedEvent({ name: 'test-event', namespace: place });
  assert.deepEqual(await find(), []);
});

test('[sig-api-machinery] Events should delete a collection of events [Conformance]', async () => {
  const place = await namespace('event-many');
  const labelSelector = 'testevent-set=true';
  const names = ['test-event-1', 'test-event-2', 'test-event-3'];
  for (const name of names) await core.createNamespacedEvent(eventIn(place, name, { 'testevent-set': 'true' }));
  await core.createNamespacedEvent(eventIn(place, 'another', {}));
  const find = async (selector?: string): Promise<string[]> =>
    (await core.listNamespacedEvent({ namespace: place, ...(selector !== undefined && { labelSelector: selector }) })).items.map(
      ({ metadata }) => metadata.name ?? '',
    );
  assert.deepEqual(await find(labelSelector), names);
  await core.deleteCollectionNamespacedEvent({ namespace: place, labelSelector });
  assert.deepEqual(await find(labelSelector), []);
  assert.deepEqual(await find(), ['another']);
});

test('[sig-instrumentation] Events API should delete a collection of events [Conformance]', async () => {
  const place = await namespace('event-group');
  const labelSelector = 'testevent-set=true';
  const names = ['test-event-1', 'test-event-2', 'test-event-3'];
  for (const [name, labels] of [...names.map((each) => [each, { 'testevent-set': 'true' }] as const), ['another', {}] as const]) {
    const body = {
      metadata: { name, labels },
      regarding: { namespace: place },
      note: 'This is a test event',
      reason: 'Test',
      action: 'Do',
      type: 'Normal',
      eventTime: new V1MicroTime(server.world.clock.now()),
      reportingController: 'test-controller',
      reportingInstance: 'test-node',
    };
    await events.createNamespacedEvent({ namespace: place, body });
  }
  const find = async (): Promise<string[]> =>
    (await events.listNamespacedEvent({ namespace: place })).items.map(({ metadata }) => metadata?.name ?? '');
  assert.deepEqual(await find(), ['another', ...names]);
  await events.deleteCollectionNamespacedEvent({ namespace: place, labelSelector });
  assert.deepEqual(await find(), ['another']);
});
