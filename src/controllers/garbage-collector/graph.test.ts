/** The order of dependents is the order in which they came, whatever objects share with those before them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConfigMap } from '../../api/kinds.ts';
import type { KubeObject } from '../../machinery/object.ts';
import { OwnerGraph } from './graph.ts';

function owned(name: string, ...owners: string[]): KubeObject {
  const ownerReferences = owners.map((uid) => ({ apiVersion: 'v1', kind: 'ConfigMap', name: uid, uid }));
  const metadata = { name, namespace: 'default', uid: name, resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z', ownerReferences };
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata };
}

function dependents(graph: OwnerGraph, owner: string): string[] {
  return graph.dependentsOf(owner).map(({ object }) => object.metadata.name);
}

test('an object that is decoded anew keeps its place among the dependents', () => {
  const graph = new OwnerGraph();
  for (const name of ['a', 'b', 'c']) graph.put(ConfigMap, owned(name, 'owner'));
  graph.put(ConfigMap, owned('a', 'owner'));
  assert.deepEqual(dependents(graph, 'owner'), ['a', 'b', 'c']);
});

test('edges follow owner references', () => {
  const graph = new OwnerGraph();
  graph.put(ConfigMap, owned('a', 'one', 'two'));
  graph.put(ConfigMap, owned('a', 'two', 'three'));
  assert.deepEqual(
    ['one', 'two', 'three'].map((owner) => dependents(graph, owner)),
    [[], ['a'], ['a']],
  );
  graph.remove('a');
  assert.deepEqual(
    ['two', 'three'].map((owner) => dependents(graph, owner)),
    [[], []],
  );
});
