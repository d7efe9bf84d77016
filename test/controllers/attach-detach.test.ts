import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { CSIDriver, Event, Node, PersistentVolume, PersistentVolumeClaim, Pod, VolumeAttachment } from '../../src/api/kinds.ts';
import { type ControlPlane, notFound, startControlPlane } from './control-plane.ts';

const uniqueName = 'kubernetes.io/csi/disks.example.com^d1';

describe('volumes of a storage driver', () => {
  let plane: ControlPlane;
  beforeEach(async () => {
    plane = await startControlPlane({ controllers: '*,-node-lifecycle-controller,-taint-eviction-controller' });
    for (const name of ['n1', 'n2'])
      await plane.create(Node, { metadata: { name, annotations: { 'volumes.kubernetes.io/controller-managed-attach-detach': 'true' } }, spec: {} });
  });
  afterEach(() => plane.close());

  async function volume(accessModes: string[] = ['ReadWriteOnce']): Promise<void> {
    await plane.create(PersistentVolume, {
      metadata: { name: 'v' },
      spec: { capacity: { storage: '1Gi' }, accessModes, csi: { driver: 'disks.example.com', volumeHandle: 'd1' } },
    });
    await plane.create(PersistentVolumeClaim, {
      metadata: { name: 'data', namespace: 'default' },
      spec: { accessModes, resources: { requests: { storage: '1Gi' } } },
    });
  }
  async function pod(name: string, nodeName: string): Promise<Pod> {
    const volumes = [{ name: 'v', persistentVolumeClaim: { claimName: 'data' } }];
    const created = await plane.create(Pod, {
      metadata: { name, namespace: 'default' },
      spec: { nodeName, containers: [{ name: 'c', image: 'i' }], volumes },
    });
    await plane.settle();
    return created;
  }
  async function remove(name: string): Promise<void> {
    await plane.admin.resource(Pod).namespace('default').delete(name, { gracePeriodSeconds: 0 });
    await plane.settle();
  }
  const attachments = () => plane.admin.resource(VolumeAttachment);
  const attachedTo = async (): Promise<string[]> => (await attachments().list()).items.map(({ spec }) => spec.nodeName).sort();
  const reported = async (name: string): Promise<unknown> => (await plane.get(Node, name)).status.volumesAttached?.map((each) => each.name);

  /** What the driver's attacher does. */
  async function answer(status: Partial<VolumeAttachment['status']> = { attached: true }): Promise<void> {
    for (const { metadata } of (await attachments().list()).items) await attachments().patch(metadata.name, { status }, { subresource: 'status' });
    await plane.settle();
  }
  const nodeSays = async (name: string, status: Partial<Node['status']>): Promise<void> => {
    await plane.admin.resource(Node).patch(name, { status }, { subresource: 'status' });
    await plane.settle();
  };
  async function eventsOf({ metadata }: Pod): Promise<string[]> {
    return (await plane.list(Event))
      .filter(({ involvedObject }) => involvedObject.uid === metadata.uid)
      .map(({ reason, message }) => `${reason}: ${message}`);
  }

  it('are attached where a pod uses them, told to the node, and detached when it is gone', async () => {
    await volume();
    const user = await pod('p', 'n1');
    assert.deepEqual(await attachedTo(), ['n1']);
    const [made] = (await attachments().list()).items;
    assert.match(made?.metadata.name ?? '', /^csi-[0-9a-f]{64}$/);
    assert.deepEqual(made?.spec, { attacher: 'disks.example.com', nodeName: 'n1', source: { persistentVolumeName: 'v' } });
    assert.equal(await reported('n1'), undefined);
    await answer();
    assert.deepEqual(await reported('n1'), [uniqueName]);
    assert.deepEqual(await eventsOf(user), ['SuccessfulAttachVolume: AttachVolume.Attach succeeded for volume "v" ']);
    await remove('p');
    assert.deepEqual(await attachedTo(), []);
    assert.equal(await reported('n1'), undefined);
    assert.deepEqual(plane.complaints, []);
  });

  it('say what the driver could not do', async () => {
    await volume();
    const user = await pod('p', 'n1');
    await answer({ attachError: { message: 'no such disk' } });
    assert.deepEqual(await eventsOf(user), ['FailedAttachVolume: AttachVolume.Attach failed for volume "v" : no such disk']);
  });

  it('are not attached to a second node before the first lets go, and the pod there is told', async () => {
    await volume();
    await pod('first', 'n1');
    await answer();
    const second = await pod('second', 'n2');
    assert.deepEqual(await attachedTo(), ['n1']);
    assert.deepEqual(await eventsOf(second), ['FailedAttachVolume: Multi-Attach error for volume "v" Volume is already used by pod(s) first']);
    await remove('first');
    assert.deepEqual(await attachedTo(), ['n2']);
  });

  it('are attached to many nodes if they can be shared', async () => {
    await volume(['ReadWriteMany']);
    await pod('first', 'n1');
    await pod('second', 'n2');
    assert.deepEqual(await attachedTo(), ['n1', 'n2']);
  });

  it('stay while the node has them mounted', async () => {
    await volume();
    await pod('p', 'n1');
    await answer();
    await nodeSays('n1', { volumesInUse: [uniqueName], conditions: [{ type: 'Ready', status: 'True' }] });
    await remove('p');
    assert.deepEqual(await attachedTo(), ['n1']);
    await nodeSays('n1', { volumesInUse: [] });
    assert.deepEqual(await attachedTo(), []);
  });

  it('are taken from a node that has not been well for six minutes', async () => {
    await volume();
    await pod('p', 'n1');
    await answer();
    await nodeSays('n1', { volumesInUse: [uniqueName], conditions: [{ type: 'Ready', status: 'Unknown' }] });
    await remove('p');
    await plane.settle(359_000);
    assert.deepEqual(await attachedTo(), ['n1']);
    await plane.settle(2_000);
    assert.deepEqual(await attachedTo(), []);
  });

  it('are taken at once from a node that is out of service', async () => {
    await volume();
    await pod('p', 'n1');
    await answer();
    await nodeSays('n1', { volumesInUse: [uniqueName], conditions: [{ type: 'Ready', status: 'Unknown' }] });
    await remove('p');
    await plane.admin.resource(Node).patch('n1', { spec: { taints: [{ key: 'node.kubernetes.io/out-of-service', effect: 'NoExecute' }] } });
    await plane.settle();
    assert.deepEqual(await attachedTo(), []);
  });

  it('are not attached if their driver needs no attaching', async () => {
    await plane.create(CSIDriver, { metadata: { name: 'disks.example.com' }, spec: { attachRequired: false } });
    await volume();
    await pod('p', 'n1');
    assert.deepEqual(await attachedTo(), []);
  });

  it('are detached by the next controller when the last one died with them attached', async () => {
    await volume();
    await pod('p', 'n1');
    await answer();
    await plane.restart();
    assert.deepEqual(await attachedTo(), ['n1']);
    await remove('p');
    assert.deepEqual(await attachedTo(), []);
  });

  it("leave others' attachments alone", async () => {
    await volume();
    await plane.create(VolumeAttachment, {
      metadata: { name: 'by-hand' },
      spec: { attacher: 'disks.example.com', nodeName: 'n1', source: { persistentVolumeName: 'v' } },
    });
    await plane.settle();
    assert.deepEqual(await attachedTo(), ['n1']);
    await attachments().delete('by-hand');
    assert.ok(await notFound(attachments().get('by-hand')));
  });
});
