import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseCpuSet } from '../cpu-set.ts';
import { CpuManager } from './cpu-manager.ts';
import { type CpuPolicyOptions, noCpuOptions, readCpuOptions } from './cpu-policy-options.ts';
import { flatTopology } from './machine-topology.ts';
import { containerNamed, pretendContainer, pretendMachine, pretendPod } from './pretend-machine.ts';
import { AllocationError, placedContainers } from './resource-provider.ts';
import { anywhere } from './topology-policy.ts';
import type { Pod } from '../../api/kinds.ts';

function manager(saved = ''): CpuManager {
  return new CpuManager({ topology: flatTopology(8, 1), reserved: [0], saved });
}

function onTwoNodes(options: Partial<CpuPolicyOptions> = {}, reserved: number | readonly number[] = [0, 8]): CpuManager {
  return new CpuManager({ topology: pretendMachine(), reserved, options: { ...noCpuOptions, ...options } });
}

function place(cpus: CpuManager, pod: Pod, affinity?: number): void {
  for (const container of placedContainers(pod)) cpus.allocate(pod, container, affinity === undefined ? anywhere : { affinity, preferred: true });
}

describe('whole CPUs', () => {
  test('belong to the guaranteed containers that ask for them, and others share the rest', () => {
    const cpus = manager();
    place(cpus, pretendPod('a', { main: ['2', '1Gi'], helper: ['500m', '1Gi'] }));
    assert.equal(cpus.cpusetOf('a', 'main'), '1-2');
    assert.equal(cpus.cpusetOf('a', 'helper'), '0,3-7');
    assert.equal(cpus.isExclusive('a', 'helper'), false);
    place(cpus, pretendPod('burstable', { main: ['2'] }));
    assert.equal(cpus.isExclusive('burstable', 'main'), false);
  });

  test('are refused when they are too few: the reserved one is not given', () => {
    const cpus = manager();
    place(cpus, pretendPod('a', { main: ['7', '1Gi'] }));
    const late = pretendPod('b', { main: ['1', '1Gi'] });
    assert.throws(() => place(cpus, late), {
      name: 'AllocationError',
      reason: 'UnexpectedAdmissionError',
      message: 'Allocate failed due to not enough cpus available to satisfy request: requested=1, available=0, which is unexpected',
    });
    assert.equal(cpus.cpusetOf('b', 'main'), '0');
    cpus.release('a');
    place(cpus, late);
    assert.equal(cpus.cpusetOf('b', 'main'), '1');
  });

  test('are kept over a restart, as far as the machine still has them', () => {
    const cpus = manager();
    place(cpus, pretendPod('a', { main: ['2', '1Gi'] }));
    place(cpus, pretendPod('b', { main: ['1', '1Gi'], more: ['1', '1Gi'] }));
    assert.equal(cpus.state(), '{"policyName":"static","defaultCpuSet":"0,5-7","entries":{"a":{"main":"1-2"},"b":{"main":"3","more":"4"}}}');
    const again = manager(cpus.state());
    assert.equal(again.state(), cpus.state());
    assert.equal(
      manager('{"entries":{"x":{"main":"6-9"},"y":{"main":"2"}}}').state(),
      '{"policyName":"static","defaultCpuSet":"0-1,3-7","entries":{"y":{"main":"2"}}}',
    );
    assert.equal(manager('spoiled').cpusetOf('a', 'main'), '0-7');
  });

  test('of an init container are those of the containers after it, but a sidecar keeps its own', () => {
    const cpus = manager();
    const sidecar = { ...pretendContainer('sidecar', '1', '1Gi'), restartPolicy: 'Always' };
    const pod = pretendPod('a', { main: ['2', '1Gi'], more: ['2', '1Gi'] }, { initContainers: [pretendContainer('init', '3', '1Gi'), sidecar] });
    place(cpus, pod);
    assert.deepEqual(
      ['init', 'sidecar', 'main', 'more'].map((name) => cpus.cpusetOf('a', name)),
      ['1-3', '1', '2-3', '4-5'],
    );
    // Found again as they were.
    assert.equal(manager(cpus.state()).cpusetOf('a', 'init'), '1-3');
  });

  test('come from the nodes that were agreed on, and from others only for what is missing', () => {
    const cpus = onTwoNodes();
    place(cpus, pretendPod('a', { main: ['2', '1Gi'] }), 0b10);
    assert.equal(cpus.cpusetOf('a', 'main'), '4,12');
    place(cpus, pretendPod('b', { main: ['8', '1Gi'] }), 0b01);
    assert.equal(cpus.cpusetOf('b', 'main'), '1-3,5,9-11,13');
  });

  test('are hinted at by the nodes that have so many, and preferred where no fewer nodes could do', () => {
    const cpus = onTwoNodes();
    const hints = (count: string): unknown => {
      const pod = pretendPod('a', { main: [count, '1Gi'] });
      return cpus.hints(pod, containerNamed(pod, 'main')).get('cpu');
    };
    const [first, second, both] = [0b01, 0b10, 0b11];
    assert.deepEqual(hints('6'), [
      { affinity: first, preferred: true },
      { affinity: second, preferred: true },
      { affinity: both, preferred: false },
    ]);
    assert.deepEqual(hints('8'), [
      { affinity: second, preferred: true },
      { affinity: both, preferred: false },
    ]);
    assert.deepEqual(hints('10'), [{ affinity: both, preferred: true }]);
    assert.deepEqual(hints('15'), []);
    assert.equal(hints('1500m'), undefined);
  });

  test('of a pod together are what its containers need at once', () => {
    const cpus = onTwoNodes();
    const pod = pretendPod('a', { main: ['4', '1Gi'], more: ['4', '1Gi'] }, { initContainers: [pretendContainer('init', '7', '1Gi')] });
    assert.deepEqual(cpus.podHints(pod).get('cpu'), [
      { affinity: 0b10, preferred: true },
      { affinity: 0b11, preferred: false },
    ]);
  });
});

describe('options of the static policy', () => {
  test('full-pcpus-only gives whole cores, or none', () => {
    const cpus = onTwoNodes({ wholeCores: true }, [0]);
    assert.throws(() => place(cpus, pretendPod('odd', { main: ['3', '1Gi'] })), {
      reason: 'SMTAlignmentError',
      message: 'SMT Alignment Error: requested 3 cpus not multiple cpus per core = 2',
    });
    place(cpus, pretendPod('a', { main: ['12', '1Gi'] }));
    place(cpus, pretendPod('b', { main: ['2', '1Gi'] }));
    // CPU 8 is left, but its neighbour is reserved.
    assert.throws(() => place(cpus, pretendPod('c', { main: ['2', '1Gi'] })), {
      message: 'SMT Alignment Error: not enough free physical CPUs: available physical CPUs = 0, requested CPUs = 2, CPUs per core = 2',
    });
  });

  test('strict-cpu-reservation keeps those who share off what is reserved', () => {
    assert.equal(onTwoNodes({ keepReserved: true }).cpusetOf('a', 'main'), '1-7,9-15');
    assert.equal(onTwoNodes().cpusetOf('a', 'main'), '0-15');
  });

  test('distribute-cpus-across-numa takes as many of each node', () => {
    const cpus = onTwoNodes({ spreadOverNodes: true });
    place(cpus, pretendPod('a', { main: ['10', '1Gi'] }), 0b11);
    const taken = parseCpuSet(cpus.cpusetOf('a', 'main')) ?? [];
    const ofFirst = taken.filter((id) => id % 8 < 4);
    assert.deepEqual([taken.length, ofFirst.length], [10, 5]);
  });

  test('are read by their names, and unready ones refused', () => {
    assert.deepEqual(readCpuOptions({ 'full-pcpus-only': 'true', 'strict-cpu-reservation': 'false' }), { ...noCpuOptions, wholeCores: true });
    for (const [given, message] of [
      [{ 'align-by-socket': 'true' }, 'CPU Manager Policy Alpha-level Options not enabled, but option "align-by-socket" provided'],
      [{ 'full-pcpus': 'true' }, 'unsupported cpumanager option: "full-pcpus" (true)'],
      [{ 'full-pcpus-only': 'maybe' }, 'bad value for option "full-pcpus-only": "maybe" is neither true nor false'],
      [
        { 'distribute-cpus-across-numa': 'true', 'prefer-align-cpus-by-uncorecache': 'true' },
        'prefer-align-cpus-by-uncorecache and distribute-cpus-across-numa cannot be used at the same time',
      ],
    ] as const) {
      assert.throws(() => readCpuOptions(given), { message });
    }
  });

  test('a share that cannot be given names its reason', () => assert.equal(new AllocationError('x', 'SMTAlignmentError').message, 'x'));
});
