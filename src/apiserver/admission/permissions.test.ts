import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { ApiError } from '../../machinery/errors.ts';
import { simulatedWorld } from '../../world/simulated.ts';
import type { Authorizer, Decision } from '../authorization/authorizer.ts';
import type { User } from '../request.ts';
import { Fixture } from '../verbs/fixture.ts';
import type { AdmissionRequest } from './admission.ts';
import { extendedResourceToleration } from './extended-resource-toleration.ts';
import { checkNodeToken } from './node-restriction.ts';
import { ownerReferencesPermissionEnforcement } from './owner-references.ts';
import { may } from './permission.ts';
import { ConfigMap, Pod } from '../../api/kinds.ts';
import { memoryStore } from '../../store/memory.ts';
import { Registry } from '../registry/registry.ts';

const rbac = '/apis/rbac.authorization.k8s.io/v1';
const apiGroup = 'rbac.authorization.k8s.io';
const requests = '/apis/certificates.k8s.io/v1/certificatesigningrequests';
const jane: User = { name: 'jane', uid: '', groups: ['system:authenticated'], extra: {} };
const asJane = { user: jane };

let server: Fixture;
beforeEach(async () => {
  server = await Fixture.open({ rbac: true });
});
afterEach(() => server.close());

async function grant(name: string, rule: object): Promise<void> {
  await server.post(`${rbac}/clusterroles`, { metadata: { name }, rules: [rule] });
  const subjects = [{ kind: 'User', apiGroup, name: 'jane' }];
  await server.post(`${rbac}/clusterrolebindings`, { metadata: { name }, roleRef: { apiGroup, kind: 'ClusterRole', name }, subjects });
}

test('approving and signing need a right for the signer', async () => {
  const request = Buffer.from('-----BEGIN CERTIFICATE REQUEST-----\nMA==\n-----END CERTIFICATE REQUEST-----\n').toString('base64');
  await server.post(requests, { metadata: { name: 'c' }, spec: { request, signerName: 'example.com/one', usages: ['client auth'] } });
  const approve = { status: { conditions: [{ type: 'Approved', status: 'True', reason: 'Fine' }] } };
  const sign = { status: { certificate: Buffer.from('-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n').toString('base64') } };
  const refused = await server.patch(`${requests}/c/approval`, approve, asJane);
  assert.equal(refused.code, 403);
  assert.match(refused.body['message'], /"c" is forbidden: user not permitted to approve requests with signerName "example.com\/one"/);
  await grant('approver', { verbs: ['approve'], apiGroups: ['certificates.k8s.io'], resources: ['signers'], resourceNames: ['example.com/*'] });
  assert.equal((await server.patch(`${requests}/c/approval`, approve, asJane)).code, 200);
  const unsigned = await server.patch(`${requests}/c/status`, sign, asJane);
  assert.match(unsigned.body['message'], /user not permitted to sign requests with signerName "example.com\/one"/);
  await grant('signer', { verbs: ['sign'], apiGroups: ['certificates.k8s.io'], resources: ['signers'], resourceNames: ['example.com/one'] });
  assert.equal((await server.patch(`${requests}/c/status`, sign, asJane)).code, 200);
});

test('a node gets tokens for pods that run on it, and are theirs', async () => {
  const node: User = { name: 'system:node:n', uid: '', groups: ['system:nodes'], extra: {} };
  const pods = '/api/v1/namespaces/a/pods';
  const made = async (name: string, nodeName: string): Promise<string> =>
    (await server.post(pods, { metadata: { name }, spec: { nodeName, containers: [{ name: 'c', image: 'x' }] } })).body.metadata.uid;
  const [mine, theirs] = [await made('mine', 'n'), await made('theirs', 'other')];
  const refusal = (reference: object | undefined, user = node): string | undefined => {
    try {
      checkNodeToken(user, { namespace: 'a', name: 'default' }, reference, server.verbs.objects);
      return undefined;
    } catch (error) {
      assert(error instanceof ApiError);
      return error.message;
    }
  };
  const bound = (name: string, uid: string): object => ({ apiVersion: 'v1', kind: 'Pod', name, uid });
  assert.equal(refusal(bound('mine', mine)), undefined);
  assert.match(refusal(undefined) ?? '', /^serviceaccounts "default" is forbidden: node requested token not bound to a pod$/);
  assert.match(refusal(bound('mine', '')) ?? '', /without a uid/);
  assert.match(refusal(bound('theirs', theirs)) ?? '', /bound to a pod scheduled on a different node/);
  assert.match(refusal(bound('mine', theirs)) ?? '', /does not match the UID in record/);
  assert.equal(refusal(undefined, jane), undefined, 'others are RBAC’s affair');
});

const metadata = { name: 'm', namespace: 'a', uid: 'u', resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' };

function asked(request: Partial<AdmissionRequest>): AdmissionRequest {
  const defaults = { operation: 'UPDATE', kind: ConfigMap, resource: ConfigMap, subresource: '', namespace: 'a', name: 'm', user: jane } as const;
  return { ...defaults, dryRun: false, object: undefined, oldObject: undefined, warnings: [], ...request };
}

test('an owner is for those to give who may delete; holding it up for those who may finalize it', async () => {
  const world = simulatedWorld(1);
  const store = memoryStore({ clock: world.clock });
  const registry = await Registry.open({ world, store, kinds: [ConfigMap, Pod], freeze: false });
  const held = new Set<string>();
  const authorizer = {
    authorize: ({ verb, resource, subresource }: { verb: string; resource: string; subresource: string }) => ({
      verdict: held.has([verb, resource, subresource].join(' ')) ? ('allowed' as const) : ('no opinion' as const),
      reason: '',
    }),
    rulesFor: () => ({ resourceRules: [], pathRules: [], incomplete: false }),
  };
  const plugin = ownerReferencesPermissionEnforcement(registry, () => authorizer);
  const owner = { apiVersion: 'v1', kind: 'Pod', name: 'p', uid: 'p', blockOwnerDeletion: true };
  const old = { apiVersion: 'v1', kind: 'ConfigMap', metadata };
  const request = asked({ object: { ...old, metadata: { ...metadata, ownerReferences: [owner] } }, oldObject: old });
  await assert.rejects(async () => plugin.validate?.(request), /cannot set an ownerRef on a resource you can't delete/);
  held.add('delete configmaps ');
  await assert.rejects(
    async () => plugin.validate?.(request),
    /cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set finalizers on/,
  );
  held.add('update pods finalizers');
  await plugin.validate?.(request);
  registry.close();
  await store.close();
});

test('a right that another server has to be asked for is waited for, every time', async () => {
  let answer: Decision = { verdict: 'no opinion', reason: '' };
  const authorizer: Authorizer = {
    // What is remembered is out of date.
    authorize: () => ({ verdict: answer.verdict === 'allowed' ? 'no opinion' : 'allowed', reason: '' }),
    decide: () => Promise.resolve(answer),
    rulesFor: () => ({ resourceRules: [], pathRules: [], incomplete: false }),
  };
  const permission = { verb: 'bind', group: 'g', resource: 'r' };
  assert.equal(await may(() => authorizer, jane, permission), false);
  answer = { verdict: 'allowed', reason: '' };
  assert.equal(await may(() => authorizer, jane, permission), true);
});

test('a pod that asks for an extended resource tolerates its taint', async () => {
  const containers = [{ name: 'c', resources: { requests: { 'example.com/gpu': '1', cpu: '1' } } }];
  const object = { apiVersion: 'v1', kind: 'Pod', metadata, spec: { containers } };
  await extendedResourceToleration.admit?.(asked({ operation: 'CREATE', kind: Pod, resource: Pod, object }));
  assert.deepEqual((object.spec as Pod['spec']).tolerations, [{ key: 'example.com/gpu', operator: 'Exists' }]);
});
