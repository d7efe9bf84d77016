import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { IPAddress, ServiceCIDR } from '../../api/kinds.ts';
import { finalizer, type Plan, planServiceCidr } from './plan.ts';

const nowMs = Date.parse('2026-01-01T00:01:00Z');

interface Given {
  readonly name?: string;
  readonly cidrs?: string[];
  readonly finalizers?: string[];
  readonly deleted?: string;
  readonly ready?: 'True' | 'False';
}

function range({ name = 'own', cidrs = ['10.0.0.0/24'], finalizers = [finalizer], deleted, ready = 'True' }: Given): ServiceCIDR {
  const lastTransitionTime = '2026-01-01T00:00:00Z';
  const condition = { type: 'Ready', status: ready, reason: ready === 'True' ? '' : 'Terminating', message: '', lastTransitionTime };
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'ServiceCIDR',
    metadata: {
      name,
      uid: 'u',
      resourceVersion: '1',
      creationTimestamp: lastTransitionTime,
      finalizers,
      ...(deleted !== undefined && { deletionTimestamp: deleted }),
    },
    spec: { cidrs },
    status: { conditions: [condition] },
  };
}

function address(name: string, managedBy = 'ipallocator.k8s.io'): IPAddress {
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'IPAddress',
    metadata: {
      name,
      uid: 'u',
      resourceVersion: '1',
      creationTimestamp: '2026-01-01T00:00:00Z',
      labels: { 'ipaddress.kubernetes.io/managed-by': managedBy },
    },
    spec: { parentRef: { resource: 'services', namespace: 'a', name: 's' } },
  };
}

const longAgo = '2026-01-01T00:00:00Z';
const cases: readonly { name: string; own: Given; others?: Given[]; addresses?: IPAddress[]; plan: Plan }[] = [
  { name: 'one without its finalizer is protected first', own: { finalizers: ['x'], ready: 'False' }, plan: { action: 'protect' } },
  { name: 'one that is protected is made ready', own: { ready: 'False' }, plan: { action: 'setReady' } },
  { name: 'one that is ready is left alone', own: {}, addresses: [address('10.0.0.1')], plan: { action: 'none' } },
  { name: 'a deleted one without addresses goes', own: { deleted: longAgo }, addresses: [address('10.0.1.1')], plan: { action: 'letGo' } },
  { name: 'but not at once', own: { deleted: '2026-01-01T00:00:55Z' }, plan: { action: 'wait', ms: 5_000 } },
  { name: 'one in use stays, and says so', own: { deleted: longAgo }, addresses: [address('10.0.0.1')], plan: { action: 'setTerminating' } },
  { name: 'and says so once', own: { deleted: longAgo, ready: 'False' }, addresses: [address('10.0.0.1')], plan: { action: 'none' } },
  { name: 'addresses of other makers do not hold it', own: { deleted: longAgo }, addresses: [address('10.0.0.1', 'x')], plan: { action: 'letGo' } },
  {
    name: 'a wider range takes its addresses over',
    own: { deleted: longAgo },
    others: [{ name: 'wide', cidrs: ['10.0.0.0/16'] }],
    addresses: [address('10.0.0.1')],
    plan: { action: 'letGo' },
  },
  {
    name: 'a narrower one does if it has all of them',
    own: { deleted: longAgo },
    others: [{ name: 'narrow', cidrs: ['10.0.0.0/30'] }],
    addresses: [address('10.0.0.1')],
    plan: { action: 'letGo' },
  },
  {
    name: 'a narrower one that lacks one does not',
    own: { deleted: longAgo },
    others: [{ name: 'narrow', cidrs: ['10.0.0.0/30'] }],
    addresses: [address('10.0.0.1'), address('10.0.0.9')],
    plan: { action: 'setTerminating' },
  },
  {
    name: 'nor does one that is going itself, or is not ready',
    own: { deleted: longAgo },
    others: [
      { name: 'wide', cidrs: ['10.0.0.0/16'], deleted: longAgo },
      { name: 'new', cidrs: ['10.0.0.0/16'], ready: 'False' },
    ],
    addresses: [address('10.0.0.1')],
    plan: { action: 'setTerminating' },
  },
  {
    name: 'of two families each counts',
    own: { cidrs: ['10.0.0.0/24', 'fd00::/64'], deleted: longAgo },
    others: [{ name: 'four', cidrs: ['10.0.0.0/16'] }],
    addresses: [address('fd00::5')],
    plan: { action: 'setTerminating' },
  },
];
for (const { name, own, others = [], addresses = [], plan } of cases) {
  test(name, () => {
    const object = range(own);
    assert.deepEqual(planServiceCidr(object, [object, ...others.map(range)], addresses, nowMs), plan);
  });
}
