import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { Fixture, type Reply } from '../../verbs/fixture.ts';
import { patching, startTestWebhook } from '../webhooks/test-webhook.ts';

const group = '/apis/admissionregistration.k8s.io/v1';
const maps = '/api/v1/namespaces/a/configmaps';
let server: Fixture;
beforeEach(async () => {
  server = await Fixture.open();
});
afterEach(() => server.close());

const rulesFor = (resource: string): object => ({
  resourceRules: [{ operations: ['CREATE'], apiGroups: [''], apiVersions: ['v1'], resources: [resource] }],
});
const apply = (expression: string): object => ({ patchType: 'ApplyConfiguration', applyConfiguration: { expression } });
const jsonPatch = (expression: string): object => ({ patchType: 'JSONPatch', jsonPatch: { expression } });

async function policy(name: string, spec: object): Promise<Reply> {
  const matchConstraints = rulesFor('configmaps');
  const made = await server.post(`${group}/mutatingadmissionpolicies`, {
    metadata: { name },
    spec: { matchConstraints, reinvocationPolicy: 'Never', ...spec },
  });
  if (made.code !== 201) return made;
  return server.post(`${group}/mutatingadmissionpolicybindings`, { metadata: { name }, spec: { policyName: name } });
}

function makeMap(name: string, data: object = {}): Promise<Reply> {
  return server.post(maps, { metadata: { name }, data });
}

describe('mutating admission policies', () => {
  test('lay apply configurations over what is written, variables and lists by key included', async () => {
    const expression = `Object{
      metadata: Object.metadata{labels: {"team": variables.team}},
      spec: Object.spec{containers: object.spec.containers.map(c, Object.spec.containers{name: c.name, imagePullPolicy: "Always"}) +
        [Object.spec.containers{name: "sidecar", image: "proxy:1"}]}
    }`;
    await policy('p', { matchConstraints: rulesFor('pods'), variables: [{ name: 'team', expression: "'blue'" }], mutations: [apply(expression)] });
    const pod = { metadata: { name: 'x', labels: { app: 'x' } }, spec: { containers: [{ name: 'c', image: 'i:1' }] } };
    const { code, body } = await server.post('/api/v1/namespaces/a/pods', pod);
    assert.equal(code, 201, JSON.stringify(body));
    assert.deepEqual(body.metadata.labels, { app: 'x', team: 'blue' });
    const containers: { name: string; image: string; imagePullPolicy: string }[] = body['spec'].containers;
    assert.deepEqual(
      containers.map(({ name, image, imagePullPolicy }) => [name, image, imagePullPolicy]),
      [
        ['c', 'i:1', 'Always'],
        ['sidecar', 'proxy:1', 'IfNotPresent'],
      ],
    );
  });

  test('apply JSON patches, one mutation after the other', async () => {
    await policy('p', {
      mutations: [
        jsonPatch(`[JSONPatch{op: "add", path: "/metadata/labels", value: {}},
          JSONPatch{op: "add", path: "/metadata/labels/" + jsonpatch.escapeKey("example.com/size"), value: string(object.data.size())}]`),
        jsonPatch('has(object.metadata.labels) ? [JSONPatch{op: "add", path: "/data/second", value: "saw labels"}] : []'),
      ],
    });
    const { code, body } = await makeMap('m', { a: '1' });
    assert.equal(code, 201, JSON.stringify(body));
    assert.deepEqual([body.metadata.labels, body['data']], [{ 'example.com/size': '1' }, { a: '1', second: 'saw labels' }]);
  });

  test('look again at what later policies changed, if they want to', async () => {
    const count = (key: string): object => apply(`Object{data: {"${key}": has(object.data.${key}) ? object.data.${key} + "i" : "i"}}`);
    const eachOwn = (key: string): object =>
      jsonPatch(`[JSONPatch{op: "add", path: "/data/${key}", value: has(object.data.${key}) ? object.data.${key} + "i" : "i"}]`);
    assert.equal((await policy('1-again', { reinvocationPolicy: 'IfNeeded', mutations: [eachOwn('again')] })).code, 201);
    assert.equal((await policy('2-once', { mutations: [count('once')] })).code, 201);
    const { body } = await makeMap('m', { x: '' });
    assert.deepEqual(body['data'], { x: '', again: 'ii', once: 'i' });
  });

  test('look again at what webhooks changed', async (t) => {
    const hook = await startTestWebhook(() => patching({ op: 'add', path: '/data/hook', value: 'was here' }));
    t.after(() => hook.close());
    const webhook = {
      name: 'h.example.com',
      clientConfig: { url: hook.url('/h'), caBundle: hook.caBundle },
      rules: [{ operations: ['CREATE'], apiGroups: [''], apiVersions: ['v1'], resources: ['configmaps'] }],
      sideEffects: 'None',
      admissionReviewVersions: ['v1'],
    };
    await server.post(`${group}/mutatingwebhookconfigurations`, { metadata: { name: 'h' }, webhooks: [webhook] });
    await policy('p', {
      reinvocationPolicy: 'IfNeeded',
      mutations: [jsonPatch('[JSONPatch{op: "add", path: "/data/seen", value: has(object.data.hook) ? "hook" : "none"}]')],
    });
    assert.deepEqual((await makeMap('m', { x: '' })).body['data'], { x: '', hook: 'was here', seen: 'hook' });
  });

  const failing: Readonly<Record<string, [mutation: object, why: string]>> = {
    'may not replace what they would lose parts of': [
      apply('Object{spec: Object.spec{tolerations: [Object.spec.tolerations{key: "x"}]}}'),
      `invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: .spec.tolerations`,
    ],
    'must call what they make by its place': [
      apply('Object{spec: Object.metadata{name: "x"}}'),
      'unexpected type name "Object.metadata", expected "Object.spec", which matches field name path from root Object type',
    ],
    'must be there to be read': [apply('Object{spec: object.none}'), 'no such key: none'],
  };
  for (const [name, [mutation, why]] of Object.entries(failing)) {
    test(name, async () => {
      await policy('p', { matchConstraints: rulesFor('pods'), mutations: [mutation] });
      const pod = { metadata: { name: 'x' }, spec: { containers: [{ name: 'c', image: 'i:1' }] } };
      const { code, body } = await server.post('/api/v1/namespaces/a/pods', pod);
      assert.equal(code, 422);
      assert.ok(
        String(body['message']).startsWith(`pods "x" is forbidden: policy 'p' with binding 'p' denied request: expression '`),
        body['message'],
      );
      assert.ok(String(body['message']).endsWith(`' resulted in error: ${why}`), body['message']);
      await server.patch(`${group}/mutatingadmissionpolicies/p`, { spec: { failurePolicy: 'Ignore' } });
      assert.equal((await server.post('/api/v1/namespaces/a/pods', pod)).code, 201);
    });
  }

  const refused: Readonly<Record<string, [spec: object, field: string]>> = {
    'another type than an object': [{ mutations: [apply('"x"')] }, 'spec.mutations[0].applyConfiguration.expression'],
    'another type than patches': [{ mutations: [jsonPatch('Object{}')] }, 'spec.mutations[0].jsonPatch.expression'],
    'fields no patch has': [{ mutations: [jsonPatch('[JSONPatch{operation: "add"}]')] }, 'spec.mutations[0].jsonPatch.expression'],
    'the other patch': [
      { mutations: [{ patchType: 'JSONPatch', applyConfiguration: { expression: 'Object{}' } }] },
      'spec.mutations[0].applyConfiguration',
    ],
    'no reinvocation policy': [{ reinvocationPolicy: '', mutations: [apply('Object{}')] }, 'spec.reinvocationPolicy'],
    'nothing to do': [{ mutations: [] }, 'spec.mutations'],
  };
  for (const [name, [spec, field]] of Object.entries(refused)) {
    test(`are refused with ${name}`, async () => {
      const { code, body } = await policy('p', spec);
      assert.equal(code, 422, JSON.stringify(body));
      assert.ok(
        body['details'].causes.some((cause: { field: string }) => cause.field === field),
        JSON.stringify(body),
      );
    });
  }
});
