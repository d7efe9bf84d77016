import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { PersistentVolume, PersistentVolumeClaim } from '../../api/kinds.ts';
import { preResizeCapacity } from '../persistent-volumes/names.ts';
import { claimOf, volumeOf } from '../persistent-volumes/test-objects.ts';
import { type ExpansionPlan, planExpansion } from './plan.ts';

const now = '2026-01-01T00:00:00Z';
const flex = { flexVolume: { driver: 'example.com/flex' } };
const bound = { phase: 'Bound', capacity: { storage: '1Gi' } };

function asking(size: string, status: PersistentVolumeClaim['status'] = bound): PersistentVolumeClaim {
  return claimOf({ size, status });
}

/** Carries plans out until nothing is left to do. */
function run(claim: PersistentVolumeClaim, volume: PersistentVolume): { steps: string[]; claim: PersistentVolumeClaim; volume: PersistentVolume } {
  const steps: string[] = [];
  for (;;) {
    const plan: ExpansionPlan = planExpansion(claim, volume, now);
    if (plan.do === 'nothing') return { steps, claim, volume };
    steps.push(plan.do);
    assert.ok(steps.length < 10, 'it never ends');
    if (plan.do === 'wait-for-driver') return { steps, claim, volume };
    if (plan.do === 'grow-volume') ({ volume } = plan);
    else claim = { ...claim, status: plan.status };
  }
}

describe('an expansion', () => {
  it('is nothing to do for a claim that has what it asks for, is not bound, or goes', () => {
    const volume = volumeOf({ size: '1Gi', spec: flex });
    assert.deepEqual(run(asking('1Gi'), volume).steps, []);
    assert.deepEqual(run(asking('2Gi', { phase: 'Pending' }), volume).steps, []);
    const leaving = asking('2Gi');
    assert.deepEqual(run({ ...leaving, metadata: { ...leaving.metadata, deletionTimestamp: now } }, volume).steps, []);
  });

  it("is the driver's where there is one", () => assert.deepEqual(run(asking('2Gi'), volumeOf({ size: '1Gi' })).steps, ['wait-for-driver']));

  it('goes through all states and ends where the node goes on', () => {
    const { steps, claim, volume } = run(asking('2Gi'), volumeOf({ size: '1Gi', spec: flex }));
    assert.deepEqual(steps, ['allocate', 'grow-volume', 'leave-to-node']);
    assert.deepEqual(volume.spec.capacity, { storage: '2Gi' });
    assert.equal(volume.metadata.annotations?.[preResizeCapacity], '1Gi');
    assert.deepEqual(claim.status.allocatedResourceStatuses, { storage: 'NodeResizePending' });
    assert.deepEqual(
      claim.status.conditions?.map(({ type, status }) => `${type}=${status}`),
      ['FileSystemResizePending=True'],
    );
    assert.deepEqual(claim.status.capacity, { storage: '1Gi' }, 'the node says when it is done');
  });

  it('begins with saying what it is about to do', () => {
    const plan = planExpansion(asking('2Gi'), volumeOf({ size: '1Gi', spec: flex }), now);
    assert.ok(plan.do === 'allocate');
    assert.deepEqual(plan.status.allocatedResources, { storage: '2Gi' });
    assert.deepEqual(plan.status.allocatedResourceStatuses, { storage: 'ControllerResizeInProgress' });
    assert.deepEqual(
      plan.status.conditions?.map(({ type }) => type),
      ['Resizing'],
    );
  });

  it('goes on from wherever it was interrupted, and does not shrink a volume when less is asked for', () => {
    const whole = run(asking('4Gi'), volumeOf({ size: '1Gi', spec: flex }));
    const again = { ...whole.claim, spec: asking('3Gi').spec };
    const lessened = run(again, whole.volume);
    assert.deepEqual(lessened.steps, ['allocate', 'leave-to-node']);
    assert.deepEqual(lessened.volume.spec.capacity, { storage: '4Gi' });
    assert.deepEqual(lessened.claim.status.allocatedResources, { storage: '3Gi' });
  });
});
