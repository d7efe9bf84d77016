import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { KubeObject, OwnerReference } from '../../machinery/object.ts';
import { type Action, type OwnerState, decide } from './decide.ts';

interface Traits {
  readonly owners?: readonly string[];
  readonly leaving?: boolean;
  readonly finalizers?: string[];
  readonly block?: boolean;
}

function thing(uid: string, { owners = [], leaving = false, finalizers, block = true }: Traits = {}): KubeObject {
  const ownerReferences = owners.map((owner): OwnerReference => ({
    apiVersion: 'v1',
    kind: 'Thing',
    name: owner,
    uid: owner,
    blockOwnerDeletion: block,
  }));
  return {
    apiVersion: 'v1',
    kind: 'Thing',
    metadata: {
      name: uid,
      uid,
      resourceVersion: '1',
      creationTimestamp: '2026-01-01T00:00:00Z',
      ownerReferences,
      ...(leaving && { deletionTimestamp: '2026-01-01T00:00:00Z' }),
      ...(finalizers && { finalizers }),
    },
  };
}

const foreground: Traits = { leaving: true, finalizers: ['foregroundDeletion'] };

describe('garbage collection', () => {
  const cases: readonly [string, object: KubeObject, owners: Record<string, OwnerState>, dependents: readonly KubeObject[], Action][] = [
    ['keeps what has no owner', thing('x'), {}, [], { type: 'keep' }],
    ['keeps what has an owner', thing('x'), { a: 'there' }, [], { type: 'keep' }],
    ['keeps what may have an owner', thing('x'), { a: 'unknown' }, [], { type: 'keep' }],
    ['deletes what lost its owner', thing('x'), { a: 'absent' }, [], { type: 'delete', policy: 'Background', unblock: false }],
    ['deletes only when all are lost', thing('x'), { a: 'absent', b: 'there' }, [], { type: 'drop-owners', uids: ['a'] }],
    ['orphans what asks for it', thing('x', { finalizers: ['orphan'] }), { a: 'absent' }, [], { type: 'delete', policy: 'Orphan', unblock: false }],
    ['leaves alone what is going already', thing('x', { leaving: true }), { a: 'absent' }, [], { type: 'keep' }],
    ['deletes what a leaving owner waits for', thing('x'), { a: 'waiting' }, [], { type: 'delete', policy: 'Background', unblock: false }],
    ['passes foreground deletion on', thing('x'), { a: 'waiting' }, [thing('y')], { type: 'delete', policy: 'Foreground', unblock: false }],
    ['breaks a circle', thing('x'), { a: 'waiting' }, [thing('a', foreground)], { type: 'delete', policy: 'Foreground', unblock: true }],
  ];
  for (const [name, object, owners, dependents, expected] of cases) {
    it(name, () => assert.deepEqual(decide({ object, owners: new Map(Object.entries(owners)), dependents }), expected));
  }

  it('in foreground deletion waits for those that block, and for no others', () => {
    const blocking = thing('y', { owners: ['x'] });
    const other = thing('z', { owners: ['x'], block: false });
    const facts = { object: thing('x', foreground), owners: new Map<string, OwnerState>() };
    assert.deepEqual(decide({ ...facts, dependents: [blocking, other] }), { type: 'await-dependents', dependents: [blocking] });
    assert.deepEqual(decide({ ...facts, dependents: [other] }), { type: 'drop-finalizer', finalizer: 'foregroundDeletion' });
  });

  it('lets go of dependents before an orphaning owner goes', () => {
    const facts = { object: thing('x', { leaving: true, finalizers: ['orphan'] }), owners: new Map<string, OwnerState>() };
    const dependent = thing('y', { owners: ['x'] });
    assert.deepEqual(decide({ ...facts, dependents: [dependent] }), { type: 'orphan-dependents', dependents: [dependent] });
    assert.deepEqual(decide({ ...facts, dependents: [] }), { type: 'drop-finalizer', finalizer: 'orphan' });
  });
});
