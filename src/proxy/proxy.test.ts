import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EndpointSlice, Service } from '../api/kinds.ts';
import { FakeTransport } from '../client/fake-transport.ts';
import { createInformers } from '../client/informers.ts';
import { createClient } from '../client/typed-client.ts';
import { simulatedWorld } from '../world/simulated.ts';
import { type Proxy, startProxy } from './proxy.ts';

const created = { uid: 'u', resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' };

interface Rig {
  readonly transport: FakeTransport;
  readonly world: ReturnType<typeof simulatedWorld>;
  readonly scripts: string[];
  /** Thrown by the next transactions. */
  readonly failures: Error[];
  readonly proxy: Proxy;
  /** Resolves with the next script that holds the text. */
  next(text: string): Promise<string>;
}

function setService(transport: FakeTransport, name: string, clusterIP: string, ...endpoints: string[]): void {
  const spec = { type: 'ClusterIP', clusterIP, clusterIPs: [clusterIP], ports: [{ port: 80, protocol: 'TCP' }] };
  const service: Service = { apiVersion: 'v1', kind: 'Service', metadata: { name, namespace: 'shop', ...created }, spec, status: {} };
  const slice: EndpointSlice = {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name, namespace: 'shop', labels: { 'kubernetes.io/service-name': name }, ...created },
    addressType: 'IPv4',
    ports: [{ name: '', port: 8080, protocol: 'TCP' }],
    endpoints: endpoints.map((address) => ({ addresses: [address] })),
  };
  transport.set(`/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices/${name}`, slice);
  transport.set(`/api/v1/namespaces/shop/services/${name}`, service);
}

async function withProxy(check: (rig: Rig) => Promise<void>): Promise<void> {
  const world = simulatedWorld(1);
  const transport = new FakeTransport();
  setService(transport, 'web', '10.96.0.7', '10.244.0.5');
  const informers = createInformers(createClient(transport), world);
  const scripts: string[] = [];
  const failures: Error[] = [];
  const waiting = new Set<{ readonly text: string; readonly resolve: (script: string) => void }>();
  const apply = async (script: string): Promise<void> => {
    await Promise.resolve();
    const failure = failures.shift();
    if (failure) throw failure;
    scripts.push(script);
    for (const one of waiting) if (script.includes(one.text) && waiting.delete(one)) one.resolve(script);
  };
  const proxy = startProxy({
    world,
    informers,
    table: 't',
    nodeName: 'here',
    clusterCidr: '10.244.0.0/16',
    nftables: { apply, close: () => Promise.resolve() },
    forget: () => Promise.resolve(),
    list: () => Promise.resolve([]),
  });
  try {
    await proxy.ready;
    await check({ world, transport, scripts, failures, proxy, next: (text) => new Promise((resolve) => waiting.add({ text, resolve })) });
  } finally {
    await proxy.close();
    informers.close();
  }
}

test('a change is one small script of what differs', () =>
  withProxy(async ({ transport, scripts, next }) => {
    assert.match(scripts.join(''), /^table ip t {}\ndelete table ip t\ntable ip t {/m);
    const change = next('10.96.0.8');
    setService(transport, 'more', '10.96.0.8', '10.244.0.6');
    assert.doesNotMatch(await change, /table ip t|10\.96\.0\.7|chain/);
  }));

test('when nft refuses, everything is written anew, and the proxy is not well until then', () =>
  withProxy(async ({ transport, failures, proxy, world, next }) => {
    failures.push(new Error('somebody took the table away'));
    const again = next('10.96.0.8 . tcp . 80 : goto');
    setService(transport, 'more', '10.96.0.8', '10.244.0.6');
    while (proxy.isHealthy()) await new Promise((resolve) => setImmediate(resolve));
    await world.advance(1_000);
    assert.match(await again, /^table ip t {}\ndelete table ip t\ntable ip t {[^]*10\.96\.0\.7 \. tcp \. 80 : goto/);
    assert.equal(proxy.isHealthy(), true);
    assert.equal(proxy.metrics.failures, 1);
  }));

test('tables that somebody took away are back within half a minute, though no Service changes', () =>
  withProxy(async ({ failures, world, next }) => {
    const looked = next('add chain ip t services\n');
    await world.advance(30_000);
    assert.equal(await looked, 'add chain ip t services\n');
    failures.push(new Error('no such table'));
    const again = next('table ip t {');
    await world.advance(32_000);
    assert.match(await again, /10\.96\.0\.7 \. tcp \. 80 : goto/);
  }));

test('who loses an address to another Service leaves it, and has it back when the other goes', () =>
  withProxy(async ({ transport, next }) => {
    const refused = next('no-endpoint-ips { 10.96.0.7 . tcp . 80 : goto refuse }');
    setService(transport, 'a', '10.96.0.7');
    assert.match(await refused, /delete element ip t service-ips { 10\.96\.0\.7 \. tcp \. 80 }/);
    const back = next('service-ips { 10.96.0.7 . tcp . 80 : goto service-tcp-1 }');
    transport.delete('/api/v1/namespaces/shop/services/a');
    assert.match(await back, /delete element ip t no-endpoint-ips { 10\.96\.0\.7 \. tcp \. 80 }/);
  }));
