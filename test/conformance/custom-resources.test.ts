/** Conformance behaviours of custom resources, their OpenAPI and discovery: one test for each, by its name. What kubectl is to do, its oldest and newest do. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { request as httpsRequest } from 'node:https';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startHttpsStub } from '../apiserver/https-stub.ts';
import { kubeconfigOf } from '../apiserver/kubeconfig.ts';
import { type Json, startTestServer, type TestServer } from '../apiserver/server.ts';
import { debianKubectl } from '../support/debian-packages.ts';
import { run, stockTools } from '../support/stock-tools.ts';

const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';

let server: TestServer;
let home: string;
let kubectls: readonly string[];

before(async () => {
  server = await startTestServer();
  home = mkdtempSync(join(tmpdir(), 'k8ts-conformance-'));
  kubectls = [stockTools().kubectl, await debianKubectl('bookworm')];
  writeFileSync(join(home, 'kubeconfig'), JSON.stringify(kubeconfigOf(server)));
});

after(async () => {
  await server.close();
  rmSync(home, { recursive: true, force: true });
});

async function ok(path: string, options: Parameters<TestServer['send']>[1] = {}): Promise<Json> {
  const reply = await server.send(path, options);
  assert.ok(reply.code >= 200 && reply.code < 300, `${path}: ${reply.code} ${reply.text}`);
  return reply.json;
}

const patch = (path: string, body: object): Promise<Json> =>
  ok(path, { method: 'PATCH', headers: { 'content-type': 'application/merge-patch+json' }, body: JSON.stringify(body) });

async function until<T>(read: () => Promise<T | undefined>): Promise<T> {
  for (let turn = 0; turn < 400; turn++) {
    const value = await read();
    if (value !== undefined) return value;
    await sleep(10);
  }
  assert.fail('it never was so');
}

let caches = 0;

/** Runs one kubectl; nothing that it remembers of what was served before gets in the way. */
async function kubectl(program: string, args: readonly string[], input?: object): Promise<{ code: number; stdout: string; stderr: string }> {
  const own = join(home, `cache-${caches++}`);
  const env = { HOME: home, KUBECONFIG: join(home, 'kubeconfig') };
  return run(program, ['--cache-dir', own, ...args], { env, ...(input && { input: JSON.stringify(input) }) });
}

async function succeeds(program: string, args: readonly string[], input?: object): Promise<string> {
  const { code, stdout, stderr } = await kubectl(program, args, input);
  assert.equal(code, 0, `${args.join(' ')}: ${stderr}`);
  return stdout;
}

async function fails(program: string, args: readonly string[], input: object, why: RegExp): Promise<void> {
  const { code, stderr } = await kubectl(program, args, input);
  assert.notEqual(code, 0, 'it is refused');
  assert.match(stderr, why);
}

interface Names {
  readonly group: string;
  readonly plural: string;
  readonly kind: string;
}

const version = (name: string, schema: object, storage = true) => ({ name, served: true, storage, schema: { openAPIV3Schema: schema } });

const definitionOf = ({ group, plural, kind }: Names, versions: readonly object[]) => ({
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: `${plural}.${group}` },
  spec: { group, scope: 'Namespaced', names: { plural, kind, singular: kind.toLowerCase() }, versions },
});

async function define(names: Names, versions: readonly object[], spec: object = {}): Promise<string> {
  const definition = definitionOf(names, versions);
  await ok(definitions, { method: 'POST', body: { ...definition, spec: { ...definition.spec, ...spec } } });
  const path = `${definitions}/${definition.metadata.name}`;
  await until(async () => {
    const { status } = await ok(path);
    return status.conditions?.some((condition: Json) => condition.type === 'Established' && condition.status === 'True') ? true : undefined;
  });
  return path;
}

const definitionName = ({ group, kind }: Names, versionName: string): string => `${group.split('.').toReversed().join('.')}.${versionName}.${kind}`;

/** Waits for the kind's schema in both versions of OpenAPI. */
async function published(names: Names, versionName: string): Promise<Json> {
  const name = definitionName(names, versionName);
  return until(async () => {
    const { definitions: all } = await ok('/openapi/v2');
    const v3 = await server.send(`/openapi/v3/apis/${names.group}/${versionName}`);
    return all[name] !== undefined && v3.json.components?.schemas[name] !== undefined ? all[name] : undefined;
  });
}

/** An endpoint in v1 has one field for host and port, in v2 two. */
async function conversionWebhook() {
  const stub = await startHttpsStub(server.world);
  stub.answer = (_path, { request }) => ({
    kind: 'ConversionReview',
    apiVersion: 'apiextensions.k8s.io/v1',
    response: {
      uid: request.uid,
      result: { status: 'Success' },
      convertedObjects: request.objects.map(({ hostPort, host, port, ...rest }: Json) => ({
        ...rest,
        apiVersion: request.desiredAPIVersion,
        ...(String(request.desiredAPIVersion).endsWith('v2')
          ? { host: hostPort.split(':')[0], port: hostPort.split(':')[1] }
          : { hostPort: `${host}:${port}` }),
      })),
    },
  });
  const clientConfig = { url: `${stub.url}/crdconvert`, caBundle: Buffer.from(stub.ca).toString('base64') };
  return { stub, conversion: { strategy: 'Webhook', webhook: { clientConfig, conversionReviewVersions: ['v1', 'v1beta1'] } } };
}

const text = { type: 'string' };
const v1Schema = { type: 'object', properties: { hostPort: text } };
const v2Schema = { type: 'object', properties: { host: text, port: text } };

test('[sig-api-machinery] CustomResourceConversionWebhook [Privileged:ClusterAdmin] should be able to convert from CR v1 to CR v2 [Conformance]', async () => {
  const names = { group: 'convert.example.com', plural: 'e2e-converts', kind: 'E2eConvert' };
  const { stub, conversion } = await conversionWebhook();
  const path = await define(names, [version('v1', v1Schema), version('v2', v2Schema, false)], { conversion });
  const root = `/apis/${names.group}`;
  await ok(`${root}/v1/namespaces/default/${names.plural}`, { method: 'POST', body: { metadata: { name: 'one' }, hostPort: 'localhost:8080' } });
  const converted = await ok(`${root}/v2/namespaces/default/${names.plural}/one`);
  assert.deepEqual([converted.apiVersion, converted.host, converted.port], [`${names.group}/v2`, 'localhost', '8080']);
  await ok(path, { method: 'DELETE' });
  await stub.close();
});

test('[sig-api-machinery] CustomResourceConversionWebhook [Privileged:ClusterAdmin] should be able to convert a non homogeneous list of CRs [Conformance]', async () => {
  const names = { group: 'mixed.example.com', plural: 'e2e-mixes', kind: 'E2eMix' };
  const { stub, conversion } = await conversionWebhook();
  const path = await define(names, [version('v1', v1Schema), version('v2', v2Schema, false)], { conversion });
  const list = (name: string): string => `/apis/${names.group}/${name}/namespaces/default/${names.plural}`;
  await ok(list('v1'), { method: 'POST', body: { metadata: { name: 'one' }, hostPort: 'localhost:8080' } });
  await patch(path, { spec: { versions: [version('v1', v1Schema, false), version('v2', v2Schema, true)] } });
  await ok(list('v2'), { method: 'POST', body: { metadata: { name: 'two' }, host: 'localhost', port: '8081' } });
  const { items } = await ok(list('v2'));
  assert.deepEqual(
    items.map(({ apiVersion, host, port }: Json) => `${apiVersion} ${host} ${port}`),
    ['mixed.example.com/v2 localhost 8080', 'mixed.example.com/v2 localhost 8081'],
  );
  assert.deepEqual(
    (await ok(list('v1'))).items.map(({ hostPort }: Json) => hostPort),
    ['localhost:8080', 'localhost:8081'],
  );
  assert.deepEqual((await ok(path)).status.storedVersions, ['v1', 'v2']);
  await ok(path, { method: 'DELETE' });
  await stub.close();
});

test('[sig-api-machinery] CustomResourceDefinition Watch [Privileged:ClusterAdmin] CustomResourceDefinition Watch watch on custom resource definition objects [Conformance]', async () => {
  const names = { group: 'mygroup.example.com', plural: 'noxus', kind: 'WishIHadChosenNoxu' };
  const path = await define(names, [version('v1', { type: 'object', 'x-kubernetes-preserve-unknown-fields': true })]);
  const root = `/apis/${names.group}/v1/namespaces/default/noxus`;
  const { resourceVersion } = (await ok(root)).metadata;
  const { admin, port, ca } = server;
  const watch = httpsRequest({
    host: '127.0.0.1',
    port,
    ca: ca.certificate,
    cert: admin.certificate,
    key: admin.key,
    agent: false,
    path: `${root}?watch=true&resourceVersion=${resourceVersion}`,
  });
  let seen = '';
  watch.on('response', (response) => response.on('data', (chunk: Buffer) => (seen += chunk.toString())));
  watch.end();
  const types = (): string[] => [...seen.matchAll(/"type":"([A-Z]+)".*"name":"([a-b])"/g)].map(([, type, name]) => `${type} ${name}`);
  for (const name of ['a', 'b']) await ok(root, { method: 'POST', body: { metadata: { name } } });
  for (const name of ['a', 'b']) await patch(`${root}/${name}`, { content: { key: name } });
  for (const name of ['a', 'b']) await ok(`${root}/${name}`, { method: 'DELETE' });
  await until(async () => (types().length >= 6 ? true : undefined));
  assert.deepEqual(types(), ['ADDED a', 'ADDED b', 'MODIFIED a', 'MODIFIED b', 'DELETED a', 'DELETED b']);
  watch.destroy();
  await ok(path, { method: 'DELETE' });
});

test('[sig-api-machinery] CustomResourceDefinition resources [Privileged:ClusterAdmin] Simple CustomResourceDefinition creating/deleting custom resource definition objects works [Conformance]', async () => {
  const names = { group: 'simple.example.com', plural: 'simples', kind: 'Simple' };
  const path = await define(names, [version('v1', { type: 'object' })]);
  await ok(path, { method: 'DELETE' });
  await until(async () => ((await server.send(path)).code === 404 ? true : undefined));
  assert.equal((await server.send('/apis/simple.example.com/v1')).code, 404);
});

test('[sig-api-machinery] CustomResourceDefinition resources [Privileged:ClusterAdmin] Simple CustomResourceDefinition getting/updating/patching custom resource definition status sub-resource works [Conformance]', async () => {
  const names = { group: 'status.example.com', plural: 'stati', kind: 'Statu' };
  const path = await define(names, [version('v1', { type: 'object' })]);
  const read = await ok(`${path}/status`);
  const condition = { type: 'StatusUpdate', status: 'True', reason: 'E2E', message: 'Set from an e2e test' };
  const updated = await ok(`${path}/status`, {
    method: 'PUT',
    body: { ...read, status: { ...read.status, conditions: [...read.status.conditions, condition] } },
  });
  assert.ok(updated.status.conditions.some(({ type }: Json) => type === 'StatusUpdate'));
  const more = { type: 'StatusPatched', status: 'True', reason: 'E2E', message: 'Set by an e2e test' };
  await patch(`${path}/status`, { metadata: { labels: { x: 'y' } }, status: { conditions: [...updated.status.conditions, more] } });
  const after = await ok(path);
  assert.ok(after.status.conditions.some(({ type }: Json) => type === 'StatusPatched'));
  assert.ok(after.status.conditions.some(({ type }: Json) => type === 'StatusUpdate'));
  await ok(path, { method: 'DELETE' });
});

test('[sig-api-machinery] CustomResourceDefinition resources [Privileged:ClusterAdmin] should include custom resource definition resources in discovery documents [Conformance]', async () => {
  const { groups } = await ok('/apis');
  const group = groups.find(({ name }: Json) => name === 'apiextensions.k8s.io');
  assert.deepEqual(group.versions, [{ groupVersion: 'apiextensions.k8s.io/v1', version: 'v1' }]);
  assert.deepEqual((await ok('/apis/apiextensions.k8s.io')).versions, group.versions);
  const { resources } = await ok('/apis/apiextensions.k8s.io/v1');
  assert.ok(resources.some(({ name, kind }: Json) => name === 'customresourcedefinitions' && kind === 'CustomResourceDefinition'));
});

const fooSchema = {
  type: 'object',
  description: 'Foo CRD for Testing',
  properties: {
    spec: {
      type: 'object',
      description: 'Specification of Foo',
      properties: {
        bars: {
          type: 'array',
          description: 'List of Bars and their specs.',
          items: {
            type: 'object',
            required: ['name'],
            properties: {
              name: { type: 'string', description: 'Name of Bar.' },
              age: { type: 'string', description: 'Age of Bar.' },
              feeling: { type: 'string', enum: ['Great', 'Down'] },
              bazs: { type: 'array', description: 'List of Bazs.', items: { type: 'string' } },
            },
          },
        },
      },
    },
    status: { type: 'object', description: 'Status of Foo', properties: { bars: { type: 'array', items: { type: 'object' } } } },
  },
};

test('[sig-api-machinery] CustomResourcePublishOpenAPI [Privileged:ClusterAdmin] works for CRD with validation schema [Conformance]', async () => {
  const names = { group: 'foo.example.com', plural: 'foos', kind: 'Foo' };
  const path = await define(names, [version('v1', fooSchema)]);
  await published(names, 'v1');
  const foo = (bars: object[], extra: object = {}) => ({
    apiVersion: 'foo.example.com/v1',
    kind: 'Foo',
    metadata: { name: 'test-foo' },
    spec: { bars, ...extra },
  });
  for (const program of kubectls) {
    await succeeds(program, ['create', '-f', '-'], foo([{ name: 'test-bar' }]));
    await succeeds(program, ['delete', 'foos', 'test-foo']);
    await succeeds(program, ['apply', '-f', '-'], foo([{ name: 'test-bar' }]));
    await succeeds(program, ['delete', 'foos', 'test-foo']);
    for (const verb of ['create', 'apply']) {
      await fails(program, [verb, '-f', '-'], foo([{ name: 'x', feeling: 'Bad' }]), /feeling.*(Unsupported value|supported values)/s);
      await fails(program, [verb, '-f', '-'], foo([{ name: 'x' }], { unknown: 1 }), /unknown field "(spec\.)?unknown"/);
      await fails(program, [verb, '-f', '-'], foo([{ age: '10' }]), /missing required field "name"|spec\.bars\[0\]\.name: Required value/);
    }
    assert.match(
      await succeeds(program, ['explain', 'foos']),
      /DESCRIPTION:\s+Foo CRD for Testing[^]*FIELDS:[^]*apiVersion\s+<string>[^]*spec\s+<Object>[^]*Specification of Foo/,
    );
    assert.match(await succeeds(program, ['explain', 'foos.metadata']), /DESCRIPTION:[^]*FIELDS:[^]*creationTimestamp\s+<string>/);
    assert.match(await succeeds(program, ['explain', 'foos.spec']), /DESCRIPTION:\s+Specification of Foo[^]*bars\s+<\[\]Object>[^]*List of Bars/);
    assert.match(
      await succeeds(program, ['explain', 'foos.spec.bars']),
      /age\s+<string>[^]*Age of Bar[^]*bazs\s+<\[\]string>[^]*name\s+<string>\s+-required-/,
    );
    assert.notEqual((await kubectl(program, ['explain', 'foos.spec.bars2'])).code, 0);
  }
  await ok(path, { method: 'DELETE' });
});

const preserving = { 'x-kubernetes-preserve-unknown-fields': true };

/** Unknown fields are taken, and the kind is explained. */
async function takesAnything(names: Names, schema: object, explained: RegExp, nested?: RegExp): Promise<void> {
  const path = await define(names, [version('v1', schema)]);
  await published(names, 'v1');
  const object = {
    apiVersion: `${names.group}/v1`,
    kind: names.kind,
    metadata: { name: 'any' },
    spec: { a: null, b: [{ c: 'd' }], additionalProperties: 10 },
  };
  for (const program of kubectls) {
    for (const verb of ['create', 'apply']) {
      await succeeds(program, [verb, '-f', '-'], object);
      assert.deepEqual((await ok(`/apis/${names.group}/v1/namespaces/default/${names.plural}/any`)).spec.b, [{ c: 'd' }]);
      await succeeds(program, ['delete', names.plural, 'any']);
    }
    assert.match(await succeeds(program, ['explain', names.plural]), explained);
    if (nested) assert.match(await succeeds(program, ['explain', `${names.plural}.spec`]), nested);
  }
  await ok(path, { method: 'DELETE' });
}

test('[sig-api-machinery] CustomResourcePublishOpenAPI [Privileged:ClusterAdmin] works for CRD without validation schema [Conformance]', () =>
  takesAnything({ group: 'none.example.com', plural: 'nones', kind: 'None' }, { type: 'object', ...preserving }, /DESCRIPTION:\s+<empty>/));

test('[sig-api-machinery] CustomResourcePublishOpenAPI [Privileged:ClusterAdmin] works for CRD preserving unknown fields at the schema root [Conformance]', () =>
  takesAnything(
    { group: 'root.example.com', plural: 'roots', kind: 'Root' },
    { type: 'object', ...preserving, properties: { spec: { type: 'object', ...preserving } } },
    /KIND:\s+Root/,
  ));

test('[sig-api-machinery] CustomResourcePublishOpenAPI [Privileged:ClusterAdmin] works for CRD preserving unknown fields in an embedded object [Conformance]', () =>
  takesAnything(
    { group: 'nested.example.com', plural: 'nesteds', kind: 'Nested' },
    {
      type: 'object',
      description: 'preserve-unknown-properties in nested field for Testing',
      properties: {
        spec: {
          type: 'object',
          description: 'Specification of Waldo',
          ...preserving,
          properties: { dummy: { type: 'string', description: 'Dummy property.' } },
        },
      },
    },
    /KIND:\s+Nested[^]*preserve-unknown-properties in nested field for\s+Testing[^]*spec\s+<(Object|)>/,
    /Specification of Waldo/,
  ));

test('[sig-api-machinery] CustomResourcePublishOpenAPI [Privileged:ClusterAdmin] works for multiple CRDs of different groups [Conformance]', async () => {
  const all = [
    { group: 'one.example.com', plural: 'firsts', kind: 'First' },
    { group: 'two.example.com', plural: 'seconds', kind: 'Second' },
  ];
  const paths = await Promise.all(all.map((names) => define(names, [version('v1', { ...fooSchema, description: names.kind })])));
  for (const names of all) assert.equal((await published(names, 'v1')).description, names.kind);
  for (const path of paths) await ok(path, { method: 'DELETE' });
});

test('[sig-api-machinery] CustomResourcePublishOpenAPI [Privileged:ClusterAdmin] works for multiple CRDs of same group and version but different kinds [Conformance]', async () => {
  const all = [
    { group: 'same.example.com', plural: 'thirds', kind: 'Third' },
    { group: 'same.example.com', plural: 'fourths', kind: 'Fourth' },
  ];
  const paths = await Promise.all(all.map((names) => define(names, [version('v1', { ...fooSchema, description: names.kind })])));
  for (const names of all) assert.equal((await published(names, 'v1')).description, names.kind);
  for (const path of paths) await ok(path, { method: 'DELETE' });
});

test('[sig-api-machinery] CustomResourcePublishOpenAPI [Privileged:ClusterAdmin] removes definition from spec when one version gets changed to not be served [Conformance]', async () => {
  const names = { group: 'unserved.example.com', plural: 'changes', kind: 'Change' };
  const path = await define(names, [version('v5', fooSchema), version('v6alpha1', fooSchema, false)]);
  const untouched = await published(names, 'v5');
  await published(names, 'v6alpha1');
  await patch(path, { spec: { versions: [version('v5', fooSchema), { ...version('v6alpha1', fooSchema, false), served: false }] } });
  await until(async () => ((await ok('/openapi/v2')).definitions[definitionName(names, 'v6alpha1')] === undefined ? true : undefined));
  assert.equal((await server.send(`/openapi/v3/apis/${names.group}/v6alpha1`)).code, 404);
  assert.equal((await ok('/openapi/v3')).paths[`apis/${names.group}/v6alpha1`], undefined);
  assert.deepEqual(await published(names, 'v5'), untouched);
  await ok(path, { method: 'DELETE' });
  await until(async () => ((await ok('/openapi/v2')).definitions[definitionName(names, 'v5')] === undefined ? true : undefined));
});

test('[sig-api-machinery] Discovery should validate PreferredVersion for each APIGroup [Conformance]', async () => {
  const { groups } = await ok('/apis');
  assert.ok(groups.length > 15);
  for (const { name, preferredVersion, versions } of groups) {
    const group = await ok(`/apis/${name}`);
    assert.deepEqual(group.preferredVersion, preferredVersion, name);
    assert.ok(
      versions.some(({ groupVersion }: Json) => groupVersion === preferredVersion.groupVersion),
      name,
    );
  }
});
