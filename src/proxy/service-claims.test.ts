import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Service } from '../api/kinds.ts';
import type { V1ServiceSpec } from '../api/types.ts';
import { claimKey, ServiceClaims } from './service-claims.ts';

const created = { uid: 'u', resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' };
const service = (spec: V1ServiceSpec): Service => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'x', namespace: 'shop', ...created },
  spec: { ports: [{ port: 80 }], ...spec },
  status: {},
});
const outside = service({ clusterIP: 'None', clusterIPs: ['None'], externalIPs: ['10.96.0.7'] });
const inside = service({ clusterIPs: ['10.96.0.7'] });
const key = claimKey('10.96.0.7', 'tcp', 80);

test('among equals the first by name has the address, whoever came first, and the other has it afterwards', () => {
  const claims = new ServiceClaims();
  assert.deepEqual(claims.set('shop/b', outside), new Set());
  assert(claims.isOwner('shop/b', key));
  assert.deepEqual(claims.set('shop/a', outside), new Set(['shop/b']));
  assert(claims.isOwner('shop/a', key) && !claims.isOwner('shop/b', key));
  assert.deepEqual(claims.set('shop/a', outside), new Set());
  assert.deepEqual(claims.set('shop/a', undefined), new Set(['shop/b']));
  assert(claims.isOwner('shop/b', key));
});

test('nobody takes a cluster IP by naming it as an external one', () => {
  const claims = new ServiceClaims();
  claims.set('shop/a', outside);
  assert.deepEqual(claims.set('shop/b', inside), new Set(['shop/a']));
  assert(claims.isOwner('shop/b', key));
  assert.equal(claims.isOwner('shop/a', claimKey('10.96.0.7', 'udp', 80)), false);
});
