import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { EndpointSlice, Service } from '../api/kinds.ts';
import type { V1Endpoint, V1ServiceSpec } from '../api/types.ts';
import { endpointsOf } from './backends.ts';

const metadata = { name: 'web', namespace: 'default', uid: 'u', resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' };

function service(spec: V1ServiceSpec): Service {
  return { apiVersion: 'v1', kind: 'Service', metadata, spec, status: {} };
}

function slice(endpoints: V1Endpoint[], ports = [{ name: 'http', port: 8080 }]): EndpointSlice {
  return { apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice', metadata, addressType: 'IPv4', endpoints, ports };
}

const web = service({ ports: [{ name: 'http', port: 80 }] });
const ask = (port: string | number, of: Service | undefined, ...slices: EndpointSlice[]): unknown =>
  endpointsOf({ namespace: 'default', service: 'web', port }, of, slices);

it('a port is found by name or number, and leads to the ready addresses', () => {
  const slices = [
    slice([
      { addresses: ['10.0.0.1'], conditions: { ready: true } },
      { addresses: ['10.0.0.2'], conditions: { ready: false } },
    ]),
    slice([{ addresses: ['10.0.0.3'] }, { addresses: ['10.0.0.1'] }]),
  ];
  const expected = [
    { host: '10.0.0.1', port: 8080 },
    { host: '10.0.0.3', port: 8080 },
  ];
  assert.deepEqual(ask(80, web, ...slices), expected);
  assert.deepEqual(ask('http', web, ...slices), expected);
});

it('what is not there is told from what is not ready', () => {
  assert.equal(ask(80, undefined), undefined);
  assert.equal(ask(81, web), undefined);
  assert.equal(ask('https', web), undefined);
  assert.deepEqual(ask(80, web), []);
  assert.deepEqual(ask(80, web, slice([{ addresses: ['10.0.0.1'], conditions: { ready: false } }])), []);
});

it('a name outside the cluster is reached by its name', () => {
  const outside = service({ type: 'ExternalName', externalName: 'example.org' });
  assert.deepEqual(ask(8080, outside), [{ host: 'example.org', port: 8080 }]);
  assert.equal(ask('http', outside), undefined);
});
