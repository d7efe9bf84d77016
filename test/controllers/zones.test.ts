/** How fast nodes that are not ready drive their pods out, zone by zone. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { Node } from '../../src/api/kinds.ts';
import { timestamp } from '../../src/world/world.ts';
import { type ControlPlane, readyNode, startControlPlane } from './control-plane.ts';

const hour = 3_600_000;

describe('nodes that are not ready', () => {
  let plane: ControlPlane;
  beforeEach(async () => {
    // Only what nodes say themselves counts here.
    plane = await startControlPlane({ options: { nodeMonitorGracePeriodMs: 24 * hour } });
    for (const name of ['a1', 'a2', 'a3', 'a4', 'a5', 'b1', 'b2']) {
      const labels = { 'topology.kubernetes.io/zone': name.slice(0, 1) };
      await plane.create(Node, { ...readyNode(name, plane.world), metadata: { name, labels } });
    }
    await plane.settle();
  });
  afterEach(() => plane.close());

  async function say(ready: 'True' | 'False', ...names: string[]): Promise<void> {
    const lastTransitionTime = timestamp(plane.world.clock.now());
    for (const name of names) {
      const status = { conditions: [{ type: 'Ready', status: ready, lastTransitionTime, lastHeartbeatTime: lastTransitionTime }] };
      await plane.admin.resource(Node).patch(name, { status }, { type: 'strategic', subresource: 'status' });
    }
    await plane.settle();
  }
  const emptying = async (): Promise<string[]> =>
    (await plane.list(Node)).filter(({ spec }) => spec.taints?.some(({ effect }) => effect === 'NoExecute')).map(({ metadata }) => metadata.name);

  it('empty one after the other, each zone for itself', async () => {
    await say('False', 'a1', 'a2', 'b1');
    const [first = '', ...others] = (await emptying()).filter((name) => name.startsWith('a'));
    assert.deepEqual([others.length, (await emptying()).includes('b1')], [0, true]);
    await plane.settle(9_900);
    assert.deepEqual(await emptying(), [first, 'b1']);
    await plane.settle(200);
    assert.deepEqual(await emptying(), ['a1', 'a2', 'b1']);
  });

  it('stop where most of a small zone is down: it may be the network', async () => {
    await say('False', 'a1', 'a2');
    await plane.settle(20_000);
    await say('False', 'a3');
    await plane.settle(60_000);
    assert.deepEqual(await emptying(), ['a1', 'a2'], 'what was begun goes on');
    await say('True', 'a1');
    await plane.settle(20_000);
    assert.deepEqual(await emptying(), ['a2', 'a3']);
  });

  it('keep their pods when no node is ready at all: it is us who are cut off', async () => {
    await say('False', 'a1');
    assert.deepEqual(await emptying(), ['a1']);
    await say('False', 'a2', 'a3', 'a4', 'a5', 'b1', 'b2');
    await plane.settle(60_000);
    assert.deepEqual(await emptying(), []);
  });
});
