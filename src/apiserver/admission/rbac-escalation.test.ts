import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import type { User } from '../request.ts';
import { Fixture } from '../verbs/fixture.ts';

const roles = '/apis/rbac.authorization.k8s.io/v1/namespaces/a/roles';
const bindings = '/apis/rbac.authorization.k8s.io/v1/namespaces/a/rolebindings';
const clusterRoles = '/apis/rbac.authorization.k8s.io/v1/clusterroles';
const apiGroup = 'rbac.authorization.k8s.io';
const jane: User = { name: 'jane', uid: '', groups: ['devs', 'system:authenticated'], extra: {} };
const asJane = { user: jane };

let server: Fixture;
beforeEach(async () => {
  server = await Fixture.open({ rbac: true });
  await grant('mine', [{ verbs: ['get', 'list'], apiGroups: [''], resources: ['pods'] }]);
});
afterEach(() => server.close());

/** As the superuser: a role in namespace a, bound to jane. */
async function grant(name: string, rules: object[]): Promise<void> {
  assert.equal((await server.post(roles, { metadata: { name }, rules })).code, 201);
  const subjects = [{ kind: 'User', apiGroup, name: 'jane' }];
  const made = await server.post(bindings, { metadata: { name }, roleRef: { apiGroup, kind: 'Role', name }, subjects });
  assert.equal(made.code, 201, JSON.stringify(made.body));
}

test('a role with what its writer holds, and no more', async () => {
  const allowed = { metadata: { name: 'r' }, rules: [{ verbs: ['get'], apiGroups: [''], resources: ['pods'] }] };
  assert.equal((await server.post(roles, allowed, asJane)).code, 201);
  const rules = [{ verbs: ['get', 'delete', 'create'], apiGroups: [''], resources: ['pods', 'secrets'] }];
  const refused = await server.post(roles, { metadata: { name: 's' }, rules }, asJane);
  assert.equal(refused.code, 403);
  assert.equal(
    refused.body['message'],
    [
      'roles.rbac.authorization.k8s.io "s" is forbidden: user "jane" (groups=["devs" "system:authenticated"]) is attempting to grant RBAC permissions not currently held:',
      '{APIGroups:[""], Resources:["pods"], Verbs:["delete" "create"]}',
      '{APIGroups:[""], Resources:["secrets"], Verbs:["get" "delete" "create"]}',
    ].join('\n'),
  );
  assert.equal((await server.patch(`${roles}/r`, { rules }, asJane)).code, 403, 'nor by an update');
  assert.equal((await server.patch(`${roles}/r`, { metadata: { labels: { a: 'b' } } }, asJane)).code, 200, 'labels grant nothing');
});

test('a namespace’s rights are not the cluster’s', async () => {
  const rules = [{ verbs: ['get'], apiGroups: [''], resources: ['pods'] }];
  assert.equal((await server.post(clusterRoles, { metadata: { name: 'c' }, rules }, asJane)).code, 403);
});

test('who may escalate writes any role', async () => {
  await grant('escalator', [{ verbs: ['escalate'], apiGroups: [apiGroup], resources: ['roles'] }]);
  const rules = [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }];
  assert.equal((await server.post(roles, { metadata: { name: 'r' }, rules }, asJane)).code, 201);
});

test('binding a role needs what is in it, or the right to bind it', async () => {
  await server.post(clusterRoles, { metadata: { name: 'secrets' }, rules: [{ verbs: ['get'], apiGroups: [''], resources: ['secrets'] }] });
  const subjects = [{ kind: 'User', apiGroup, name: 'joe' }];
  const binding = (name: string, kind: string, role: string): object => ({ metadata: { name }, roleRef: { apiGroup, kind, name: role }, subjects });
  assert.equal((await server.post(bindings, binding('own', 'Role', 'mine'), asJane)).code, 201);
  assert.equal((await server.post(bindings, binding('more', 'ClusterRole', 'secrets'), asJane)).code, 403);
  const missing = await server.post(bindings, binding('none', 'Role', 'nope'), asJane);
  assert.equal(missing.body['message'], 'roles.rbac.authorization.k8s.io "nope" not found');
  await grant('binder', [{ verbs: ['bind'], apiGroups: [apiGroup], resources: ['clusterroles'], resourceNames: ['secrets'] }]);
  assert.equal((await server.post(bindings, binding('more', 'ClusterRole', 'secrets'), asJane)).code, 201);
});
