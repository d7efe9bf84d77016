import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { deepFreeze } from './clone.ts';
import { JsonPath, JsonPathError, compilePath } from './jsonpath.ts';

const pods = deepFreeze({
  kind: 'List',
  items: [
    {
      kind: 'Pod',
      metadata: { name: 'a', labels: { 'app.kubernetes.io/name': 'web', tier: 'x' } },
      spec: { containers: [{ name: 'c1', ports: [{ containerPort: 80 }] }, { name: 'c2' }] },
      status: { phase: 'Running', restarts: 3, ready: true },
    },
    {
      kind: 'Pod',
      metadata: { name: 'b', labels: {} },
      spec: { containers: [{ name: 'c3' }] },
      status: { phase: 'Pending', restarts: 0, ready: false },
    },
  ],
});

describe('templates', () => {
  const cases: readonly [string, string][] = [
    ['{.kind}', 'List'],
    ['{$.kind}', 'List'],
    ['{kind}', 'List'],
    ["{['kind']}", 'List'],
    ['kind is {.kind}.', 'kind is List.'],
    ['{.items[*].metadata.name}', 'a b'],
    ['{.items[0].metadata.name}', 'a'],
    ['{.items[-1].metadata.name}', 'b'],
    ['{.items[0:1].metadata.name}', 'a'],
    ['{.items[0].spec.containers[::2].name}', 'c1'],
    ['{.items[0,1].metadata.name}', 'a b'],
    ["{.items[*]['metadata.name', 'kind']}", 'a b Pod Pod'],
    ["{.items[*]['kind', 'status']}", 'Pod Pod {"phase":"Running","restarts":3,"ready":true} {"phase":"Pending","restarts":0,"ready":false}'],
    ['{.items[*].spec.containers[*].name}', 'c1 c2 c3'],
    ['{..containerPort}', '80'],
    ['{..metadata.name}', 'a b'],
    ['{.items[0].metadata.labels.app\\.kubernetes\\.io/name}', 'web'],
    ["{.items[0].metadata.labels['app\\.kubernetes\\.io/name']}", 'web'],
    ['{.items[0].metadata.labels.*}', 'web x'],
    ['{.items[?(@.status.phase=="Running")].metadata.name}', 'a'],
    ["{.items[?(@.status.phase != 'Running')].metadata.name}", 'b'],
    ['{.items[?(@.status.restarts>0)].metadata.name}', 'a'],
    ['{.items[?(@.status.restarts<=0)].metadata.name}', 'b'],
    ['{.items[?(@.status.ready==true)].metadata.name}', 'a'],
    ['{.items[?(@.metadata.labels.tier)].metadata.name}', 'a'],
    ['{range .items[*]}{.metadata.name}={.status.phase}{"\\n"}{end}', 'a=Running\nb=Pending\n'],
    ['{range .items[*]}{.metadata.name}:{range .spec.containers[*]} {.name}{end};{end}', 'a: c1 c2;b: c3;'],
    ['{.items[0].spec.containers[1]}', '{"name":"c2"}'],
    ['{"a"}{1}{true}', 'a1true'],
    ['', ''],
  ];
  for (const [template, expected] of cases) test(template, () => assert.equal(new JsonPath(template).print(pods), expected));
});

describe('errors', () => {
  const cases: readonly [string, string][] = [
    ['{.nope}', 'nope is not found'],
    ['{.items[5]}', 'array index out of bounds: index 5, length 2'],
    ['{.kind[0]}', '"List" is not array or slice'],
    ['{.kind', 'unclosed action'],
    ['{end}', 'not in range, nothing to end'],
    ['{range .items[*]}x', 'unterminated range: missing {end}'],
    ['{.items[0}', 'unclosed array expect ]'],
    ['{"x}', 'unterminated quoted string'],
    ['{.items[::0]}', 'step must be > 0'],
    ['{*}', "unrecognized character in action: U+002A '*'"],
  ];
  for (const [template, message] of cases) {
    test(template, () => assert.throws(() => new JsonPath(template).print(pods), new JsonPathError(message)));
  }
});

test('with missing fields allowed, what is not there is empty', () => {
  assert.equal(new JsonPath('{.nope.deeper}', { allowMissing: true }).print(pods), '');
  assert.deepEqual(new JsonPath('{.items[9].x}', { allowMissing: true }).find(pods), [[]]);
});

test('a path alone needs neither braces nor a leading dot', () => {
  for (const path of ['.items[1].metadata.name', 'items[1].metadata.name', '{.items[1].metadata.name}', '{items[1].metadata.name}']) {
    assert.deepEqual(compilePath(path)(pods), ['b']);
  }
  assert.deepEqual(compilePath('.spec.replicas')({ spec: { replicas: 3 } }), [3]);
  assert.deepEqual(compilePath('.spec.replicas')({}), []);
  assert.deepEqual(compilePath('.status.conditions[?(@.type=="Ready")].status')({ status: { conditions: [{ type: 'Ready', status: 'True' }] } }), [
    'True',
  ]);
});
