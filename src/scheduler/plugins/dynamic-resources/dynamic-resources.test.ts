import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DeviceClass, Node, Pod, ResourceClaim, ResourceSlice } from '../../../api/kinds.ts';
import type { V1Device, V1DeviceClaim, V1DeviceRequest, V1ExactDeviceRequest } from '../../../api/types.ts';
import { testNode, testPod } from '../../test-objects.ts';
import { decide, outcomeOf, type Situation } from '../../test-profile.ts';
import { allocate } from './allocator.ts';

const driver = 'gpu.example.com';
const meta = (name: string) => ({ name, uid: `uid-${name}`, resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' });
const gpuClass: DeviceClass = {
  apiVersion: 'resource.k8s.io/v1',
  kind: 'DeviceClass',
  metadata: meta('gpu'),
  spec: { selectors: [{ cel: { expression: `device.driver == "${driver}"` } }] },
};
const device = (name: string, model: string, memory: string, more: Partial<V1Device> = {}): V1Device => ({
  name,
  attributes: { model: { string: model }, firmware: { version: '1.2.3' }, [`${driver}/cores`]: { int: 8 } },
  capacity: { memory: { value: memory } },
  ...more,
});
const slice = (nodeName: string, devices: V1Device[], more: Partial<ResourceSlice['spec']> = {}): ResourceSlice => ({
  apiVersion: 'resource.k8s.io/v1',
  kind: 'ResourceSlice',
  metadata: meta(`slice-${nodeName}-${more.pool?.generation ?? 1}`),
  spec: { driver, nodeName, pool: { name: nodeName, generation: 1, resourceSliceCount: 1 }, devices, ...more },
});
const claimOf = (name: string, devices: V1DeviceClaim, status: ResourceClaim['status'] = {}): ResourceClaim => ({
  apiVersion: 'resource.k8s.io/v1',
  kind: 'ResourceClaim',
  metadata: { ...meta(name), namespace: 'default' },
  spec: { devices },
  status,
});
const ask = (exactly: Partial<V1ExactDeviceRequest> = {}): V1DeviceRequest => ({ name: 'r', exactly: { deviceClassName: 'gpu', ...exactly } });
const selecting = (expression: string): V1DeviceRequest => ask({ selectors: [{ cel: { expression } }] });
const claiming = (...names: string[]): Pod => testPod('p', { resourceClaims: names.map((name) => ({ name, resourceClaimName: name })) });
const taken = (name: string, where: string, deviceName: string, nodes = [where]): ResourceClaim =>
  claimOf(
    name,
    { requests: [ask()] },
    {
      allocation: {
        devices: { results: [{ request: 'r', driver, pool: where, device: deviceName }] },
        nodeSelector: { nodeSelectorTerms: [{ matchFields: [{ key: 'metadata.name', operator: 'In', values: nodes }] }] },
      },
    },
  );

const two = [testNode('a'), testNode('b')];
const slices = [slice('a', [device('g0', 'small', '8Gi')]), slice('b', [device('g0', 'large', '40Gi'), device('g1', 'small', '8Gi')])];
const cannot = '2 cannot allocate all claims';

const cases: readonly (Situation & { readonly name: string; readonly pod: Pod; readonly expect: string })[] = [
  {
    name: 'a claim that is missing',
    nodes: two,
    pod: claiming('c'),
    expect: '0/2 nodes are available: resourceclaim.resource.k8s.io "c" not found.',
  },
  {
    name: 'a class that is missing',
    nodes: two,
    objects: [claimOf('c', { requests: [ask()] })],
    pod: claiming('c'),
    expect: '0/2 nodes are available: request r: device class gpu does not exist.',
  },
  {
    name: 'where a device is',
    nodes: two,
    objects: [gpuClass, slices[1] ?? gpuClass, claimOf('c', { requests: [ask()] })],
    pod: claiming('c'),
    expect: 'b',
  },
  {
    name: 'by an attribute',
    nodes: two,
    objects: [gpuClass, ...slices, claimOf('c', { requests: [selecting(`device.attributes["${driver}"].model == "large"`)] })],
    pod: claiming('c'),
    expect: 'b',
  },
  {
    name: 'by a capacity',
    nodes: two,
    objects: [gpuClass, ...slices, claimOf('c', { requests: [selecting(`device.capacity["${driver}"].memory.compareTo(quantity("20Gi")) >= 0`)] })],
    pod: claiming('c'),
    expect: 'b',
  },
  {
    name: 'by a version',
    nodes: two,
    objects: [
      gpuClass,
      slices[0] ?? gpuClass,
      claimOf('c', { requests: [selecting(`device.attributes["${driver}"].firmware.isGreaterThan(semver("1.2.0"))`)] }),
    ],
    pod: claiming('c'),
    expect: 'a',
  },
  {
    name: 'nothing known in a domain',
    nodes: two,
    objects: [gpuClass, ...slices, claimOf('c', { requests: [selecting('has(device.attributes["other.com"].x)')] })],
    pod: claiming('c'),
    expect: `0/2 nodes are available: ${cannot}.`,
  },
  {
    name: 'two of them',
    nodes: two,
    objects: [gpuClass, ...slices, claimOf('c', { requests: [ask({ count: 2 })] })],
    pod: claiming('c'),
    expect: 'b',
  },
  {
    name: 'two of the same model',
    nodes: two,
    objects: [gpuClass, ...slices, claimOf('c', { requests: [ask({ count: 2 })], constraints: [{ matchAttribute: `${driver}/model` }] })],
    pod: claiming('c'),
    expect: `0/2 nodes are available: ${cannot}.`,
  },
  {
    name: 'two claims do not share a device',
    nodes: two,
    objects: [gpuClass, ...slices, claimOf('c', { requests: [ask()] }), claimOf('d', { requests: [ask()] })],
    pod: claiming('c', 'd'),
    expect: 'b',
  },
  {
    name: 'what is taken is taken',
    nodes: two,
    objects: [gpuClass, slices[0] ?? gpuClass, taken('other', 'a', 'g0'), claimOf('c', { requests: [ask()] })],
    pod: claiming('c'),
    expect: `0/2 nodes are available: ${cannot}.`,
  },
  {
    name: 'an allocated claim stays where it is',
    nodes: two,
    objects: [gpuClass, ...slices, taken('c', 'b', 'g1')],
    pod: claiming('c'),
    expect: 'b',
  },
  {
    name: 'an allocated claim of a node that is gone',
    nodes: two,
    objects: [gpuClass, ...slices, taken('c', 'z', 'g1')],
    pod: claiming('c'),
    expect: '0/2 nodes are available: 2 resourceclaim not available on the node.',
  },
  {
    name: 'the first alternative that can be had',
    nodes: two,
    objects: [
      gpuClass,
      slices[0] ?? gpuClass,
      claimOf('c', {
        requests: [
          {
            name: 'r',
            firstAvailable: [
              { name: 'big', deviceClassName: 'gpu', selectors: [{ cel: { expression: `device.attributes["${driver}"].model == "large"` } }] },
              { name: 'any', deviceClassName: 'gpu' },
            ],
          },
        ],
      }),
    ],
    pod: claiming('c'),
    expect: 'a',
  },
  {
    name: 'a pool that is not known whole',
    nodes: two,
    objects: [
      gpuClass,
      slice('a', [device('g0', 'small', '8Gi')], { pool: { name: 'a', generation: 1, resourceSliceCount: 2 } }),
      claimOf('c', { requests: [ask()] }),
    ],
    pod: claiming('c'),
    expect: `0/2 nodes are available: ${cannot}.`,
  },
  {
    name: 'the newest generation of a pool counts',
    nodes: two,
    objects: [
      gpuClass,
      slices[0] ?? gpuClass,
      slice('a', [], { pool: { name: 'a', generation: 2, resourceSliceCount: 1 } }),
      claimOf('c', { requests: [ask()] }),
    ],
    pod: claiming('c'),
    expect: `0/2 nodes are available: ${cannot}.`,
  },
];

for (const { name, pod, expect, ...situation } of cases) {
  test(`dynamic resources: ${name}`, () => assert.equal(outcomeOf(decide(situation, pod)), expect));
}

test('a selector that cannot be evaluated is an error that names it', () => {
  const objects = [gpuClass, ...slices, claimOf('c', { requests: [selecting(`device.attributes["${driver}"].nothing == 1`)] })];
  assert.throws(() => decide({ nodes: two, objects }, claiming('c')), /CEL selector .*nothing.* on device gpu\.example\.com\/a\/g0/);
});

test('the search backs up: a greedy first choice does not spoil the second', () => {
  const node: Node = testNode('b');
  const picky = claimOf('picky', { requests: [selecting(`device.attributes["${driver}"].model == "large"`)] });
  const any = claimOf('any', { requests: [ask()] });
  const got = allocate([any, picky], node, { slices, classOf: () => gpuClass, taken: new Set() });
  assert.equal(got?.get('uid-any')?.devices?.results?.[0]?.device, 'g1');
  assert.equal(got?.get('uid-picky')?.devices?.results?.[0]?.device, 'g0');
});

test('an allocation says what, where, and with which configuration', () => {
  const configured: DeviceClass = { ...gpuClass, spec: { ...gpuClass.spec, config: [{ opaque: { driver, parameters: { share: false } } }] } };
  const claim = claimOf('c', { requests: [ask()], config: [{ opaque: { driver, parameters: { mode: 'x' } } }] });
  const got = allocate([claim], testNode('a'), { slices, classOf: () => configured, taken: new Set() })?.get('uid-c');
  assert.deepEqual(got, {
    devices: {
      results: [{ request: 'r', driver, pool: 'a', device: 'g0' }],
      config: [
        { source: 'FromClass', requests: ['r'], opaque: { driver, parameters: { share: false } } },
        { source: 'FromClaim', opaque: { driver, parameters: { mode: 'x' } } },
      ],
    },
    nodeSelector: { nodeSelectorTerms: [{ matchFields: [{ key: 'metadata.name', operator: 'In', values: ['a'] }] }] },
  });
});
