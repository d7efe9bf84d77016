import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rule } from '../authorization/policy-rule.ts';
import { bootstrapClusterRoleBindings, bootstrapClusterRoles, bootstrapRoleBindings, bootstrapRoles, reconciled } from './policy.ts';

const kept = { annotations: { 'rbac.authorization.kubernetes.io/autoupdate': 'true' }, labels: { 'kubernetes.io/bootstrapping': 'rbac-defaults' } };

test('every binding is to a role that is there', () => {
  const clusterRoles = new Set(bootstrapClusterRoles().map(({ metadata }) => metadata.name));
  for (const { roleRef } of bootstrapClusterRoleBindings()) assert.ok(clusterRoles.has(roleRef.name), roleRef.name);
  const roles = new Set(bootstrapRoles().map(({ metadata }) => `${metadata.namespace}/${metadata.name ?? ''}`));
  for (const { metadata, roleRef } of bootstrapRoleBindings()) assert.ok(roles.has(`${metadata.namespace}/${roleRef.name}`), roleRef.name);
});

test('admin has what edit has, and edit what view has', () => {
  const rulesOf = (name: string): string[] =>
    (bootstrapClusterRoles().find(({ metadata }) => metadata.name === name)?.rules ?? []).map((held) => JSON.stringify(held));
  const [admin, edit, view] = ['admin', 'edit', 'view'].map(rulesOf);
  assert.ok(view !== undefined && view.length > 5);
  for (const held of view) assert.ok(edit?.includes(held));
  for (const held of edit ?? []) assert.ok(admin?.includes(held));
});

test('who may view a pod may see why it is where it is, by a role of its own', () => {
  const roles = bootstrapClusterRoles();
  const own = roles.find(({ metadata }) => metadata.name === 'k8ts:aggregate-scheduling-to-view');
  assert.equal(own?.metadata.labels?.['rbac.authorization.k8s.io/aggregate-to-view'], 'true');
  assert.deepEqual(own?.rules, [rule('get', 'k8ts.io', 'pods/scheduling')]);
  for (const name of ['view', 'edit', 'admin']) {
    const held = roles.find(({ metadata }) => metadata.name === name)?.rules ?? [];
    assert.ok(
      held.some(({ resources }) => resources?.includes('pods/scheduling')),
      name,
    );
  }
  const upstreams = roles.find(({ metadata }) => metadata.name === 'system:aggregate-to-view')?.rules ?? [];
  assert.ok(!upstreams.some(({ apiGroups }) => apiGroups?.includes('k8ts.io')));
});

test('rules that went missing come back, rules that were added stay', () => {
  const own = rule('get', 'example.com', 'widgets');
  const wanted = { metadata: kept, rules: [rule('get', '', 'pods'), rule('list', '', 'nodes')] };
  const present = { metadata: kept, rules: [rule('list', '', 'nodes'), own] };
  assert.deepEqual(reconciled(present, wanted)?.rules, [rule('list', '', 'nodes'), own, rule('get', '', 'pods')]);
  assert.equal(reconciled({ metadata: kept, rules: [...wanted.rules, own] }, wanted), undefined);
});

test('subjects come back too', () => {
  const masters = { kind: 'Group', apiGroup: 'rbac.authorization.k8s.io', name: 'system:masters' };
  const present: { metadata: typeof kept; subjects?: (typeof masters)[] } = { metadata: kept };
  assert.deepEqual(reconciled(present, { metadata: kept, subjects: [masters] })?.subjects, [masters]);
});

test('what people took out of automatic keeping is left alone', () => {
  const present = { metadata: { annotations: { 'rbac.authorization.kubernetes.io/autoupdate': 'false' } }, rules: [] };
  assert.equal(reconciled(present, { metadata: kept, rules: [rule('get', '', 'pods')] }), undefined);
});
