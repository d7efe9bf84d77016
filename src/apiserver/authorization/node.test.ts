import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Fixture } from '../verbs/fixture.ts';
import type { Attributes, Decision } from './authorizer.ts';
import { NodeGraph } from './node-graph.ts';
import { nodeAuthorizer } from './node.ts';

let fixture: Fixture;
let ask: (verb: string, what: Partial<Attributes>, node?: string) => Decision;

function pod(name: string, node: string, spec: object): object {
  return { metadata: { name }, spec: { nodeName: node, containers: [{ name: 'c', image: 'x' }], ...spec } };
}

before(async () => {
  fixture = await Fixture.open();
  await fixture.post('/api/v1/namespaces/a/pods', pod('one', 'n1', { volumes: [{ name: 'v', secret: { secretName: 'mounted' } }] }));
  const graph = new NodeGraph(fixture.verbs);
  const authorizer = nodeAuthorizer((nodeName, attributes) => graph.isRelated(nodeName, attributes));
  ask = (verb, what, node = 'n1') =>
    authorizer.authorize({
      user: { name: `system:node:${node}`, uid: '', groups: ['system:nodes'], extra: {} },
      verb,
      group: '',
      version: 'v1',
      resource: '',
      subresource: '',
      namespace: '',
      name: '',
      path: '',
      ...what,
    });
});

after(() => fixture.close());

const secret = (name: string): Partial<Attributes> => ({ resource: 'secrets', namespace: 'a', name });

test('a node reads the secrets of its own pods, and no others', () => {
  assert.equal(ask('get', secret('mounted')).verdict, 'allowed');
  assert.equal(ask('watch', secret('mounted')).verdict, 'allowed');
  assert.deepEqual(ask('get', secret('mounted'), 'n2'), {
    verdict: 'no opinion',
    reason: "no relationship found between node 'n2' and this object",
  });
  assert.equal(ask('get', secret('other')).reason, "no relationship found between node 'n1' and this object");
  assert.equal(ask('update', secret('mounted')).reason, 'can only read resources of this type');
  assert.equal(ask('list', { resource: 'secrets', namespace: 'a' }).reason, 'No Object name found');
  assert.equal(ask('list', { resource: 'secrets' }).reason, 'can only read namespaced object of this type');
});

test('the relation comes with a pod and goes with the last one', async () => {
  const env = { containers: [{ name: 'c', image: 'x', envFrom: [{ secretRef: { name: 'shared' } }] }] };
  await fixture.post('/api/v1/namespaces/a/pods', pod('two', 'n1', env));
  await fixture.post('/api/v1/namespaces/a/pods', pod('three', 'n1', env));
  assert.equal(ask('get', secret('shared')).verdict, 'allowed');
  await fixture.delete('/api/v1/namespaces/a/pods/two', { gracePeriodSeconds: 0 });
  assert.equal(ask('get', secret('shared')).verdict, 'allowed');
  await fixture.delete('/api/v1/namespaces/a/pods/three', { gracePeriodSeconds: 0 });
  assert.equal(ask('get', secret('shared')).verdict, 'no opinion');
});

test('binding a pod makes the relation', async () => {
  await fixture.post('/api/v1/namespaces/a/pods', {
    metadata: { name: 'four' },
    spec: { containers: [{ name: 'c', image: 'x' }], imagePullSecrets: [{ name: 'pull' }] },
  });
  assert.equal(ask('get', secret('pull')).verdict, 'no opinion');
  await fixture.post('/api/v1/namespaces/a/pods/four/binding', { metadata: { name: 'four' }, target: { kind: 'Node', name: 'n1' } });
  assert.equal(ask('get', secret('pull')).verdict, 'allowed');
});

test('behind a claim a node sees the volume and its secrets', async () => {
  const claim = { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } }, volumeName: 'disk' };
  await fixture.post('/api/v1/namespaces/a/persistentvolumeclaims', { metadata: { name: 'data' }, spec: claim });
  await fixture.post('/api/v1/persistentvolumes', {
    metadata: { name: 'disk' },
    spec: {
      accessModes: ['ReadWriteOnce'],
      capacity: { storage: '1Gi' },
      claimRef: { namespace: 'a', name: 'data' },
      csi: {
        driver: 'd.example.com',
        volumeHandle: 'h',
        nodeStageSecretRef: { namespace: 'vault', name: 'stage' },
        controllerPublishSecretRef: { namespace: 'vault', name: 'controller' },
      },
    },
  });
  const volume = { resource: 'persistentvolumes', name: 'disk' };
  assert.equal(ask('get', volume).verdict, 'no opinion');
  await fixture.post('/api/v1/namespaces/a/pods', pod('five', 'n1', { volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 'data' } }] }));
  assert.equal(ask('get', volume).verdict, 'allowed');
  assert.equal(ask('list', volume).reason, 'can only get individual resources of this type');
  assert.equal(ask('get', { resource: 'persistentvolumeclaims', namespace: 'a', name: 'data' }).verdict, 'allowed');
  assert.equal(ask('patch', { resource: 'persistentvolumeclaims', subresource: 'status', namespace: 'a', name: 'data' }).verdict, 'allowed');
  assert.equal(ask('get', { resource: 'secrets', namespace: 'vault', name: 'stage' }).verdict, 'allowed');
  assert.equal(ask('get', { resource: 'secrets', namespace: 'vault', name: 'controller' }).verdict, 'no opinion');
});

test('tokens only for service accounts of pods on the node', () => {
  const token = { resource: 'serviceaccounts', subresource: 'token', namespace: 'a' };
  assert.equal(ask('create', { ...token, name: 'default' }).verdict, 'allowed');
  assert.equal(ask('create', { ...token, name: 'default' }, 'n2').reason, "no relationship found between node 'n2' and this object");
  assert.equal(ask('create', token).reason, 'can only create tokens for individual service accounts');
});

test('a node lists pods bound to itself, and reads its own Node', () => {
  assert.equal(ask('list', { resource: 'pods' }).reason, 'can only list/watch pods with spec.nodeName field selector');
  assert.equal(ask('watch', { resource: 'pods', fieldSelector: 'spec.nodeName=n1' }).verdict, 'allowed');
  assert.equal(ask('watch', { resource: 'pods', fieldSelector: 'spec.nodeName=n2' }).verdict, 'no opinion');
  assert.equal(ask('get', { resource: 'pods', namespace: 'a', name: 'one' }, 'n2').verdict, 'no opinion');
  assert.equal(ask('get', { resource: 'nodes', name: 'n1' }).verdict, 'allowed');
  assert.equal(ask('get', { resource: 'nodes', name: 'n2' }).reason, "node 'n1' cannot read 'n2', only its own Node object");
  assert.equal(ask('list', { resource: 'nodes' }).reason, "node 'n1' cannot read all nodes, only its own Node object");
});
