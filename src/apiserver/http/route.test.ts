import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isReason } from '../../machinery/errors.ts';
import { type HttpMethod, routeOf, verbOf } from './route.ts';

function target(path: string): string {
  const route = routeOf(path);
  if (route.type === 'path') return `path ${route.path}`;
  const { group, version, namespace, resource, name, subresource, rest } = route.target;
  return `${group}/${version} ns=${namespace ?? '-'} ${resource} ${name ?? '-'} ${subresource ?? '-'} ${rest === '' ? '-' : rest}`;
}

const cases: readonly (readonly [string, string])[] = [
  ['/', 'path /'],
  ['/api', 'path /api'],
  ['/api/v1', 'path /api/v1'],
  ['/api/v1/', 'path /api/v1/'],
  ['/apis/apps/v1', 'path /apis/apps/v1'],
  ['/healthz/ping', 'path /healthz/ping'],
  ['/api/v1/pods', '/v1 ns=- pods - - -'],
  ['/api/v1/pods/', '/v1 ns=- pods - - -'],
  ['/api/v1/nodes/n1', '/v1 ns=- nodes n1 - -'],
  ['/api/v1/nodes/n1/status', '/v1 ns=- nodes n1 status -'],
  ['/api/v1/namespaces', '/v1 ns=- namespaces - - -'],
  ['/api/v1/namespaces/x', '/v1 ns=- namespaces x - -'],
  ['/api/v1/namespaces/x/status', '/v1 ns=- namespaces x status -'],
  ['/api/v1/namespaces/x/finalize', '/v1 ns=- namespaces x finalize -'],
  ['/api/v1/namespaces/x/pods', '/v1 ns=x pods - - -'],
  ['/api/v1/namespaces/x/pods/y', '/v1 ns=x pods y - -'],
  ['/api/v1/namespaces/x/pods/y/log', '/v1 ns=x pods y log -'],
  ['/apis/apps/v1/namespaces/x/deployments/y/scale', 'apps/v1 ns=x deployments y scale -'],
  ['/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Anode', 'rbac.authorization.k8s.io/v1 ns=- clusterroles system:node - -'],
  ['/api/v1/namespaces/x/services/https:y:443/proxy/a/b/', '/v1 ns=x services https:y:443 proxy /a/b/'],
  ['/api/v1/namespaces/x/pods/y/proxy/', '/v1 ns=x pods y proxy /'],
  ['/api/v1/namespaces/x/pods/y/proxy', '/v1 ns=x pods y proxy -'],
  ['/api/v1/watch/namespaces/x/pods', '/v1 ns=x pods - - -'],
];

for (const [path, expected] of cases) {
  test(`${path} is ${expected}`, () => assert.equal(target(path), expected));
}

test('broken percent-encoding is a bad request', () => {
  assert.throws(
    () => routeOf('/api/v1/nodes/%zz'),
    (error: unknown) => isReason(error, 'BadRequest'),
  );
});

const verbs: readonly (readonly [HttpMethod, string, string])[] = [
  ['GET', '/api/v1/pods', 'list'],
  ['GET', '/api/v1/pods?watch=true', 'watch'],
  ['GET', '/api/v1/pods?watch=1', 'watch'],
  ['GET', '/api/v1/pods?watch=false', 'list'],
  ['GET', '/api/v1/pods?labelSelector=watch%3Dx', 'list'],
  ['GET', '/api/v1/watch/pods', 'watch'],
  ['GET', '/api/v1/namespaces/x/pods/y', 'get'],
  ['HEAD', '/api/v1/namespaces/x/pods/y', 'get'],
  ['POST', '/api/v1/namespaces/x/pods', 'create'],
  ['PUT', '/api/v1/namespaces/x/pods/y', 'update'],
  ['PATCH', '/api/v1/namespaces/x/pods/y', 'patch'],
  ['DELETE', '/api/v1/namespaces/x/pods/y', 'delete'],
  ['DELETE', '/api/v1/namespaces/x/pods', 'deletecollection'],
];

for (const [method, url, expected] of verbs) {
  test(`${method} ${url} is ${expected}`, () => {
    const [path = '', query = ''] = url.split('?');
    const route = routeOf(path);
    assert.equal(route.type === 'resource' && verbOf(method, route, query), expected);
  });
}
