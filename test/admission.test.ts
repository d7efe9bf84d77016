/** Admission as stock kubectl meets it, on simulated nodes: quotas, limit ranges, pod security, storage in use, roles and webhooks. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type AskedReview, patching, startTestWebhook, type TestWebhook } from '../src/apiserver/admission/webhooks/test-webhook.ts';
import { type ClusterUnderTest, startClusterUnderTest } from './support/cluster-under-test.ts';
import type { Outcome } from './support/stock-tools.ts';

let cluster: ClusterUnderTest;
let webhook: TestWebhook;
let answer: (request: AskedReview) => object = () => ({ allowed: true });

before(async () => {
  cluster = await startClusterUnderTest('--runtime', 'simulated');
  webhook = await startTestWebhook((request) => answer(request));
});
after(async () => {
  await webhook?.close();
  await cluster?.close();
});

function apply(object: object): Promise<Outcome> {
  return cluster.tryKubectl('apply -f -', { input: JSON.stringify(object) });
}

async function applied(object: object): Promise<Outcome> {
  const outcome = await apply(object);
  assert.equal(outcome.code, 0, outcome.stdout + outcome.stderr);
  return outcome;
}

async function becomes(args: string, expected: string | RegExp): Promise<void> {
  let output = '';
  for (let attempt = 0; attempt < 100; attempt++) {
    const { stdout, stderr } = await cluster.tryKubectl(args);
    output = stdout + stderr;
    if (typeof expected === 'string' ? output === expected : expected.test(output)) return;
    await sleep(100);
  }
  assert.fail(`kubectl ${args}: ${output} is not ${String(expected)}`);
}

async function refused(args: string): Promise<string> {
  const { code, stderr } = await cluster.tryKubectl(args);
  assert.notEqual(code, 0, `kubectl ${args} was let through`);
  return stderr.trim();
}

test('a quota counts what comes, what ends and what goes', async () => {
  await cluster.kubectl('create namespace quota');
  await cluster.kubectl('create quota two -n quota --hard=pods=2,services=1');
  const used = 'get quota two -n quota -o jsonpath={.status.used.pods}/{.status.hard.pods}';
  await becomes(used, '0/2');
  await cluster.kubectl('run one -n quota --image=pause');
  await cluster.kubectl('run two -n quota --image=pause');
  assert.equal(
    await refused('run three -n quota --image=pause'),
    'Error from server (Forbidden): pods "three" is forbidden: exceeded quota: two, requested: pods=1, used: pods=2, limited: pods=2',
  );
  await cluster.kubectl('delete pod one -n quota --now');
  await becomes(used, '1/2');
  await cluster.kubectl('create deployment web -n quota --image=pause --replicas=4');
  await becomes(used, '2/2');
  await becomes(
    'get deployment web -n quota -o jsonpath={.status.conditions[?(@.type=="ReplicaFailure")].message}',
    /exceeded quota: two, requested: pods=1, used: pods=2, limited: pods=2/,
  );
  assert.match(await cluster.kubectl('describe quota two -n quota'), /^pods +2 +2$/m);
});

test('a limit range fills in and bounds', async () => {
  await cluster.kubectl('create namespace limits');
  const limits = [{ type: 'Container', max: { cpu: '1' }, min: { cpu: '50m' }, default: { cpu: '200m' }, defaultRequest: { cpu: '100m' } }];
  await applied({ apiVersion: 'v1', kind: 'LimitRange', metadata: { name: 'l', namespace: 'limits' }, spec: { limits } });
  await cluster.kubectl('run web -n limits --image=pause');
  const shown = await cluster.kubectl('get pod web -n limits -o jsonpath={.spec.containers[0].resources}{.metadata.annotations}');
  assert.match(shown, /"limits":\{"cpu":"200m"\},"requests":\{"cpu":"100m"\}/);
  assert.match(shown, /LimitRanger plugin set: cpu request for container web; cpu limit for container web/);
  const overrides = JSON.stringify({ spec: { containers: [{ name: 'big', image: 'pause', resources: { limits: { cpu: '2' } } }] } });
  const outcome = await cluster.tryKubectl(['run', 'big', '-n', 'limits', '--image=pause', `--overrides=${overrides}`]);
  assert.match(outcome.stderr, /pods "big" is forbidden: maximum cpu usage per Container is 1, but limit is 2/);
});

test('pod security: a namespace that enforces one level and warns of another', async () => {
  await cluster.kubectl('create namespace secure');
  await cluster.kubectl('label namespace secure pod-security.kubernetes.io/enforce=baseline pod-security.kubernetes.io/warn=restricted');
  const warned = await cluster.tryKubectl('create deployment web -n secure --image=pause');
  assert.equal(warned.code, 0, warned.stderr);
  assert.match(
    warned.stderr,
    /^Warning: would violate PodSecurity "restricted:latest": allowPrivilegeEscalation != false \(container "pause" must set/,
  );
  const stderr = await refused('run p -n secure --image=pause --privileged');
  assert.match(stderr, /violates PodSecurity "baseline:latest": privileged \(container "p" must not set securityContext.privileged=true\)/);
  const tightened = await cluster.tryKubectl('label --overwrite namespace secure pod-security.kubernetes.io/enforce=restricted');
  assert.match(tightened.stderr, /existing pods in namespace "secure" violate the new PodSecurity enforce level "restricted:latest"/);
});

test('a claim that a pod uses goes when the pod does', async () => {
  await cluster.kubectl('create namespace storage');
  const claim = {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name: 'data', namespace: 'storage' },
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
  };
  await applied(claim);
  const node = await cluster.kubectl('get nodes -o jsonpath={.items[0].metadata.name}');
  const spec = {
    nodeName: node,
    containers: [{ name: 'c', image: 'pause' }],
    volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 'data' } }],
  };
  await applied({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'user', namespace: 'storage' }, spec });
  await cluster.kubectl('delete pvc data -n storage --wait=false');
  assert.match(
    await cluster.kubectl('get pvc data -n storage -o jsonpath={.metadata.deletionTimestamp}{.metadata.finalizers}'),
    /Z\["kubernetes.io\/pvc-protection"\]/,
  );
  await cluster.kubectl('delete pod user -n storage --now');
  await becomes('get pvc data -n storage', /NotFound/);
});

test('nobody grants what they do not have', async () => {
  await cluster.kubectl('create namespace roles');
  await cluster.kubectl('create rolebinding jane -n roles --clusterrole=edit --user=jane');
  await cluster.kubectl('create role writer -n roles --verb=create,update --resource=roles,rolebindings');
  await cluster.kubectl('create rolebinding writer -n roles --role=writer --user=jane');
  await cluster.kubectl('create role pods -n roles --verb=get --resource=pods --as=jane');
  const stderr = await refused('create role all -n roles --verb=* --resource=* --as=jane');
  assert.match(stderr, /user "jane" \(groups=\["system:authenticated"\]\) is attempting to grant RBAC permissions not currently held:\n\{/);
  assert.match(await refused('create rolebinding admin -n roles --clusterrole=admin --user=jane --as=jane'), /not currently held/);
});

test('a webhook changes, warns and refuses', async () => {
  await cluster.kubectl('create namespace hooks');
  const hook = {
    name: 'maps.example.com',
    clientConfig: { url: webhook.url('/maps'), caBundle: webhook.caBundle },
    rules: [{ operations: ['CREATE'], apiGroups: [''], apiVersions: ['v1'], resources: ['configmaps'] }],
    namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'hooks' } },
    objectSelector: { matchExpressions: [{ key: 'kubernetes.io/skip', operator: 'DoesNotExist' }] },
    sideEffects: 'None',
    admissionReviewVersions: ['v1'],
  };
  const configuration = { apiVersion: 'admissionregistration.k8s.io/v1', metadata: { name: 'maps' }, webhooks: [hook] };
  answer = ({ name }) =>
    name === 'bad'
      ? { allowed: false, status: { message: 'no such names here' } }
      : { ...patching({ op: 'add', path: '/data', value: { added: 'yes' } }), warnings: ['changed'] };
  await applied({ ...configuration, kind: 'MutatingWebhookConfiguration' });
  const made = await cluster.tryKubectl('create configmap good -n hooks');
  assert.equal(made.code, 0, made.stderr);
  assert.match(made.stderr, /^Warning: changed$/m);
  assert.equal(await cluster.kubectl('get configmap good -n hooks -o jsonpath={.data.added}'), 'yes');
  assert.match(
    await refused('create configmap bad -n hooks'),
    /^(error: failed to create configmap|Error from server): admission webhook "maps.example.com" denied the request: no such names here$/,
  );
  await cluster.kubectl('delete mutatingwebhookconfiguration maps');
  await cluster.kubectl('create configmap bad -n hooks');
});

test('policies in CEL refuse, warn and change what kubectl applies', async () => {
  const group = 'admissionregistration.k8s.io/v1';
  const rule = (resource: string, apiGroup: string): object => ({
    resourceRules: [{ apiGroups: [apiGroup], apiVersions: ['v1'], operations: ['CREATE', 'UPDATE'], resources: [resource] }],
  });
  await cluster.kubectl('create namespace policies');
  await cluster.kubectl('label namespace policies environment=test');
  const matchResources = { namespaceSelector: { matchLabels: { environment: 'test' } } };
  await applied({
    apiVersion: group,
    kind: 'ValidatingAdmissionPolicy',
    metadata: { name: 'few.example.com' },
    spec: {
      matchConstraints: rule('deployments', 'apps'),
      validations: [{ expression: 'object.spec.replicas <= 5' }, { expression: 'object.replicsa == 1' }],
    },
  });
  const warning = `get validatingadmissionpolicies few.example.com -o jsonpath={.status.typeChecking.expressionWarnings[0].fieldRef}`;
  await becomes(warning, 'spec.validations[1].expression');
  await cluster.kubectl(`patch validatingadmissionpolicies few.example.com --type=json -p [{"op":"remove","path":"/spec/validations/1"}]`);
  await applied({
    apiVersion: group,
    kind: 'ValidatingAdmissionPolicyBinding',
    metadata: { name: 'few.example.com' },
    spec: { policyName: 'few.example.com', validationActions: ['Deny'], matchResources },
  });
  assert.equal(
    await refused('create deployment many -n policies --image=pause --replicas=6'),
    `error: failed to create deployment: deployments.apps "many" is forbidden: ValidatingAdmissionPolicy 'few.example.com' with binding 'few.example.com' denied request: failed expression: object.spec.replicas <= 5`,
  );
  await cluster.kubectl('patch validatingadmissionpolicybinding few.example.com --type=merge -p {"spec":{"validationActions":["Warn"]}}');
  const warned = await cluster.tryKubectl('create deployment many -n policies --image=pause --replicas=6');
  assert.equal(warned.code, 0, warned.stderr);
  assert.match(
    warned.stderr,
    /^Warning: Validation failed for ValidatingAdmissionPolicy 'few\.example\.com' with binding 'few\.example\.com': failed expression/m,
  );
  const expression = 'Object{metadata: Object.metadata{labels: {"namespace": namespaceObject.metadata.name}}}';
  await applied({
    apiVersion: group,
    kind: 'MutatingAdmissionPolicy',
    metadata: { name: 'labels.example.com' },
    spec: {
      matchConstraints: rule('configmaps', ''),
      reinvocationPolicy: 'Never',
      mutations: [{ patchType: 'ApplyConfiguration', applyConfiguration: { expression } }],
    },
  });
  await applied({
    apiVersion: group,
    kind: 'MutatingAdmissionPolicyBinding',
    metadata: { name: 'labels.example.com' },
    spec: { policyName: 'labels.example.com', matchResources },
  });
  await cluster.kubectl('create configmap labelled -n policies --from-literal=a=b');
  await becomes('get configmap labelled -n policies -o jsonpath={.metadata.labels.namespace}', 'policies');
});
