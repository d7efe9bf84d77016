/**
 * What people and programs get wrong: each mistake is answered with the error a Kubernetes user knows or with a plain sentence, never with a stack
 * trace, and none of them disturbs anyone else.
 */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingHttpHeaders } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { Agent, request } from 'node:https';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { createCertificateAuthority, issueCertificate } from '../src/kubeadm/certificates.ts';
import { realWorld } from '../src/world/real.ts';
import { type ClusterUnderTest, startClusterUnderTest } from './support/cluster-under-test.ts';
import { type Outcome, run } from './support/stock-tools.ts';

interface Status {
  readonly kind?: string;
  readonly status?: string;
  readonly reason?: string;
  readonly message?: string;
  readonly code?: number;
  readonly details?: { readonly causes?: readonly { readonly field?: string; readonly reason?: string }[] };
}

interface Reply {
  readonly code: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

interface Identity {
  readonly cert?: string;
  readonly key?: string;
  readonly token?: string;
}

const isRoot = process.getuid?.() === 0;
const directory = mkdtempSync(join(tmpdir(), 'k8ts-bad-'));
const configMaps = '/api/v1/namespaces/default/configmaps';
const json = 'application/json';
let cluster: ClusterUnderTest;
let agent: Agent;
let ca: string;
let admin: Identity;
let controlPlane: string;

const processFile = (): string => readFileSync(join(cluster.dataDir, 'run', 'control-plane.json'), 'utf8');

before(async () => {
  cluster = await startClusterUnderTest();
  const pki = (name: string): string => readFileSync(join(cluster.dataDir, 'pki', name), 'utf8');
  ca = pki('ca.crt');
  admin = { cert: pki('admin.crt'), key: pki('admin.key') };
  agent = new Agent({ keepAlive: true, ca, ...admin });
  controlPlane = processFile();
});

after(async () => {
  agent.destroy();
  await cluster.close();
  rmSync(directory, { recursive: true, force: true });
});

interface Sent {
  readonly method?: string;
  readonly type?: string;
  readonly accept?: string;
  readonly body?: string | Buffer;
  readonly chunked?: boolean;
  /** The admin when absent. */
  readonly as?: Identity;
}

function send(path: string, { method = 'GET', type, accept, body, chunked = false, as }: Sent = {}): Promise<Reply> {
  const headers = {
    ...(type !== undefined && { 'content-type': type }),
    ...(accept !== undefined && { accept }),
    ...(body !== undefined && !chunked && { 'content-length': String(Buffer.byteLength(body)) }),
    ...(as?.token !== undefined && { authorization: `Bearer ${as.token}` }),
  };
  const who = as === undefined ? { agent } : { agent: false as const, ca, ...(as.cert !== undefined && { cert: as.cert, key: as.key }) };
  return new Promise((resolve, reject) => {
    const call = request({ host: '127.0.0.1', port: cluster.port, path, method, headers, ...who }, (answer) => {
      let text = '';
      answer.setEncoding('utf8');
      answer.on('data', (chunk: string) => (text += chunk));
      answer.on('end', () => resolve({ code: answer.statusCode ?? 0, headers: answer.headers, text }));
      answer.on('error', reject);
    });
    call.on('error', reject);
    call.end(body);
  });
}

/** No inside shows: neither a stack nor a source file. */
function assertPlain(text: string): void {
  assert.doesNotMatch(text, /\n\s+at \S|\.ts:\d|\.js:\d|node:internal|Maximum call stack|\[object Object\]|undefined/, text);
}

function assertStatus(reply: Reply, code: number, reason: string, message: RegExp): Status {
  const status = JSON.parse(reply.text) as Status;
  assertPlain(status.message ?? '');
  assert.match(status.message ?? '', message);
  assert.deepEqual(
    { http: reply.code, code: status.code, kind: status.kind, status: status.status, reason: status.reason },
    { http: code, code, kind: 'Status', status: 'Failure', reason },
  );
  return status;
}

const configMap = (name: string, more: object = {}): string => JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, ...more });

interface Mistake extends Sent {
  readonly name: string;
  readonly path: string;
  readonly expect: readonly [code: number, reason: string, message: RegExp];
}

function checkAll(mistakes: readonly Mistake[]): void {
  for (const { name, path, expect, ...sent } of mistakes) {
    test(name, async () => {
      assertStatus(await send(path, sent), ...expect);
    });
  }
}

const post = (body: string | Buffer, type = json): Sent => ({ method: 'POST', type, body });
const patch = (kind: string, body: string): Sent => ({ method: 'PATCH', type: `application/${kind}`, body });
const rootCa = `${configMaps}/kube-root-ca.crt`;
const nested = (depth: number): string =>
  `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"deep"},"data":${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}}`;
const aliases = ['l0: &l0 [x,x,x,x,x,x,x,x,x]', ...Array.from({ length: 8 }, (_, i) => `l${i + 1}: &l${i + 1} [${`*l${i},`.repeat(9)}]`)].join('\n');

describe('bodies', () => {
  checkAll([
    {
      name: 'JSON that ends early',
      path: configMaps,
      ...post('{"apiVersion":"v1","kind":"Conf'),
      expect: [400, 'BadRequest', /must be of type ConfigMap.*unexpected end of JSON input/],
    },
    { name: 'JSON that is none', path: configMaps, ...post('{{{'), expect: [400, 'BadRequest', /json parse error/] },
    { name: 'an empty body', path: configMaps, ...post(''), expect: [400, 'BadRequest', /unexpected end of JSON input/] },
    { name: 'a list', path: configMaps, ...post('[]'), expect: [400, 'BadRequest', /cannot unmarshal array/] },
    { name: 'null', path: configMaps, ...post('null'), expect: [400, 'BadRequest', /cannot unmarshal null/] },
    { name: 'a word', path: configMaps, ...post('"x"'), expect: [400, 'BadRequest', /cannot unmarshal string/] },
    {
      name: 'bytes that are no text',
      path: configMaps,
      ...post(Buffer.from([0xff, 0xfe, 0x00, 0x80])),
      expect: [400, 'BadRequest', /json parse error/],
    },
    {
      name: 'malformed YAML',
      path: configMaps,
      ...post('a: b\n  c: d\n: :', 'application/yaml'),
      expect: [400, 'BadRequest', /error converting YAML to JSON: yaml: .*line 1/],
    },
    {
      name: 'YAML of many aliases',
      path: configMaps,
      ...post(aliases, 'application/yaml'),
      expect: [400, 'BadRequest', /yaml: Excessive alias count/],
    },
    {
      name: 'YAML nested a hundred thousand deep',
      path: configMaps,
      ...post(`a: ${'['.repeat(100_000)}`, 'application/yaml'),
      expect: [400, 'BadRequest', /yaml: exceeded max depth/],
    },
    {
      name: 'JSON nested two hundred thousand deep',
      path: configMaps,
      ...post(nested(200_000)),
      expect: [400, 'BadRequest', /json parse error: exceeded max depth/],
    },
    {
      name: 'a patch nested deep',
      path: rootCa,
      ...patch('merge-patch+json', nested(100_000)),
      expect: [400, 'BadRequest', /error decoding patch: exceeded max depth/],
    },
    {
      name: 'protobuf that is none',
      path: configMaps,
      ...post('xx', 'application/vnd.kubernetes.protobuf'),
      expect: [400, 'BadRequest', /unrecognized/],
    },
    {
      name: 'another kind',
      path: configMaps,
      ...post('{"apiVersion":"v1","kind":"Secret","metadata":{"name":"a"}}'),
      expect: [400, 'BadRequest', /Secret in version "v1" cannot be handled as a ConfigMap/],
    },
    {
      name: 'an unknown kind',
      path: configMaps,
      ...post('{"apiVersion":"v9","kind":"Nope","metadata":{"name":"a"}}'),
      expect: [400, 'BadRequest', /Nope in version "v9" cannot be handled as a ConfigMap/],
    },
    {
      name: 'a name that is a number',
      path: configMaps,
      ...post('{"metadata":{"name":5}}'),
      expect: [400, 'BadRequest', /cannot unmarshal number into Go struct field ObjectMeta.metadata.name of type string/],
    },
    {
      name: 'a value that is a number',
      path: configMaps,
      ...post(configMap('a', { data: { a: 1 } })),
      expect: [400, 'BadRequest', /cannot unmarshal number into Go struct field ConfigMap.data.* of type string/],
    },
    {
      name: 'a list that is a map',
      path: '/api/v1/namespaces/default/pods',
      ...post('{"metadata":{"name":"p"},"spec":{"containers":{"name":"a"}}}'),
      expect: [400, 'BadRequest', /cannot unmarshal object into Go struct field PodSpec.spec.containers of type \[\]/],
    },
    {
      name: 'a quantity that is none',
      path: '/api/v1/namespaces/default/pods',
      ...post('{"metadata":{"name":"p"},"spec":{"containers":[{"name":"a","image":"b","resources":{"limits":{"cpu":"lots"}}}]}}'),
      expect: [400, 'BadRequest', /quantities must match the regular expression/],
    },
    {
      name: 'a time that is none',
      path: configMaps,
      ...post('{"metadata":{"name":"a","creationTimestamp":"yesterday"}}'),
      expect: [400, 'BadRequest', /parsing time/],
    },
    {
      name: 'a missing name',
      path: configMaps,
      ...post('{"metadata":{}}'),
      expect: [422, 'Invalid', /^ConfigMap "" is invalid: metadata.name: Required value: name or generateName is required$/],
    },
    {
      name: 'another namespace',
      path: configMaps,
      ...post('{"metadata":{"name":"a","namespace":"b"}}'),
      expect: [400, 'BadRequest', /the namespace of the provided object does not match the namespace sent on the request/],
    },
    {
      name: 'a namespace that is not there',
      path: '/api/v1/namespaces/nope/configmaps',
      ...post(configMap('a')),
      expect: [404, 'NotFound', /^namespaces "nope" not found$/],
    },
    {
      name: 'another name than in the path',
      path: `${configMaps}/a`,
      method: 'PUT',
      type: json,
      body: configMap('b'),
      expect: [400, 'BadRequest', /the name of the object \(b\) does not match the name on the URL \(a\)/],
    },
    {
      name: 'an unknown field, strictly',
      path: `${configMaps}?fieldValidation=Strict`,
      ...post(configMap('a', { dta: {} })),
      expect: [400, 'BadRequest', /strict decoding error: unknown field "dta"/],
    },
    {
      name: 'an unknown way to validate',
      path: `${configMaps}?fieldValidation=Maybe`,
      ...post(configMap('a')),
      expect: [422, 'Invalid', /fieldValidation: Unsupported value: "Maybe"/],
    },
    {
      name: 'more than a megabyte of data',
      path: configMaps,
      ...post(configMap('a', { data: { a: 'x'.repeat(1_100_000) } })),
      expect: [422, 'Invalid', /Too long: may not be more than 1048576 bytes/],
    },
    {
      name: 'more than 3 MiB, declared',
      path: configMaps,
      ...post('x'.repeat(3_200_000)),
      expect: [413, 'RequestEntityTooLarge', /Request entity too large: limit is 3145728/],
    },
    {
      name: 'more than 3 MiB, not declared',
      path: configMaps,
      ...post('x'.repeat(3_200_000)),
      chunked: true,
      expect: [413, 'RequestEntityTooLarge', /limit is 3145728/],
    },
  ]);

  test('an unknown field is a warning, where not told otherwise', async () => {
    const reply = await send(`${configMaps}?dryRun=All`, post(configMap('a', { dta: {} })));
    assert.equal(reply.code, 201);
    assert.equal(reply.headers['warning'], '299 - "unknown field \\"dta\\""');
    const ignored = await send(`${configMaps}?dryRun=All&fieldValidation=Ignore`, post(configMap('a', { dta: {} })));
    assert.equal(ignored.headers['warning'], undefined);
  });

  test('all that is wrong with an object is told at once', async () => {
    const body = { metadata: { name: 'Bad_Name', labels: { 'a b': 'c', x: '-' } }, data: { 'a/b': '1' } };
    const { details } = assertStatus(
      await send(configMaps, post(JSON.stringify(body))),
      422,
      'Invalid',
      /a lowercase RFC 1123 subdomain must consist of/,
    );
    assert.deepEqual(
      details?.causes?.map(({ field }) => field),
      ['metadata.name', 'metadata.labels', 'metadata.labels', 'data[a/b]'],
    );
    const pod = {
      metadata: { name: 'p' },
      spec: {
        restartPolicy: 'Sometimes',
        containers: [
          { name: 'A!', ports: [{ containerPort: 70_000 }] },
          { name: 'A!', image: 'x' },
        ],
      },
    };
    const failure = assertStatus(await send('/api/v1/namespaces/default/pods', post(JSON.stringify(pod))), 422, 'Invalid', /^Pod "p" is invalid: \[/);
    const fields = new Set(failure.details?.causes?.map(({ field }) => field));
    for (const field of [
      'spec.containers[0].name',
      'spec.containers[0].image',
      'spec.containers[0].ports[0].containerPort',
      'spec.containers[1].name',
      'spec.restartPolicy',
    ])
      assert(fields.has(field), `${field} is not among ${[...fields].join(', ')}`);
  });
});

describe('patches', () => {
  checkAll([
    {
      name: 'an unknown type',
      path: rootCa,
      method: 'PATCH',
      type: 'text/plain',
      body: '{}',
      expect: [415, 'UnsupportedMediaType', /accepted media types include: application\/json-patch\+json/],
    },
    { name: 'malformed', path: rootCa, ...patch('json-patch+json', '['), expect: [400, 'BadRequest', /error decoding patch/] },
    {
      name: 'a JSON patch that is a map',
      path: rootCa,
      ...patch('json-patch+json', '{}'),
      expect: [400, 'BadRequest', /cannot unmarshal object into Go value of type jsonpatch.Patch/],
    },
    {
      name: 'a JSON patch to nowhere',
      path: rootCa,
      ...patch('json-patch+json', '[{"op":"replace","path":"/data/a/b","value":1}]'),
      expect: [422, 'Invalid', /./],
    },
    {
      name: 'a merge patch that is a list',
      path: rootCa,
      ...patch('merge-patch+json', '[1]'),
      expect: [400, 'BadRequest', /cannot unmarshal array/],
    },
    {
      name: 'a merge patch of a wrong type',
      path: rootCa,
      ...patch('merge-patch+json', '{"data":"x"}'),
      expect: [422, 'Invalid', /patch: Invalid value: .*cannot unmarshal string into Go struct field ConfigMap.data/],
    },
    {
      name: 'an unknown directive',
      path: rootCa,
      ...patch('strategic-merge-patch+json', '{"metadata":{"$patch":"frob"}}'),
      expect: [400, 'BadRequest', /unknown patch type: "frob"/],
    },
    {
      name: 'apply without a manager',
      path: rootCa,
      ...patch('apply-patch+yaml', 'kind: ConfigMap'),
      expect: [422, 'Invalid', /fieldManager: Required value: is required for apply patch/],
    },
    {
      name: 'apply of nothing',
      path: `${configMaps}/a?fieldManager=m`,
      ...patch('apply-patch+yaml', '{}'),
      expect: [400, 'BadRequest', /Object 'Kind' is missing in '\{\}'/],
    },
    {
      name: 'apply of no version',
      path: `${configMaps}/a?fieldManager=m`,
      ...patch('apply-patch+yaml', 'kind: ConfigMap'),
      expect: [400, 'BadRequest', /Incorrect version specified in apply patch/],
    },
    {
      name: 'apply of malformed YAML',
      path: `${configMaps}/a?fieldManager=m`,
      ...patch('apply-patch+yaml', ': ['),
      expect: [400, 'BadRequest', /error converting YAML to JSON/],
    },
    {
      name: 'apply to another name',
      path: `${configMaps}/a?fieldManager=m`,
      ...patch('apply-patch+yaml', configMap('b')),
      expect: [400, 'BadRequest', /does not match the name on the URL/],
    },
    {
      name: 'of what is not there',
      path: `${configMaps}/nope`,
      ...patch('merge-patch+json', '{}'),
      expect: [404, 'NotFound', /^configmaps "nope" not found$/],
    },
  ]);
});

describe('paths and queries', () => {
  const get = (name: string, path: string, ...expect: Mistake['expect']): Mistake => ({ name, path, expect });
  const nowhere = /^the server could not find the requested resource$/;
  const wrongMethod = /^the server does not allow this method on the requested resource$/;
  checkAll([
    get(
      'a label selector with an unknown operator',
      `${configMaps}?labelSelector=a%20b%20c`,
      400,
      'BadRequest',
      /unable to parse requirement: found 'b', expected: /,
    ),
    get('a label selector that ends early', `${configMaps}?labelSelector=a%20in%20(b`, 400, 'BadRequest', /unable to parse requirement/),
    get(
      'a label selector with a bad key',
      `${configMaps}?labelSelector=-x%3D1`,
      400,
      'BadRequest',
      /name part must consist of alphanumeric characters/,
    ),
    get(
      'a field selector of an unknown field',
      `${configMaps}?fieldSelector=spec.nope%3D1`,
      400,
      'BadRequest',
      /field label not supported: spec.nope/,
    ),
    get(
      'a field selector that is none',
      `${configMaps}?fieldSelector=nonsense`,
      400,
      'BadRequest',
      /invalid selector: 'nonsense'; can't understand 'nonsense'/,
    ),
    get('a limit that is no number', `${configMaps}?limit=many`, 400, 'BadRequest', /strconv.ParseInt: parsing "many": invalid syntax/),
    get('a made-up continue token', `${configMaps}?continue=abc`, 400, 'BadRequest', /continue key is not valid/),
    get('a made-up resource version', `${configMaps}?resourceVersion=abc`, 400, 'BadRequest', /resourceVersion: Invalid value: "abc"/),
    get(
      'a resource version of the future',
      `${configMaps}?resourceVersion=99999999`,
      504,
      'Timeout',
      /Too large resource version: 99999999, current: \d+/,
    ),
    get('a watch from a made-up version', `${configMaps}?watch=1&resourceVersion=abc`, 400, 'BadRequest', /resourceVersion: Invalid value: "abc"/),
    get('an object that is not there', `${configMaps}/nope`, 404, 'NotFound', /^configmaps "nope" not found$/),
    get('an unknown resource', '/api/v1/namespaces/default/nopes', 404, 'NotFound', nowhere),
    get('an unknown group', '/apis/nope.example/v1/nopes', 404, 'NotFound', nowhere),
    get('an unknown version', '/api/v9/pods', 404, 'NotFound', nowhere),
    get('an unknown subresource', '/api/v1/namespaces/default/pods/a/nope', 404, 'NotFound', nowhere),
    get('an unknown path', '/nope', 404, 'NotFound', nowhere),
    get('a broken escape', '/api/v1/%zz/a', 400, 'BadRequest', /invalid URL escape "?in "?|invalid URL escape/),
    get('a path out of the tree', `${configMaps}/..%2f..%2fsecrets`, 404, 'NotFound', /not found$/),
    { name: 'a method HTTP does not know', path: configMaps, method: 'PROPFIND', expect: [405, 'MethodNotAllowed', wrongMethod] },
    { name: 'OPTIONS', path: configMaps, method: 'OPTIONS', expect: [405, 'MethodNotAllowed', wrongMethod] },
    { name: 'PUT of a collection', path: configMaps, method: 'PUT', type: json, body: '{}', expect: [405, 'MethodNotAllowed', wrongMethod] },
    { name: 'POST to a name', path: `${configMaps}/a`, ...post(configMap('a')), expect: [405, 'MethodNotAllowed', wrongMethod] },
    { name: 'POST to /version', path: '/version', ...post('{}'), expect: [405, 'MethodNotAllowed', wrongMethod] },
    {
      name: 'a body of an unknown type',
      path: configMaps,
      ...post('{}', 'text/plain'),
      expect: [415, 'UnsupportedMediaType', /accepted media types include: application\/json/],
    },
    {
      name: 'an answer of an unknown type',
      path: configMaps,
      accept: 'text/html',
      expect: [406, 'NotAcceptable', /only the following media types are accepted: application\/json/],
    },
    {
      name: 'an unknown way to delete',
      path: `${rootCa}?propagationPolicy=Wildly`,
      method: 'DELETE',
      expect: [422, 'Invalid', /propagationPolicy: Unsupported value: "Wildly"/],
    },
    {
      name: 'delete options that are none',
      path: rootCa,
      method: 'DELETE',
      type: json,
      body: 'now',
      expect: [400, 'BadRequest', /json parse error/],
    },
  ]);
});

describe('proof of who one is', () => {
  test('a wrong token is a 401', async () => {
    assertStatus(await send(configMaps, { as: { token: 'wrong' } }), 401, 'Unauthorized', /^Unauthorized$/);
    const forged = ['{"alg":"none"}', '{"sub":"system:serviceaccount:kube-system:default"}', ''].map((part) =>
      Buffer.from(part).toString('base64url'),
    );
    assertStatus(await send(configMaps, { as: { token: forged.join('.') } }), 401, 'Unauthorized', /^Unauthorized$/);
  });

  test("a certificate of another authority is a 401, even one of the same authority's name", async () => {
    const world = realWorld({ level: 'silent' });
    const other = await createCertificateAuthority(world, 'kubernetes');
    const forged = await issueCertificate(world, {
      ca: other,
      commonName: 'kubernetes-admin',
      organizations: ['system:masters'],
      usages: ['client'],
    });
    assertStatus(await send(configMaps, { as: { cert: forged.certificate, key: forged.key } }), 401, 'Unauthorized', /^Unauthorized$/);
  });

  test('without any one is anonymous, and may read the version only', async () => {
    assertStatus(
      await send(configMaps, { as: {} }),
      403,
      'Forbidden',
      /^configmaps is forbidden: User "system:anonymous" cannot list resource "configmaps" in API group "" in the namespace "default"$/,
    );
    assertStatus(await send('/metrics', { as: {} }), 403, 'Forbidden', /User "system:anonymous" cannot get path "\/metrics"/);
    assert.equal((await send('/version', { as: {} })).code, 200);
  });

  test('stock kubectl says the same in its own words', async () => {
    const bare = ['--kubeconfig=/dev/null', `--server=https://127.0.0.1:${cluster.port}`];
    const wrong = await cluster.tryKubectl([
      ...bare,
      `--certificate-authority=${join(cluster.dataDir, 'pki', 'ca.crt')}`,
      '--token=wrong',
      'get',
      'pods',
    ]);
    assert.equal(wrong.code, 1);
    assert.match(wrong.stderr, /You must be logged in to the server/);
    const distrust = await cluster.tryKubectl([...bare, '--token=wrong', 'get', 'pods']);
    assert.equal(distrust.code, 1);
    assert.match(distrust.stderr, /certificate signed by unknown authority/);
  });
});

describe('stock kubectl', () => {
  interface Wrong {
    readonly name: string;
    readonly args: string;
    readonly input?: string;
    readonly says: RegExp;
  }
  const wrongs: readonly Wrong[] = [
    { name: 'malformed YAML', args: 'apply -f -', input: 'kind: [\n', says: /error converting YAML to JSON/ },
    {
      name: 'an unknown kind',
      args: 'apply -f -',
      input: 'apiVersion: example.com/v1\nkind: Nope\nmetadata: {name: a}\n',
      says: /no matches for kind "Nope" in version "example.com\/v1"/,
    },
    { name: 'no kind', args: 'apply -f -', input: 'metadata: {name: a}\n', says: /apiVersion not set|kind not set/ },
    {
      name: 'no name',
      args: 'create -f -',
      input: 'apiVersion: v1\nkind: ConfigMap\nmetadata: {}\n',
      says: /resource name may not be empty|name or generateName is required/,
    },
    {
      name: 'a wrong type',
      args: 'apply -f -',
      input: 'apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {replicas: many}\n',
      says: /cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32/,
    },
    {
      name: 'an unknown field',
      args: 'apply -f -',
      input: 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndta: {}\n',
      says: /strict decoding error: unknown field "dta"/,
    },
    {
      name: 'an invalid name',
      args: 'create configmap Bad_Name',
      says: /ConfigMap "Bad_Name" is invalid: metadata.name: Invalid value: "Bad_Name"/,
    },
    {
      name: 'a missing selector',
      args: 'create -f -',
      input:
        'apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: d}]}}}\n',
      says: /spec.selector: Required value/,
    },
    { name: 'a bad label selector', args: 'get pods -l a=b=c', says: /found '=', expected: ',' or 'end of string'/ },
    { name: 'a bad field selector', args: 'get pods --field-selector spec.nope=1', says: /field label not supported: spec.nope/ },
    { name: 'a resource type that is not there', args: 'get nopes', says: /the server doesn't have a resource type "nopes"/ },
    { name: 'an object that is not there', args: 'get configmap nope', says: /Error from server \(NotFound\): configmaps "nope" not found/ },
    { name: 'logs of a pod that is not there', args: 'logs nope', says: /pods "nope" not found/ },
    {
      name: 'a port that is taken',
      args: 'create -f -',
      input: 'apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {type: NodePort, ports: [{port: 80, nodePort: 80}]}\n',
      says: /spec.ports\[0\].nodePort: Invalid value: 80: provided port is not in the valid range/,
    },
    {
      name: 'a change of what may not change',
      args: 'patch service kubernetes -p {"spec":{"clusterIP":"10.1.1.1"}}',
      says: /spec.clusterIPs?\[?0?\]?: Invalid value: .*(field is immutable|may not change once set)/,
    },
    {
      name: 'an object that is there',
      args: 'create configmap kube-root-ca.crt',
      says: /configmaps "kube-root-ca.crt" already exists/,
    },
    { name: 'a namespace one may not delete', args: 'delete namespace default', says: /Forbidden/ },
  ];
  for (const { name, args, input, says } of wrongs) {
    test(name, async () => {
      const outcome = await cluster.tryKubectl(args, input === undefined ? {} : { input });
      assert.equal(outcome.code, 1, outcome.stdout + outcome.stderr);
      assert.match(outcome.stderr, says);
      assert.doesNotMatch(outcome.stderr, /InternalError|panic|\.ts:\d/);
    });
  }
});

describe('the command line', () => {
  /** With a kubeconfig of their own, as the last of them down leaves none chosen. */
  const quiet = { timeoutMs: 30_000, env: { KUBECONFIG: join(directory, 'kubeconfig') } };
  /** It ends with 1 and plain words; its message is answered. */
  function assertRefused(outcome: Outcome, says: RegExp): void {
    assert.equal(outcome.code, 1, outcome.stdout + outcome.stderr);
    assert.match(outcome.stderr, says);
    assertPlain(outcome.stderr);
  }
  const newDataDir = (): string => join(mkdtempSync(join(directory, 'up-')), 'data');
  const free = ['--port', '6497', '--runtime', 'simulated'];

  test('a port in use', async () => {
    const dataDir = newDataDir();
    const outcome = await cluster.k8ts(['up', '--data-dir', dataDir, '--port', String(cluster.port), '--runtime', 'simulated'], quiet);
    assertRefused(outcome, new RegExp(`^k8ts: port ${cluster.port} is in use by another program: stop that, or choose another with --port\n$`));
    assert(!existsSync(dataDir), 'nothing was written');
    await assertNoProcess(dataDir);
  });

  test('a port in use that the kubelet needs leaves no process behind, and another --port leads out of it', async () => {
    const dataDir = newDataDir();
    // The kubelet's port follows from the API server's.
    const blocker = createServer();
    await new Promise<void>((resolve) => blocker.listen(10_250 + 10 * (6497 - 6443), '0.0.0.0', resolve));
    try {
      assertRefused(
        await cluster.k8ts(['up', '--data-dir', dataDir, ...free], quiet),
        /^k8ts: port 10790 is in use by another program: stop that, or choose another with --port\n$/,
      );
      await assertNoProcess(dataDir);
      const elsewhere = await cluster.k8ts(['up', '--data-dir', dataDir, '--port', '6498', '--runtime', 'simulated'], quiet);
      assert.equal(elsewhere.code, 0, elsewhere.stderr);
    } finally {
      blocker.close();
      await cluster.k8ts(['down', '--purge', '--data-dir', dataDir], quiet);
    }
  });

  test('a data directory of a newer version, of no JSON, and of no cluster', async () => {
    const dataDir = newDataDir();
    mkdirSync(dataDir);
    const contents = new Map([
      ['{"dataVersion":99}', /was written by a newer k8ts \(data version 99, this one knows \d+\)/],
      ['{"dataVer', /cluster.json cannot be read .*: restore it, or start afresh with another --data-dir/],
      ['5', /cluster.json does not describe a cluster: restore it/],
      ['{"dataVersion":1}', /cluster.json does not describe a cluster: restore it/],
    ]);
    for (const [content, says] of contents) {
      writeFileSync(join(dataDir, 'cluster.json'), content);
      for (const verb of [['up', ...free], ['down', '--purge'], ['status']])
        assertRefused(await cluster.k8ts([...verb, '--data-dir', dataDir], quiet), says);
      assert.equal(readFileSync(join(dataDir, 'cluster.json'), 'utf8'), content);
    }
  });

  test('a data directory that cannot be one', async () => {
    const file = join(directory, 'a-file');
    writeFileSync(file, '');
    for (const path of [file, join(file, 'below'), '/proc/k8ts/data'])
      assertRefused(await cluster.k8ts(['up', '--data-dir', path, ...free], quiet), /^k8ts: .*(cannot be written|cannot be read)/);
  });

  test('flags that make no sense', async () => {
    const dataDir = newDataDir();
    const cases: readonly (readonly [string[], RegExp])[] = [
      [['up', '--nodes', '0'], /a count is a whole number from 1 up/],
      [['up', '--nodes', 'many'], /a count is a whole number from 1 up/],
      [['up', '--port', '99999'], /a port is a whole number from 1 to 65535/],
      [['up', '--runtime', 'docker'], /Allowed choices are containerd, simulated/],
      [['up', '--store', 'mysql', '--port', '6497'], /--store mysql is not there yet/],
      [['up', '--bind-address', 'nowhere.invalid', '--port', '6497'], /this machine has no address nowhere.invalid/],
      [['up', '--token-auth-file', '/nope', '--port', '6497'], /the token file \/nope is not there/],
      [['up', '--frob'], /unknown option '--frob'/],
      [['frob'], /unknown command 'frob'/],
    ];
    for (const [args, says] of cases) assertRefused(await cluster.k8ts(args.includes('up') ? [...args, '--data-dir', dataDir] : args, quiet), says);
    assert(!existsSync(dataDir), 'nothing was written');
  });

  test('images that are none', { skip: isRoot ? false : 'needs a real runtime' }, async () => {
    const text = join(directory, 'text.tar');
    writeFileSync(text, 'this is no archive');
    const empty = mkdtempSync(join(directory, 'empty-'));
    for (const path of [text, empty, join(directory, 'nope.tar')]) {
      const outcome = await cluster.k8ts(['image', 'load', path, '--data-dir', cluster.dataDir], quiet);
      assertRefused(outcome, /^k8ts: \S+ could not be loaded: /);
      assert.equal(outcome.stderr.trim().split('\n').length, 1, outcome.stderr);
    }
    assertRefused(await cluster.k8ts(['image', 'load', text, '--data-dir', join(directory, 'none')], quiet), /there is no cluster in/);
  });
});

async function assertNoProcess(dataDir: string): Promise<void> {
  const { stdout } = await run('ps', ['-eo', 'args']);
  assert.deepEqual(
    stdout.split('\n').filter((line) => line.includes(dataDir)),
    [],
  );
}

describe('slow and silent clients', () => {
  const open: { destroy(): unknown }[] = [];
  after(() => {
    for (const connection of open) connection.destroy();
  });

  async function assertServes(): Promise<void> {
    const started = performance.now();
    const replies = await Promise.all(Array.from({ length: 20 }, () => send(`${configMaps}?limit=1`)));
    assert(replies.every(({ code }) => code === 200));
    assert(performance.now() - started < 5_000, 'others are held up');
  }

  function silent(): Promise<Socket> {
    return new Promise((resolve, reject) => {
      const socket = connect(cluster.port, '127.0.0.1', () => resolve(socket));
      open.push(socket);
      socket.on('error', reject);
      socket.on('error', () => undefined);
    });
  }

  test('a connection that never speaks TLS, and one that speaks something else', async () => {
    await silent();
    const chatter = await silent();
    const ended = new Promise((resolve) => chatter.on('close', resolve));
    chatter.write('GET / HTTP/1.1\r\n\r\n');
    await assertServes();
    await ended;
  });

  test('a request whose body never ends', async () => {
    for (const transfer of ['Content-Length: 1000', 'Transfer-Encoding: chunked']) {
      const socket = connectTls({ host: '127.0.0.1', port: cluster.port, ca, ...admin });
      open.push(socket);
      socket.on('error', () => undefined);
      await new Promise((resolve) => socket.once('secureConnect', resolve));
      socket.write(`POST ${configMaps} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n${transfer}\r\n\r\n`);
    }
    const session = connectHttp2(`https://127.0.0.1:${cluster.port}`, { ca, ...admin });
    open.push(session);
    session.on('error', () => undefined);
    for (let i = 0; i < 50; i++)
      session
        .request({ ':method': 'POST', ':path': configMaps, 'content-type': json })
        .on('error', () => undefined)
        .write('{');
    await new Promise((resolve) => session.ping(resolve));
    await assertServes();
  });

  test('a request whose headers never end, and one of too many', async () => {
    const socket = connectTls({ host: '127.0.0.1', port: cluster.port, ca, ...admin });
    open.push(socket);
    socket.on('error', () => undefined);
    await new Promise((resolve) => socket.once('secureConnect', resolve));
    socket.write(`GET ${configMaps} HTTP/1.1\r\nHost: x\r\nX-Slow: `);
    const large = connectTls({ host: '127.0.0.1', port: cluster.port, ca, ...admin });
    open.push(large);
    let answer = '';
    large.setEncoding('utf8').on('data', (text: string) => (answer += text));
    large.on('error', () => undefined);
    const closed = new Promise((resolve) => large.once('close', resolve));
    large.write(`GET ${configMaps} HTTP/1.1\r\nHost: x\r\nX-Large: ${'a'.repeat(100_000)}\r\n\r\n`);
    await closed;
    assert.match(answer, /^HTTP\/1.1 431 /);
    await assertServes();
  });

  test('five hundred half-open connections', async () => {
    await Promise.all(Array.from({ length: 500 }, silent));
    await assertServes();
    assert.match(await cluster.kubectl('get configmaps'), /kube-root-ca.crt/);
  });

  test('watchers that read nothing', async () => {
    for (let i = 0; i < 20; i++) {
      const socket = connectTls({ host: '127.0.0.1', port: cluster.port, ca, ...admin });
      open.push(socket);
      socket.on('error', () => undefined);
      socket.pause();
      socket.write('GET /api/v1/configmaps?watch=1 HTTP/1.1\r\nHost: x\r\n\r\n');
    }
    const value = 'x'.repeat(500_000);
    assert.equal((await send(configMaps, post(configMap('large', { data: { value } })))).code, 201);
    for (let i = 0; i < 20; i++)
      assert.equal((await send(`${configMaps}/large`, patch('merge-patch+json', JSON.stringify({ data: { i: String(i) } })))).code, 200);
    await assertServes();
  });
});

test('after all of it the same process serves, and nothing was a bug to it', async () => {
  assert.equal(processFile(), controlPlane);
  assert.equal((await send('/readyz')).code, 200);
  const log = readFileSync(join(cluster.dataDir, 'logs', 'control-plane.log'), 'utf8');
  assert.doesNotMatch(log, /by a bug|unforeseen|uncaught|unhandled/i);
});
