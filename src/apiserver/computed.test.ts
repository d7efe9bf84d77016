import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type PodMetrics, PodMetrics as Kind } from '../api/kinds/resource-metrics.ts';
import { isReason } from '../machinery/errors.ts';
import { simulatedWorld } from '../world/simulated.ts';
import { memoryStore } from '../store/memory.ts';
import { answerComputedKind, type ComputedKind } from './computed.ts';
import { createApiServer } from './create-api-server.ts';
import type { InProcessConnection } from './api-server.ts';
import type { Answer, Call, RequestVerb } from './request.ts';
import { generateKeyPairSync } from 'node:crypto';

function metrics(namespace: string, name: string): PodMetrics {
  return {
    kind: 'PodMetrics',
    apiVersion: 'metrics.k8s.io/v1beta1',
    metadata: { name, namespace, uid: '', resourceVersion: '', creationTimestamp: '2026-01-01T00:00:00Z', labels: { app: name } },
    timestamp: '2026-01-01T00:00:00Z',
    window: '15s',
    containers: [{ name: 'c', usage: { cpu: '250m', memory: '64Mi' } }],
  };
}

const all = [metrics('b', 'web'), metrics('a', 'web'), metrics('a', 'api')];
const computed: ComputedKind<PodMetrics> = {
  kind: Kind,
  read: (namespace, name) =>
    all.filter(({ metadata }) => (namespace ?? metadata.namespace) === metadata.namespace && (name ?? metadata.name) === metadata.name),
};

function call(verb: RequestVerb, namespace: string | undefined, name: string | undefined, query = ''): Promise<Answer> {
  const target = { group: Kind.group, version: Kind.version, resource: 'pods', namespace, name, subresource: undefined, rest: '' };
  const asked: Call = {
    verb,
    target,
    user: { name: 'jane', uid: '', groups: [], extra: {} },
    query: new URLSearchParams(query),
    body: undefined,
    contentType: '',
    userAgent: '',
    signal: new AbortController().signal,
    warnings: [],
  };
  return answerComputedKind(computed, asked);
}

async function names(namespace: string | undefined, query = ''): Promise<string[]> {
  const answer = await call('list', namespace, undefined, query);
  assert.equal(answer.type, 'list');
  return answer.items.map(({ object: { metadata } }) => `${metadata.namespace ?? ''}/${metadata.name}`);
}

describe('a computed kind', () => {
  it('is listed in order, by namespace and selectors', async () => {
    assert.deepEqual(await names(undefined), ['a/api', 'a/web', 'b/web']);
    assert.deepEqual(await names('a', 'labelSelector=app%3Dweb'), ['a/web']);
    assert.deepEqual(await names(undefined, 'fieldSelector=metadata.namespace!%3Da,metadata.name%3Dweb'), ['b/web']);
    await assert.rejects(names(undefined, 'fieldSelector=spec.x%3D1'), { message: 'field label not supported: spec.x' });
    await assert.rejects(names(undefined, 'labelSelector=((('), (error) => isReason(error, 'BadRequest'));
  });

  it('is read by name', async () => {
    const answer = await call('get', 'b', 'web');
    assert.ok(answer.type === 'object' && answer.object.metadata.namespace === 'b');
    await assert.rejects(call('get', 'b', 'nosuch'), { message: 'podmetrics.metrics.k8s.io "b/nosuch" not found' });
  });

  it('is not written', async () => {
    for (const verb of ['create', 'update', 'patch', 'delete', 'watch'] as const) {
      await assert.rejects(call(verb, 'a', 'web'), (error) => isReason(error, 'MethodNotAllowed'));
    }
  });

  it('is served like any other', async () => {
    const world = simulatedWorld(1);
    const { privateKey } = generateKeyPairSync('ec', {
      namedCurve: 'P-256',
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
      publicKeyEncoding: { type: 'spki', format: 'pem' },
    });
    const store = memoryStore({ clock: world.clock });
    const server = await createApiServer({
      world,
      store,
      serviceCidr: '10.96.0.0/16',
      nodePortRange: { from: 30_000, to: 32_767 },
      serviceAccountKey: privateKey,
      serviceAccountIssuer: 'https://test',
      staticTokens: new Map(),
      clientCa: '',
      computedKinds: [computed],
    });
    const connection: InProcessConnection = server.connect({ name: 'admin', uid: '', groups: ['system:masters'], extra: {} });
    const get = (path: string): Promise<unknown> => connection.request({ method: 'GET', path });
    const discovery = (await get('/apis/metrics.k8s.io/v1beta1')) as { resources: { name: string; verbs: string[] }[] };
    assert.deepEqual(
      discovery.resources.map(({ name, verbs }) => [name, verbs]),
      [['pods', ['get', 'list']]],
    );
    const list = (await get('/apis/metrics.k8s.io/v1beta1/namespaces/b/pods')) as { kind: string; items: PodMetrics[] };
    assert.deepEqual([list.kind, list.items], ['PodMetricsList', [all[0]]]);
    const nobody = server.connect({ name: 'nobody', uid: '', groups: [], extra: {} });
    await assert.rejects(nobody.request({ method: 'GET', path: '/apis/metrics.k8s.io/v1beta1/pods' }), (error) => isReason(error, 'Forbidden'));
    await server.close();
    await store.close();
  });
});
