import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { PersistentVolume, PersistentVolumeClaim } from '../../api/kinds.ts';
import { answers, bestVolume, mismatch } from './match.ts';
import { claimOf, volumeOf } from './test-objects.ts';

const best = (claim: PersistentVolumeClaim, volumes: PersistentVolume[], onlyReserved = false): string | undefined =>
  bestVolume(claim, volumes, onlyReserved)?.metadata.name;

describe('the best volume for a claim', () => {
  const claim = claimOf({ size: '2Gi' });
  it('is the smallest that is large enough', () => {
    const volumes = [volumeOf({ name: 'large', size: '10Gi' }), volumeOf({ name: 'right', size: '2Gi' }), volumeOf({ name: 'small', size: '1Gi' })];
    assert.equal(best(claim, volumes), 'right');
    assert.equal(best(claim, volumes.slice(2)), undefined);
  });
  it('is rather larger than it has access modes nobody asked for', () => {
    const shared = volumeOf({ name: 'shared', size: '2Gi', spec: { accessModes: ['ReadWriteOnce', 'ReadWriteMany'] } });
    assert.equal(best(claim, [shared, volumeOf({ name: 'plain', size: '5Gi' })]), 'plain');
    assert.equal(best(claim, [shared]), 'shared');
  });
  it('has the mode, the class, the labels and all access modes asked for', () => {
    const cases: readonly (readonly [PersistentVolumeClaim, Partial<PersistentVolume['spec']>])[] = [
      [claim, { volumeMode: 'Block' }],
      [claim, { storageClassName: 'gold' }],
      [claim, { accessModes: ['ReadOnlyMany'] }],
      [claim, { volumeAttributesClassName: 'fast' }],
      [claimOf({ spec: { storageClassName: 'gold' } }), {}],
      [claimOf({ spec: { selector: { matchLabels: { disk: 'ssd' } } } }), {}],
    ];
    for (const [asks, spec] of cases) assert.equal(best(asks, [volumeOf({ spec })]), undefined, JSON.stringify(spec));
    const labelled = volumeOf({ labels: { disk: 'ssd' } });
    assert.equal(best(claimOf({ spec: { selector: { matchLabels: { disk: 'ssd' } } } }), [labelled]), 'v');
  });
  it('is one set aside for it, whatever its class and labels, before any other', () => {
    const reserved = volumeOf({ name: 'reserved', size: '50Gi', spec: { storageClassName: 'gold', claimRef: { name: 'c', namespace: 'a' } } });
    assert.equal(best(claim, [volumeOf({ size: '2Gi' }), reserved]), 'reserved');
    assert.equal(best(claim, [volumeOf({ size: '2Gi' }), reserved], true), 'reserved');
    const tooSmall = volumeOf({ size: '1Gi', spec: { claimRef: { name: 'c', namespace: 'a' } } });
    assert.equal(best(claim, [tooSmall]), undefined);
  });
  it("is none that is another's, of an earlier claim of the name, not yet available or on its way out", () => {
    const taken = [
      volumeOf({ spec: { claimRef: { name: 'other', namespace: 'a' } } }),
      volumeOf({ spec: { claimRef: { name: 'c', namespace: 'a', uid: 'an earlier one' } } }),
      volumeOf({ phase: 'Pending' }),
      volumeOf({ phase: 'Released' }),
      volumeOf({ deletionTimestamp: '2026-01-01T00:00:00Z' }),
    ];
    for (const volume of taken) assert.equal(best(claim, [volume]), undefined, JSON.stringify(volume));
  });
  it('is left to the scheduler when the claim waits for its pod', () => assert.equal(best(claim, [volumeOf({})], true), undefined));
});

describe('a volume that a claim names', () => {
  it('is refused with the reason', () => {
    const claim = claimOf({ size: '2Gi' });
    const cases: readonly (readonly [PersistentVolume, string | undefined])[] = [
      [volumeOf({ size: '2Gi' }), undefined],
      [volumeOf({ size: '1Gi' }), 'requested PV is too small'],
      [volumeOf({ spec: { storageClassName: 'x' } }), 'storageClassName does not match'],
      [volumeOf({ spec: { volumeMode: 'Block' } }), 'incompatible volumeMode'],
      [volumeOf({ spec: { accessModes: ['ReadOnlyMany'] } }), 'incompatible accessMode'],
      [volumeOf({ spec: { volumeAttributesClassName: 'x' } }), 'volumeAttributesClassName does not match'],
      [volumeOf({ deletionTimestamp: '2026-01-01T00:00:00Z' }), 'the volume is marked for deletion "v"'],
    ];
    for (const [volume, reason] of cases) assert.equal(mismatch(volume, claim), reason);
  });
});

describe('matching', () => {
  const modes = fc.subarray(['ReadWriteOnce', 'ReadOnlyMany', 'ReadWriteMany'], { minLength: 1 });
  const gibibytes = fc.integer({ min: 1, max: 20 });
  const volume = fc.record({ size: gibibytes, accessModes: modes, phase: fc.constantFrom('Available', 'Pending', 'Bound') });

  it('answers with one that answers, of which no other does better, in whatever order they come', () => {
    fc.assert(
      fc.property(fc.array(volume, { maxLength: 12 }), gibibytes, modes, (shapes, size, accessModes) => {
        const claim = claimOf({ size: `${size}Gi`, spec: { accessModes } });
        const volumes = shapes.map((shape, index) =>
          volumeOf({ name: `v${index}`, size: `${shape.size}Gi`, phase: shape.phase, spec: { accessModes: shape.accessModes } }),
        );
        const chosen = bestVolume(claim, volumes, false);
        assert.equal(best(claim, volumes.toReversed()), chosen?.metadata.name);
        const fitting = volumes.filter((each) => answers(each, claim));
        assert.equal(chosen === undefined, fitting.length === 0);
        if (!chosen) return;
        const rank = ({ spec }: PersistentVolume): number =>
          (spec.accessModes?.length ?? 0) * 1000 + Number.parseInt(spec.capacity?.['storage'] ?? '0', 10);
        for (const each of fitting) assert.ok(rank(chosen) <= rank(each));
      }),
      { numRuns: 200 },
    );
  });
});
