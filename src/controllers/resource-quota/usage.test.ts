import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ConfigMap, Deployment, Pod, type ResourceQuota, Service } from '../../api/kinds.ts';
import type { V1ResourceQuotaSpec } from '../../api/types.ts';
import { countedKinds, statusOf } from './usage.ts';

const nowMs = Date.parse('2026-01-01T00:01:00Z');
const stamps = { uid: 'u', resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z', namespace: 'a' };

function quota(spec: V1ResourceQuotaSpec, status: ResourceQuota['status'] = {}): ResourceQuota {
  return { apiVersion: 'v1', kind: 'ResourceQuota', metadata: { ...stamps, name: 'q' }, spec, status };
}

function pod(name: string, cpu: string, status: Pod['status'] = { phase: 'Running' }, metadata: Partial<Pod['metadata']> = {}): Pod {
  const containers = [{ name: 'c', ...(cpu !== '' && { resources: { requests: { cpu } } }) }];
  return { apiVersion: 'v1', kind: 'Pod', metadata: { ...stamps, name, ...metadata }, spec: { containers }, status };
}

function used(hard: Record<string, string>, pods: readonly Pod[], scopes?: string[]): Record<string, string> | undefined {
  return statusOf(quota({ hard, ...(scopes && { scopes }) }), [{ kind: Pod, objects: pods }], nowMs)?.used;
}

describe('what a namespace uses of a quota', () => {
  it('adds up what pods ask for', () =>
    assert.deepEqual(used({ pods: '9', cpu: '9', 'requests.memory': '1Gi' }, [pod('p', '100m'), pod('q', '1')]), {
      pods: '2',
      cpu: '1100m',
      'requests.memory': '0',
    }));
  it('counts pods that ended in the store only', () => {
    const ended = [pod('p', '1', { phase: 'Succeeded' }), pod('q', '1', { phase: 'Failed' })];
    assert.deepEqual(used({ pods: '9', cpu: '9', 'count/pods': '9' }, ended), { pods: '0', cpu: '0', 'count/pods': '2' });
  });
  it('counts a pod until its time to end is up', () => {
    const leaving = (deletionTimestamp: string): Pod => pod('p', '1', { phase: 'Running' }, { deletionTimestamp, deletionGracePeriodSeconds: 30 });
    assert.deepEqual(used({ pods: '9' }, [leaving('2026-01-01T00:01:30Z'), leaving('2026-01-01T00:00:30Z')]), { pods: '1' });
  });
  it('looks at what is in scope', () => {
    assert.deepEqual(used({ pods: '9' }, [pod('p', ''), pod('q', '1')], ['BestEffort']), { pods: '1' });
    assert.deepEqual(used({ pods: '9' }, [pod('p', ''), pod('q', '1')], ['NotBestEffort', 'NotTerminating']), { pods: '1' });
    assert.deepEqual(used({ pods: '9' }, [pod('p', '')], ['Terminating']), { pods: '0' });
  });
  it('is not written again when it is known, however it is put', () => {
    const known = quota({ hard: { cpu: '9' } }, { hard: { cpu: '9' }, used: { cpu: '1000m' } });
    assert.equal(statusOf(known, [{ kind: Pod, objects: [pod('p', '1')] }], nowMs), undefined);
  });
  it('needs only the kinds the quota counts', () => {
    const kinds = [Pod, Service, ConfigMap, Deployment];
    const names = (hard: Record<string, string>): string[] => countedKinds(quota({ hard }), kinds).map(({ resource }) => resource);
    assert.deepEqual(names({ 'limits.memory': '1' }), ['pods']);
    assert.deepEqual(names({ 'services.nodeports': '1', 'count/deployments.apps': '1' }), ['services', 'deployments']);
    assert.deepEqual(names({ configmaps: '1' }), ['configmaps']);
  });
});
