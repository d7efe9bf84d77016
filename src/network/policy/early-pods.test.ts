import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Pod } from '../../api/kinds.ts';
import { EarlyPods } from './early-pods.ts';
import { podAddresses } from './peers.ts';

function pod(name: string, uid: string, ip?: string, more: { phase?: string; nodeName?: string; labels?: Record<string, string> } = {}): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'shop', uid, labels: more.labels ?? {}, resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' },
    spec: { nodeName: more.nodeName ?? 'here', containers: [] },
    status: { phase: more.phase ?? 'Running', ...(ip !== undefined && { podIPs: [{ ip }] }) },
  };
}

const shown = (early: EarlyPods, ...pods: Pod[]): string[] =>
  early.over(pods, 'here').map((one) => `${one.metadata.name} ${one.metadata.uid} ${podAddresses(one).join()}`);

test('a pod has its address before the API says so, with the labels the API has', () => {
  const early = new EarlyPods();
  assert.equal(early.add(pod('web', 'u1'), ['10.244.0.5']), true);
  assert.equal(early.add(pod('web', 'u1'), ['10.244.0.5']), false);
  assert.deepEqual(shown(early), ['web u1 10.244.0.5']);
  const [latest] = early.over([pod('web', 'u1', undefined, { labels: { app: 'web' } })], 'here');
  assert.deepEqual([latest?.metadata.labels, latest && podAddresses(latest)], [{ app: 'web' }, ['10.244.0.5']]);
});

test('once the API says the same, the API alone counts', () => {
  const early = new EarlyPods();
  early.add(pod('web', 'u1'), ['10.244.0.5']);
  early.heard(pod('web', 'u1', '10.244.0.4'));
  assert.deepEqual(shown(early, pod('web', 'u1', '10.244.0.4')), ['web u1 10.244.0.5']);
  early.heard(pod('web', 'u1', '10.244.0.5'));
  assert.deepEqual(shown(early), []);
});

test('who has ended or is gone counts no more, but a former pod of the name takes nothing along', () => {
  const early = new EarlyPods();
  early.add(pod('web', 'u2'), ['10.244.0.5']);
  early.gone(pod('web', 'u1'));
  early.heard(pod('web', 'u1', '10.244.0.9', { phase: 'Failed' }));
  assert.deepEqual(shown(early, pod('web', 'u1', '10.244.0.9')), ['web u2 10.244.0.5']);
  early.heard(pod('web', 'u2', undefined, { phase: 'Failed' }));
  assert.deepEqual(shown(early), []);
  early.add(pod('web', 'u2'), ['10.244.0.5']);
  early.gone(pod('web', 'u2'));
  assert.deepEqual(shown(early), []);
});

test('an address is the pod’s that got it last', () => {
  const early = new EarlyPods();
  early.add(pod('old', 'u1'), ['10.244.0.5', 'fd00::5']);
  early.add(pod('new', 'u2'), ['10.244.0.5', 'fd00::6']);
  const elsewhere = pod('far', 'u3', '10.244.0.5', { nodeName: 'there' });
  assert.deepEqual(shown(early, pod('former', 'u0', '10.244.0.5'), pod('other', 'u4', '10.244.0.7'), elsewhere), [
    'other u4 10.244.0.7',
    'far u3 10.244.0.5',
    'new u2 10.244.0.5,fd00::6',
  ]);
});
