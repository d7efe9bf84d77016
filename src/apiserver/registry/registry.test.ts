import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Fixture } from '../verbs/fixture.ts';

const configMaps = '/api/v1/namespaces/a/configmaps';
const names = ['k', 'l', 'm'];

type Step = { readonly do: 'put' | 'delete' | 'select' | 'deselect' | 'watch'; readonly name: string };

const steps = fc.array(
  fc.record({
    do: fc.constantFrom('put' as const, 'delete' as const, 'select' as const, 'deselect' as const, 'watch' as const),
    name: fc.constantFrom(...names),
  }),
  { maxLength: 25 },
);

/** What a client that applies every event to its list would hold. */
function replayed(
  list: readonly { metadata: { name: string } }[],
  events: readonly { type: string; object: { metadata: { name: string } } }[],
): unknown[] {
  const held = new Map(list.map((object) => [object.metadata.name, object]));
  for (const { type, object } of events) {
    const { name } = object.metadata;
    if (type === 'ADDED') assert.equal(held.has(name), false, `ADDED ${name} twice`);
    else assert.equal(held.has(name), true, `${type} of ${name}, which was not there`);
    if (type === 'DELETED') held.delete(name);
    else held.set(name, object);
  }
  return [...held.values()].toSorted((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
}

async function run(server: Fixture, step: Step, count: number): Promise<void> {
  const path = `${configMaps}/${step.name}`;
  if (step.do === 'delete') await server.delete(path);
  else if ((await server.get(path)).code === 404)
    await server.post(configMaps, { metadata: { name: step.name, labels: { on: step.do === 'select' ? 'yes' : 'no' } } });
  else if (step.do === 'put') await server.patch(path, { data: { n: String(count) } });
  else await server.patch(path, { metadata: { labels: { on: step.do === 'select' ? 'yes' : 'no' } } });
}

test('a list and the watch from its version always add up to the next list, with and without selectors', async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (history) => {
      const server = await Fixture.open();
      const starts: { query: string; items: readonly { metadata: { name: string } }[]; watch: Awaited<ReturnType<Fixture['watch']>> }[] = [];
      const pending: { query: string; version: string; items: readonly { metadata: { name: string } }[] }[] = [];
      for (const [count, step] of history.entries()) {
        if (step.do !== 'watch') {
          await run(server, step, count);
          continue;
        }
        for (const query of ['', '&labelSelector=on%3Dyes', `&fieldSelector=metadata.name%3D${step.name}`]) {
          const { body } = await server.get(`${configMaps}?${query}`);
          const { resourceVersion } = body.metadata;
          starts.push({ query, items: body.items ?? [], watch: await server.watch(`${configMaps}?resourceVersion=${resourceVersion}${query}`) });
          // Another client takes its time between the two.
          pending.push({ query, version: resourceVersion, items: body.items ?? [] });
        }
      }
      for (const { query, version, items } of pending)
        starts.push({ query, items, watch: await server.watch(`${configMaps}?resourceVersion=${version}${query}`) });
      for (const { query, items, watch } of starts) {
        const now = (await server.get(`${configMaps}?${query}`)).body.items;
        assert.deepEqual(replayed(items, watch.events as never), now);
        watch.close();
      }
      await server.close();
    }),
    { numRuns: 60 },
  );
});

test('a horizontal pod autoscaler is one object in two versions', async () => {
  const server = await Fixture.open();
  const v1 = '/apis/autoscaling/v1/namespaces/a/horizontalpodautoscalers';
  const v2 = '/apis/autoscaling/v2/namespaces/a/horizontalpodautoscalers';
  const target = { apiVersion: 'apps/v1', kind: 'Deployment', name: 'd' };
  const watch = await server.watch(`${v1}?resourceVersion=${server.store.revision()}`);
  const made = await server.post(v1, {
    metadata: { name: 'h' },
    spec: { scaleTargetRef: target, maxReplicas: 3, targetCPUUtilizationPercentage: 50 },
  });
  assert.equal(made.code, 201, JSON.stringify(made.body));
  assert.equal(made.body['spec'].targetCPUUtilizationPercentage, 50);
  assert.equal(made.body.apiVersion, 'autoscaling/v1');
  const other = (await server.get(`${v2}/h`)).body;
  assert.equal(other.apiVersion, 'autoscaling/v2');
  assert.equal(other['spec'].metrics[0].resource.target.averageUtilization, 50);
  assert.equal(other.metadata.uid, made.body.metadata.uid);
  const patched = await server.patch(`${v1}/h`, { spec: { targetCPUUtilizationPercentage: 80 } });
  assert.equal(patched.code, 200, JSON.stringify(patched.body));
  assert.equal((await server.get(`${v2}/h`)).body['spec'].metrics[0].resource.target.averageUtilization, 80);
  assert.equal((await server.get(v1)).body.items?.[0]?.apiVersion, 'autoscaling/v1');
  await server.patch(`${v2}/h/status`, { status: { currentReplicas: 2, desiredReplicas: 2, conditions: [] } });
  assert.equal((await server.get(`${v1}/h`)).body['status'].currentReplicas, 2);
  await server.delete(`${v1}/h`);
  assert.deepEqual(
    watch.events.map(({ type, object }) => `${type} ${object['apiVersion']}`),
    ['ADDED autoscaling/v1', 'MODIFIED autoscaling/v1', 'MODIFIED autoscaling/v1', 'DELETED autoscaling/v1'],
  );
  watch.close();
  await server.close();
});

test('an event of one group is read in the other', async () => {
  const server = await Fixture.open();
  const core = '/api/v1/namespaces/a/events';
  const events = '/apis/events.k8s.io/v1/namespaces/a/events';
  const regarding = { kind: 'Pod', name: 'p', namespace: 'a' };
  const made = await server.post(events, {
    metadata: { name: 'e' },
    eventTime: '2026-01-01T00:00:00.000000Z',
    regarding,
    note: 'hello',
    reason: 'Because',
    type: 'Normal',
    action: 'Do',
    reportingController: 'c.io/x',
    reportingInstance: 'i',
  });
  assert.equal(made.code, 201, JSON.stringify(made.body));
  const seen = (await server.get(`${core}?fieldSelector=involvedObject.name%3Dp`)).body.items?.[0];
  assert.equal(seen?.['message'], 'hello');
  assert.equal((await server.delete(`${core}/e`)).code, 200);
  assert.equal((await server.get(`${events}/e`)).code, 404);
  await server.close();
});

test('ObjectReader answers shared objects, the same list until something changes', async () => {
  const server = await Fixture.open();
  const kind = server.verbs.kindAt('', 'v1', 'configmaps');
  assert(kind);
  await server.post(configMaps, { metadata: { name: 'k' } });
  const { objects } = server.verbs;
  const first = objects.list(kind, 'a');
  assert.equal(objects.list(kind, 'a'), first);
  assert.equal(objects.get(kind, 'a', 'k'), first[0]);
  const revision = objects.revision(kind);
  await server.post('/api/v1/namespaces/a/secrets', { metadata: { name: 's' } });
  assert.equal(objects.revision(kind), revision);
  await server.delete(`${configMaps}/k`);
  assert.deepEqual(objects.list(kind, 'a'), []);
  assert.equal(first.length, 1, 'what was handed out does not change');
  assert.ok(objects.revision(kind) > revision);
  await server.close();
});
