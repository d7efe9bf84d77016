import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import type { Pod } from '../../api/kinds.ts';
import type { V1PodSpec, V1ResourceRequirements } from '../../api/types.ts';
import { type Rig, closeRigs, condition, events, main, podOf, putPod, rig } from '../kubelet-rig.ts';
import { containerChange } from './container-change.ts';

afterEach(closeRigs);

const asking = (resources: V1ResourceRequirements, more: Partial<V1PodSpec['containers'][number]> = {}): Partial<V1PodSpec> => ({
  containers: [{ name: 'main', image: 'nginx:1', resources, ...more }],
});

const cpu = (amount: string): V1ResourceRequirements => ({ requests: { cpu: amount }, limits: { cpu: amount } });

/** As `pods/resize` leaves the pod. */
async function resize({ api }: Rig, resources: V1ResourceRequirements, name = 'web'): Promise<void> {
  const path = `/api/v1/namespaces/default/pods/${name}`;
  const pod = api.get('Pod', name, 'default') as Pod;
  const containers = pod.spec.containers.map((container) => ({ ...container, resources }));
  const metadata = { ...pod.metadata, generation: (pod.metadata.generation ?? 1) + 1 };
  await api.request({ method: 'PUT', path, body: { ...pod, metadata, spec: { ...pod.spec, containers } } });
}

const updates = ({ runtime }: Rig): string[] => runtime.calls.filter((call) => /^(update|start|stop) /.test(call));
const resizing = (pod: Pod | undefined) => pod?.status.conditions?.filter(({ type }) => type.startsWith('PodResize')) ?? [];

describe('a running pod that is to have other resources', () => {
  test('gets them without a restart', async () => {
    const it = rig();
    putPod(it, asking(cpu('500m')));
    await it.world.advanceUntil(() => condition(podOf(it), 'Ready') === 'True', 5000);
    assert.deepEqual(main(podOf(it))?.resources, cpu('500m'));
    await resize(it, cpu('800m'));
    await it.world.advanceUntil(() => main(podOf(it))?.resources?.limits?.cpu === '800m', 5000);
    await it.world.advance(1000);
    assert.deepEqual(updates(it), ['start web/main', 'update main cpu 819 80000']);
    assert.deepEqual(main(podOf(it))?.allocatedResources, { cpu: '800m' });
    assert.equal(main(podOf(it))?.restartCount, 0);
    assert.deepEqual(resizing(podOf(it)), []);
    const said = events(it).filter((event) => event.startsWith('Resize'));
    assert.match(said[0] ?? '', /^ResizeStarted: Pod resize started: \{"containers":\[\{"name":"main","resources":.*"generation":2\}$/);
    assert.match(said[1] ?? '', /^ResizeCompleted: Pod resize completed:/);
  });

  test('is restarted where its policy says so', async () => {
    const it = rig();
    putPod(it, asking(cpu('500m'), { resizePolicy: [{ resourceName: 'cpu', restartPolicy: 'RestartContainer' }] }));
    await it.world.advanceUntil(() => condition(podOf(it), 'Ready') === 'True', 5000);
    await resize(it, cpu('800m'));
    await it.world.advanceUntil(() => main(podOf(it))?.restartCount === 1 && condition(podOf(it), 'Ready') === 'True', 40_000);
    assert.deepEqual(updates(it), ['start web/main', 'stop web/main', 'start web/main']);
    assert.ok(events(it).includes('Killing: Container main resize requires restart'));
    assert.deepEqual(main(podOf(it))?.resources, cpu('800m'));
    assert.deepEqual(resizing(podOf(it)), []);
  });

  test('as a whole gives them to containers that say nothing of their own', async () => {
    const it = rig();
    const main = { name: 'main', image: 'nginx:1', resources: cpu('200m') };
    putPod(it, { containers: [main, { name: 'other', image: 'nginx:1' }], resources: cpu('500m') });
    await it.world.advanceUntil(() => condition(podOf(it), 'Ready') === 'True', 5000);
    assert.deepEqual([podOf(it)?.status.resources, podOf(it)?.status.allocatedResources], [cpu('500m'), { cpu: '500m' }]);
    const pod = podOf(it);
    assert.ok(pod);
    const spec = { ...pod.spec, resources: cpu('900m') };
    await it.api.request({
      method: 'PUT',
      path: '/api/v1/namespaces/default/pods/web',
      body: { ...pod, metadata: { ...pod.metadata, generation: 2 }, spec },
    });
    await it.world.advanceUntil(() => podOf(it)?.status.resources?.limits?.cpu === '900m', 5000);
    assert.deepEqual(updates(it), ['start web/main', 'start web/other', 'update other cpu 2 90000']);
    assert.deepEqual([podOf(it)?.status.allocatedResources, resizing(podOf(it))], [{ cpu: '900m' }, []]);
  });

  test('gets them by importance when several wait for the same room', async () => {
    const it = rig();
    putPod(it, asking(cpu('2')), { name: 'leaves' });
    const waiting = ['low', 'high'];
    for (const name of waiting) putPod(it, { ...asking(cpu('500m')), priority: name === 'high' ? 10 : 0 }, { name });
    const ready = (name: string): boolean => condition(podOf(it, name), 'Ready') === 'True';
    await it.world.advanceUntil(() => ['leaves', ...waiting].every(ready), 5000);
    for (const name of waiting) await resize(it, cpu('2500m'), name);
    await it.world.advanceUntil(() => waiting.every((name) => resizing(podOf(it, name))[0]?.reason === 'Deferred'), 5000);
    it.api.remove('Pod', 'leaves', 'default', 1);
    await it.world.advanceUntil(() => main(podOf(it, 'high'))?.resources?.limits?.cpu === '2500m', 10_000);
    assert.equal(resizing(podOf(it, 'low'))[0]?.reason, 'Deferred');
  });

  test('waits until others leave room', async () => {
    const it = rig();
    putPod(it, asking(cpu('2')));
    putPod(it, asking(cpu('1500m')), { name: 'other' });
    await it.world.advanceUntil(() => ['web', 'other'].every((name) => condition(podOf(it, name), 'Ready') === 'True'), 5000);
    await resize(it, cpu('3'));
    await it.world.advanceUntil(() => resizing(podOf(it)).length > 0, 5000);
    const [waiting] = resizing(podOf(it));
    assert.deepEqual(
      [waiting?.type, waiting?.status, waiting?.reason, waiting?.message],
      ['PodResizePending', 'True', 'Deferred', "Node didn't have enough resource: cpu, requested: 3000, used: 1500, capacity: 4000"],
    );
    assert.deepEqual(main(podOf(it))?.resources, cpu('2'));
    // What waits is counted as what was granted: there is room for half a CPU.
    putPod(it, asking(cpu('500m')), { name: 'small' });
    await it.world.advanceUntil(() => condition(podOf(it, 'small'), 'Ready') === 'True', 5000);
    it.stop();
    it.start();
    await it.world.advance(5000);
    assert.deepEqual(main(podOf(it))?.resources, cpu('2'), 'nor does a new kubelet grant it');
    it.api.remove('Pod', 'small', 'default');
    it.api.remove('Pod', 'other', 'default');
    await it.world.advanceUntil(() => main(podOf(it))?.resources?.limits?.cpu === '3', 60_000);
    await it.world.advance(1000);
    assert.deepEqual(resizing(podOf(it)), []);
  });

  test('is told when the node can never give so much, and may think again', async () => {
    const it = rig();
    putPod(it, asking(cpu('2')));
    await it.world.advanceUntil(() => condition(podOf(it), 'Ready') === 'True', 5000);
    await resize(it, cpu('100'));
    await it.world.advanceUntil(() => resizing(podOf(it)).length > 0, 5000);
    const [refused] = resizing(podOf(it));
    assert.deepEqual([refused?.reason, refused?.message], ['Infeasible', "Node didn't have enough capacity: cpu, requested: 100000, capacity: 4000"]);
    assert.ok(events(it).some((event) => event.startsWith('ResizeInfeasible: Pod resize Infeasible: {')));
    await resize(it, cpu('2'));
    await it.world.advanceUntil(() => resizing(podOf(it)).length === 0, 5000);
    assert.deepEqual(updates(it), ['start web/main']);
  });

  test('keeps trying when the runtime refuses', async () => {
    const it = rig();
    putPod(it, asking(cpu('2')));
    await it.world.advanceUntil(() => condition(podOf(it), 'Ready') === 'True', 5000);
    const { updateContainerResources } = it.runtime;
    it.runtime.updateContainerResources = async () => {
      throw new Error('device or resource busy');
    };
    await resize(it, cpu('1'));
    await it.world.advanceUntil(() => resizing(podOf(it))[0]?.reason === 'Error', 5000);
    assert.equal(resizing(podOf(it))[0]?.type, 'PodResizeInProgress');
    assert.equal(resizing(podOf(it))[0]?.message, 'device or resource busy');
    assert.deepEqual(main(podOf(it))?.resources, cpu('2'));
    it.runtime.updateContainerResources = updateContainerResources;
    await it.world.advanceUntil(() => main(podOf(it))?.resources?.limits?.cpu === '1', 10_000);
  });
});

describe('what a change takes', () => {
  const restart = { name: 'a', resizePolicy: [{ resourceName: 'memory', restartPolicy: 'RestartContainer' }] };
  for (const [name, before, after, change] of [
    ['nothing', cpu('1'), cpu('1'), 'none'],
    ['the same in other words', cpu('1'), cpu('1000m'), 'none'],
    ['what needs no restart', cpu('1'), cpu('2'), 'update'],
    ['what needs one', { limits: { memory: '1Gi' } }, { limits: { memory: '2Gi' } }, 'restart'],
    ['a limit that was not there', undefined, { limits: { memory: '2Gi' } }, 'restart'],
    ['what cannot be resized', { limits: { 'example.com/gpu': '1' } }, undefined, 'none'],
  ] as const) {
    test(name, () => assert.equal(containerChange(restart, before, after), change));
  }
});
