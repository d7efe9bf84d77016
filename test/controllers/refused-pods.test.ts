/** Pods that name a node whose kubelet will not have them: made anew, but ever more slowly. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { DaemonSet, Job, Node, Pod, ReplicaSet, ReplicationController, StatefulSet } from '../../src/api/kinds.ts';
import { isReason } from '../../src/machinery/errors.ts';
import { readyNode, startControlPlane } from './control-plane.ts';

const minute = 60_000;

it('pods that are refused are not remade as fast as can be', async () => {
  // Nobody renews the node's lease.
  const plane = await startControlPlane({ options: { nodeMonitorGracePeriodMs: 60 * minute } });
  try {
    const made = new Map<string, number>();
    const refusal = { status: { phase: 'Failed', reason: 'OutOfcpu', message: 'Pod was rejected' } };
    plane.informers.of(Pod).subscribe({
      added({ metadata: { name, namespace, labels } }) {
        const owner = labels?.['of'] ?? '';
        made.set(owner, (made.get(owner) ?? 0) + 1);
        const pods = plane.admin.resource(Pod).namespace(namespace);
        pods.patch(name, refusal, { subresource: 'status' }).catch((error: unknown) => {
          if (!isReason(error, 'NotFound')) throw error;
        });
      },
    });
    await plane.create(Node, readyNode('n1', plane.world));
    const template = (of: string, rest: object = {}) => ({
      metadata: { labels: { of } },
      spec: { nodeName: 'n1', containers: [{ name: 'c', image: 'c' }], ...rest },
    });
    const named = (name: string) => ({ name, namespace: 'default' });
    const matching = (of: string) => ({ matchLabels: { of } });
    await plane.create(ReplicaSet, { metadata: named('rs'), spec: { replicas: 3, selector: matching('rs'), template: template('rs') } });
    await plane.create(ReplicationController, { metadata: named('rc'), spec: { replicas: 1, selector: { of: 'rc' }, template: template('rc') } });
    await plane.create(DaemonSet, { metadata: named('ds'), spec: { selector: matching('ds'), template: template('ds') } });
    await plane.create(StatefulSet, { metadata: named('sts'), spec: { serviceName: 'x', selector: matching('sts'), template: template('sts') } });
    await plane.create(Job, { metadata: named('job'), spec: { template: template('job', { restartPolicy: 'Never' }) } });

    await plane.settle(minute);
    const first = Object.fromEntries(made);
    // At once, at once again, then after 1, 2, 4, 8, 16, 32 seconds; a job waits 10, 20, 40.
    for (const [owner, count] of made)
      assert.ok(count >= (owner === 'job' ? 2 : 5) && count <= (owner === 'rs' ? 30 : 10), `${owner}: ${count} in the first minute`);
    assert.equal(made.size, 5, JSON.stringify(first));

    await plane.settle(10 * minute);
    for (const [owner, count] of made) {
      const more = count - (first[owner] ?? 0);
      assert.ok(more <= (owner === 'rs' ? 36 : 12), `${owner}: ${more} in ten minutes more`);
    }
    assert.ok((made.get('rc') ?? 0) - (first['rc'] ?? 0) >= 8, 'other pods of the keeper need not wait for long');
  } finally {
    await plane.close();
  }
});
