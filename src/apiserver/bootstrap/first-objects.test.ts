import assert from 'node:assert/strict';
import { test } from 'node:test';
import { apiVersionOf } from '../../api/kind.ts';
import type { KubeObject } from '../../machinery/object.ts';
import { Aggregator } from '../aggregation/aggregator.ts';
import { flowControlUpkeep } from '../flow-control/upkeep.ts';
import { Fixture } from '../verbs/fixture.ts';
import { bootstrap, bootstrapFlowControl, bootstrapPolicy } from './bootstrap.ts';
import { firstObjects } from './first-objects.ts';

type Written = Omit<KubeObject, 'metadata'> & { readonly metadata: Partial<KubeObject['metadata']> };

/** What is there of the kinds a cluster begins with, but for what differs from one writing to the next. */
function found({ verbs }: Fixture): Map<string, Written> {
  const kinds = new Set(firstObjects(verbs.kinds()).map(({ kind }) => kind));
  const objects = new Map<string, Written>();
  for (const kind of kinds) {
    for (const object of verbs.objects.list(kind)) {
      const { uid, resourceVersion, ...metadata } = object.metadata;
      assert.ok(uid && resourceVersion);
      objects.set(`${apiVersionOf(kind)} ${kind.kind} ${metadata.namespace ?? ''}/${metadata.name}`, { ...object, metadata });
    }
  }
  return objects;
}

test('what a cluster begins with is what the verbs would have made of it', async () => {
  const [atOnce, oneByOne] = [await Fixture.open({ empty: true }), await Fixture.open({ empty: true })];
  const { world, verbs } = oneByOne;
  assert.equal(await atOnce.verbs.createFirst(firstObjects(verbs.kinds())), true);
  await bootstrapPolicy(verbs);
  const aggregator = new Aggregator({ world, verbs });
  await aggregator.start();
  const upkeep = flowControlUpkeep(world, verbs, () => bootstrapFlowControl(verbs));
  await upkeep.settled();
  await aggregator.close();
  upkeep.close();
  const [first, second] = [found(atOnce), found(oneByOne)];
  assert.ok(first.size > 150, `only ${first.size} objects`);
  assert.deepEqual([...first.keys()].toSorted(), [...second.keys()].toSorted());
  for (const [name, object] of first) assert.deepEqual(object, second.get(name), name);
  await Promise.all([atOnce.close(), oneByOne.close()]);
});

test('beside what is there, it is written one by one, and what is missing comes back', async () => {
  const fixture = await Fixture.open();
  const { verbs, world } = fixture;
  assert.equal(verbs.count(firstObjects([])[0]?.kind ?? assert.fail()), 1, 'a namespace of somebody');
  await bootstrap(verbs, { serviceCidr: '10.96.0.0/16', nowMs: world.clock.now() });
  await fixture.delete('/apis/rbac.authorization.k8s.io/v1/clusterroles/view');
  const before = fixture.store.revision();
  assert.equal(await verbs.createFirst(firstObjects(verbs.kinds())), false);
  assert.equal(fixture.store.revision(), before);
  await bootstrap(verbs, { serviceCidr: '10.96.0.0/16', nowMs: world.clock.now() });
  assert.equal(fixture.store.revision(), before + 1);
  assert.equal((await fixture.get('/apis/rbac.authorization.k8s.io/v1/clusterroles/view')).code, 200);
  await fixture.close();
});
