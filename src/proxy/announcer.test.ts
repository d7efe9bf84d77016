import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { EndpointSlice, Node, Service } from '../api/kinds.ts';
import type { V1ServiceSpec } from '../api/types.ts';
import { announcedBy } from './announcer.ts';

const created = { uid: 'u', resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' };

function node(name: string, ready = true, labels: Record<string, string> = {}): Node {
  const conditions = [{ type: 'Ready', status: ready ? 'True' : 'False' }];
  const addresses = [{ type: 'InternalIP', address: `192.0.2.${name.charCodeAt(0)}` }];
  return { apiVersion: 'v1', kind: 'Node', metadata: { name, labels, ...created }, spec: {}, status: { conditions, addresses } };
}

function balancer(ip: string, spec: V1ServiceSpec = {}): Service {
  const metadata = { name: ip.replaceAll('.', '-'), namespace: 'shop', ...created };
  return { apiVersion: 'v1', kind: 'Service', metadata, spec: { type: 'LoadBalancer', ...spec }, status: { loadBalancer: { ingress: [{ ip }] } } };
}

const holders = (services: readonly Service[], nodes: readonly Node[], slices: readonly EndpointSlice[] = []): string[] =>
  nodes.flatMap(({ metadata: { name } }) => [...announcedBy(name, services, nodes, () => slices)].map((ip) => `${ip} ${name}`));

test('each address has one node, and keeps it when another goes', () => {
  const names = ['a', 'b', 'c', 'd'];
  fc.assert(
    fc.property(fc.uniqueArray(fc.integer({ min: 1, max: 254 }), { minLength: 1, maxLength: 8 }), fc.constantFrom(...names), (octets, gone) => {
      const services = octets.map((octet) => balancer(`198.51.100.${octet}`));
      const all = holders(
        services,
        names.map((name) => node(name)),
      );
      assert.equal(all.length, octets.length);
      assert.equal(new Set(all.map((line) => line.split(' ')[0])).size, octets.length);
      const left = holders(
        services,
        names.map((name) => node(name, name !== gone)),
      );
      assert.equal(left.length, octets.length);
      for (const line of all) if (!line.endsWith(` ${gone}`)) assert(left.includes(line), line);
    }),
    { numRuns: 50 },
  );
});

test('nodes’ own addresses, other proxies’ and other types’ are left alone', () => {
  const other: Service = { ...balancer('198.51.100.1'), status: { loadBalancer: { ingress: [{ ip: '198.51.100.1', ipMode: 'Proxy' }] } } };
  assert.deepEqual(holders([balancer('192.0.2.97'), other, balancer('198.51.100.2', { type: 'ClusterIP' })], [node('a')]), []);
});

test('a node that is kept out of balancers holds none, and with Local only one with an endpoint does', () => {
  const excluded = node('a', true, { 'node.kubernetes.io/exclude-from-external-load-balancers': '' });
  assert.deepEqual(holders([balancer('198.51.100.1')], [excluded, node('b')]), ['198.51.100.1 b']);
  const slice: EndpointSlice = {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: 's', namespace: 'shop', ...created },
    addressType: 'IPv4',
    endpoints: [{ addresses: ['10.244.0.5'], conditions: { ready: true }, nodeName: 'c' }],
  };
  const local = balancer('198.51.100.1', { externalTrafficPolicy: 'Local' });
  assert.deepEqual(holders([local], [node('a'), node('b'), node('c')], [slice]), ['198.51.100.1 c']);
});
