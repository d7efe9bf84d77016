import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Pod, StatefulSet } from '../../api/kinds.ts';
import type { V1StatefulSetSpec } from '../../api/types.ts';
import { claimOwners, ordinalOf } from './identity.ts';
import { planStatefulSet } from './plan.ts';

const nowMs = Date.UTC(2026, 0, 2);
const before = '2026-01-01T00:00:00Z';

function set(spec: Partial<V1StatefulSetSpec> = {}): StatefulSet {
  return {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: { name: 'db', namespace: 'default', uid: 'set', resourceVersion: '1', creationTimestamp: before },
    spec: { replicas: 3, selector: {}, template: {}, updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: 0 } }, ...spec },
    status: { replicas: 0 },
  };
}

/** `0`: ready with the new revision; `0 old`, `0 unready`, `0 leaving`, `0 Failed`, `0 Pending` as they say. */
function pod(text: string): Pod {
  const [ordinal = '', ...traits] = text.split(' ');
  const has = (trait: string): boolean => traits.includes(trait);
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: `db-${ordinal}`,
      namespace: 'default',
      uid: ordinal,
      resourceVersion: '1',
      creationTimestamp: before,
      labels: { 'controller-revision-hash': has('old') ? 'db-old' : 'db-new' },
      ...(has('leaving') && { deletionTimestamp: before }),
    },
    spec: { containers: [] },
    status: {
      phase: has('Failed') ? 'Failed' : has('Pending') ? 'Pending' : 'Running',
      conditions: [{ type: 'Ready', status: has('unready') || has('Pending') ? 'False' : 'True', lastTransitionTime: before }],
    },
  };
}

function steps(spec: Partial<V1StatefulSetSpec>, ...pods: string[]): string[] {
  const plan = planStatefulSet({
    set: set(spec),
    pods: pods.map(pod),
    currentRevision: 'db-old',
    updateRevision: 'db-new',
    nowMs,
    waitsForClaims: (ordinal) => ordinal === 9,
    backsOff: (ordinal) => ordinal === 8,
  });
  return plan.flatMap((step) => {
    if (step.do === 'create') return [`create ${step.ordinal} ${step.revision}`];
    return step.do === 'delete' ? [`delete ${step.ordinal} ${step.why}`] : [];
  });
}

describe('steps of a stateful set', () => {
  const parallel = { podManagementPolicy: 'Parallel' };
  const rolling = (rollingUpdate: object) => ({ updateStrategy: { type: 'RollingUpdate', rollingUpdate } });
  const cases: readonly [string, Partial<V1StatefulSetSpec>, pods: string[], expected: string[]][] = [
    ['begins with the first', {}, [], ['create 0 db-new']],
    ['goes on when that is ready', {}, ['0'], ['create 1 db-new']],
    ['waits for it', {}, ['0 unready'], []],
    ['waits for one that leaves', {}, ['0 leaving', '1', '2'], []],
    ['fills a gap first', {}, ['0', '2'], ['create 1 db-new']],
    ['in parallel makes all at once', parallel, ['1 unready'], ['create 0 db-new', 'create 2 db-new']],
    [
      'makes no more in parallel than a good many',
      { ...parallel, ordinals: { start: 10 }, replicas: 2_147_483_647 },
      [],
      Array.from({ length: 500 }, (_, i) => `create ${i + 10} db-new`),
    ],
    ['waits for claims of an earlier pod', { ordinals: { start: 9 } }, [], []],
    ['replaces a failed pod', {}, ['0', '1 Failed', '2'], ['delete 1 failed']],
    ['not while it backs off', { ordinals: { start: 8 } }, ['8 Failed'], []],
    ['scales down from the highest', { replicas: 1 }, ['0', '1', '2'], ['delete 2 scaled']],
    ['scales down from the highest, sick ones below or not', { replicas: 1 }, ['0', '1 unready', '2'], ['delete 2 scaled']],
    ['scales down the sick one itself', { replicas: 2 }, ['0', '1', '2 unready'], ['delete 2 scaled']],
    ['in parallel scales down all at once', { ...parallel, replicas: 1 }, ['0', '1', '2 unready'], ['delete 2 scaled', 'delete 1 scaled']],
    ['updates from the highest', {}, ['0 old', '1 old', '2 old'], ['delete 2 updated']],
    ['one at a time', parallel, ['0 old', '1 old', '2 unready'], []],
    ['down to the partition', rolling({ partition: 2 }), ['0 old', '1 old', '2'], []],
    ['keeps the old revision below the partition', rolling({ partition: 2 }), ['0 old'], ['create 1 db-old']],
    ['counts the partition from the first ordinal', { ...rolling({ partition: 1 }), ordinals: { start: 5 } }, [], ['create 5 db-old']],
    [
      'as many at a time as may be unavailable',
      rolling({ partition: 0, maxUnavailable: 2 }),
      ['0 old', '1 old', '2 old'],
      ['delete 2 updated', 'delete 1 updated'],
    ],
    [
      'as many at a time as may be unavailable, those that are missing counted',
      { ...rolling({ partition: 0, maxUnavailable: 2 }), ...parallel, ordinals: { start: 9 }, replicas: 2_147_483_647 },
      ['10 old'],
      [],
    ],
    ['leaves updates to whoever deletes', { updateStrategy: { type: 'OnDelete' } }, ['0 old', '1 old', '2 old'], []],
  ];
  for (const [name, spec, pods, expected] of cases) it(name, () => assert.deepEqual(steps(spec, ...pods), expected));
});

describe('identity', () => {
  it('is the number at the end of the name', () => {
    assert.deepEqual(
      ['db-0', 'db-12', 'db-01', 'db-', 'other-1', 'my-db-1'].map((name) => ordinalOf('db', name)),
      [0, 12, undefined, undefined, undefined, undefined],
    );
  });
});

describe('owners of a claim', () => {
  const owners = (whenScaled: string, whenDeleted: string, condemned: boolean): (string | undefined)[] | undefined =>
    claimOwners(set({ persistentVolumeClaimRetentionPolicy: { whenScaled, whenDeleted } }), { metadata: {} }, pod('1'), condemned)?.map(
      ({ kind }) => kind,
    );
  it('are none when it is to stay', () =>
    assert.deepEqual([owners('Retain', 'Retain', false), owners('Retain', 'Retain', true)], [undefined, undefined]));
  it('are the set while it may go with that', () =>
    assert.deepEqual([owners('Retain', 'Delete', false), owners('Retain', 'Delete', true)], [['StatefulSet'], ['StatefulSet']]));
  it('are left alone when somebody else manages the claim', () => {
    const ownerReferences = [{ apiVersion: 'example.com/v1', kind: 'Disk', name: 'd', uid: 'd', controller: true }];
    const all = set({ persistentVolumeClaimRetentionPolicy: { whenScaled: 'Delete', whenDeleted: 'Delete' } });
    assert.equal(claimOwners(all, { metadata: { ownerReferences } }, pod('1'), true), undefined);
    assert.equal(claimOwners(all, { metadata: { ownerReferences } }, pod('1'), false), undefined);
  });
  it('are the pod when it goes with that', () =>
    assert.deepEqual([owners('Delete', 'Delete', true), owners('Delete', 'Retain', true)], [['Pod'], ['Pod']]));
});
