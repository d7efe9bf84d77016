/** What the server tells about itself and what it starts with: discovery, OpenAPI, and the objects of an empty cluster. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Json, startTestServer, type TestServer } from './server.ts';

let server: TestServer;

before(async () => {
  server = await startTestServer();
});

after(() => server.close());

test('discovery is served plain and aggregated, with an ETag', async () => {
  const plain = await server.send('/apis');
  assert.equal(plain.json.kind, 'APIGroupList');
  assert.ok(plain.json.groups.some((group: Json) => group.name === 'apps'));
  assert.equal((await server.send('/api')).json.kind, 'APIVersions');
  assert.equal((await server.send('/apis/apps')).json.preferredVersion.groupVersion, 'apps/v1');
  assert.equal((await server.send('/api/v1')).json.groupVersion, 'v1');
  const accept =
    'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json';
  const aggregated = await server.send('/apis', { headers: { accept } });
  assert.equal(aggregated.headers['content-type'], 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList');
  assert.equal(aggregated.json.apiVersion, 'apidiscovery.k8s.io/v2');
  const again = await server.send('/apis', { headers: { accept, 'if-none-match': String(aggregated.headers.etag) } });
  assert.equal(again.code, 304);
  const core = await server.send('/api', { headers: { accept } });
  assert.ok(core.json.items[0].versions[0].resources.some((resource: Json) => resource.resource === 'pods'));
});

test('OpenAPI v3: every document of the index can be read, and all its references resolve', async () => {
  const index = await server.send('/openapi/v3');
  const paths = Object.entries<{ serverRelativeURL: string }>(index.json.paths);
  assert.ok(paths.length > 15);
  for (const [path, { serverRelativeURL }] of paths) {
    const document = await server.send(serverRelativeURL);
    assert.equal(document.code, 200, path);
    const schemas = document.json.components.schemas as Record<string, unknown>;
    for (const [, name] of document.text.matchAll(/"#\/components\/schemas\/([^"]+)"/g))
      assert.ok(name !== undefined && schemas[name] !== undefined, `${path} refers to ${name ?? ''}`);
  }
});

test('OpenAPI v3 says what clients read from it', async () => {
  const { json } = await server.send('/openapi/v3/apis/apps/v1');
  const deployment = json.components.schemas['io.k8s.api.apps.v1.Deployment'];
  assert.deepEqual(deployment['x-kubernetes-group-version-kind'], [{ group: 'apps', version: 'v1', kind: 'Deployment' }]);
  assert.ok(deployment.description.length > 0);
  const { containers } = json.components.schemas['io.k8s.api.core.v1.PodSpec'].properties;
  assert.equal(containers['x-kubernetes-patch-strategy'], 'merge');
  assert.equal(containers['x-kubernetes-patch-merge-key'], 'name');
  assert.equal(containers['x-kubernetes-list-type'], 'map');
  assert.deepEqual(containers['x-kubernetes-list-map-keys'], ['name']);
  const { patch } = json.paths['/apis/apps/v1/namespaces/{namespace}/deployments/{name}'];
  assert.deepEqual(patch['x-kubernetes-group-version-kind'], { group: 'apps', version: 'v1', kind: 'Deployment' });
  const names = patch.parameters.map((parameter: Json) => parameter.name);
  for (const name of ['dryRun', 'fieldManager', 'fieldValidation', 'force']) assert.ok(names.includes(name), name);
});

test('OpenAPI v2 is one document whose references resolve', async () => {
  const { json, text } = await server.send('/openapi/v2');
  assert.equal(json.swagger, '2.0');
  const missing = [...text.matchAll(/"#\/definitions\/([^"]+)"/g)].map(([, name = '']) => name).filter((name) => !(name in json.definitions));
  assert.deepEqual(missing, []);
  const ids = [...text.matchAll(/"operationId":"([^"]+)"/g)].map(([, id]) => id);
  assert.equal(new Set(ids).size, ids.length, 'operation ids are unique');
});

test('documents are asked for once: by hash for good, by ETag again when they changed', async () => {
  const { paths } = (await server.send('/openapi/v3')).json;
  const url: string = paths['apis/batch/v1'].serverRelativeURL;
  const byHash = await server.send(url);
  assert.equal(byHash.headers['cache-control'], 'public, immutable');
  assert.ok(Date.parse(String(byHash.headers['expires'])) > server.world.clock.now());
  const elsewhere = await server.send('/openapi/v3/apis/batch/v1?hash=OLD');
  assert.deepEqual([elsewhere.code, elsewhere.headers['location']], [301, url]);
  const gnostic = 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf';
  for (const [path, accept] of [
    ['/openapi/v3', 'application/json'],
    ['/openapi/v3/apis/batch/v1', 'application/json'],
    ['/openapi/v2', 'application/json'],
    ['/openapi/v2', gnostic],
    ['/apis', 'application/json'],
    ['/apis/batch', 'application/json'],
    ['/apis/batch/v1', 'application/json'],
    ['/api/v1', 'application/json'],
  ] as const) {
    const first = await server.send(path, { headers: { accept } });
    assert.equal(first.code, 200, path);
    const again = await server.send(path, { headers: { accept, 'if-none-match': String(first.headers['etag']) } });
    assert.deepEqual([again.code, again.text], [304, ''], `${path} ${accept}`);
    assert.equal((await server.send(path, { headers: { accept, 'if-none-match': '"other"' } })).code, 200);
  }
  const protobuf = await server.send('/openapi/v2', { headers: { accept: gnostic } });
  assert.equal(protobuf.headers['content-type'], 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf');
  assert.ok(protobuf.text.includes('io.k8s.api.core.v1.Pod'));
});

test('an empty cluster has its namespaces, roles, priority classes and the kubernetes service', async () => {
  const names = async (path: string): Promise<string[]> => (await server.send(path)).json.items.map((item: Json) => item.metadata.name);
  assert.deepEqual(await names('/api/v1/namespaces'), ['default', 'kube-node-lease', 'kube-public', 'kube-system']);
  const roles = await names('/apis/rbac.authorization.k8s.io/v1/clusterroles');
  for (const role of ['admin', 'cluster-admin', 'edit', 'view', 'system:discovery', 'system:node', 'system:controller:deployment-controller'])
    assert.ok(roles.includes(role), role);
  assert.deepEqual(await names('/apis/scheduling.k8s.io/v1/priorityclasses'), ['system-cluster-critical', 'system-node-critical']);
  const service = (await server.send('/api/v1/namespaces/default/services/kubernetes')).json;
  assert.equal(service.spec.clusterIP, '10.96.0.1');
  assert.deepEqual(service.spec.ports, [{ name: 'https', port: 443, protocol: 'TCP', targetPort: 6443 }]);
  const endpoints = (await server.send('/api/v1/namespaces/default/endpoints/kubernetes')).json;
  assert.deepEqual(endpoints.subsets, [{ addresses: [{ ip: '192.0.2.1' }], ports: [{ name: 'https', port: 6443, protocol: 'TCP' }] }]);
  const slice = (await server.send('/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes')).json;
  assert.deepEqual(slice.endpoints, [{ addresses: ['192.0.2.1'], conditions: { ready: true } }]);
});

test('a bound admin may manage a namespace and nothing else', async () => {
  const rbac = '/apis/rbac.authorization.k8s.io/v1';
  const binding = {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'RoleBinding',
    metadata: { name: 'ali' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'admin' },
    subjects: [{ kind: 'User', apiGroup: 'rbac.authorization.k8s.io', name: 'ali' }],
  };
  assert.equal((await server.send(`${rbac}/namespaces/default/rolebindings`, { method: 'POST', body: binding })).code, 201);
  const token = 'sesame';
  for (const path of [
    '/api/v1/namespaces/default/secrets',
    '/apis/apps/v1/namespaces/default/deployments',
    `${rbac}/namespaces/default/roles`,
    '/api/v1/namespaces/default',
  ]) {
    assert.equal((await server.send(path, { token })).code, 200, path);
  }
  for (const path of ['/api/v1/namespaces/kube-system/secrets', '/api/v1/nodes', `${rbac}/clusterroles`])
    assert.equal((await server.send(path, { token })).code, 403, path);
});
