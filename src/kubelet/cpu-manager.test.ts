import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Pod } from '../api/kinds.ts';
import { CpuManager } from './cpu-manager.ts';

function pod(uid: string, cpus: Record<string, string>, memory: string | false = '1Gi'): Pod {
  const containers = Object.entries(cpus).map(([name, cpu]) => ({ name, resources: { limits: { cpu, ...(memory !== false && { memory }) } } }));
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: uid, namespace: 'default', uid, creationTimestamp: '', resourceVersion: '' },
    spec: { containers },
    status: {},
  };
}

function manager(saved = ''): { cpus: CpuManager; changes: () => number } {
  let count = 0;
  return { cpus: new CpuManager({ cpus: 8, reserved: [0], saved, onChange: () => count++ }), changes: () => count };
}

describe('whole CPUs', () => {
  test('belong to the guaranteed containers that ask for them, and others share the rest', () => {
    const { cpus, changes } = manager();
    assert.equal(cpus.admit(pod('a', { main: '2', helper: '500m' })), undefined);
    assert.equal(cpus.cpusetOf('a', 'main'), '1-2');
    assert.equal(cpus.cpusetOf('a', 'helper'), '0,3-7');
    assert.equal(cpus.isExclusive('a', 'helper'), false);
    assert.equal(cpus.admit(pod('burstable', { main: '2' }, false)), undefined);
    assert.equal(cpus.isExclusive('burstable', 'main'), false);
    assert.equal(changes(), 1);
  });

  test('are refused when they are too few: the reserved one is not given', () => {
    const { cpus } = manager();
    assert.equal(cpus.admit(pod('a', { main: '7' })), undefined);
    const refused = cpus.admit(pod('b', { main: '1' }));
    assert.equal(refused?.reason, 'UnexpectedAdmissionError');
    assert.match(refused?.message ?? '', /not enough cpus available to satisfy request: requested=1, available=0/);
    assert.equal(cpus.cpusetOf('b', 'main'), '0');
    cpus.release('a');
    assert.equal(cpus.admit(pod('b', { main: '1' })), undefined);
  });

  test('are kept over a restart, as far as the machine still has them', () => {
    const { cpus } = manager();
    cpus.admit(pod('a', { main: '2' }));
    cpus.admit(pod('b', { main: '1', more: '1' }));
    assert.equal(cpus.state(), '{"policyName":"static","defaultCpuSet":"0,5-7","entries":{"a":{"main":"1-2"},"b":{"main":"3","more":"4"}}}');
    const again = manager(cpus.state()).cpus;
    assert.equal(again.state(), cpus.state());
    again.keepOnly(new Set(['b']));
    assert.equal(again.cpusetOf('a', 'main'), '0-2,5-7');
    assert.equal(
      manager('{"entries":{"x":{"main":"6-9"},"y":{"main":"2"}}}').cpus.state(),
      '{"policyName":"static","defaultCpuSet":"0-1,3-7","entries":{"y":{"main":"2"}}}',
    );
    assert.equal(manager('spoiled').cpus.cpusetOf('a', 'main'), '0-7');
  });
});
