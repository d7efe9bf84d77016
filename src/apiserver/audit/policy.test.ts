import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type AuditedAction, AuditPolicyError, parseAuditPolicy } from './policy.ts';

const head = 'apiVersion: audit.k8s.io/v1\nkind: Policy\n';
const jane = { name: 'jane', uid: '', groups: ['dev'], extra: {} };

function action(what: Partial<AuditedAction>): AuditedAction {
  return { user: jane, verb: 'get', resource: '', group: '', subresource: '', namespace: '', name: '', path: '', ...what };
}

const policy = parseAuditPolicy(`${head}
omitStages: [RequestReceived]
rules:
- {level: None, users: [system:kube-proxy], verbs: [watch]}
- {level: None, nonResourceURLs: ['/healthz*', /version]}
- {level: Metadata, resources: [{group: '', resources: [secrets, pods/log, '*/status']}]}
- {level: None, resources: [{group: '', resources: [configmaps], resourceNames: [controller-leader]}]}
- {level: Request, resources: [{group: '', resources: [configmaps]}], namespaces: [kube-system], omitStages: [ResponseStarted]}
- {level: RequestResponse, resources: [{group: apps}], userGroups: [dev], omitManagedFields: true}
- {level: Metadata, verbs: [delete]}
`);

const cases: readonly (readonly [string, string, Partial<AuditedAction>])[] = [
  ['a user and verb', 'None', { user: { ...jane, name: 'system:kube-proxy' }, verb: 'watch', resource: 'endpoints' }],
  ['a path below a prefix', 'None', { path: '/healthz/etcd' }],
  ['a resource', 'Metadata', { resource: 'secrets', namespace: 'x' }],
  ['a subresource', 'Metadata', { resource: 'pods', subresource: 'log' }],
  ['a subresource of anything', 'Metadata', { resource: 'nodes', subresource: 'status' }],
  ['not the resource of a subresource', 'None', { resource: 'pods' }],
  ['a name', 'None', { resource: 'configmaps', namespace: 'kube-system', name: 'controller-leader' }],
  ['a namespace', 'Request', { resource: 'configmaps', namespace: 'kube-system' }],
  ['not another namespace', 'None', { resource: 'configmaps', namespace: 'default' }],
  ['a whole group, for a group of users', 'RequestResponse', { resource: 'deployments', group: 'apps' }],
  ['not for others', 'None', { user: { ...jane, groups: [] }, resource: 'deployments', group: 'apps' }],
  ['a verb, of anything', 'Metadata', { verb: 'delete', path: '/x' }],
];

for (const [name, level, what] of cases) {
  test(`a rule fits ${name}`, () => {
    assert.equal(policy.treatmentOf(action(what)).level, level);
  });
}

test('stages and managed fields are left out by the policy and by the rule', () => {
  const treatment = policy.treatmentOf(action({ resource: 'configmaps', namespace: 'kube-system' }));
  assert.deepEqual([...treatment.omitStages], ['RequestReceived', 'ResponseStarted']);
  assert.equal(policy.treatmentOf(action({ resource: 'deployments', group: 'apps' })).omitManagedFields, true);
});

test('a policy that cannot be meant is refused', () => {
  assert.throws(() => parseAuditPolicy('kind: Policy'), AuditPolicyError);
  assert.throws(() => parseAuditPolicy(`${head}rules: [{level: Everything}]`), /rules\[0\]\.level: Unsupported value/);
  assert.throws(() => parseAuditPolicy(`${head}rules: []`), /rules: Required value/);
  assert.throws(() => parseAuditPolicy(`${head}rules: [{level: None, namespaces: [a], nonResourceURLs: [/x]}]`), /cannot apply to both/);
});
