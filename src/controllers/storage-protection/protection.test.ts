import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { PersistentVolume, Pod } from '../../api/kinds.ts';
import { claimsOf } from './claim-protection.ts';
import { finalizersOf } from './volume-protection.ts';

const stamps = { uid: 'u', resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' };

function pod(nodeName: string, phase: string): Pod {
  const volumes = [
    { name: 'v', persistentVolumeClaim: { claimName: 'data' } },
    { name: 'scratch', ephemeral: {} },
    { name: 'e', emptyDir: {} },
  ];
  const spec = { containers: [], volumes, ...(nodeName !== '' && { nodeName }) };
  return { apiVersion: 'v1', kind: 'Pod', metadata: { ...stamps, name: 'p', namespace: 'a' }, spec, status: { phase } };
}

describe('claims a pod holds on to', () => {
  it('are those it names, and those made for it', () => assert.deepEqual(claimsOf(pod('n', 'Running')), ['data', 'p-scratch']));
  it('are none before it has a node', () => assert.deepEqual(claimsOf(pod('', 'Pending')), []));
  it('are none after it ended', () => assert.deepEqual(claimsOf(pod('n', 'Succeeded')), []));
});

function volume(phase: string, finalizers: string[], deletionTimestamp?: string): PersistentVolume {
  const metadata = { ...stamps, name: 'v', finalizers, ...(deletionTimestamp !== undefined && { deletionTimestamp }) };
  return { apiVersion: 'v1', kind: 'PersistentVolume', metadata, spec: {}, status: { phase } };
}

describe('a volume', () => {
  const finalizer = 'kubernetes.io/pv-protection';
  const deleted = '2026-01-01T00:00:00Z';
  it('is protected from the start', () => {
    assert.deepEqual(finalizersOf(volume('Available', ['x'])), ['x', finalizer]);
    assert.equal(finalizersOf(volume('Bound', [finalizer])), undefined);
  });
  it('stays while a claim is bound to it, and goes then', () => {
    assert.equal(finalizersOf(volume('Bound', [finalizer], deleted)), undefined);
    assert.deepEqual(finalizersOf(volume('Released', ['x', finalizer], deleted)), ['x']);
  });
});
