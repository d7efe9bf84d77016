import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allKinds } from '../../api/kinds.ts';
import { apiGroup, apiResourceList, compareVersions, groupDiscovery, groupsOf } from './resources.ts';

interface Resource {
  readonly name: string;
  readonly singularName: string;
  readonly namespaced: boolean;
  readonly group?: string;
  readonly version?: string;
  readonly kind: string;
  readonly verbs: readonly string[];
  readonly shortNames?: readonly string[];
  readonly categories?: readonly string[];
}

function resource(group: string, version: string, name: string): Resource | undefined {
  const served = groupsOf(allKinds)
    .find((candidate) => candidate.group === group)
    ?.versions.find((candidate) => candidate.version === version);
  const list = apiResourceList(group, version, served?.kinds ?? []) as { resources: readonly Resource[] };
  return list.resources.find((candidate) => candidate.name === name);
}

const everyVerb = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'];

test('a resource is listed with its names, scope and verbs', () => {
  const { storageVersionHash, ...pods } = { storageVersionHash: '', ...resource('', 'v1', 'pods') };
  assert.match(storageVersionHash, /^[\w+/]{11}=$/);
  assert.deepEqual(pods, {
    name: 'pods',
    singularName: 'pod',
    namespaced: true,
    kind: 'Pod',
    verbs: everyVerb,
    shortNames: ['po'],
    categories: ['all'],
  });
  assert.equal(resource('', 'v1', 'nodes')?.namespaced, false);
});

test('subresources name the kind they take, and its group where it is another', () => {
  const facts: readonly (readonly [string, string, string, Partial<Resource>])[] = [
    ['', 'v1', 'pods/log', { kind: 'Pod', verbs: ['get'] }],
    ['', 'v1', 'pods/exec', { kind: 'PodExecOptions', verbs: ['create', 'get'] }],
    ['', 'v1', 'pods/eviction', { kind: 'Eviction', group: 'policy', version: 'v1', verbs: ['create'] }],
    ['', 'v1', 'pods/binding', { kind: 'Binding', verbs: ['create'] }],
    ['', 'v1', 'serviceaccounts/token', { kind: 'TokenRequest', group: 'authentication.k8s.io', version: 'v1', verbs: ['create'] }],
    ['apps', 'v1', 'deployments/scale', { kind: 'Scale', group: 'autoscaling', version: 'v1', verbs: ['get', 'patch', 'update'] }],
    ['apps', 'v1', 'deployments/status', { kind: 'Deployment', verbs: ['get', 'patch', 'update'] }],
  ];
  for (const [group, version, name, expected] of facts) {
    const found = resource(group, version, name);
    assert.deepEqual(found && { ...found }, { name, singularName: '', namespaced: true, ...expected }, name);
  }
});

test('the preferred version of a group comes first', () => {
  const autoscaling = groupsOf(allKinds).find(({ group }) => group === 'autoscaling');
  assert.ok(autoscaling);
  assert.deepEqual(apiGroup(autoscaling), {
    name: 'autoscaling',
    versions: [
      { groupVersion: 'autoscaling/v2', version: 'v2' },
      { groupVersion: 'autoscaling/v1', version: 'v1' },
    ],
    preferredVersion: { groupVersion: 'autoscaling/v2', version: 'v2' },
  });
});

test('versions are ordered by stability, then by number', () => {
  const versions = ['v1alpha1', 'v1beta2', 'v10', 'foo', 'v2', 'v1beta10', 'v1', 'v3alpha1', 'bar'];
  assert.deepEqual(versions.toSorted(compareVersions), ['v10', 'v2', 'v1', 'v1beta10', 'v1beta2', 'v3alpha1', 'v1alpha1', 'bar', 'foo']);
});

test('aggregated discovery says the same in one document', () => {
  const apps = groupsOf(allKinds).find(({ group }) => group === 'apps');
  assert.ok(apps);
  const discovery = groupDiscovery(apps) as { metadata: { name: string }; versions: { resources: Record<string, unknown>[] }[] };
  assert.equal(discovery.metadata.name, 'apps');
  assert.deepEqual(
    discovery.versions[0]?.resources.find(({ resource: name }) => name === 'deployments'),
    {
      resource: 'deployments',
      responseKind: { group: 'apps', version: 'v1', kind: 'Deployment' },
      scope: 'Namespaced',
      singularResource: 'deployment',
      verbs: everyVerb,
      shortNames: ['deploy'],
      categories: ['all'],
      subresources: [
        { subresource: 'scale', responseKind: { group: 'autoscaling', version: 'v1', kind: 'Scale' }, verbs: ['get', 'patch', 'update'] },
        { subresource: 'status', responseKind: { group: 'apps', version: 'v1', kind: 'Deployment' }, verbs: ['get', 'patch', 'update'] },
      ],
    },
  );
});
