/** What the conformance catalogue asks of every kind under "should support … API operations": it is discovered, and every verb works on it. */
import assert from 'node:assert/strict';
import type { Kind } from '../../src/api/kind.ts';
import type { Draft, KubeObject, VirtualCluster } from '../../src/index.ts';
import { isGone, namespace } from './on-simulated-nodes.ts';

interface Named {
  readonly name: string;
}

/** The group, its version and the resource are found where clients look for them. */
export async function assertDiscovered({ client }: VirtualCluster, group: string, version: string, resource: string): Promise<void> {
  const read = <T>(path: string): Promise<T> => client.transport.request({ method: 'GET', path }) as Promise<T>;
  const { groups } = await read<{ groups: readonly (Named & { versions: readonly { version: string }[] })[] }>('/apis');
  assert.ok(
    groups.find(({ name }) => name === group)?.versions.some((served) => served.version === version),
    `/apis has no ${group}/${version}`,
  );
  const { versions } = await read<{ versions: readonly { version: string }[] }>(`/apis/${group}`);
  assert.ok(versions.some((served) => served.version === version));
  const { resources } = await read<{ resources: readonly Named[] }>(`/apis/${group}/${version}`);
  assert.ok(resources.some(({ name }) => name === resource));
}

/** create, get, list, watch, patch, update, delete and deletecollection, on three objects that differ in name alone. */
export async function assertApiOperations<T extends KubeObject>(cluster: VirtualCluster, kind: Kind<T>, draft: Draft<T>): Promise<void> {
  const everywhere = cluster.client.resource(kind);
  const objects = kind.namespaced ? everywhere.namespace(namespace) : everywhere;
  const labelSelector = 'special-label=operations';
  const names = ['operations-1', 'operations-2', 'operations-3'];
  const [name = ''] = names;
  for (const each of names)
    await objects.create({ ...draft, metadata: { ...draft.metadata, name: each, labels: { 'special-label': 'operations' } } });

  const found = await objects.get(name);
  assert.ok(found.metadata.uid);
  const listed = await objects.list({ labelSelector });
  assert.deepEqual(
    listed.items.map(({ metadata }) => metadata.name),
    names,
  );
  assert.deepEqual((await everywhere.list({ labelSelector })).items, listed.items);

  const enough = new AbortController();
  const { resourceVersion } = listed.metadata;
  const events = objects.watch({ labelSelector, resourceVersion, signal: enough.signal })[Symbol.asyncIterator]();

  const patched = await objects.patch(name, { metadata: { annotations: { patched: 'true' } } });
  assert.equal(patched.metadata.annotations?.['patched'], 'true');
  const updated = await objects.update({
    ...patched,
    metadata: { ...patched.metadata, annotations: { ...patched.metadata.annotations, updated: 'true' } },
  });
  assert.deepEqual(updated.metadata.annotations, { patched: 'true', updated: 'true' });
  await objects.delete(name);
  assert.ok(await isGone(objects.get(name)));
  assert.equal((await objects.list({ labelSelector })).items.length, 2);
  await objects.deleteCollection({ labelSelector });
  assert.equal((await objects.list({ labelSelector })).items.length, 0);

  const seen: string[] = [];
  while (seen.length < 5) {
    const { value } = await events.next();
    seen.push(`${value.type} ${value.object.metadata.name}`);
  }
  enough.abort();
  assert.deepEqual(seen, [`MODIFIED ${name}`, `MODIFIED ${name}`, ...names.map((each) => `DELETED ${each}`)]);
}
