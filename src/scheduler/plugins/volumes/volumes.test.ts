/** The plugins about volumes, in tables: which claims and volumes there are, and where a pod that mounts them goes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type {
  CSIDriver,
  CSINode,
  CSIStorageCapacity,
  Node,
  PersistentVolume,
  PersistentVolumeClaim,
  Pod,
  StorageClass,
  VolumeAttachment,
} from '../../../api/kinds.ts';
import { testNode, testPod } from '../../test-objects.ts';
import { decide, outcomeOf, type Situation } from '../../test-profile.ts';

const meta = (name: string, more: object = {}) => ({
  name,
  uid: `uid-${name}`,
  resourceVersion: '1',
  creationTimestamp: '2026-01-01T00:00:00Z',
  ...more,
});
const node = (name: string, labels: Record<string, string> = {}): Node => testNode(name, {}, { 'kubernetes.io/hostname': name, ...labels });

const mounting = (name: string, ...claims: string[]): Pod =>
  testPod(name, { volumes: claims.map((claimName, index) => ({ name: `v${index}`, persistentVolumeClaim: { claimName } })) });

function claim(name: string, spec: Partial<PersistentVolumeClaim['spec']> = {}, annotations: Record<string, string> = {}): PersistentVolumeClaim {
  const bound: Record<string, string> = spec.volumeName === undefined ? {} : { 'pv.kubernetes.io/bind-completed': 'yes' };
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { ...meta(name), namespace: 'default', annotations: { ...bound, ...annotations } },
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } }, storageClassName: 'late', ...spec },
    status: { phase: spec.volumeName === undefined ? 'Pending' : 'Bound' },
  };
}

function volume(
  name: string,
  on: string | undefined,
  spec: Partial<PersistentVolume['spec']> = {},
  labels: Record<string, string> = {},
): PersistentVolume {
  const matchExpressions = [{ key: 'kubernetes.io/hostname', operator: 'In', values: [on ?? ''] }];
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: meta(name, { labels }),
    spec: {
      capacity: { storage: '1Gi' },
      accessModes: ['ReadWriteOnce'],
      storageClassName: 'late',
      ...(on !== undefined && { nodeAffinity: { required: { nodeSelectorTerms: [{ matchExpressions }] } } }),
      ...spec,
    },
    status: { phase: 'Available' },
  };
}

const storageClass = (name: string, provisioner: string, more: Partial<StorageClass> = {}): StorageClass => ({
  apiVersion: 'storage.k8s.io/v1',
  kind: 'StorageClass',
  metadata: meta(name),
  provisioner,
  volumeBindingMode: 'WaitForFirstConsumer',
  ...more,
});
const late = storageClass('late', 'kubernetes.io/no-provisioner');
const made = storageClass('late', 'csi.example.com');
const driver: CSIDriver = { apiVersion: 'storage.k8s.io/v1', kind: 'CSIDriver', metadata: meta('csi.example.com'), spec: { storageCapacity: true } };
const room = (hostname: string, capacity: string): CSIStorageCapacity => ({
  apiVersion: 'storage.k8s.io/v1',
  kind: 'CSIStorageCapacity',
  metadata: { ...meta(`room-${hostname}`), namespace: 'kube-system' },
  storageClassName: 'late',
  capacity,
  nodeTopology: { matchLabels: { 'kubernetes.io/hostname': hostname } },
});
const csiNode = (name: string, count: number): CSINode => ({
  apiVersion: 'storage.k8s.io/v1',
  kind: 'CSINode',
  metadata: meta(name),
  spec: { drivers: [{ name: 'csi.example.com', nodeID: name, allocatable: { count } }] },
});
const attached = (volumeName: string, nodeName: string): VolumeAttachment => ({
  apiVersion: 'storage.k8s.io/v1',
  kind: 'VolumeAttachment',
  metadata: meta(`attached-${volumeName}`),
  spec: { attacher: 'csi.example.com', nodeName, source: { persistentVolumeName: volumeName } },
  status: { attached: true },
});
const csi = (handle: string): Partial<PersistentVolume['spec']> => ({ csi: { driver: 'csi.example.com', volumeHandle: handle } });

const two = [node('a'), node('b')];

const cases: readonly (Situation & { readonly name: string; readonly pod: Pod; readonly expect: string })[] = [
  { name: 'a claim nobody made', nodes: two, pod: mounting('p', 'c'), expect: '0/2 nodes are available: persistentvolumeclaim "c" not found.' },
  {
    name: 'an ephemeral claim that is being made',
    nodes: two,
    pod: testPod('p', { volumes: [{ name: 'tmp', ephemeral: { volumeClaimTemplate: { spec: {} } } }] }),
    expect: '0/2 nodes are available: persistentvolumeclaim "p-tmp" not found.',
  },
  {
    name: 'an unbound claim of a class that binds at once',
    nodes: two,
    objects: [claim('c'), storageClass('late', 'x', { volumeBindingMode: 'Immediate' })],
    pod: mounting('p', 'c'),
    expect: '0/2 nodes are available: pod has unbound immediate PersistentVolumeClaims.',
  },
  {
    name: 'a claim that lost its volume',
    nodes: two,
    objects: [{ ...claim('c', { volumeName: 'v' }), status: { phase: 'Lost' } }],
    pod: mounting('p', 'c'),
    expect: '0/2 nodes are available: persistentvolumeclaim "c" bound to non-existent persistentvolume "v".',
  },
  { name: 'a bound local volume', nodes: two, objects: [claim('c', { volumeName: 'v' }), volume('v', 'b')], pod: mounting('p', 'c'), expect: 'b' },
  {
    name: 'a bound volume on a node that is gone',
    nodes: two,
    objects: [claim('c', { volumeName: 'v' }), volume('v', 'z')],
    pod: mounting('p', 'c'),
    expect: "0/2 nodes are available: 2 node(s) didn't match PersistentVolume's node affinity.",
  },
  {
    name: 'a bound volume that is gone',
    nodes: two,
    objects: [claim('c', { volumeName: 'v' })],
    pod: mounting('p', 'c'),
    expect: '0/2 nodes are available: 2 node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s).',
  },
  { name: 'a free local volume', nodes: two, objects: [claim('c'), late, volume('v', 'b')], pod: mounting('p', 'c'), expect: 'b' },
  {
    name: 'two claims need two volumes',
    nodes: two,
    objects: [claim('c'), claim('d'), late, volume('v', 'a'), volume('w', 'b'), volume('x', 'b')],
    pod: mounting('p', 'c', 'd'),
    expect: 'b',
  },
  {
    name: 'volumes too small, of another class, mode or access do not do',
    nodes: two,
    objects: [
      claim('c', { resources: { requests: { storage: '2Gi' } } }),
      late,
      volume('small', 'a'),
      volume('class', 'a', { storageClassName: 'other', capacity: { storage: '5Gi' } }),
      volume('mode', 'b', { volumeMode: 'Block', capacity: { storage: '5Gi' } }),
      volume('access', 'b', { accessModes: ['ReadOnlyMany'], capacity: { storage: '5Gi' } }),
    ],
    pod: mounting('p', 'c'),
    expect: "0/2 nodes are available: 2 node(s) didn't find available persistent volumes to bind.",
  },
  {
    name: "a volume set aside for somebody else's claim",
    nodes: two,
    objects: [
      claim('c'),
      late,
      volume('v', 'a', { claimRef: { name: 'other', namespace: 'default' } }),
      volume('w', 'b', { claimRef: { name: 'c', namespace: 'default' } }),
    ],
    pod: mounting('p', 'c'),
    expect: 'b',
  },
  { name: 'a volume that can be made', nodes: [node('a')], objects: [claim('c'), made], pod: mounting('p', 'c'), expect: 'a' },
  {
    name: 'a volume that can be made in some topology only',
    nodes: two,
    objects: [claim('c'), { ...made, allowedTopologies: [{ matchLabelExpressions: [{ key: 'kubernetes.io/hostname', values: ['b'] }] }] }],
    pod: mounting('p', 'c'),
    expect: 'b',
  },
  {
    name: 'a volume there is room for',
    nodes: two,
    objects: [claim('c'), made, driver, room('a', '500Mi'), room('b', '2Gi')],
    pod: mounting('p', 'c'),
    expect: 'b',
  },
  {
    name: 'a volume there is no room for',
    nodes: two,
    objects: [claim('c'), made, driver, room('a', '500Mi')],
    pod: mounting('p', 'c'),
    expect: '0/2 nodes are available: 2 node(s) did not have enough free storage.',
  },
  {
    name: 'a volume that is being made on a node',
    nodes: two,
    objects: [claim('c', {}, { 'volume.kubernetes.io/selected-node': 'b' }), made],
    pod: mounting('p', 'c'),
    expect: 'b',
  },
  {
    name: "a volume's zone",
    nodes: [node('a', { 'topology.kubernetes.io/zone': 'x' }), node('b', { 'topology.kubernetes.io/zone': 'y' })],
    objects: [claim('c', { volumeName: 'v' }), volume('v', undefined, {}, { 'topology.kubernetes.io/zone': 'y__z' })],
    pod: mounting('p', 'c'),
    expect: 'b',
  },
  {
    name: 'a zone no node is in',
    nodes: [node('a', { 'topology.kubernetes.io/zone': 'x' })],
    objects: [claim('c', { volumeName: 'v' }), volume('v', undefined, {}, { 'topology.kubernetes.io/zone': 'y' })],
    pod: mounting('p', 'c'),
    expect: '0/1 nodes are available: 1 node(s) had no available volume zone.',
  },
  {
    name: 'a claim that is one pod alone',
    nodes: two,
    objects: [claim('c', { volumeName: 'v', accessModes: ['ReadWriteOncePod'] }), volume('v', undefined)],
    placed: [[mounting('q', 'c'), 'a']],
    pod: mounting('p', 'c'),
    expect: '0/2 nodes are available: 2 node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode.',
  },
  {
    name: 'a disk that can be attached once',
    nodes: two,
    placed: [[testPod('q', { volumes: [{ name: 'd', gcePersistentDisk: { pdName: 'disk' } }] }), 'a']],
    pod: testPod('p', { nodeName: 'a', volumes: [{ name: 'd', gcePersistentDisk: { pdName: 'disk', readOnly: true } }] }),
    expect: "0/2 nodes are available: 1 node(s) didn't match the requested node name, 1 node(s) had no available disk.",
  },
  {
    name: 'as many volumes as the driver attaches',
    nodes: two,
    objects: [
      csiNode('a', 1),
      csiNode('b', 2),
      ...['c', 'd'].flatMap((name) => [claim(name, { volumeName: `v-${name}` }), volume(`v-${name}`, undefined, csi(name))]),
    ],
    placed: [
      [mounting('q', 'c'), 'a'],
      [mounting('r', 'c'), 'b'],
    ],
    pod: mounting('p', 'd'),
    expect: 'b',
  },
  {
    name: 'a shared volume takes one place',
    nodes: [node('a')],
    objects: [csiNode('a', 1), claim('c', { volumeName: 'v' }), volume('v', undefined, csi('c'))],
    placed: [[mounting('q', 'c'), 'a']],
    pod: mounting('p', 'c'),
    expect: 'a',
  },
  {
    name: 'one more than the driver attaches',
    nodes: [node('a')],
    objects: [csiNode('a', 1), made, claim('c', { volumeName: 'v' }), volume('v', undefined, csi('c')), claim('d')],
    placed: [[mounting('q', 'c'), 'a']],
    pod: mounting('p', 'd'),
    expect: '0/1 nodes are available: 1 node(s) exceed max volume count.',
  },
  {
    name: 'a volume that is still attached takes its place',
    nodes: two,
    objects: [
      csiNode('a', 1),
      csiNode('b', 1),
      attached('left', 'a'),
      volume('left', undefined, csi('l')),
      claim('c', { volumeName: 'v' }),
      volume('v', undefined, csi('c')),
    ],
    pod: mounting('p', 'c'),
    expect: 'b',
  },
  {
    name: 'a volume that is attached already needs no other place',
    nodes: [node('a')],
    objects: [csiNode('a', 1), attached('v', 'a'), claim('c', { volumeName: 'v' }), volume('v', undefined, csi('c'))],
    pod: mounting('p', 'c'),
    expect: 'a',
  },
];

for (const { name, pod, expect, ...situation } of cases) {
  test(`volumes: ${name}`, () => assert.equal(outcomeOf(decide(situation, pod)), expect));
}
