import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ClusterRole, ClusterRoleBinding, Role, RoleBinding } from '../../api/kinds.ts';
import type { Kind } from '../../api/kind.ts';
import type { RbacV1Subject, V1PolicyRule } from '../../api/types.ts';
import { ApiError } from '../../machinery/errors.ts';
import type { KubeObject } from '../../machinery/object.ts';
import type { User } from '../request.ts';
import type { ObjectReader } from '../verbs.ts';
import { type Attributes, check, superusers, unionAuthorizer } from './authorizer.ts';
import { nodeAuthorizer } from './node.ts';
import { pathRule, rule } from './policy-rule.ts';
import { rbacAuthorizer } from './rbac.ts';

/** Objects by kind, with a revision that a test moves by changing them. */
class Objects implements ObjectReader {
  private readonly byKind = new Map<string, KubeObject[]>();
  private readonly revisions = new Map<string, number>();

  put(object: KubeObject): void {
    this.byKind.set(object.kind, [...(this.byKind.get(object.kind) ?? []), object]);
    this.revisions.set(object.kind, this.revision(object) + 1);
  }

  get<T extends KubeObject>(kind: Kind<T>, namespace: string | undefined, name: string): T | undefined {
    return this.list(kind, namespace).find((object) => object.metadata.name === name);
  }

  list<T extends KubeObject>(kind: Kind<T>, namespace?: string): readonly T[] {
    const all = (this.byKind.get(kind.kind) ?? []) as T[];
    return namespace === undefined ? all : all.filter((object) => object.metadata.namespace === namespace);
  }

  revision({ kind }: { readonly kind: string }): number {
    return this.revisions.get(kind) ?? 0;
  }
}

const apiVersion = 'rbac.authorization.k8s.io/v1';
const apiGroup = 'rbac.authorization.k8s.io';

function metadata(
  name: string,
  labels?: Record<string, string>,
): { name: string; uid: string; resourceVersion: string; creationTimestamp: string; labels?: Record<string, string> } {
  return { name, uid: name, resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z', ...(labels && { labels }) };
}

function clusterRole(name: string, rules: V1PolicyRule[], labels?: Record<string, string>): ClusterRole {
  return { apiVersion, kind: 'ClusterRole', metadata: metadata(name, labels), rules };
}

function role(namespace: string, name: string, rules: V1PolicyRule[]): Role {
  return { apiVersion, kind: 'Role', metadata: { ...metadata(name), namespace }, rules };
}

function clusterRoleBinding(name: string, subjects: RbacV1Subject[]): ClusterRoleBinding {
  return { apiVersion, kind: 'ClusterRoleBinding', metadata: metadata(`bind-${name}`), roleRef: { apiGroup, kind: 'ClusterRole', name }, subjects };
}

function roleBinding(namespace: string, kind: 'Role' | 'ClusterRole', name: string, subjects: RbacV1Subject[]): RoleBinding {
  return { apiVersion, kind: 'RoleBinding', metadata: { ...metadata(`bind-${name}`), namespace }, roleRef: { apiGroup, kind, name }, subjects };
}

const jane: RbacV1Subject = { kind: 'User', apiGroup, name: 'jane' };
const devs: RbacV1Subject = { kind: 'Group', apiGroup, name: 'devs' };
const robot: RbacV1Subject = { kind: 'ServiceAccount', name: 'robot', namespace: 'a' };

function user(name: string, ...groups: string[]): User {
  return { name, uid: '', groups, extra: {} };
}

function attributes(who: User, verb: string, what: Partial<Attributes>): Attributes {
  return { user: who, verb, group: '', version: 'v1', resource: '', subresource: '', namespace: '', name: '', path: '', ...what };
}

function policy(): Objects {
  const objects = new Objects();
  for (const object of [
    clusterRole('reader', [rule('get list watch', '', 'pods pods/log')]),
    clusterRole('scaler', [rule('*', '*', '*/scale')]),
    clusterRole('one-secret', [rule('get list', '', 'secrets', 'mine')]),
    clusterRole('paths', [pathRule('get', '/metrics /logs/*')]),
    role('a', 'maker', [rule('create', 'apps', 'deployments')]),
    clusterRoleBinding('reader', [jane]),
    clusterRoleBinding('scaler', [devs]),
    clusterRoleBinding('paths', [jane]),
    roleBinding('a', 'Role', 'maker', [jane, robot]),
    roleBinding('a', 'ClusterRole', 'one-secret', [jane]),
  ]) {
    objects.put(object);
  }
  return objects;
}

const cases: readonly (readonly [string, boolean, User, string, Partial<Attributes>])[] = [
  ['a cluster role binding holds in every namespace', true, user('jane'), 'list', { resource: 'pods', namespace: 'b' }],
  ['and at the cluster scope', true, user('jane'), 'list', { resource: 'pods' }],
  ['a verb not listed is refused', false, user('jane'), 'delete', { resource: 'pods', namespace: 'b' }],
  ['a listed subresource is allowed', true, user('jane'), 'get', { resource: 'pods', subresource: 'log', namespace: 'b' }],
  ['a resource does not include its subresources', false, user('jane'), 'get', { resource: 'pods', subresource: 'exec', namespace: 'b' }],
  ['another group of the same resource name is another resource', false, user('jane'), 'list', { resource: 'pods', group: 'metrics.k8s.io' }],
  ['a role holds in its namespace', true, user('jane'), 'create', { resource: 'deployments', group: 'apps', namespace: 'a' }],
  ['and in no other', false, user('jane'), 'create', { resource: 'deployments', group: 'apps', namespace: 'b' }],
  ['nor at the cluster scope', false, user('jane'), 'create', { resource: 'deployments', group: 'apps' }],
  [
    'a service account is a subject',
    true,
    user('system:serviceaccount:a:robot'),
    'create',
    { resource: 'deployments', group: 'apps', namespace: 'a' },
  ],
  ['of its own namespace', false, user('system:serviceaccount:b:robot'), 'create', { resource: 'deployments', group: 'apps', namespace: 'a' }],
  ['a group is a subject', true, user('joe', 'devs'), 'update', { resource: 'deployments', group: 'apps', subresource: 'scale', namespace: 'z' }],
  [
    'a star before the slash is any resource',
    true,
    user('joe', 'devs'),
    'get',
    { resource: 'widgets', group: 'example.com', subresource: 'scale', namespace: 'z' },
  ],
  [
    'but only that subresource',
    false,
    user('joe', 'devs'),
    'get',
    { resource: 'widgets', group: 'example.com', subresource: 'status', namespace: 'z' },
  ],
  ['a named resource is allowed by name', true, user('jane'), 'get', { resource: 'secrets', name: 'mine', namespace: 'a' }],
  ['not under another name', false, user('jane'), 'get', { resource: 'secrets', name: 'yours', namespace: 'a' }],
  ['nor without one', false, user('jane'), 'list', { resource: 'secrets', namespace: 'a' }],
  ['an exact path', true, user('jane'), 'get', { path: '/metrics' }],
  ['not what is below it', false, user('jane'), 'get', { path: '/metrics/cadvisor' }],
  ['a path with a star is everything below', true, user('jane'), 'get', { path: '/logs/today' }],
  ['by its verb', false, user('jane'), 'post', { path: '/logs/today' }],
  ['nobody is allowed nothing', false, user('nobody'), 'get', { resource: 'pods', namespace: 'a' }],
];

for (const [name, expected, who, verb, what] of cases) {
  test(`${name}: ${expected ? 'allowed' : 'refused'}`, () => {
    const { verdict } = rbacAuthorizer(policy()).authorize(attributes(who, verb, what));
    assert.equal(verdict, expected ? 'allowed' : 'no opinion');
  });
}

test('an allowed request says through what', () => {
  const authorizer = rbacAuthorizer(policy());
  assert.equal(
    authorizer.authorize(attributes(user('jane'), 'list', { resource: 'pods' })).reason,
    'RBAC: allowed by ClusterRoleBinding "bind-reader" of ClusterRole "reader" to User "jane"',
  );
  assert.equal(
    authorizer.authorize(attributes(user('jane'), 'create', { resource: 'deployments', group: 'apps', namespace: 'a' })).reason,
    'RBAC: allowed by RoleBinding "bind-maker/a" of Role "maker" to User "jane"',
  );
});

test('a changed role or binding counts at once', () => {
  const objects = policy();
  const authorizer = rbacAuthorizer(objects);
  const ask = (): string => authorizer.authorize(attributes(user('joe'), 'get', { resource: 'nodes' })).verdict;
  assert.equal(ask(), 'no opinion');
  objects.put(clusterRoleBinding('node-reader', [{ kind: 'User', apiGroup, name: 'joe' }]));
  assert.equal(ask(), 'no opinion');
  objects.put(clusterRole('node-reader', [rule('get', '', 'nodes')]));
  assert.equal(ask(), 'allowed');
});

test('an aggregated role has the rules of the roles its selectors match, at any depth', () => {
  const objects = new Objects();
  const aggregated: ClusterRole = {
    ...clusterRole('everything', [], { outer: 'yes' }),
    aggregationRule: { clusterRoleSelectors: [{ matchLabels: { inner: 'yes' } }, { matchLabels: { outer: 'yes' } }] },
  };
  objects.put(aggregated);
  objects.put({
    ...clusterRole('part', [], { outer: 'yes' }),
    aggregationRule: { clusterRoleSelectors: [{ matchLabels: { inner: 'yes' } }] },
  } as ClusterRole);
  objects.put(clusterRole('leaf', [rule('get', '', 'nodes')], { inner: 'yes' }));
  objects.put(clusterRoleBinding('everything', [jane]));
  assert.equal(rbacAuthorizer(objects).authorize(attributes(user('jane'), 'get', { resource: 'nodes' })).verdict, 'allowed');
});

test('refusals are worded as upstream words them', () => {
  const authorizer = unionAuthorizer([superusers, rbacAuthorizer(new Objects())]);
  const message = (verb: string, what: Partial<Attributes>): string => {
    try {
      check(authorizer, attributes(user('x'), verb, what));
      return 'allowed';
    } catch (error) {
      assert.ok(error instanceof ApiError);
      assert.equal(error.code, 403);
      return error.message;
    }
  };
  assert.equal(
    message('list', { resource: 'pods', namespace: 'y' }),
    'pods is forbidden: User "x" cannot list resource "pods" in API group "" in the namespace "y"',
  );
  assert.equal(
    message('get', { resource: 'deployments', group: 'apps', name: 'w', namespace: 'y' }),
    'deployments.apps "w" is forbidden: User "x" cannot get resource "deployments" in API group "apps" in the namespace "y"',
  );
  assert.equal(
    message('create', { resource: 'pods', subresource: 'exec', name: 'p', namespace: 'y' }),
    'pods "p" is forbidden: User "x" cannot create resource "pods/exec" in API group "" in the namespace "y"',
  );
  assert.equal(
    message('list', { resource: 'nodes' }),
    'nodes is forbidden: User "x" cannot list resource "nodes" in API group "" at the cluster scope',
  );
  assert.equal(message('get', { path: '/metrics' }), 'forbidden: User "x" cannot get path "/metrics"');
});

test('system:masters may do anything', () => {
  const authorizer = unionAuthorizer([superusers, rbacAuthorizer(new Objects())]);
  assert.equal(authorizer.authorize(attributes(user('root', 'system:masters'), 'frobnicate', { resource: 'x', group: 'y' })).verdict, 'allowed');
});

test('a node may do what kubelets do, and no more', () => {
  const authorizer = nodeAuthorizer(() => true);
  const node = user('system:node:n1', 'system:nodes');
  const verdict = (verb: string, what: Partial<Attributes>, who = node): string => authorizer.authorize(attributes(who, verb, what)).verdict;
  assert.equal(verdict('list', { resource: 'pods', fieldSelector: 'spec.nodeName=n1' }), 'allowed');
  assert.equal(verdict('patch', { resource: 'nodes', subresource: 'status', name: 'n1' }), 'allowed');
  assert.equal(verdict('get', { resource: 'secrets', namespace: 'a', name: 's' }), 'allowed');
  assert.equal(verdict('list', { resource: 'secrets', namespace: 'a' }), 'no opinion');
  assert.equal(verdict('update', { resource: 'secrets', namespace: 'a', name: 's' }), 'no opinion');
  assert.equal(verdict('update', { resource: 'leases', group: 'coordination.k8s.io', namespace: 'kube-node-lease', name: 'n1' }), 'allowed');
  assert.equal(verdict('update', { resource: 'leases', group: 'coordination.k8s.io', namespace: 'kube-node-lease', name: 'n2' }), 'no opinion');
  assert.equal(verdict('delete', { resource: 'nodes', name: 'n1' }), 'no opinion');
  assert.equal(verdict('list', { resource: 'pods' }, user('system:node:n1')), 'no opinion');
});
