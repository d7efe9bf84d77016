import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { EndpointSlice, Ingress, Node } from '../api/kinds.ts';
import { pointsOf, saysSo, servingSlice, slicesOfNobody } from './serving-slice.ts';

const metadata = { uid: 'u', resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' };

function node(name: string, ready = 'True'): Node {
  return { apiVersion: 'v1', kind: 'Node', metadata: { ...metadata, name }, spec: {}, status: { conditions: [{ type: 'Ready', status: ready }] } };
}

function slice(nodeName: string, address: string, http: number | undefined, https: number | undefined): EndpointSlice {
  return servingSlice(nodeName, address, { http, https }) as EndpointSlice;
}

it('Ingresses are reached at the nodes that serve and are ready, in order', () => {
  const slices = [
    slice('b', '10.0.0.2', 80, 443),
    slice('a', '10.0.0.1', 80, 443),
    slice('c', '10.0.0.3', 80, 443),
    slice('gone', '10.0.0.4', 80, 443),
  ];
  assert.deepEqual(pointsOf(slices, [node('a'), node('b'), node('c', 'Unknown')]), [{ ip: '10.0.0.1' }, { ip: '10.0.0.2' }]);
  assert.deepEqual(
    slicesOfNobody(slices, [node('a'), node('b'), node('c')]).map(({ metadata: { name } }) => name),
    ['k8ts-ingress-gone'],
  );
});

it('ports are told where they are not the usual ones', () => {
  assert.deepEqual(pointsOf([slice('a', '10.0.0.1', 8080, 443)], [node('a')]), [{ ip: '10.0.0.1', ports: [{ port: 8080, protocol: 'TCP' }] }]);
  assert.deepEqual(slice('a', '10.0.0.1', undefined, 443).ports, [{ name: 'https', port: 443, protocol: 'TCP' }]);
  assert.equal(slice('a', 'fd00::1', 80, 443).addressType, 'IPv6');
});

it('a status that says so is left alone', () => {
  const ingress: Ingress = {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'Ingress',
    metadata: { ...metadata, name: 'i', namespace: 'd' },
    spec: {},
    status: {},
  };
  assert.equal(saysSo(ingress, []), true);
  assert.equal(saysSo(ingress, [{ ip: '10.0.0.1' }]), false);
  assert.equal(saysSo({ ...ingress, status: { loadBalancer: { ingress: [{ ip: '10.0.0.1' }] } } }, [{ ip: '10.0.0.1' }]), true);
});
