import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ClusterRole, ConfigMap, Deployment, Node, Pod } from '../api/kinds.ts';
import type { KubeObject } from '../machinery/object.ts';
import type { Client } from './client.ts';
import type { ApiRequest, Transport, WatchEvent } from './transport.ts';
import { createClient } from './typed-client.ts';

/** Remembers what was asked; answers what the test wants. */
class RecordingTransport implements Transport {
  readonly shared = false;
  readonly requests: ApiRequest[] = [];
  answer: unknown = {};

  async request(request: ApiRequest): Promise<unknown> {
    this.requests.push(request);
    return this.answer;
  }

  async *watch(request: ApiRequest): AsyncGenerator<WatchEvent> {
    this.requests.push(request);
    yield* [];
  }

  close(): void {}
}

async function asked(call: (client: Client) => Promise<unknown>): Promise<ApiRequest> {
  const transport = new RecordingTransport();
  transport.answer = { metadata: {}, items: [] };
  await call(createClient(transport));
  const [request, ...more] = transport.requests;
  assert.ok(request && more.length === 0);
  return request;
}

const metadata = { name: 'web', uid: 'u', resourceVersion: '7', creationTimestamp: '' };
const deployment: Deployment = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { ...metadata, namespace: 'shop' },
  spec: { selector: {}, template: {} },
  status: {},
};

describe('paths', () => {
  const cases: [string, (client: Client) => Promise<unknown>, string][] = [
    ['core, namespaced', (client) => client.resource(Pod).namespace('a').get('x'), 'GET /api/v1/namespaces/a/pods/x'],
    ['core, cluster-scoped', (client) => client.resource(Node).get('n'), 'GET /api/v1/nodes/n'],
    ['a group', (client) => client.resource(Deployment).namespace('a').get('x'), 'GET /apis/apps/v1/namespaces/a/deployments/x'],
    ['all namespaces', (client) => client.resource(Pod).list(), 'GET /api/v1/pods'],
    [
      'names that need escaping',
      (client) => client.resource(ClusterRole).get('system:a/b'),
      'GET /apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Aa%2Fb',
    ],
    ['update', (client) => client.resource(Deployment).update(deployment), 'PUT /apis/apps/v1/namespaces/shop/deployments/web'],
    ['updateStatus', (client) => client.resource(Deployment).updateStatus(deployment), 'PUT /apis/apps/v1/namespaces/shop/deployments/web/status'],
    [
      'a subresource to post to',
      (client) => client.resource(Pod).namespace('a').createSubresource('x', 'binding', {}),
      'POST /api/v1/namespaces/a/pods/x/binding',
    ],
    [
      'a subresource to read',
      (client) => client.resource(Deployment).namespace('a').getSubresource('x', 'scale'),
      'GET /apis/apps/v1/namespaces/a/deployments/x/scale',
    ],
    [
      'a subresource to patch',
      (client) => client.resource(Pod).namespace('a').patch('x', {}, { subresource: 'status' }),
      'PATCH /api/v1/namespaces/a/pods/x/status',
    ],
    ['a collection to delete', (client) => client.resource(Pod).namespace('a').deleteCollection(), 'DELETE /api/v1/namespaces/a/pods'],
    [
      'create in the draft’s namespace',
      (client) => client.resource(ConfigMap).create({ metadata: { name: 'x', namespace: 'b' } }),
      'POST /api/v1/namespaces/b/configmaps',
    ],
  ];
  for (const [name, call, expected] of cases) {
    it(name, async () => {
      const { method, path } = await asked(call);
      assert.equal(`${method} ${path}`, expected);
    });
  }

  it('refuses to guess a namespace', async () => {
    const client = createClient(new RecordingTransport());
    await assert.rejects(client.resource(Pod).get('x'), /pods "x" needs a namespace/);
    await assert.rejects(client.resource(Pod).deleteCollection(), /pods needs a namespace/);
  });
});

describe('bodies and queries', () => {
  it('fills apiVersion and kind into drafts', async () => {
    const { body } = await asked((client) =>
      client
        .resource(Deployment)
        .namespace('a')
        .create({ metadata: { name: 'x' }, spec: { selector: {}, template: {} } }),
    );
    assert.deepEqual(body, { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'x' }, spec: { selector: {}, template: {} } });
  });

  it('names the content type of each patch', async () => {
    for (const [type, contentType] of [
      ['json', 'application/json-patch+json'],
      ['merge', 'application/merge-patch+json'],
      ['strategic', 'application/strategic-merge-patch+json'],
      ['apply', 'application/apply-patch+yaml'],
    ] as const) {
      const request = await asked((client) => client.resource(Node).patch('n', {}, { type, fieldManager: 'test' }));
      assert.equal(request.contentType, contentType);
      assert.equal(request.query?.['fieldManager'], 'test');
    }
  });

  it('sends an apply whole, and by force where asked', async () => {
    const request = await asked((client) =>
      client.resource(Node).patch('n', { metadata: { labels: {} } }, { type: 'apply', fieldManager: 'test', force: true }),
    );
    assert.deepEqual(request.query, { fieldManager: 'test', force: 'true' });
    assert.deepEqual(request.body, { apiVersion: 'v1', kind: 'Node', metadata: { labels: {} } });
  });

  it('sends delete options as a body, and none when there are none', async () => {
    const plain = await asked((client) => client.resource(Node).delete('n'));
    assert.equal(plain.body, undefined);
    const options = { gracePeriodSeconds: 0, propagationPolicy: 'Foreground', preconditions: { uid: 'u' }, dryRun: true } as const;
    const request = await asked((client) => client.resource(Node).delete('n', options));
    assert.deepEqual(request.body, {
      apiVersion: 'v1',
      kind: 'DeleteOptions',
      gracePeriodSeconds: 0,
      propagationPolicy: 'Foreground',
      preconditions: { uid: 'u' },
      dryRun: ['All'],
    });
  });

  it('passes list options on', async () => {
    const request = await asked((client) =>
      client.resource(Pod).list({ labelSelector: 'a=b', fieldSelector: 'spec.nodeName=n', limit: 5, continue: 'token', resourceVersion: '0' }),
    );
    assert.deepEqual(request.query, { labelSelector: 'a=b', fieldSelector: 'spec.nodeName=n', limit: '5', continue: 'token', resourceVersion: '0' });
  });

  it('asks for a watch', async () => {
    const transport = new RecordingTransport();
    const events = createClient(transport).resource(Pod).watch({ resourceVersion: '7', allowWatchBookmarks: true, timeoutSeconds: 60 });
    for await (const event of events) assert.fail(`unexpected ${event.type}`);
    assert.deepEqual(transport.requests[0]?.query, { resourceVersion: '7', watch: '1', allowWatchBookmarks: 'true', timeoutSeconds: '60' });
  });

  it('gives list items their apiVersion and kind', async () => {
    const transport = new RecordingTransport();
    transport.answer = { apiVersion: 'apps/v1', kind: 'DeploymentList', metadata: { resourceVersion: '7' }, items: [{ metadata }] };
    const list = await createClient(transport).resource(Deployment).list();
    const [item]: KubeObject[] = list.items;
    assert.deepEqual([item?.apiVersion, item?.kind], ['apps/v1', 'Deployment']);
  });
});
