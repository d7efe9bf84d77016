import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EndpointSlice, Service } from '../api/kinds.ts';
import type { V1Endpoint, V1ServiceSpec } from '../api/types.ts';
import { lookUp, type ZoneSource } from './records.ts';

const created = { uid: 'u', resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' };

function service(name: string, spec: V1ServiceSpec): Service {
  return { apiVersion: 'v1', kind: 'Service', metadata: { name, namespace: 'shop', ...created }, spec, status: {} };
}

function slice(serviceName: string, endpoints: V1Endpoint[]): EndpointSlice {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: `${serviceName}-1`, namespace: 'shop', labels: { 'kubernetes.io/service-name': serviceName }, ...created },
    addressType: 'IPv4',
    ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
    endpoints,
  };
}

const services = [
  service('web', { clusterIP: '10.96.0.7', clusterIPs: ['10.96.0.7'], ports: [{ name: 'http', port: 80, protocol: 'TCP' }] }),
  service('db', { clusterIP: 'None', clusterIPs: ['None'], ports: [{ name: 'http', port: 80, protocol: 'TCP' }] }),
  service('early', { clusterIP: 'None', publishNotReadyAddresses: true }),
  service('empty', { clusterIP: 'None' }),
  service('outer', { type: 'ExternalName', externalName: 'example.com' }),
];
const slices = [
  slice('db', [
    { addresses: ['10.244.0.5'], hostname: 'db-0', conditions: { ready: true } },
    { addresses: ['10.244.0.6'], conditions: { ready: true } },
    { addresses: ['10.244.0.7'], conditions: { ready: false } },
  ]),
  slice('early', [{ addresses: ['10.244.0.9'], conditions: { ready: false } }]),
];
const source: ZoneSource = {
  service: (namespace, name) => services.find(({ metadata }) => metadata.namespace === namespace && metadata.name === name),
  slices: (namespace, name) =>
    slices.filter(({ metadata }) => metadata.namespace === namespace && metadata.labels?.['kubernetes.io/service-name'] === name),
  hasNamespace: (namespace) => namespace === 'shop',
  servicesByIp: (address) => services.filter(({ spec }) => spec.clusterIP === address),
  slicesByAddress: (address) => slices.filter(({ endpoints }) => endpoints?.some(({ addresses }) => addresses.includes(address))),
};

const cases: readonly (readonly [name: string, expect: readonly string[] | string])[] = [
  ['web.shop.svc.cluster.local', ['A 10.96.0.7', 'SRV web.shop.svc.cluster.local:80']],
  ['_http._tcp.web.shop.svc.cluster.local', ['SRV web.shop.svc.cluster.local:80']],
  ['_http._udp.web.shop.svc.cluster.local', 'no-such-name'],
  ['db.shop.svc.cluster.local', ['A 10.244.0.5', 'A 10.244.0.6']],
  ['db-0.db.shop.svc.cluster.local', ['A 10.244.0.5']],
  ['10-244-0-6.db.shop.svc.cluster.local', ['A 10.244.0.6']],
  ['db-1.db.shop.svc.cluster.local', 'no-such-name'],
  ['_http._tcp.db.shop.svc.cluster.local', ['SRV db-0.db.shop.svc.cluster.local:8080', 'SRV 10-244-0-6.db.shop.svc.cluster.local:8080']],
  ['early.shop.svc.cluster.local', ['A 10.244.0.9']],
  ['empty.shop.svc.cluster.local', 'no-such-name'],
  ['10-244-0-6.shop.pod.cluster.local', ['A 10.244.0.6']],
  ['fd00--5.shop.pod.cluster.local', ['AAAA fd00::5']],
  ['10-244-0-600.shop.pod.cluster.local', 'no-such-name'],
  ['10-244-0-6.nowhere.pod.cluster.local', 'no-such-name'],
  ['outer.shop.svc.cluster.local', ['CNAME example.com']],
  ['nothing.shop.svc.cluster.local', 'no-such-name'],
  ['shop.svc.cluster.local', []],
  ['street.svc.cluster.local', 'no-such-name'],
  ['svc.cluster.local', []],
  ['cluster.local', []],
  ['dns-version.cluster.local', ['TXT 1.1.0']],
  ['10-244-0-5.shop.pod.cluster.local', ['A 10.244.0.5']],
  ['10-244-0-500.shop.pod.cluster.local', 'no-such-name'],
  ['10-244-0-5.street.pod.cluster.local', 'no-such-name'],
  ['7.0.96.10.in-addr.arpa', ['PTR web.shop.svc.cluster.local']],
  ['5.0.244.10.in-addr.arpa', ['PTR db-0.db.shop.svc.cluster.local']],
  ['1.2.3.4.in-addr.arpa', 'elsewhere'],
  ['example.com', 'elsewhere'],
  ['notcluster.local', 'elsewhere'],
];

for (const [name, expect] of cases) {
  test(`DNS: ${name} is ${typeof expect === 'string' ? expect : `[${expect.join(', ')}]`}`, () => {
    const result = lookUp(name, 'cluster.local', source);
    if (result.type !== 'records') {
      assert.equal(result.type, expect);
      return;
    }
    const shown = result.records.map((record) => {
      if ('address' in record) return `${record.type} ${record.address}`;
      if ('port' in record) return `${record.type} ${record.target}:${record.port}`;
      return `${record.type} ${'text' in record ? record.text : record.target}`;
    });
    assert.deepEqual(shown, expect);
  });
}
