import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { Pod } from '../../api/kinds.ts';
import { MemoryManager } from './memory-manager.ts';
import { containerNamed, gibibyte, pretendContainer, pretendMachine, pretendPod } from './pretend-machine.ts';
import { AllocationError, placedContainers } from './resource-provider.ts';
import { type TopologyHint, anywhere } from './topology-policy.ts';

/** 7 GiB on each of two nodes. */
function manager(saved = '', nodes = 2): MemoryManager {
  return new MemoryManager({
    topology: pretendMachine(nodes),
    reserved: new Map([
      [0, gibibyte],
      [1, gibibyte],
    ]),
    saved,
  });
}

function place(memory: MemoryManager, pod: Pod, hint: TopologyHint = anywhere): void {
  for (const container of placedContainers(pod)) memory.allocate(pod, container, hint);
}

const hintsOf = (memory: MemoryManager, pod: Pod): unknown => memory.hints(pod, containerNamed(pod, 'main')).get('memory');

describe('memory of nodes', () => {
  test('is promised to containers of guaranteed pods', () => {
    const memory = manager();
    place(memory, pretendPod('a', { main: ['1', '4Gi'] }));
    place(memory, pretendPod('b', { main: ['1', '4Gi'] }));
    place(memory, pretendPod('burstable', { main: ['1'] }));
    assert.deepEqual(
      ['a', 'b', 'burstable'].map((uid) => memory.memoryNodesOf(uid, 'main')),
      ['0', '1', undefined],
    );
  });

  test('of two nodes together goes to who needs it, and then to no one from one of them alone', () => {
    const memory = manager();
    place(memory, pretendPod('large', { main: ['1', '8Gi'] }));
    assert.equal(memory.memoryNodesOf('large', 'main'), '0-1');
    assert.deepEqual(hintsOf(memory, pretendPod('small', { main: ['1', '1Gi'] })), [{ affinity: 0b11, preferred: false }]);
    assert.throws(() => place(memory, pretendPod('small', { main: ['1', '1Gi'] })), {
      message: 'Allocate failed due to [memorymanager] failed to find the default preferred hint, which is unexpected',
    });
    // Whoever does not insist has it from both.
    place(memory, pretendPod('small', { main: ['1', '1Gi'] }), { affinity: undefined, preferred: false });
    assert.equal(memory.memoryNodesOf('small', 'main'), '0-1');
    memory.release('large');
    memory.release('small');
    place(memory, pretendPod('small', { main: ['1', '1Gi'] }));
    assert.equal(memory.memoryNodesOf('small', 'main'), '0');
  });

  test('that is not there is refused', () => {
    const memory = manager();
    assert.throws(() => place(memory, pretendPod('huge', { main: ['1', '15Gi'] })), {
      reason: 'UnexpectedAdmissionError',
      message:
        'Allocate failed due to [memorymanager] failed to get the default NUMA affinity, no NUMA nodes with enough memory is available, which is unexpected',
    });
    assert.deepEqual(memory.holders(), []);
  });

  test('comes from the node that was agreed on, as long as it holds it', () => {
    const memory = manager();
    place(memory, pretendPod('a', { main: ['1', '5Gi'] }), { affinity: 0b10, preferred: true });
    assert.equal(memory.memoryNodesOf('a', 'main'), '1');
    assert.throws(() => place(memory, pretendPod('b', { main: ['1', '5Gi'] }), { affinity: 0b10, preferred: true }), AllocationError);
  });

  test('of an init container is that of the containers after it', () => {
    const memory = manager();
    const pod = pretendPod('a', { main: ['1', '4Gi'], more: ['1', '2Gi'] }, { initContainers: [pretendContainer('init', '1', '5Gi')] });
    place(memory, pod);
    assert.match(
      memory.state(),
      /"0":\{"numberOfAssignments":3,"memoryMap":\{"memory":\{"total":8589934592,"systemReserved":1073741824,"allocatable":7516192768,"reserved":6442450944,"free":1073741824\}\},"cells":\[0\]\}/,
    );
  });

  test('is found again after a restart, as far as the machine still has it', () => {
    const memory = manager();
    place(memory, pretendPod('a', { main: ['1', '4Gi'], more: ['1', '2Gi'] }));
    place(memory, pretendPod('b', { main: ['1', '6Gi'] }));
    assert.equal(manager(memory.state()).state(), memory.state());
    assert.deepEqual(manager(memory.state(), 1).holders(), ['a']);
    assert.deepEqual(manager('spoiled').holders(), []);
    assert.deepEqual(manager('{"entries":{"a":{"main":[{"numaAffinity":[],"size":1}],"more":7}}}').holders(), []);
  });

  test('is never promised twice', () => {
    const step = fc.record({ uid: fc.constantFrom('a', 'b', 'c', 'd', 'e'), size: fc.integer({ min: 1, max: 14 }), insists: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
        const memory = manager();
        for (const { uid, size, insists } of steps) {
          if (memory.holders().includes(uid)) memory.release(uid);
          else {
            try {
              place(memory, pretendPod(uid, { main: ['1', `${size}Gi`] }), { affinity: undefined, preferred: insists });
            } catch (error) {
              assert.ok(error instanceof AllocationError);
            }
          }
          for (const { memoryMap } of Object.values<{ memoryMap: { memory: { free: number; reserved: number; allocatable: number } } }>(
            JSON.parse(memory.state()).machineState,
          )) {
            assert.ok(memoryMap.memory.free >= 0);
            assert.equal(memoryMap.memory.free + memoryMap.memory.reserved, memoryMap.memory.allocatable);
          }
          assert.equal(manager(memory.state()).state(), memory.state());
        }
      }),
      { numRuns: 50 },
    );
  });
});
