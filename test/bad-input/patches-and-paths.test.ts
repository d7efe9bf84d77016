/** Patches that are none, and paths and queries that lead nowhere. */
import { describe } from 'node:test';
import { askedCluster, configMap, configMaps, json, type Mistake, patch, post } from './asked-cluster.ts';

const asked = askedCluster('--control-plane-only');
const rootCa = `${configMaps}/kube-root-ca.crt`;

describe('patches', () => {
  asked.checkAll([
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
  asked.checkAll([
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
