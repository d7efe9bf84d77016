import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Pod } from '../../api/kinds.ts';
import { CpuManager } from './cpu-manager.ts';
import { MemoryManager } from './memory-manager.ts';
import { Placement, type PlacementOptions } from './placement.ts';
import { pretendMachine, pretendPod } from './pretend-machine.ts';

const topology = pretendMachine();

interface Node {
  readonly placement: Placement;
  changes(): number;
}

/** CPUs 0 and 8 are reserved. */
function node(policy: PlacementOptions['topology']['policy'], scope: 'container' | 'pod' = 'container'): Node {
  let changes = 0;
  const placement = new Placement({
    cpus: new CpuManager({ topology, reserved: [0, 8] }),
    memory: new MemoryManager({
      topology,
      reserved: new Map([
        [0, 1],
        [1, 1],
      ]),
    }),
    topology: { policy, nodes: topology.nodes, preferClosest: false, scope },
    onChange: () => changes++,
  });
  return { placement, changes: () => changes };
}

const placeOf = ({ placement }: Node, { metadata }: Pod, container = 'main'): unknown => placement.placeOf(metadata.uid, container);

describe('containers are placed', () => {
  test('with CPUs and memory of one node', () => {
    const it = node('single-numa-node');
    const [large, small] = [pretendPod('large', { main: ['8', '2Gi'] }), pretendPod('small', { main: ['2', '6Gi'] })];
    assert.equal(it.placement.admit(large), undefined);
    assert.equal(it.placement.admit(small), undefined);
    assert.deepEqual(placeOf(it, large), { cpus: '4-7,12-15', memoryNodes: '1' });
    assert.deepEqual(placeOf(it, small), { cpus: '1,9', memoryNodes: '0' });
    assert.equal(it.changes(), 2);
    // What it has it keeps.
    assert.equal(it.placement.admit(small), undefined);
    assert.equal(it.changes(), 2);
  });

  test('or refused, where one node has not enough of both, with nothing taken', () => {
    const it = node('single-numa-node');
    it.placement.admit(pretendPod('memory', { main: ['1', '7Gi'] }));
    it.placement.admit(pretendPod('cpus', { main: ['7', '512Mi'] }));
    const third = pretendPod('third', { main: ['4', '4Gi'] });
    assert.deepEqual(it.placement.admit(third), {
      reason: 'TopologyAffinityError',
      message: 'Pod was rejected: Resources cannot be allocated with Topology locality',
    });
    assert.equal(it.placement.placeOf('third', 'main').memoryNodes, undefined);
    it.placement.release('memory');
    assert.equal(it.placement.admit(third), undefined);
  });

  test('over several nodes, where the policy has it so', () => {
    const wide = pretendPod('wide', { main: ['10', '2Gi'] });
    assert.equal(node('single-numa-node').placement.admit(wide)?.reason, 'TopologyAffinityError');
    // The memory would fit on one node, so that both do not prefer the same.
    assert.equal(node('restricted').placement.admit(wide)?.reason, 'TopologyAffinityError');
    const it = node('best-effort');
    assert.equal(it.placement.admit(wide), undefined);
    assert.equal(node('none').placement.admit(wide), undefined);
    const wider = pretendPod('wider', { main: ['10', '10Gi'] });
    assert.equal(node('restricted').placement.admit(wider), undefined);
  });

  test('each for itself, or all of a pod on one node', () => {
    const pair = pretendPod('pair', { main: ['6', '1Gi'], more: ['6', '1Gi'] });
    const alone = node('single-numa-node', 'container');
    assert.equal(alone.placement.admit(pair), undefined);
    assert.deepEqual(
      [placeOf(alone, pair), placeOf(alone, pair, 'more')],
      [
        { cpus: '1-3,9-11', memoryNodes: '0' },
        { cpus: '4-6,12-14', memoryNodes: '1' },
      ],
    );
    assert.equal(node('single-numa-node', 'pod').placement.admit(pair)?.reason, 'TopologyAffinityError');
    const together = node('single-numa-node', 'pod');
    const fitting = pretendPod('fitting', { main: ['4', '1Gi'], more: ['4', '1Gi'] });
    assert.equal(together.placement.admit(fitting), undefined);
    assert.deepEqual(
      [placeOf(together, fitting), placeOf(together, fitting, 'more')],
      [
        { cpus: '4-5,12-13', memoryNodes: '1' },
        { cpus: '6-7,14-15', memoryNodes: '1' },
      ],
    );
  });

  test('wherever they like, when they are not guaranteed; those who share leave what is given away', () => {
    const it = node('single-numa-node');
    const shares = pretendPod('shares', { main: ['2'] });
    assert.equal(it.placement.admit(shares), undefined);
    assert.equal(it.placement.sharedCpusOf('shares', 'main'), '0-15');
    it.placement.admit(pretendPod('owns', { main: ['2', '1Gi'] }));
    assert.equal(it.placement.sharedCpusOf('shares', 'main'), '0,2-8,10-15');
    assert.equal(it.placement.sharedCpusOf('owns', 'main'), undefined);
    it.placement.keepOnly(new Set(['shares']));
    assert.equal(it.placement.sharedCpusOf('shares', 'main'), '0-15');
  });

  test('and what they were given is not changed while they run', () => {
    const { placement } = node('none');
    const before = pretendPod('a', { main: ['2', '1Gi'] });
    assert.equal(
      placement.obstacle(before, pretendPod('a', { main: ['3', '1Gi'] })),
      'Resize is infeasible for Guaranteed Pods alongside CPU Manager policy "static"',
    );
    assert.equal(
      placement.obstacle(before, pretendPod('a', { main: ['2', '2Gi'] })),
      'Resize is infeasible for Guaranteed Pods alongside Memory Manager policy "Static"',
    );
    assert.equal(placement.obstacle(pretendPod('a', { main: ['2'] }), pretendPod('a', { main: ['3'] })), undefined);
  });
});
