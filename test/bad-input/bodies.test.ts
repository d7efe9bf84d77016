/** What is wrong with an object that somebody sends: told in the words a Kubernetes user knows, all of it at once, and it disturbs nobody else. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { askedCluster, assertStatus, configMap, configMaps, json, patch, post } from './asked-cluster.ts';

const asked = askedCluster('--control-plane-only');
const rootCa = `${configMaps}/kube-root-ca.crt`;
const nested = (depth: number): string =>
  `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"deep"},"data":${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}}`;
const aliases = ['l0: &l0 [x,x,x,x,x,x,x,x,x]', ...Array.from({ length: 8 }, (_, i) => `l${i + 1}: &l${i + 1} [${`*l${i},`.repeat(9)}]`)].join('\n');

describe('bodies', () => {
  asked.checkAll([
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
    const reply = await asked.send(`${configMaps}?dryRun=All`, post(configMap('a', { dta: {} })));
    assert.equal(reply.code, 201);
    assert.equal(reply.headers['warning'], '299 - "unknown field \\"dta\\""');
    const ignored = await asked.send(`${configMaps}?dryRun=All&fieldValidation=Ignore`, post(configMap('a', { dta: {} })));
    assert.equal(ignored.headers['warning'], undefined);
  });

  test('all that is wrong with an object is told at once', async () => {
    const body = { metadata: { name: 'Bad_Name', labels: { 'a b': 'c', x: '-' } }, data: { 'a/b': '1' } };
    const { details } = assertStatus(
      await asked.send(configMaps, post(JSON.stringify(body))),
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
    const failure = assertStatus(
      await asked.send('/api/v1/namespaces/default/pods', post(JSON.stringify(pod))),
      422,
      'Invalid',
      /^Pod "p" is invalid: \[/,
    );
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
