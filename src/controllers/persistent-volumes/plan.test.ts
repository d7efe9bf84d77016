import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { PersistentVolume, PersistentVolumeClaim, StorageClass } from '../../api/kinds.ts';
import { type ClaimPlan, defaultClass, planClaim } from './claim-plan.ts';
import { boundClaim, withBoundStatus, withoutVolume } from './claim-status.ts';
import { bindCompleted, boundByController, preResizeCapacity, provisionedBy, selectedNode } from './names.ts';
import { claimOf, classOf, volumeOf } from './test-objects.ts';
import { boundVolume, planReclaim, planVolume, unboundVolume } from './volume-plan.ts';

interface Cluster {
  readonly volumes?: PersistentVolume[];
  readonly classes?: StorageClass[];
  readonly pods?: string[];
}

function plan(claim: PersistentVolumeClaim, { volumes = [], classes = [], pods = [] }: Cluster = {}): ClaimPlan {
  return planClaim(claim, {
    volume: (name) => volumes.find(({ metadata }) => metadata.name === name),
    candidates: volumes,
    storageClass: (name) => classes.find(({ metadata }) => metadata.name === name),
    storageClasses: classes,
    waitingPods: pods,
  });
}

/** What the plan says in a few words: what it does, and of what, or why. */
function inWords(found: ClaimPlan): string {
  switch (found.do) {
    case 'bind':
      return `bind ${found.volume.metadata.name}`;
    case 'assign-class':
      return `assign ${found.className}`;
    case 'provision':
      return `provision by ${found.driver}`;
    case 'wait':
      return found.event ? `wait: ${found.event.reason}: ${found.event.message}` : 'wait';
    case 'lose':
      return `lose: ${found.event.reason}`;
  }
}

const gold = { storageClassName: 'gold' };
const late = classOf('gold', { volumeBindingMode: 'WaitForFirstConsumer' });
const byDefault = { 'storageclass.kubernetes.io/is-default-class': 'true' };
const ofAnother = { name: 'other', namespace: 'a', uid: 'x' };

describe('an unbound claim', () => {
  const cases: readonly (readonly [what: string, claim: PersistentVolumeClaim, world: Cluster, expected: string])[] = [
    ['takes a volume that suits', claimOf({}), { volumes: [volumeOf({})] }, 'bind v'],
    ['without a class is given the default one', claimOf({}), { classes: [classOf('gold', {}, byDefault)] }, 'assign gold'],
    [
      'that wants no class is given none',
      claimOf({ spec: { storageClassName: '' } }),
      { classes: [classOf('gold', {}, byDefault)] },
      'wait: FailedBinding: no persistent volumes available for this claim and no storage class is set',
    ],
    ['takes a volume rather than a default class', claimOf({}), { volumes: [volumeOf({})], classes: [classOf('gold', {}, byDefault)] }, 'bind v'],
    ['of a class has one made', claimOf({ spec: gold }), { classes: [classOf('gold')] }, 'provision by example.com/disks'],
    [
      'of a former built-in type has one made by its driver',
      claimOf({ spec: gold }),
      { classes: [classOf('gold', { provisioner: 'kubernetes.io/aws-ebs' })] },
      'provision by ebs.csi.aws.com',
    ],
    ['of an unknown class waits', claimOf({ spec: gold }), {}, 'wait: ProvisioningFailed: storageclass.storage.k8s.io "gold" not found'],
    [
      'of a class nobody makes volumes of waits',
      claimOf({ spec: gold }),
      { classes: [classOf('gold', { provisioner: 'kubernetes.io/no-provisioner' })] },
      'wait: ProvisioningFailed: no volume plugin matched name: kubernetes.io/no-provisioner',
    ],
    [
      'of a class that waits for pods waits for one',
      claimOf({ spec: gold }),
      { classes: [late], volumes: [volumeOf({ spec: gold })] },
      'wait: WaitForFirstConsumer: waiting for first consumer to be created before binding',
    ],
    [
      'says which pod it waits for',
      claimOf({ spec: gold }),
      { classes: [late], pods: ['p'] },
      'wait: WaitForPodScheduled: waiting for pod p to be scheduled',
    ],
    [
      'says which pods it waits for',
      claimOf({ spec: gold }),
      { classes: [late], pods: ['p', 'q'] },
      'wait: WaitForPodScheduled: waiting for pods p,q to be scheduled',
    ],
    [
      'whose node is chosen has a volume made',
      claimOf({ spec: gold, annotations: { [selectedNode]: 'n' } }),
      { classes: [late] },
      'provision by example.com/disks',
    ],
    [
      'for which the scheduler set a volume aside takes it',
      claimOf({ spec: gold }),
      { classes: [late], volumes: [volumeOf({ spec: { ...gold, claimRef: { name: 'c', namespace: 'a', uid: 'u' } } })] },
      'bind v',
    ],
    ['waits for the volume it names', claimOf({ spec: { volumeName: 'v' } }), {}, 'wait'],
    ['takes the volume it names', claimOf({ spec: { volumeName: 'v' } }), { volumes: [volumeOf({})] }, 'bind v'],
    [
      'is told why the volume it names does not do',
      claimOf({ size: '9Gi', spec: { volumeName: 'v' } }),
      { volumes: [volumeOf({})] },
      'wait: VolumeMismatch: Cannot bind to requested volume "v": requested PV is too small',
    ],
    [
      'waits while the volume it names is another’s',
      claimOf({ spec: { volumeName: 'v' } }),
      { volumes: [volumeOf({ spec: { claimRef: ofAnother } })] },
      'wait: FailedBinding: volume "v" already bound to a different claim.',
    ],
  ];
  for (const [what, claim, world, expected] of cases) it(what, () => assert.equal(inWords(plan(claim, world)), expected));

  it('that the controller gave a volume which is another’s is looked at again', () => {
    const claim = claimOf({ spec: { volumeName: 'v' }, annotations: { [boundByController]: 'yes' } });
    assert.throws(() => plan(claim, { volumes: [volumeOf({ spec: { claimRef: ofAnother } })] }), /which another claim has/);
  });
});

describe('a bound claim', () => {
  const annotations = { [bindCompleted]: 'yes' };
  const bound = claimOf({ annotations, spec: { volumeName: 'v' } });
  it('stays bound, also when its volume forgot it', () => {
    assert.equal(inWords(plan(bound, { volumes: [volumeOf({ spec: { claimRef: { name: 'c', namespace: 'a', uid: 'u' } } })] })), 'bind v');
    assert.equal(inWords(plan(bound, { volumes: [volumeOf({})] })), 'bind v');
  });
  it('is lost with its volume, and when another has it', () => {
    assert.equal(inWords(plan(bound)), 'lose: ClaimLost');
    assert.equal(inWords(plan(claimOf({ annotations }))), 'lose: ClaimLost');
    assert.equal(inWords(plan(bound, { volumes: [volumeOf({ spec: { claimRef: ofAnother } })] })), 'lose: ClaimMisbound');
  });
});

describe('the default class', () => {
  it('is the newest of those that say so, the first by name among equals', () => {
    const classes = [classOf('b', {}, byDefault, 1), classOf('a', {}, byDefault, 1), classOf('old', {}, byDefault, 0), classOf('new', {}, {}, 2)];
    assert.equal(defaultClass(classes)?.metadata.name, 'a');
    assert.equal(defaultClass([classOf('x')]), undefined);
  });
});

describe('a volume', () => {
  const claimRef = { name: 'c', namespace: 'a', uid: 'u' };
  const reserved = volumeOf({ spec: { claimRef } });
  const elsewhere = claimOf({ spec: { volumeName: 'w' } });
  const cases: readonly (readonly [what: string, volume: PersistentVolume, claim: PersistentVolumeClaim | undefined, expected: object])[] = [
    ['without a claim is free', volumeOf({}), undefined, { do: 'phase', phase: 'Available' }],
    [
      'set aside by the user is free for that claim',
      volumeOf({ spec: { claimRef: { name: 'c', namespace: 'a' } } }),
      undefined,
      { do: 'phase', phase: 'Available' },
    ],
    ['is bound with its claim', reserved, claimOf({ spec: { volumeName: 'v' } }), { do: 'phase', phase: 'Bound' }],
    ['wakes a claim that has not taken it yet', reserved, claimOf({}), { do: 'wake-claim' }],
    ['says that its mode is not what the claim wants', reserved, claimOf({ spec: { volumeMode: 'Block' } }), { do: 'mismatch' }],
    ['is given up when its claim took another', reserved, elsewhere, { do: 'unbind' }],
    [
      'made for a claim that took another is reclaimed',
      volumeOf({ annotations: { [provisionedBy]: 'x' }, spec: { claimRef, persistentVolumeReclaimPolicy: 'Delete' } }),
      elsewhere,
      { do: 'reclaim' },
    ],
    ['is reclaimed when its claim is gone', reserved, undefined, { do: 'reclaim' }],
  ];
  for (const [what, volume, claim, expected] of cases) it(what, () => assert.deepEqual(planVolume(volume, claim), expected));

  it('forgets a claim the controller chose, and keeps one the user wrote down', () => {
    const byController = unboundVolume(boundVolume(volumeOf({}), claimOf({})));
    assert.equal(byController.spec.claimRef, undefined);
    assert.deepEqual(byController.metadata.annotations, {});
    const byUser = unboundVolume(boundVolume(volumeOf({ spec: { claimRef: { name: 'c', namespace: 'a' } } }), claimOf({})));
    assert.equal(byUser.spec.claimRef?.name, 'c');
    assert.equal(byUser.spec.claimRef.uid, undefined);
  });

  it('is reclaimed as its policy says', () => {
    const reclaim = (spec: Partial<PersistentVolume['spec']>, annotations = {}): object => planReclaim(volumeOf({ spec, annotations }));
    const policy = { persistentVolumeReclaimPolicy: 'Delete' };
    assert.deepEqual(reclaim({}), { do: 'keep' });
    assert.deepEqual(reclaim({ ...policy }, { [provisionedBy]: 'disks.example.com' }), { do: 'leave-to-provisioner' });
    assert.deepEqual(reclaim({ ...policy, hostPath: { path: '/tmp/x' } }), { do: 'remove', path: '/tmp/x' });
    for (const path of ['/', '/tmp', '/tmp/', '/etc', '/tmp/../etc'])
      assert.deepEqual(reclaim({ ...policy, hostPath: { path } }), {
        do: 'fail',
        reason: 'VolumeFailedDelete',
        message: `host_path deleter only supports /tmp/.+ but received provided ${path}`,
      });
    const recycled = { persistentVolumeReclaimPolicy: 'Recycle' };
    assert.deepEqual(reclaim({ ...recycled, hostPath: { path: '/srv/x' } }), { do: 'recycle', path: '/srv/x' });
    assert.deepEqual(reclaim({ ...recycled, nfs: { path: '/', server: 's' } }), {
      do: 'fail',
      reason: 'VolumeFailedRecycle',
      message: 'No recycler plugin found for the volume!',
    });
    assert.deepEqual(reclaim({ ...policy, nfs: { path: '/', server: 's' } }), {
      do: 'fail',
      reason: 'VolumeFailedDelete',
      message: 'error getting deleter volume plugin for volume "v": no deletable volume plugin matched',
    });
  });
});

describe('binding', () => {
  it('is marked on both sides, and done only once', () => {
    const volume = boundVolume(volumeOf({}), claimOf({}));
    assert.equal(volume.metadata.annotations?.[boundByController], 'yes');
    assert.equal(boundVolume(volume, claimOf({})), volume);
    const claim = boundClaim(claimOf({}), volume);
    assert.deepEqual(claim.metadata.annotations, { [boundByController]: 'yes', [bindCompleted]: 'yes' });
    assert.equal(boundClaim(claim, volume), claim);
  });
  it('does not claim a choice that was the user’s', () => {
    assert.deepEqual(boundClaim(claimOf({ spec: { volumeName: 'v' } }), volumeOf({})).metadata.annotations, { [bindCompleted]: 'yes' });
  });
  it('gives the claim the size and attributes the volume had then, and leaves later changes alone', () => {
    const volume = volumeOf({ spec: { volumeAttributesClassName: 'fast' } });
    const claim = withBoundStatus(claimOf({}), volume);
    assert.deepEqual(claim.status, {
      phase: 'Bound',
      accessModes: ['ReadWriteOnce'],
      capacity: { storage: '5Gi' },
      currentVolumeAttributesClassName: 'fast',
    });
    const grown = volumeOf({ size: '8Gi', spec: { volumeAttributesClassName: 'slow' } });
    assert.equal(withBoundStatus(claim, grown), claim);
    const resizing = volumeOf({ size: '8Gi', annotations: { [preResizeCapacity]: '5Gi' } });
    assert.deepEqual(withBoundStatus(claimOf({}), resizing).status.capacity, { storage: '5Gi' });
    assert.deepEqual(withoutVolume(claim, 'Lost').status, { phase: 'Lost' });
  });
});
