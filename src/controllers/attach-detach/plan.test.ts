import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Node, Pod, VolumeAttachment } from '../../api/kinds.ts';
import { attachmentName, isOwn, uniqueVolumeName } from './attachments.ts';
import { type AttachPlan, maxWaitForUnmountMs, multiAttachMessage, planAttachments } from './plan.ts';

const stamps = { uid: 'u', resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' };
const disk = { driver: 'disks.example.com', volumeHandle: 'd1' };
const uniqueName = uniqueVolumeName(disk);

function node(name: string, facts: { inUse?: boolean; ready?: boolean; outOfService?: boolean; managed?: boolean } = {}): Node {
  const { inUse = false, ready = true, outOfService = false, managed = true } = facts;
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { ...stamps, name, annotations: managed ? { 'volumes.kubernetes.io/controller-managed-attach-detach': 'true' } : {} },
    spec: { ...(outOfService && { taints: [{ key: 'node.kubernetes.io/out-of-service', effect: 'NoExecute' }] }) },
    status: { conditions: [{ type: 'Ready', status: ready ? 'True' : 'Unknown' }], ...(inUse && { volumesInUse: [uniqueName] }) },
  };
}

function pod(name: string, namespace = 'a'): Pod {
  return { apiVersion: 'v1', kind: 'Pod', metadata: { ...stamps, name, namespace }, spec: { containers: [] }, status: {} };
}

function attachment(nodeName: string, deletionTimestamp?: string): VolumeAttachment {
  const metadata = { ...stamps, name: attachmentName(disk, nodeName), ...(deletionTimestamp !== undefined && { deletionTimestamp }) };
  const spec = { attacher: disk.driver, nodeName, source: { persistentVolumeName: 'v' } };
  return { apiVersion: 'storage.k8s.io/v1', kind: 'VolumeAttachment', metadata, spec, status: { attached: true } };
}

interface Situation {
  readonly wanted?: readonly string[];
  readonly attached?: readonly VolumeAttachment[];
  readonly nodes?: readonly Node[];
  readonly sharable?: boolean;
  /** How long what is not wanted has not been. */
  readonly unwantedForMs?: number;
}

function plan({ wanted = [], attached = [], nodes = [node('n1'), node('n2')], sharable = false, unwantedForMs = 0 }: Situation): AttachPlan {
  return planAttachments({
    wanted: new Map(wanted.map((name) => [name, [pod(`on-${name}`)]])),
    attachments: attached,
    sharable,
    node: (name) => nodes.find(({ metadata }) => metadata.name === name),
    uniqueName,
    unwantedSinceMs: new Map(attached.map(({ metadata }) => [metadata.name, maxWaitForUnmountMs - unwantedForMs])),
    nowMs: maxWaitForUnmountMs,
  });
}

const nodesOf = (list: readonly VolumeAttachment[]): string[] => list.map(({ spec }) => spec.nodeName);

describe('attaching', () => {
  it('is to where a pod wants the volume, once', () => {
    assert.deepEqual(plan({ wanted: ['n1'] }).attach, ['n1']);
    assert.deepEqual(plan({ wanted: ['n1'], attached: [attachment('n1')] }).attach, []);
  });
  it('is to one node only, if the volume cannot be shared, until the other has let go of it', () => {
    const both = plan({ wanted: ['n1', 'n2'] });
    assert.deepEqual([both.attach, both.blocked], [['n1'], ['n2']]);
    const moving = plan({ wanted: ['n2'], attached: [attachment('n1')] });
    assert.deepEqual([moving.attach, moving.blocked, nodesOf(moving.detach)], [[], ['n2'], ['n1']]);
    const leaving = plan({ wanted: ['n2'], attached: [attachment('n1', '2026-01-01T00:00:00Z')] });
    assert.deepEqual([leaving.attach, leaving.blocked, leaving.detach], [[], ['n2'], []]);
    assert.deepEqual(plan({ wanted: ['n1', 'n2'], sharable: true, attached: [attachment('n1')] }).attach, ['n2']);
  });
  it('waits for an attachment to the same node that is still being taken down', () => {
    const again = plan({ wanted: ['n1'], attached: [attachment('n1', '2026-01-01T00:00:00Z')] });
    assert.deepEqual([again.attach, again.detach], [[], []]);
  });
  it('is left to nodes that do it themselves', () => assert.deepEqual(plan({ wanted: ['n1'], nodes: [node('n1', { managed: false })] }).attach, []));
});

describe('detaching', () => {
  const cases: readonly (readonly [what: string, nodes: readonly Node[], unwantedForMs: number, detached: boolean, again: number | undefined])[] = [
    ['is done when no pod wants the volume there', [node('n1')], 0, true, undefined],
    ['waits for the node to unmount it', [node('n1', { inUse: true })], 0, false, undefined],
    ['waits for a node that is well however long it takes', [node('n1', { inUse: true })], maxWaitForUnmountMs, false, undefined],
    ['waits six minutes for one that is not', [node('n1', { inUse: true, ready: false })], maxWaitForUnmountMs - 1, false, 1],
    ['is forced then', [node('n1', { inUse: true, ready: false })], maxWaitForUnmountMs, true, undefined],
    ['does not wait for a node that is out of service', [node('n1', { inUse: true, ready: false, outOfService: true })], 0, true, undefined],
    ['does not wait for a node that is gone', [], 0, true, undefined],
  ];
  for (const [what, nodes, unwantedForMs, detached, again] of cases)
    it(what, () => {
      const found = plan({ attached: [attachment('n1')], nodes, unwantedForMs });
      assert.deepEqual(nodesOf(found.detach), detached ? ['n1'] : []);
      assert.equal(found.requeueAfterMs, again);
    });
});

describe('any plan', () => {
  const names = fc.subarray(['n1', 'n2', 'n3']);
  const nodes = [node('n1'), node('n2', { inUse: true }), node('n3', { inUse: true, ready: false })];
  it('attaches a volume that cannot be shared to one node at most, and takes it from none that wants it', () => {
    fc.assert(
      fc.property(names, names, fc.boolean(), (wanted, held, sharable) => {
        const found = plan({ wanted, attached: held.map((name) => attachment(name)), nodes, sharable });
        if (!sharable && found.attach.length > 0) assert.deepEqual([found.attach.length, held.length], [1, 0]);
        for (const { spec } of found.detach) assert.ok(!wanted.includes(spec.nodeName));
        for (const name of found.attach) assert.ok(wanted.includes(name) && !held.includes(name));
        if (sharable) assert.deepEqual(found.blocked, []);
      }),
      { numRuns: 200 },
    );
  });
});

describe('what a pod is told that cannot have the volume', () => {
  const say = (users: readonly Pod[]): string => multiAttachMessage('v', pod('p'), users).replace('Multi-Attach error for volume "v" ', '');
  it('names only pods of its own namespace', () => {
    assert.equal(say([]), "Volume is already exclusively attached to one node and can't be attached to another");
    assert.equal(say([pod('q'), pod('r')]), 'Volume is already used by pod(s) q, r');
    assert.equal(say([pod('q'), pod('x', 'b')]), 'Volume is already used by pod(s) q and 1 pod(s) in different namespaces');
    assert.equal(say([pod('x', 'b')]), 'Volume is already used by 1 pod(s) in different namespaces');
  });
});

describe('an attachment', () => {
  it('is known by its name', () => {
    assert.match(attachmentName(disk, 'n1'), /^csi-[0-9a-f]{64}$/);
    assert.ok(isOwn(attachment('n1'), disk));
    assert.ok(isOwn(attachment('n1'), undefined));
    const other = { ...attachment('n1'), metadata: { ...stamps, name: 'by-hand' } };
    assert.ok(!isOwn(other, disk) && !isOwn(other, undefined));
  });
});
