import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import type { User } from '../request.ts';
import { Fixture, type Reply } from '../verbs/fixture.ts';

const user: User = { name: 'system:node:n', uid: '', groups: ['system:nodes'], extra: {} };
const asNode = { user };
const nodes = '/api/v1/nodes';
const pods = '/api/v1/namespaces/a/pods';
let server: Fixture;
beforeEach(async () => {
  server = await Fixture.open();
  for (const name of ['n', 'other']) await server.post(nodes, { metadata: { name } });
});
afterEach(() => server.close());

function says(reply: Reply, words: RegExp): void {
  assert.equal(reply.code, 403, JSON.stringify(reply.body));
  assert.match(reply.body['message'], words);
}

test('a node changes itself, and no other', async () => {
  assert.equal((await server.patch(`${nodes}/n`, { metadata: { labels: { 'example.com/disk': 'fast' } } }, asNode)).code, 200);
  assert.equal((await server.patch(`${nodes}/n/status`, { status: { capacity: { cpu: '1' } } }, asNode)).code, 200);
  says(
    await server.patch(`${nodes}/other/status`, { status: {}, metadata: { labels: { a: 'b' } } }, asNode),
    /node "n" is not allowed to modify node "other"/,
  );
  says(await server.post(nodes, { metadata: { name: 'third' } }, asNode), /node "n" is not allowed to modify node "third"/);
});

test('labels that steer pods are out of its reach', async () => {
  const set = (label: string): Promise<Reply> => server.patch(`${nodes}/n`, { metadata: { labels: { [label]: 'x' } } }, asNode);
  const restricted = 'example.com.node-restriction.kubernetes.io/group';
  says(await set(restricted), /node "n" is not allowed to modify labels: example.com.node-restriction.kubernetes.io\/group/);
  says(await set('node-role.kubernetes.io/control-plane'), /not allowed to modify labels/);
  assert.equal((await set('kubernetes.io/arch')).code, 200);
  assert.equal((await set('node.kubernetes.io/pool')).code, 200);
});

test('no taints, no owners (CVE-2025-5187)', async () => {
  says(await server.patch(`${nodes}/n`, { spec: { taints: [] } }, asNode), /node "n" is not allowed to modify taints/);
  const ownerReferences = [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'gone', uid: 'x' }];
  says(await server.patch(`${nodes}/n`, { metadata: { ownerReferences } }, asNode), /node "n" is not allowed to modify ownerReferences/);
});

test('its pods only: to report on, and to delete', async () => {
  const spec = { containers: [{ name: 'c', image: 'x' }] };
  await server.post(pods, { metadata: { name: 'mine' }, spec: { ...spec, nodeName: 'n' } });
  await server.post(pods, { metadata: { name: 'theirs' }, spec: { ...spec, nodeName: 'other' } });
  assert.equal((await server.patch(`${pods}/mine/status`, { status: { phase: 'Running' } }, asNode)).code, 200);
  says(
    await server.patch(`${pods}/theirs/status`, { status: { phase: 'Running' } }, asNode),
    /can only update pod status for pods with spec.nodeName set to itself/,
  );
  says(await server.patch(`${pods}/mine/status`, { metadata: { labels: { a: 'b' } } }, asNode), /cannot update labels through pod status/);
  says(await server.request('DELETE', `${pods}/theirs`, asNode), /can only delete pods with spec.nodeName set to itself/);
  assert.equal((await server.request('DELETE', `${pods}/mine`, asNode)).code, 200);
});

test('mirror pods of its own, which refer to nothing else', async () => {
  const self = (await server.get(`${nodes}/n`)).body.metadata;
  const owner = { apiVersion: 'v1', kind: 'Node', name: 'n', uid: self.uid, controller: true };
  const mirror = (metadata: object, spec: object): Promise<Reply> =>
    server.post(
      pods,
      {
        metadata: { name: 'm', annotations: { 'kubernetes.io/config.mirror': 'x' }, ownerReferences: [owner], ...metadata },
        spec: { nodeName: 'n', containers: [{ name: 'c', image: 'x' }], ...spec },
      },
      asNode,
    );
  says(await mirror({ annotations: {} }, {}), /pod does not have "kubernetes.io\/config.mirror" annotation, node "n" can only create mirror pods/);
  says(await mirror({}, { nodeName: 'other' }), /node "n" can only create pods with spec.nodeName set to itself/);
  says(await mirror({ ownerReferences: [] }, {}), /node "n" can only create pods with an owner reference set to itself/);
  says(await mirror({ ownerReferences: [{ ...owner, uid: 'x' }] }, {}), /node n UID mismatch: expected x got /);
  says(await mirror({}, { volumes: [{ name: 'v', secret: { secretName: 's' } }] }), /node "n" can not create pods that reference secrets/);
  const made = await mirror({}, {});
  assert.equal(made.code, 201, JSON.stringify(made.body));
});

test('its lease and its CSINode', async () => {
  await server.post('/api/v1/namespaces', { metadata: { name: 'kube-node-lease' } });
  const leases = '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases';
  assert.equal((await server.post(leases, { metadata: { name: 'n' } }, asNode)).code, 201);
  says(await server.post(leases, { metadata: { name: 'other' } }, asNode), /can only access node lease with the same name as the requesting node/);
  const elsewhere = '/apis/coordination.k8s.io/v1/namespaces/a/leases';
  says(await server.post(elsewhere, { metadata: { name: 'n' } }, asNode), /can only access leases in the "kube-node-lease" system namespace/);
  const csi = { metadata: { name: 'other' }, spec: { drivers: [] } };
  says(await server.post('/apis/storage.k8s.io/v1/csinodes', csi, asNode), /can only access CSINode with the same name/);
});
