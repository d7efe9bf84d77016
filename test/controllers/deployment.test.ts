/** Deployments and replica sets against the API server, with a kubelet that only pretends. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { Kind } from '../../src/api/kind.ts';
import { Deployment, Event, Pod, ReplicaSet, ResourceQuota } from '../../src/api/kinds.ts';
import type { Draft } from '../../src/machinery/object.ts';
import { type ControlPlane, notFound, startControlPlane } from './control-plane.ts';

function web(replicas: number, image = 'nginx:1', spec: Partial<Deployment['spec']> = {}): Draft<Deployment> {
  return {
    metadata: { name: 'web', namespace: 'default' },
    spec: {
      replicas,
      selector: { matchLabels: { app: 'web' } },
      template: { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'web', image }] } },
      ...spec,
    },
  };
}

describe('deployment', () => {
  let plane: ControlPlane;
  let broken: Set<string>;
  beforeEach(async () => {
    broken = new Set();
    plane = await startControlPlane({ node: 'n1', ready: (pod) => !broken.has(pod.spec.containers[0]?.image ?? '') });
  });
  afterEach(() => plane.close());

  const deployments = () => plane.admin.resource(Deployment).namespace('default');
  const available = (count: number) => async () => {
    const { status, metadata } = await plane.get(Deployment, 'web');
    return (
      status.observedGeneration === metadata.generation &&
      status.availableReplicas === count &&
      status.updatedReplicas === count &&
      status.replicas === count
    );
  };
  const images = async () => (await plane.list(Pod)).map((pod) => pod.spec.containers[0]?.image ?? '').sort();

  it('makes a replica set and its pods without a tick of the clock', async () => {
    const before = plane.world.clock.now();
    await plane.create(Deployment, web(3));
    await plane.settle();
    assert.ok(await available(3)());
    assert.equal(plane.world.clock.now(), before);

    const [replicaSet] = await plane.list(ReplicaSet);
    assert.equal(replicaSet?.metadata.annotations?.['deployment.kubernetes.io/revision'], '1');
    assert.match(replicaSet?.metadata.name ?? '', /^web-[bcdfghjklmnpqrstvwxz2456789]+$/);
    const deployment = await plane.get(Deployment, 'web');
    assert.equal(deployment.metadata.annotations?.['deployment.kubernetes.io/revision'], '1');
    const progress = deployment.status.conditions?.find(({ type }) => type === 'Progressing');
    assert.equal(progress?.reason, 'NewReplicaSetAvailable');
    assert.equal(progress?.message, `ReplicaSet "${replicaSet?.metadata.name}" has successfully progressed.`);
    assert.equal(deployment.status.conditions?.find(({ type }) => type === 'Available')?.reason, 'MinimumReplicasAvailable');
    const messages = (await plane.list(Event)).map((event) => event.message);
    assert.ok(messages.includes(`Scaled up replica set ${replicaSet?.metadata.name} from 0 to 3`), messages.join('\n'));
    assert.deepEqual(plane.complaints, []);
  });

  it('says why no replica set can be made, and makes it as soon as it can', async () => {
    const quotas = plane.admin.resource(ResourceQuota).namespace('default');
    await quotas.create({ metadata: { name: 'none', namespace: 'default' }, spec: { hard: { 'count/replicasets.apps': '0' } } });
    await plane.settle();
    await plane.create(Deployment, web(1));
    await plane.settle(100);
    const { conditions } = (await plane.get(Deployment, 'web')).status;
    const progressing = conditions?.find(({ type }) => type === 'Progressing');
    assert.deepEqual([progressing?.status, progressing?.reason], ['False', 'ReplicaSetCreateError']);
    assert.match(progressing?.message ?? '', /^Failed to create new replica set "web-[a-z0-9]+": .*exceeded quota: none/);
    assert.ok((await plane.list(Event)).some(({ reason, message }) => reason === 'ReplicaSetCreateError' && message === progressing?.message));
    await quotas.delete('none');
    await plane.until('it is available', available(1));
  });

  it('replaces a pod that is deleted', async () => {
    await plane.create(Deployment, web(2));
    await plane.until('2 available', available(2));
    const [pod] = await plane.list(Pod);
    await plane.admin
      .resource(Pod)
      .namespace('default')
      .delete(pod?.metadata.name ?? '');
    await plane.settle();
    await plane.until('2 available again', available(2));
    assert.equal((await plane.list(Pod)).length, 2);
    assert.ok((await plane.list(Pod)).every((other) => other.metadata.uid !== pod?.metadata.uid));
  });

  it('rolls to a new template and back, counting revisions', async () => {
    await plane.create(Deployment, web(4));
    await plane.until('4 available', available(4));
    const first = (await plane.get(Deployment, 'web')).spec.template;
    await deployments().patch('web', { spec: { template: { spec: { containers: [{ name: 'web', image: 'nginx:2' }] } } } }, { type: 'strategic' });
    await plane.settle();
    await plane.until('rolled', available(4));
    assert.deepEqual(await images(), ['nginx:2', 'nginx:2', 'nginx:2', 'nginx:2']);
    assert.equal((await plane.get(Deployment, 'web')).metadata.annotations?.['deployment.kubernetes.io/revision'], '2');

    await deployments().patch('web', [{ op: 'replace', path: '/spec/template', value: first }], { type: 'json' });
    await plane.settle();
    await plane.until('rolled back', available(4));
    assert.deepEqual(await images(), ['nginx:1', 'nginx:1', 'nginx:1', 'nginx:1']);
    const replicaSets = await plane.list(ReplicaSet);
    assert.equal(replicaSets.length, 2);
    const current = replicaSets.find((replicaSet) => replicaSet.spec.replicas === 4);
    assert.equal(current?.metadata.annotations?.['deployment.kubernetes.io/revision'], '3');
    assert.equal(current?.metadata.annotations?.['deployment.kubernetes.io/revision-history'], '1');
  });

  it('stops at a broken version with enough of the old one serving, and says when the deadline has passed', async () => {
    await plane.create(Deployment, web(4, 'nginx:1', { progressDeadlineSeconds: 30 }));
    await plane.until('4 available', available(4));
    broken.add('nginx:bad');
    await deployments().patch('web', { spec: { template: { spec: { containers: [{ name: 'web', image: 'nginx:bad' }] } } } }, { type: 'strategic' });
    await plane.settle();
    const { status } = await plane.get(Deployment, 'web');
    assert.equal(status.availableReplicas, 3);
    assert.equal(status.updatedReplicas, 2);
    await plane.until('deadline', async () => {
      const progress = (await plane.get(Deployment, 'web')).status.conditions?.find(({ type }) => type === 'Progressing');
      return progress?.reason === 'ProgressDeadlineExceeded' && progress.status === 'False';
    });
    assert.equal((await plane.get(Deployment, 'web')).status.availableReplicas, 3);
  });

  it('recreates: no new pod before the last old one is gone', async () => {
    await plane.create(Deployment, web(2, 'nginx:1', { strategy: { type: 'Recreate' } }));
    await plane.until('2 available', available(2));
    const seen: string[][] = [];
    const stop = plane.informers.of(Pod).subscribe({
      added: () =>
        seen.push(
          plane.informers
            .of(Pod)
            .list()
            .map((pod) => pod.spec.containers[0]?.image ?? ''),
        ),
    });
    await deployments().patch('web', { spec: { template: { spec: { containers: [{ name: 'web', image: 'nginx:2' }] } } } }, { type: 'strategic' });
    await plane.settle();
    await plane.until('recreated', available(2));
    stop();
    assert.ok(
      seen.slice(2).every((now) => new Set(now).size === 1),
      JSON.stringify(seen),
    );
  });

  it('does nothing to a paused deployment but scale it', async () => {
    await plane.create(Deployment, web(2, 'nginx:1'));
    await plane.until('2 available', available(2));
    await deployments().patch(
      'web',
      { spec: { paused: true, template: { spec: { containers: [{ name: 'web', image: 'nginx:2' }] } } } },
      { type: 'strategic' },
    );
    await plane.settle(1000);
    assert.deepEqual(await images(), ['nginx:1', 'nginx:1']);
    assert.equal((await plane.get(Deployment, 'web')).status.conditions?.find(({ type }) => type === 'Progressing')?.reason, 'DeploymentPaused');
    await deployments().patch('web', { spec: { replicas: 3 } });
    await plane.settle(1000);
    assert.deepEqual(await images(), ['nginx:1', 'nginx:1', 'nginx:1']);
    await deployments().patch('web', { spec: { paused: false } });
    await plane.settle();
    await plane.until('rolled', available(3));
    assert.deepEqual(await images(), ['nginx:2', 'nginx:2', 'nginx:2']);
  });

  it('keeps no more old replica sets than asked for', async () => {
    await plane.create(Deployment, web(1, 'nginx:1', { revisionHistoryLimit: 1 }));
    for (const image of ['nginx:2', 'nginx:3', 'nginx:4']) {
      await plane.until('available', available(1));
      await deployments().patch('web', { spec: { template: { spec: { containers: [{ name: 'web', image }] } } } }, { type: 'strategic' });
      await plane.settle();
    }
    await plane.until('available', available(1));
    await plane.settle(1000);
    assert.equal((await plane.list(ReplicaSet)).length, 2);
  });

  it('goes with everything it made', async () => {
    await plane.create(Deployment, web(2));
    await plane.until('2 available', available(2));
    await deployments().delete('web', { propagationPolicy: 'Background' });
    await plane.settle();
    await plane.until('all gone', async () => (await plane.list(Pod)).length === 0 && (await plane.list(ReplicaSet)).length === 0);
    assert.ok(await notFound(plane.get(Deployment, 'web')));
  });

  it('in foreground deletion goes last', async () => {
    await plane.create(Deployment, web(2));
    await plane.until('2 available', available(2));
    const order: string[] = [];
    const kinds: readonly Kind[] = [Pod, ReplicaSet, Deployment];
    for (const kind of kinds) plane.informers.of(kind).subscribe({ deleted: () => order.push(kind.kind) });
    await deployments().delete('web', { propagationPolicy: 'Foreground' });
    await plane.settle();
    await plane.until('gone', () => notFound(plane.get(Deployment, 'web')));
    assert.deepEqual(order, ['Pod', 'Pod', 'ReplicaSet', 'Deployment']);
  });

  it('orphans when asked to, and is adopted again', async () => {
    await plane.create(Deployment, web(2));
    await plane.until('2 available', available(2));
    const [replicaSet] = await plane.list(ReplicaSet);
    await deployments().delete('web', { propagationPolicy: 'Orphan' });
    await plane.settle();
    await plane.until('gone', () => notFound(plane.get(Deployment, 'web')));
    await plane.settle(5000);
    const [orphan] = await plane.list(ReplicaSet);
    assert.equal(orphan?.metadata.uid, replicaSet?.metadata.uid);
    assert.deepEqual(orphan?.metadata.ownerReferences ?? [], []);
    await plane.create(Deployment, web(2));
    await plane.settle();
    await plane.until('2 available', available(2));
    assert.deepEqual(
      (await plane.list(ReplicaSet)).map(({ metadata }) => [metadata.uid, metadata.ownerReferences?.[0]?.name]),
      [[replicaSet?.metadata.uid, 'web']],
    );
    assert.equal((await plane.list(Pod)).length, 2);
  });
});
