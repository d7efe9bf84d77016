import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DeviceClass, Node, Pod, ResourceClaim, ResourceSlice } from '../../../api/kinds.ts';
import type { V1Device, V1DeviceCapacity, V1DeviceClaim, V1DeviceRequest, V1ExactDeviceRequest } from '../../../api/types.ts';
import { podInfo } from '../../pod-info.ts';
import { testNode, testPod } from '../../test-objects.ts';
import { decide, outcomeOf, type Situation } from '../../test-profile.ts';
import { allocate, AllocationTimeout } from './allocator.ts';
import { bindingState } from './binding-conditions.ts';
import { consumed } from './capacity.ts';
import { extendedClaim } from './extended-resources.ts';

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

/** Two partitions of 40 memory slices each, of a device that has so many. */
const partitioned = (nodeName: string, memorySlices: number): ResourceSlice[] => {
  const pool = { name: nodeName, generation: 1, resourceSliceCount: 2 };
  const consumesCounters = [{ counterSet: 'gpu-0', counters: { memory: { value: '40' } } }];
  return [
    slice(nodeName, [device('p0', 'small', '8Gi', { consumesCounters }), device('p1', 'small', '8Gi', { consumesCounters })], { pool }),
    slice(nodeName, [], { pool, sharedCounters: [{ name: 'gpu-0', counters: { memory: { value: String(memorySlices) } } }] }),
  ];
};
const requestPolicy = { default: '1Gi', validRange: { min: '1Gi', step: '1Gi' } };
const sharedDevice = device('g0', 'small', '8Gi', { allowMultipleAllocations: true, capacity: { memory: { value: '8Gi', requestPolicy } } });
const sharing = (name: string, memory: string): ResourceClaim => {
  const results = [{ request: 'r', driver, pool: 'a', device: 'g0', shareID: `share-${name}`, consumedCapacity: { memory } }];
  return claimOf(name, { requests: [ask()] }, { allocation: { devices: { results } } });
};
const standingFor: DeviceClass = { ...gpuClass, spec: { ...gpuClass.spec, extendedResourceName: 'example.com/gpu' } };
const two = [testNode('a'), testNode('b')];
const slices = [slice('a', [device('g0', 'small', '8Gi')]), slice('b', [device('g0', 'large', '40Gi'), device('g1', 'small', '8Gi')])];
/** A class, devices of it on both nodes, and the claim `c` that asks for these. */
const askedFor = (...requests: V1DeviceRequest[]) => [gpuClass, ...slices, claimOf('c', { requests })];
const large = `device.attributes["${driver}"].model == "large"`;
const largeOrAny: V1DeviceRequest = {
  name: 'r',
  firstAvailable: [
    { name: 'big', deviceClassName: 'gpu', selectors: [{ cel: { expression: large } }] },
    { name: 'any', deviceClassName: 'gpu' },
  ],
};
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
    objects: askedFor(selecting(large)),
    pod: claiming('c'),
    expect: 'b',
  },
  {
    name: 'by a capacity',
    nodes: two,
    objects: askedFor(selecting(`device.capacity["${driver}"].memory.compareTo(quantity("20Gi")) >= 0`)),
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
    objects: askedFor(selecting('has(device.attributes["other.com"].x)')),
    pod: claiming('c'),
    expect: `0/2 nodes are available: ${cannot}.`,
  },
  {
    name: 'two of them',
    nodes: two,
    objects: askedFor(ask({ count: 2 })),
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
    objects: [...askedFor(ask()), claimOf('d', { requests: [ask()] })],
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
        requests: [largeOrAny],
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
  {
    name: 'a partition that its counters leave room for',
    nodes: two,
    objects: [
      gpuClass,
      ...partitioned('a', 40),
      ...partitioned('b', 80),
      taken('other', 'a', 'p0'),
      taken('another', 'b', 'p0'),
      claimOf('c', { requests: [ask()] }),
    ],
    pod: claiming('c'),
    expect: 'b',
  },
  {
    name: 'two partitions of one device in one claim',
    nodes: two,
    objects: [gpuClass, ...partitioned('a', 40), ...partitioned('b', 80), claimOf('c', { requests: [ask({ count: 2 })] })],
    pod: claiming('c'),
    expect: 'b',
  },
  {
    name: 'one partition more than there are counters',
    nodes: [testNode('b')],
    objects: [gpuClass, ...partitioned('b', 79), claimOf('c', { requests: [ask({ count: 2 })] })],
    pod: claiming('c'),
    expect: '0/1 nodes are available: 1 cannot allocate all claims.',
  },
  {
    name: 'a device with enough of the capacity',
    nodes: two,
    objects: askedFor(ask({ capacity: { requests: { memory: '16Gi' } } })),
    pod: claiming('c'),
    expect: 'b',
  },
  {
    name: 'a capacity that no device has',
    nodes: two,
    objects: askedFor(ask({ capacity: { requests: { bandwidth: '1' } } })),
    pod: claiming('c'),
    expect: `0/2 nodes are available: ${cannot}.`,
  },
  {
    name: 'a share of a device that others have, too',
    nodes: [testNode('a')],
    objects: [
      gpuClass,
      slice('a', [sharedDevice]),
      sharing('other', '6Gi'),
      claimOf('c', { requests: [ask({ capacity: { requests: { memory: '2Gi' } } })] }),
    ],
    pod: claiming('c'),
    expect: 'a',
  },
  {
    name: 'a share larger than what is left',
    nodes: [testNode('a')],
    objects: [
      gpuClass,
      slice('a', [sharedDevice]),
      sharing('other', '6Gi'),
      claimOf('c', { requests: [ask({ capacity: { requests: { memory: '3Gi' } } })] }),
    ],
    pod: claiming('c'),
    expect: '0/1 nodes are available: 1 cannot allocate all claims.',
  },
  {
    name: 'an extended resource that a device class stands for',
    nodes: two,
    objects: [standingFor, slices[1] ?? gpuClass],
    pod: testPod('p', {}, { 'example.com/gpu': '2' }),
    expect: 'b',
  },
  {
    name: 'an extended resource by the name of the class',
    nodes: two,
    objects: [gpuClass, slices[1] ?? gpuClass],
    pod: testPod('p', {}, { 'deviceclass.resource.kubernetes.io/gpu': '1' }),
    expect: 'b',
  },
  {
    name: 'a device plugin goes before devices',
    nodes: [testNode('a'), testNode('b', {}, {}, { allocatable: { cpu: '2', pods: '110', 'example.com/gpu': '1' } })],
    objects: [standingFor],
    pod: testPod('p', {}, { 'example.com/gpu': '1' }),
    expect: 'b',
  },
  {
    name: 'an extended resource without enough devices',
    nodes: two,
    objects: [standingFor, ...slices],
    pod: testPod('p', {}, { 'example.com/gpu': '3' }),
    expect: `0/2 nodes are available: ${cannot}.`,
  },
  {
    name: 'a tainted device, tolerated or not',
    nodes: two,
    objects: [
      gpuClass,
      slice('a', [device('g0', 'small', '8Gi', { taints: [{ key: 'sick', effect: 'NoSchedule' }] })]),
      slice('b', [device('g0', 'small', '8Gi', { taints: [{ key: 'odd', effect: 'NoExecute' }] })]),
      claimOf('c', { requests: [ask({ tolerations: [{ key: 'odd', operator: 'Exists' }] })] }),
    ],
    pod: claiming('c'),
    expect: 'b',
  },
  {
    name: 'all devices, when one is tainted',
    nodes: [testNode('a')],
    objects: [
      gpuClass,
      slice('a', [device('g0', 'small', '8Gi'), device('g1', 'small', '8Gi', { taints: [{ key: 'sick', effect: 'NoSchedule' }] })]),
      claimOf('c', { requests: [ask({ allocationMode: 'All' })] }),
    ],
    pod: claiming('c'),
    expect: '0/1 nodes are available: 1 cannot allocate all claims.',
  },
  {
    name: 'an administrator looks at a device that is taken',
    nodes: [testNode('a')],
    objects: [gpuClass, slices[0] ?? gpuClass, taken('other', 'a', 'g0'), claimOf('c', { requests: [ask({ adminAccess: true })] })],
    pod: claiming('c'),
    expect: 'a',
  },
  {
    name: 'a node where the first choice can be had is liked better',
    nodes: two,
    objects: askedFor(largeOrAny),
    pod: claiming('c'),
    expect: 'b',
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
  const picky = claimOf('picky', { requests: [selecting(large)] });
  const any = claimOf('any', { requests: [ask()] });
  const got = allocate([any, picky], node, { slices, classOf: () => gpuClass, taken: new Set() });
  assert.equal(got?.get('uid-any')?.devices?.results?.[0]?.device, 'g1');
  assert.equal(got?.get('uid-picky')?.devices?.results?.[0]?.device, 'g0');
});

test('a search that takes too long is given up, and says so', () => {
  // Twenty devices of which one more is wanted than there are: there is very much to try.
  const many = [
    slice(
      'a',
      Array.from({ length: 20 }, (_, i) => device(`g${i}`, 'small', '8Gi')),
    ),
  ];
  const greedy = claimOf('c', { requests: [ask({ count: 11 }), { ...ask({ count: 10 }), name: 's' }] });
  let looks = 0;
  const isLate = (): boolean => ++looks === 3;
  assert.throws(() => allocate([greedy], testNode('a'), { slices: many, classOf: () => gpuClass, taken: new Set(), isLate }), AllocationTimeout);
  assert.equal(looks, 3);
  // Even one whose clock stands still comes to an end.
  const decision = decide({ nodes: [testNode('a')], objects: [gpuClass, ...many, greedy] }, claiming('c'));
  assert.equal(outcomeOf(decision), '0/1 nodes are available: 1 timed out trying to allocate devices.');
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

const amounts: readonly (readonly [name: string, capacity: V1DeviceCapacity, request: string | undefined, expect: string | undefined])[] = [
  ['all of it when nobody says', { value: '8Gi' }, undefined, '8Gi'],
  ['the default', { value: '8Gi', requestPolicy: { default: '2Gi' } }, undefined, '2Gi'],
  ['what is asked for', { value: '8Gi' }, '3Gi', '3Gi'],
  ['no less than the least', { value: '8', requestPolicy: { default: '2', validRange: { min: '2' } } }, '1', '2'],
  ['up to the next step', { value: '8Gi', requestPolicy: { default: '1Gi', validRange: { min: '1Gi', step: '2Gi' } } }, '2Gi', '3Gi'],
  ['the most', { value: '8', requestPolicy: { default: '1', validRange: { min: '1', max: '4' } } }, '4', '4'],
  ['more than the most', { value: '8', requestPolicy: { default: '1', validRange: { min: '1', max: '4' } } }, '5', undefined],
  ['the next valid value', { value: '8', requestPolicy: { default: '1', validValues: ['1', '2', '4'] } }, '3', '4'],
  ['beyond the valid values', { value: '8', requestPolicy: { default: '1', validValues: ['1', '2', '4'] } }, '5', undefined],
  ['more than there is', { value: '8' }, '9', undefined],
];
for (const [name, capacity, request, expect] of amounts) {
  test(`what a request takes of a capacity: ${name}`, () => {
    const got = consumed({ name: 'g', capacity: { memory: capacity } }, request === undefined ? undefined : { memory: request }, new Map());
    assert.equal(got?.get('memory')?.toString(), expect);
  });
}

test('shares of one device add up, are told apart, and say what they take', () => {
  const claim = (name: string): ResourceClaim => claimOf(name, { requests: [ask({ count: 2, capacity: { requests: { memory: '1500Mi' } } })] });
  let shares = 0;
  const context = { slices: [slice('a', [sharedDevice])], classOf: () => gpuClass, taken: new Set<string>(), shareId: () => `share-${++shares}` };
  const got = allocate([claim('c'), claim('d')], testNode('a'), context);
  const results = ['c', 'd'].flatMap((name) => got?.get(`uid-${name}`)?.devices?.results ?? []);
  assert.deepEqual(
    results.map(({ device: name, shareID, consumedCapacity }) => [name, shareID, consumedCapacity]),
    [1, 2, 3, 4].map((share) => ['g0', `share-${share}`, { memory: '2Gi' }]),
  );
  assert.equal(allocate([claim('c'), claim('d'), claim('e')], testNode('a'), context), undefined);
});

test('a device that binds to its node, and what must be true before a pod is bound', () => {
  const made = device('g0', 'small', '8Gi', { bindsToNode: true, bindingConditions: ['Attached'], bindingFailureConditions: ['Broken'] });
  const anywhere = slice('a', [made]);
  const { nodeName: _, ...spec } = anywhere.spec;
  const context = { slices: [{ ...anywhere, spec: { ...spec, allNodes: true } }], classOf: () => gpuClass, taken: new Set<string>() };
  const allocation = allocate([claimOf('c', { requests: [ask()] })], testNode('n'), context)?.get('uid-c');
  assert.deepEqual(allocation?.nodeSelector, {
    nodeSelectorTerms: [{ matchFields: [{ key: 'metadata.name', operator: 'In', values: ['n'] }] }],
  });
  const allocated = { ...allocation, allocationTimestamp: '2026-01-01T00:00:00Z' };
  const startMs = Date.parse(allocated.allocationTimestamp);
  const stateWith = (types: readonly string[], afterMs: number): unknown => {
    const conditions = types.map((type) => ({
      type,
      status: 'True',
      reason: 'Told',
      message: 'so',
      lastTransitionTime: allocated.allocationTimestamp,
    }));
    const devices = [{ driver, pool: 'a', device: 'g0', conditions }];
    return bindingState(claimOf('c', { requests: [ask()] }, { allocation: allocated, devices }), startMs + afterMs, 1000);
  };
  assert.equal(stateWith([], 999), 'waiting');
  assert.deepEqual(stateWith([], 1000), { failed: 'claim c binding timeout' });
  assert.equal(stateWith(['Attached'], 2000), 'ready');
  assert.deepEqual(stateWith(['Attached', 'Broken'], 0), { failed: 'claim c binding failed: reason=Told, message="so"' });
});

test('init containers use what comes after them, and beyond that the largest of their own requests', () => {
  const container = (name: string, count: number, restartPolicy?: string) => ({
    name,
    image: 'app',
    ...(restartPolicy !== undefined && { restartPolicy }),
    resources: { requests: { cpu: '1', 'example.com/gpu': String(count) } },
  });
  const pod = testPod('p', {
    initContainers: [container('small', 1), container('large', 4), container('larger', 5), container('sidecar', 1, 'Always')],
    containers: [container('main', 1)],
  });
  const got = extendedClaim(podInfo(pod), new Map([['example.com/gpu', 'gpu']]), testNode('a'));
  assert.deepEqual(
    got?.claim.spec.devices?.requests?.map(({ name, exactly }) => [name, exactly?.deviceClassName, exactly?.count]),
    [
      ['container-2-request-1', 'gpu', 3],
      ['container-3-request-1', 'gpu', 1],
      ['container-4-request-1', 'gpu', 1],
    ],
  );
  const requestsOf = (name: string): string[] =>
    (got?.mappings ?? []).filter(({ containerName }) => containerName === name).map(({ requestName }) => requestName);
  assert.deepEqual(requestsOf('small'), ['container-3-request-1']);
  assert.deepEqual(requestsOf('large'), ['container-3-request-1', 'container-4-request-1', 'container-2-request-1']);
  assert.deepEqual(requestsOf('main'), ['container-4-request-1']);
});
