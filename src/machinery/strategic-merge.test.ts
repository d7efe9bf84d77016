import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { deepFreeze } from './clone.ts';
import { PatchError } from './patch-error.ts';
import { applyStrategicMerge } from './strategic-merge.ts';
import { deployment } from './test-schema.ts';

const live = deepFreeze({
  metadata: { name: 'd', labels: { a: '1' }, finalizers: ['x', 'y'] },
  spec: {
    replicas: 2,
    strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: '25%' } },
    template: {
      spec: {
        containers: [
          { name: 'c', image: 'nginx', args: ['1', '2'], env: [{ name: 'A', value: '1' }] },
          { name: 'd', image: 'busybox' },
        ],
        volumes: [{ name: 'v', emptyDir: {} }],
        nodeSelector: { disk: 'ssd' },
      },
    },
  },
});
type Item = Record<string, unknown>;

function patched(patch: object): { metadata: Item; spec: Item & { template: { spec: Item & { containers: Item[] } } } } {
  return applyStrategicMerge(live, deepFreeze(patch), deployment) as ReturnType<typeof patched>;
}

function inPod(podSpec: object): Item & { containers: Item[] } {
  return patched({ spec: { template: { spec: podSpec } } }).spec.template.spec;
}

const [c, d] = live.spec.template.spec.containers;

describe('without directives', () => {
  test('maps merge, null removes, scalars replace', () => {
    const result = patched({ metadata: { labels: { b: '2', a: null } }, spec: { replicas: 5 } });
    assert.deepEqual(result.metadata['labels'], { b: '2' });
    assert.equal(result.spec['replicas'], 5);
    assert.deepEqual(result.spec.template, live.spec.template);
  });
  test('lists of named things merge item by item; their lists too', () => {
    assert.deepEqual(inPod({ containers: [{ name: 'c', env: [{ name: 'B', value: '2' }] }] }).containers, [
      {
        ...c,
        env: [
          { name: 'B', value: '2' },
          { name: 'A', value: '1' },
        ],
      },
      d,
    ]);
  });
  test('new items come first', () => {
    assert.deepEqual(
      inPod({ containers: [{ name: 'n' }] }).containers.map(({ name }) => name),
      ['n', 'c', 'd'],
    );
  });
  test('other lists are replaced', () => {
    assert.deepEqual(inPod({ containers: [{ name: 'c', args: ['3'] }] }).containers[0], { ...c, args: ['3'] });
  });
  test('lists of scalars that merge are joined', () => {
    assert.deepEqual(patched({ metadata: { finalizers: ['z', 'x'] } }).metadata['finalizers'], ['z', 'x', 'y']);
  });
  test('nulls inside new values are dropped', () => {
    assert.deepEqual(inPod({ volumes: [{ name: 'w', emptyDir: { medium: null } }] })['volumes'], [
      { name: 'w', emptyDir: {} },
      { name: 'v', emptyDir: {} },
    ]);
  });
  test('a list where there was none', () => {
    assert.deepEqual(inPod({ containers: [{ name: 'c', ports: [{ containerPort: 80 }] }] }).containers[0], { ...c, ports: [{ containerPort: 80 }] });
  });
});

describe('directives', () => {
  test('$patch: replace on a map', () => {
    assert.deepEqual(patched({ spec: { strategy: { $patch: 'replace', type: 'Recreate' } } }).spec['strategy'], { type: 'Recreate' });
  });
  test('$patch: delete on a map', () => {
    assert.deepEqual(patched({ spec: { strategy: { $patch: 'delete' } } }).spec['strategy'], {});
  });
  test('$patch: merge says what happens anyway', () => {
    assert.deepEqual(patched({ spec: { strategy: { $patch: 'merge', type: 'X' } } }).spec['strategy'], { ...live.spec.strategy, type: 'X' });
  });
  test('$patch: delete on an item', () => {
    assert.deepEqual(
      inPod({
        containers: [
          { name: 'c', $patch: 'delete' },
          { name: 'n', image: 'x' },
        ],
      }).containers,
      [{ name: 'n', image: 'x' }, d],
    );
  });
  test('$patch: replace on a list', () => {
    assert.deepEqual(inPod({ containers: [{ name: 'n' }, { $patch: 'replace' }] }).containers, [{ name: 'n' }]);
  });
  test('$retainKeys', () => {
    assert.deepEqual(patched({ spec: { strategy: { $retainKeys: ['type'], type: 'Recreate' } } }).spec['strategy'], { type: 'Recreate' });
    assert.deepEqual(inPod({ volumes: [{ name: 'v', $retainKeys: ['name', 'hostPath'], hostPath: { path: '/x' } }] })['volumes'], [
      { name: 'v', hostPath: { path: '/x' } },
    ]);
  });
  test('$setElementOrder with a patch of some of the items', () => {
    const result = inPod({
      '$setElementOrder/containers': [{ name: 'n' }, { name: 'd' }, { name: 'c' }],
      containers: [{ name: 'n' }, { name: 'd', image: 'y' }],
    });
    assert.deepEqual(result.containers, [{ name: 'n' }, { name: 'd', image: 'y' }, c]);
  });
  test('$setElementOrder alone keeps what it does not name in place', () => {
    assert.deepEqual(inPod({ '$setElementOrder/containers': [{ name: 'd' }] }).containers, [c, d]);
    assert.deepEqual(patched({ metadata: { '$setElementOrder/finalizers': ['y', 'x'] } }).metadata['finalizers'], ['y', 'x']);
  });
  test('$deleteFromPrimitiveList', () => {
    const result = patched({
      metadata: { '$deleteFromPrimitiveList/finalizers': ['x'], '$setElementOrder/finalizers': ['n', 'y'], finalizers: ['n'] },
    });
    assert.deepEqual(result.metadata['finalizers'], ['n', 'y']);
  });
  test('nothing of a directive is left in a value that is new', () => {
    const result = inPod({
      containers: [{ name: 'n', '$setElementOrder/env': [{ name: 'A' }], env: [{ name: 'A' }, { name: 'B', $patch: 'delete' }] }],
    });
    assert.deepEqual(result.containers[0], { name: 'n', env: [{ name: 'A' }] });
  });
});

describe('refused', () => {
  const cases: readonly [string, object, string][] = [
    [
      'an item without its key',
      { spec: { template: { spec: { containers: [{ image: 'x' }] } } } },
      'map: {"image":"x"} does not contain declared merge key: name',
    ],
    ['an unknown directive', { spec: { $patch: 'frob' } }, 'unknown patch type: "frob" in map: {"$patch":"frob"}'],
    [
      'retained keys that leave out a patched one',
      { spec: { strategy: { $retainKeys: ['type'], rollingUpdate: {} } } },
      'invalid patch format of retainKeys',
    ],
  ];
  for (const [name, patch, message] of cases) test(name, () => assert.throws(() => patched(patch), new PatchError(message, 'malformed')));
});

test('the live object is not touched, and what stays is shared', () => {
  const result = patched({ spec: { replicas: 3 } });
  assert.equal(result.spec.template, live.spec.template);
});
