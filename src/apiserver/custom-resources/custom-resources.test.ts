import assert from 'node:assert/strict';
import { after, beforeEach, describe, test } from 'node:test';
import { Fixture, type Reply } from '../verbs/fixture.ts';
import { widgets, widgetVersion } from './test-definitions.ts';

const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const path = '/apis/example.com/v1/namespaces/a/widgets';

let fixture: Fixture;
const open: Fixture[] = [];
beforeEach(async () => {
  fixture = await Fixture.open();
  open.push(fixture);
});
after(() => Promise.all(open.map((one) => one.close())));

/** Until reading the path gives what is wanted; the code of an error counts as a field. */
async function until(watched: string, wanted: (object: Reply['body']) => boolean): Promise<Reply['body']> {
  for (let turn = 0; turn < 1000; turn++) {
    const { body, code } = await fixture.get(watched);
    if (code === 200 ? wanted(body) : wanted({ ...body, code })) return body;
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
  assert.fail(`${watched} never was as wanted`);
}

function conditionsOf(body: Reply['body']): string[] {
  return (body['status'].conditions ?? []).map(
    (condition: { type: string; status: string; reason: string }) => `${condition.type}=${condition.status} ${condition.reason}`,
  );
}

async function define(definition: object): Promise<Reply['body']> {
  const created = await fixture.post(definitions, definition);
  assert.equal(created.code, 201, JSON.stringify(created.body));
  return until(`${definitions}/${created.body.metadata.name}`, (body) => conditionsOf(body).length > 0);
}

function causes(reply: Reply): string[] {
  assert.equal(reply.code, 422, JSON.stringify(reply.body));
  return reply.body['details'].causes.map((cause: { field: string; message: string }) => `${cause.field}: ${cause.message}`);
}

const widget = (name: string, spec: object = { size: 1 }) => ({ apiVersion: 'example.com/v1', kind: 'Widget', metadata: { name }, spec });

describe('a definition', () => {
  test('is established, and serves its kind', async () => {
    const before = fixture.verbs.kindsGeneration();
    const body = await define(widgets());
    assert.deepEqual(conditionsOf(body), ['NamesAccepted=True NoConflicts', 'Established=True InitialNamesAccepted']);
    assert.deepEqual(body['status'].acceptedNames, {
      plural: 'widgets',
      singular: 'widget',
      kind: 'Widget',
      listKind: 'WidgetList',
      shortNames: ['wg'],
      categories: ['all'],
    });
    assert.deepEqual(body['status'].storedVersions, ['v1']);
    assert.ok(fixture.verbs.kindsGeneration() > before);
    assert.equal(fixture.verbs.kindAt('example.com', 'v1', 'widgets')?.kind, 'Widget');
    const list = await fixture.get(path);
    assert.deepEqual([list.code, list.body.kind, list.body.apiVersion, list.body.items], [200, 'WidgetList', 'example.com/v1', []]);
  });

  test('whose names are taken waits for them', async () => {
    await define(widgets());
    const other = widgets();
    other.metadata.name = 'gadgets.example.com';
    other.spec.names = { plural: 'gadgets', kind: 'Widget', listKind: 'GadgetList' };
    const body = await define(other);
    assert.deepEqual(conditionsOf(body), ['NamesAccepted=False KindConflict', 'Established=False NotAccepted']);
    assert.equal(body['status'].conditions[0].message, '"Widget" is already in use');
    assert.equal((await fixture.get('/apis/example.com/v1/namespaces/a/gadgets')).code, 404);
    await fixture.delete(`${definitions}/widgets.example.com`);
    await until(`${definitions}/gadgets.example.com`, (now) => conditionsOf(now).includes('Established=True InitialNamesAccepted'));
    assert.equal((await fixture.get('/apis/example.com/v1/namespaces/a/gadgets')).code, 200);
  });

  test('is served again after a restart, with its objects', async () => {
    await define(widgets());
    await fixture.post(path, widget('w'));
    await fixture.restart();
    const { code, body } = await fixture.get(`${path}/w`);
    assert.deepEqual([code, body['spec']], [200, { size: 1, colour: 'red' }]);
  });

  test('goes when its objects have gone, and they go with it', async () => {
    await define(widgets());
    await fixture.post(path, widget('free'));
    await fixture.post(path, { ...widget('held'), metadata: { name: 'held', finalizers: ['example.com/hold'] } });
    const deleted = await fixture.delete(`${definitions}/widgets.example.com`);
    assert.deepEqual(deleted.body.metadata.finalizers, ['customresourcecleanup.apiextensions.k8s.io']);
    await until(`${path}/free`, (body) => body['code'] === 404);
    assert.equal((await fixture.post(path, widget('late'))).code, 405);
    const held = await until(`${path}/held`, (body) => body.metadata.deletionTimestamp !== undefined);
    assert.equal(held.metadata.name, 'held');
    const leaving = await fixture.get(`${definitions}/widgets.example.com`);
    assert.ok(conditionsOf(leaving.body).includes('Terminating=True InstanceDeletionInProgress'));
    const watch = await fixture.watch(path);
    await fixture.patch(`${path}/held`, { metadata: { finalizers: null } });
    await until(`${definitions}/widgets.example.com`, (body) => body['code'] === 404);
    assert.equal((await fixture.get(path)).code, 404);
    assert.equal(await watch.ended, undefined);
    assert.deepEqual(watch.lines(), ['ADDED held', 'DELETED held']);
  });

  test('that goes leaves nothing for the next of its name', async () => {
    await define(widgets());
    await fixture.post(path, widget('w'));
    await fixture.delete(`${definitions}/widgets.example.com`);
    await until(`${definitions}/widgets.example.com`, (body) => body['code'] === 404);
    await define(widgets());
    assert.deepEqual((await fixture.get(path)).body.items, []);
    assert.equal((await fixture.post(path, widget('w'))).code, 201);
  });

  test('with a default its schema refuses is refused', async () => {
    const version = widgetVersion();
    Object.assign(version.schema.openAPIV3Schema.properties.spec.properties, {
      wrong: { type: 'integer', default: 'x' },
      unknown: { type: 'object', default: { a: 1 } },
    });
    const properties = 'spec.validation.openAPIV3Schema.properties[spec].properties';
    assert.deepEqual(causes(await fixture.post(definitions, widgets([version]))), [
      `${properties}[wrong].default: Invalid value: "string": default in body must be of type integer: "string"`,
      `${properties}[unknown].default: Invalid value: {"a":1}: must not have unknown fields`,
    ]);
  });

  test('of a protected group needs approval', async () => {
    const protectedOne = widgets();
    protectedOne.spec.group = 'widgets.k8s.io';
    protectedOne.metadata.name = 'widgets.widgets.k8s.io';
    assert.deepEqual(causes(await fixture.post(definitions, protectedOne)), [
      'metadata.annotations[api-approved.kubernetes.io]: Required value: protected groups must have approval annotation "api-approved.kubernetes.io", see https://github.com/kubernetes/enhancements/pull/1111',
    ]);
    const approved = {
      ...protectedOne,
      metadata: { ...protectedOne.metadata, annotations: { 'api-approved.kubernetes.io': 'https://example.com/1' } },
    };
    const body = await define(approved);
    assert.ok(conditionsOf(body).includes('KubernetesAPIApprovalPolicyConformant=True ApprovedAnnotation'));
  });
});

describe('an object', () => {
  beforeEach(() => define(widgets()));

  test('is defaulted and pruned, with a warning for what is unknown', async () => {
    const reply = await fixture.post(path, widget('w', { size: 2, unknown: 1, free: { anything: [1] } }));
    assert.equal(reply.code, 201);
    assert.deepEqual(reply.body['spec'], { size: 2, colour: 'red', free: { anything: [1] } });
    assert.deepEqual(reply.warnings, ['unknown field "spec.unknown"']);
    assert.equal(reply.body.metadata.generation, 1);
    const strict = await fixture.post(`${path}?fieldValidation=Strict`, widget('v', { size: 2, unknown: 1 }));
    assert.equal(strict.code, 400);
    assert.match(strict.body['message'], /strict decoding error: unknown field "spec.unknown"$/);
  });

  test('is judged by its schema, every fault named', async () => {
    const reply = await fixture.post(
      path,
      widget('w', {
        size: 'big',
        colour: 'pink',
        code: 'x',
        count: 11,
        ports: [{ name: 'a' }, { name: 'a' }],
        tags: ['t', 't'],
        when: 'noon',
        port: true,
      }),
    );
    assert.deepEqual(causes(reply), [
      'spec.size: Invalid value: "string": spec.size in body must be of type integer: "string"',
      'spec.colour: Unsupported value: "pink": supported values: "red", "green"',
      'spec.code: Invalid value: "x": spec.code in body should match \'^[a-z]{3}$\'',
      'spec.count: Invalid value: 11: spec.count in body should be less than or equal to 10',
      'spec.ports[1]: Duplicate value: {"name":"a"}',
      'spec.tags[1]: Duplicate value: "t"',
      'spec.when: Invalid value: "noon": spec.when in body must be of type date-time: "noon"',
      'spec.port: Invalid value: "boolean": spec.port in body must be of type integer,string: "boolean"',
    ]);
    assert.match(reply.body['message'], /^Widget\.example\.com "w" is invalid: \[spec\.size: /);
    assert.deepEqual(causes(await fixture.post(path, { ...widget('w'), spec: undefined })), ['spec: Required value']);
    assert.deepEqual(causes(await fixture.post(path, widget('w', {}))), ['spec.size: Required value']);
  });

  test('keeps what a stricter schema would refuse, until it is touched', async () => {
    await fixture.post(path, widget('w', { size: 1, code: 'abc' }));
    const version = widgetVersion();
    version.schema.openAPIV3Schema.properties.spec.properties.code.pattern = '^[x-z]{3}$';
    const before = fixture.verbs.kindsGeneration();
    await fixture.patch(`${definitions}/widgets.example.com`, { spec: widgets([version]).spec });
    assert.ok(fixture.verbs.kindsGeneration() > before);
    assert.equal((await fixture.patch(`${path}/w`, { spec: { size: 2 } })).code, 200);
    assert.deepEqual(causes(await fixture.patch(`${path}/w`, { spec: { code: 'abd' } })), [
      'spec.code: Invalid value: "abd": spec.code in body should match \'^[x-z]{3}$\'',
    ]);
  });

  test('from before a default shows it', async () => {
    await fixture.post(path, widget('w'));
    const watch = await fixture.watch(path);
    const version = widgetVersion();
    Object.assign(version.schema.openAPIV3Schema.properties.spec.properties, { extra: { type: 'string', default: 'new' } });
    await fixture.patch(`${definitions}/widgets.example.com`, { spec: widgets([version]).spec });
    assert.equal(await watch.ended, undefined);
    assert.equal((await fixture.get(`${path}/w`)).body['spec'].extra, 'new');
    assert.deepEqual((await fixture.get(path)).body.items?.[0]?.['spec'], { size: 1, colour: 'red', extra: 'new' });
    const again = await fixture.watch(path);
    assert.equal(again.events[0]?.object['spec']?.extra, 'new');
    again.close();
  });

  test('has a status of its own', async () => {
    const created = await fixture.post(path, { ...widget('w'), status: { replicas: 9 } });
    assert.equal(created.body['status'], undefined);
    const status = await fixture.put(`${path}/w/status`, { ...created.body, spec: { size: 7 }, status: { replicas: 3, labelSelector: 'a=b' } });
    assert.deepEqual([status.code, status.body['spec'].size, status.body['status'].replicas], [200, 1, 3]);
    assert.equal(status.body.metadata.generation, 1);
    const changed = await fixture.patch(`${path}/w`, { spec: { size: 3 }, status: { replicas: 8 } });
    assert.deepEqual([changed.body.metadata.generation, changed.body['status'].replicas], [2, 3]);
    assert.deepEqual(causes(await fixture.patch(`${path}/w/status`, { status: { replicas: 'x' } })), [
      'status.replicas: Invalid value: "string": status.replicas in body must be of type integer: "string"',
    ]);
  });

  test('can be scaled', async () => {
    await fixture.post(path, widget('w', { size: 1, replicas: 2 }));
    await fixture.patch(`${path}/w/status`, { status: { replicas: 2, labelSelector: 'app=w' } });
    const { body } = await fixture.get(`${path}/w/scale`);
    assert.deepEqual(
      [body.kind, body.apiVersion, body['spec'], body['status']],
      ['Scale', 'autoscaling/v1', { replicas: 2 }, { replicas: 2, selector: 'app=w' }],
    );
    const scaled = await fixture.patch(`${path}/w/scale`, { spec: { replicas: 5 } });
    assert.deepEqual(scaled.body['spec'], { replicas: 5 });
    assert.equal((await fixture.get(`${path}/w`)).body['spec'].replicas, 5);
  });

  test('is selected by fields the definition names', async () => {
    await fixture.post(path, widget('r'));
    await fixture.post(path, widget('g', { size: 1, colour: 'green' }));
    const green = await fixture.get(`${path}?fieldSelector=spec.colour=green`);
    assert.deepEqual(
      green.body.items?.map(({ metadata }) => metadata.name),
      ['g'],
    );
    assert.equal((await fixture.get(`${path}?fieldSelector=spec.size=1`)).code, 400);
  });

  test('is patched, but not by strategic merge', async () => {
    await fixture.post(path, widget('w'));
    const json = await fixture.patch(`${path}/w`, [{ op: 'replace', path: '/spec/size', value: 4 }], { contentType: 'application/json-patch+json' });
    assert.deepEqual([json.code, json.body['spec'].size], [200, 4]);
    assert.equal((await fixture.patch(`${path}/w`, {}, { contentType: 'application/strategic-merge-patch+json' })).code, 415);
  });

  test('is applied by list keys and fields', async () => {
    const applied = (spec: object) => ({ apiVersion: 'example.com/v1', kind: 'Widget', spec });
    const first = await fixture.apply(`${path}/w`, 'one', applied({ size: 1, ports: [{ name: 'a', port: 1 }], labels: { x: '1' } }));
    assert.equal(first.code, 201, JSON.stringify(first.body));
    const second = await fixture.apply(`${path}/w`, 'two', applied({ ports: [{ name: 'b', port: 2 }], labels: { y: '2' } }));
    assert.deepEqual(second.body['spec'], {
      size: 1,
      colour: 'red',
      ports: [
        { name: 'a', port: 1 },
        { name: 'b', port: 2 },
      ],
      labels: { x: '1', y: '2' },
    });
    const clash = await fixture.apply(`${path}/w`, 'two', applied({ size: 2 }));
    assert.deepEqual([clash.code, clash.body['details'].causes[0].field], [409, '.spec.size']);
    const without = await fixture.apply(`${path}/w`, 'one', applied({ size: 1 }));
    assert.deepEqual(without.body['spec'].ports, [{ name: 'b', port: 2 }]);
  });

  test('is watched', async () => {
    const watch = await fixture.watch(path);
    await fixture.post(path, widget('w'));
    await fixture.patch(`${path}/w`, { spec: { size: 2 } });
    await fixture.delete(`${path}/w`);
    assert.deepEqual(watch.lines(), ['ADDED w', 'MODIFIED w', 'DELETED w']);
    watch.close();
  });

  test('may hold null only where the schema lets it', async () => {
    const { body } = await fixture.post(path, widget('w', { size: 1, colour: null, code: null, maybe: null }));
    assert.deepEqual(body['spec'], { size: 1, colour: 'red', maybe: null });
  });
});

describe('versions', () => {
  function twoVersions() {
    const beta = widgetVersion();
    Object.assign(beta, { name: 'v1beta1', storage: false, deprecated: true });
    Object.assign(beta.schema.openAPIV3Schema.properties.spec.properties, { colour: { type: 'string', default: 'blue' } });
    return [widgetVersion(), beta];
  }
  const betaPath = path.replace('/v1/', '/v1beta1/');

  test('show one object, each by its own schema', async () => {
    await define(widgets(twoVersions()));
    const created = await fixture.post(betaPath, { ...widget('w'), apiVersion: 'example.com/v1beta1' });
    assert.deepEqual(
      [created.code, created.body.apiVersion, created.body['spec'].colour],
      [201, 'example.com/v1beta1', 'blue'],
      JSON.stringify(created.body),
    );
    assert.deepEqual(created.warnings, ['example.com/v1beta1 Widget is deprecated']);
    const { body } = await fixture.get(`${betaPath}/w`);
    assert.equal(body.apiVersion, 'example.com/v1beta1');
    const watch = await fixture.watch(betaPath);
    assert.equal(watch.events[0]?.object['apiVersion'], 'example.com/v1beta1');
    watch.close();
    const stored = await fixture.get(`${path}/w`);
    assert.equal(stored.body.apiVersion, 'example.com/v1');
    const patched = await fixture.patch(`${path}/w`, { spec: { colour: 'green' } });
    assert.equal(patched.code, 200);
  });

  test('change their storage, and old objects are read on', async () => {
    await define(widgets(twoVersions()));
    await fixture.post(path, widget('old'));
    const moved = twoVersions();
    for (const version of moved) version.storage = !version.storage;
    const { code, body } = await fixture.patch(`${definitions}/widgets.example.com`, { spec: widgets(moved).spec });
    assert.deepEqual([code, body['status'].storedVersions], [200, ['v1', 'v1beta1']]);
    for (const version of ['v1', 'v1beta1']) {
      const read = await fixture.get(`/apis/example.com/${version}/namespaces/a/widgets/old`);
      assert.deepEqual([read.code, read.body.apiVersion, read.body['spec'].size], [200, `example.com/${version}`, 1]);
    }
    assert.equal((await fixture.patch(`${path}/old`, { spec: { size: 5 } })).code, 200);
    await fixture.restart();
    assert.equal((await fixture.get(`${betaPath}/old`)).body['spec'].size, 5);
    assert.equal((await fixture.delete(`${path}/old`)).code, 200);
  });
});
