import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ApiRequest, Transport } from '../../client/transport.ts';
import { notFoundPath } from '../../machinery/errors.ts';
import { parseLabelSelector } from '../../machinery/selector.ts';
import { externalMetric, objectMetric, podResources, podsMetric } from './metric-sources.ts';

/** A server of metrics that answers everything with this, and notes what it was asked. */
function server(answer: unknown): { readonly transport: Transport; readonly asked: ApiRequest[] } {
  const asked: ApiRequest[] = [];
  const transport: Transport = {
    shared: false,
    request(request) {
      asked.push(request);
      return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
    },
    watch: () => {
      throw new Error('metrics are not watched');
    },
    close: () => undefined,
  };
  return { transport, asked };
}

const web = parseLabelSelector('app=web');
const timestamp = '2026-01-01T00:00:00Z';
const values = (...all: string[]) => ({ items: all.map((value, index) => ({ describedObject: { name: `p${index}` }, timestamp, value })) });

describe('metrics are asked for', () => {
  it('of pods: what their containers use, all or one', async () => {
    const containers = [
      { name: 'main', usage: { cpu: '100m', memory: '1Mi' } },
      { name: 'helper', usage: { cpu: '20m', memory: '1Mi' } },
    ];
    const { transport, asked } = server({ items: [{ metadata: { name: 'p' }, timestamp, window: '15s', containers }] });
    const sample = { timestampMs: Date.parse(timestamp), windowMs: 15_000 };
    assert.deepEqual([...(await podResources(transport, 'a', web, 'cpu'))], [['p', { value: 120, ...sample }]]);
    assert.deepEqual([...(await podResources(transport, 'a', web, 'cpu', 'helper'))], [['p', { value: 20, ...sample }]]);
    assert.deepEqual([...(await podResources(transport, 'a', web, 'cpu', 'nobody'))], []);
    assert.deepEqual([asked[0]?.path, asked[0]?.query], ['/apis/metrics.k8s.io/v1beta1/namespaces/a/pods', { labelSelector: 'app=web' }]);
  });

  it('of pods: figures of their own', async () => {
    const { transport, asked } = server(values('1500m', '2'));
    const metric = { name: 'requests/s', selector: { matchLabels: { verb: 'GET' } } };
    const samples = await podsMetric(transport, 'a', web, metric);
    assert.deepEqual(
      [...samples].map(([name, { value, windowMs }]) => [name, value, windowMs]),
      [
        ['p0', 1500, 60_000],
        ['p1', 2000, 60_000],
      ],
    );
    assert.equal(asked[0]?.path, '/apis/custom.metrics.k8s.io/v1beta2/namespaces/a/pods/*/requests%2Fs');
    assert.deepEqual(asked[0]?.query, { labelSelector: 'app=web', metricLabelSelector: 'verb=GET' });
  });

  it('of objects: in a namespace, in none, and of a namespace itself', async () => {
    const { transport, asked } = server(values('3k'));
    const metric = { name: 'hits' };
    assert.equal(await objectMetric(transport, { namespace: 'a', resource: 'ingresses.networking.k8s.io', name: 'front' }, metric), 3_000_000);
    await objectMetric(transport, { namespace: undefined, resource: 'nodes', name: 'n' }, metric);
    await objectMetric(transport, { namespace: undefined, resource: 'namespaces', name: 'a' }, metric);
    const root = '/apis/custom.metrics.k8s.io/v1beta2';
    assert.deepEqual(
      asked.map(({ path }) => path),
      [`${root}/namespaces/a/ingresses.networking.k8s.io/front/hits`, `${root}/nodes/n/hits`, `${root}/namespaces/a/metrics/hits`],
    );
  });

  it('of what is outside: all its values together', async () => {
    const { transport, asked } = server(values('1', '2500m'));
    assert.equal(await externalMetric(transport, 'a', { name: 'queue', selector: { matchLabels: { q: 'x' } } }), 3_500);
    assert.deepEqual([asked[0]?.path, asked[0]?.query], ['/apis/external.metrics.k8s.io/v1beta1/namespaces/a/queue', { labelSelector: 'q=x' }]);
  });

  it('and it is said which API has nothing, or is not there', async () => {
    const nothing = server({ items: [] }).transport;
    await assert.rejects(podResources(nothing, 'a', web, 'cpu'), /^Error: no metrics returned from resource metrics API$/);
    await assert.rejects(podsMetric(nothing, 'a', web, { name: 'x' }), /^Error: no metrics returned from custom metrics API$/);
    await assert.rejects(externalMetric(nothing, 'a', { name: 'x' }), /^Error: no metrics returned from external metrics API$/);
    const absent = server(notFoundPath()).transport;
    await assert.rejects(
      externalMetric(absent, 'a', { name: 'x' }),
      /unable to fetch metrics from external metrics API: .* \(get x\.external\.metrics\.k8s\.io\)$/,
    );
  });
});
