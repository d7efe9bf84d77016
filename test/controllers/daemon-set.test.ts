/** Daemon sets against the API server, with kubelets that only pretend. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { ControllerRevision, DaemonSet, Event, Node, Pod } from '../../src/api/kinds.ts';
import type { Draft } from '../../src/machinery/object.ts';
import { targetNode } from '../../src/controllers/daemon-set/node-fit.ts';
import { type ControlPlane, readyNode, startControlPlane } from './control-plane.ts';

function agent(spec: Partial<DaemonSet['spec']> = {}, image = 'a:1'): Draft<DaemonSet> {
  return {
    metadata: { name: 'agent', namespace: 'default' },
    spec: {
      selector: { matchLabels: { app: 'agent' } },
      template: { metadata: { labels: { app: 'agent' } }, spec: { containers: [{ name: 'a', image }] } },
      ...spec,
    },
  };
}

describe('daemon set', () => {
  let plane: ControlPlane;
  let broken: Set<string>;
  async function start(lagMs?: number): Promise<void> {
    broken = new Set();
    plane = await startControlPlane({
      node: targetNode,
      ready: (pod) => !broken.has(pod.spec.containers[0]?.image ?? ''),
      ...(lagMs !== undefined && { lagMs }),
    });
    for (const name of ['n1', 'n2', 'n3']) await addNode(name);
    await plane.settle();
  }
  const addNode = async (name: string, labels: Record<string, string> = {}): Promise<void> => {
    const draft = readyNode(name, plane.world);
    await plane.create(Node, { ...draft, metadata: { name, labels } });
  };
  beforeEach(() => start());
  afterEach(() => plane.close());

  const daemonSets = () => plane.admin.resource(DaemonSet).namespace('default');
  const status = async () => (await daemonSets().get('agent')).status;
  const done = (count: number) => async () => {
    const { metadata, status } = await daemonSets().get('agent');
    const { updatedNumberScheduled = 0, numberAvailable = 0, desiredNumberScheduled } = status;
    return (
      status.observedGeneration === metadata.generation && [desiredNumberScheduled, updatedNumberScheduled, numberAvailable].every((n) => n === count)
    );
  };
  const setImage = (image: string) =>
    daemonSets().patch('agent', { spec: { template: { spec: { containers: [{ name: 'a', image }] } } } }, { type: 'strategic' });
  const pods = async () => (await plane.list(Pod)).filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  const images = async () => (await pods()).map(({ spec }) => spec.containers[0]?.image ?? '').sort();

  it('runs a pod on every node that fits, also on those that come later', async () => {
    await plane.create(DaemonSet, agent());
    await plane.until('3', done(3));
    const [pod] = await pods();
    assert.match(pod?.metadata.labels?.['controller-revision-hash'] ?? '', /^[a-z0-9]+$/);
    assert.equal(pod?.metadata.labels?.['pod-template-generation'], '1');
    assert.ok(pod?.spec.tolerations?.some(({ key }) => key === 'node.kubernetes.io/unschedulable'));
    await addNode('n4');
    await plane.until('4', done(4));
    assert.deepEqual((await pods()).map(({ spec }) => spec.nodeName ?? '').sort(), ['n1', 'n2', 'n3', 'n4']);
    const messages = (await plane.list(Event)).map(({ message }) => message);
    assert.ok(messages.includes(`Created pod: ${pod?.metadata.name}`));
    assert.deepEqual(plane.complaints, []);
  });

  it('follows node labels and taints', async () => {
    const draft = agent();
    await plane.create(
      DaemonSet,
      agent({ template: { ...draft.spec.template, spec: { containers: [{ name: 'a', image: 'a:1' }], nodeSelector: { disk: 'ssd' } } } }),
    );
    await plane.settle(1000);
    assert.deepEqual(await pods(), []);
    const nodes = plane.admin.resource(Node);
    await nodes.patch('n1', { metadata: { labels: { disk: 'ssd' } } });
    await nodes.patch('n2', { metadata: { labels: { disk: 'ssd' } } });
    await plane.until('2', done(2));
    await nodes.patch('n2', { metadata: { labels: { disk: null } } });
    await plane.until('1', done(1));
    await nodes.patch('n1', { spec: { taints: [{ key: 'x', effect: 'NoSchedule' }] } });
    await plane.until('stays', async () => (await status()).numberMisscheduled === 1);
    assert.equal((await pods()).length, 1);
    await nodes.patch('n1', { spec: { taints: [{ key: 'x', effect: 'NoExecute' }] } });
    await plane.until('gone', async () => (await pods()).length === 0);
  });

  it('rolls over one node at a time, and stops at a broken template', async () => {
    await plane.create(DaemonSet, agent());
    await plane.until('3', done(3));
    broken.add('a:2');
    await setImage('a:2');
    await plane.settle(5000);
    assert.deepEqual(await images(), ['a:1', 'a:1', 'a:2']);
    assert.equal((await status()).numberUnavailable, 1);
    await setImage('a:3');
    await plane.until('rolled', done(3));
    assert.deepEqual(await images(), ['a:3', 'a:3', 'a:3']);
  });

  it('surges: a new pod serves before the old one goes', async () => {
    await plane.create(DaemonSet, agent({ updateStrategy: { rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } } }));
    await plane.until('3', done(3));
    broken.add('a:2');
    await setImage('a:2');
    await plane.settle(5000);
    assert.deepEqual(await images(), ['a:1', 'a:1', 'a:1', 'a:2']);
    await setImage('a:3');
    await plane.until('rolled', done(3));
    assert.deepEqual(await images(), ['a:3', 'a:3', 'a:3']);
  });

  it('on delete, replaces only what is deleted', async () => {
    await plane.create(DaemonSet, agent({ updateStrategy: { type: 'OnDelete' } }));
    await plane.until('3', done(3));
    await setImage('a:2');
    await plane.settle(2000);
    assert.deepEqual(await images(), ['a:1', 'a:1', 'a:1']);
    const [pod] = await pods();
    await plane.admin
      .resource(Pod)
      .namespace('default')
      .delete(pod?.metadata.name ?? '');
    await plane.until('one new', async () => (await images()).join() === 'a:1,a:1,a:2');
  });

  it('keeps a revision per template, numbered anew when one is taken up again, and forgets the oldest', async () => {
    await plane.create(DaemonSet, agent({ revisionHistoryLimit: 1 }));
    await plane.until('3', done(3));
    const revisions = async () => (await plane.list(ControllerRevision)).map(({ revision }) => revision).sort((a, b) => a - b);
    for (const image of ['a:2', 'a:1', 'a:3']) {
      await setImage(image);
      await plane.until(image, done(3));
      await plane.settle(100);
    }
    assert.deepEqual(await revisions(), [3, 4]);
    const [revision] = (await plane.list(ControllerRevision)).filter((one) => one.revision === 3);
    await daemonSets().patch('agent', revision?.data as object, { type: 'strategic' });
    await plane.until('undone', done(3));
    assert.deepEqual(await images(), ['a:1', 'a:1', 'a:1']);
    assert.deepEqual(await revisions(), [4, 5]);
  });

  it('replaces failed pods, ever more slowly', async () => {
    await plane.create(DaemonSet, agent());
    await plane.until('3', done(3));
    const [pod] = await pods();
    await plane.admin
      .resource(Pod)
      .namespace('default')
      .patch(pod?.metadata.name ?? '', { status: { phase: 'Failed' } }, { subresource: 'status' });
    await plane.until('replaced', async () => (await done(3)()) && !(await pods()).some(({ metadata }) => metadata.name === pod?.metadata.name));
    assert.ok((await plane.list(Event)).some(({ reason }) => reason === 'FailedDaemonPod'));
  });

  it('makes nothing twice behind a lagging cache and through restarts', async () => {
    await plane.close();
    await start(200);
    const made: string[] = [];
    plane.informers.of(Pod).subscribe({ added: (pod) => made.push(pod.metadata.name) });
    await plane.create(DaemonSet, agent());
    await plane.until('3', done(3));
    await plane.settle(5000);
    assert.equal(made.length, 3);
    await setImage('a:2');
    await plane.settle(250);
    await plane.restart();
    await plane.until('rolled', done(3));
    await plane.settle(5000);
    assert.equal(made.length, 6);
    assert.deepEqual(plane.complaints, []);
  });
});
