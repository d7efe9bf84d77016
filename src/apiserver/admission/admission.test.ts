import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { Fixture, type Parsed, type Reply } from '../verbs/fixture.ts';

const pods = '/api/v1/namespaces/a/pods';
const container = { name: 'c', image: 'nginx' };
const mountPath = '/var/run/secrets/kubernetes.io/serviceaccount';

/** CN=jane, O=system:masters. */
const superuserRequest = [
  'LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KTUlIaU1JR0tBZ0VBTUNneEZ6QVZCZ05WQkFvTURuTjVjM1JsYlRwdFlYTjBaWEp6TVEwd0N3',
  'WURWUVFEREFScQpZVzVsTUZrd0V3WUhLb1pJemowQ0FRWUlLb1pJemowREFRY0RRZ0FFdVMzN3BPY3AxbU1jQ05sSHZrcUc0UXJaCm92bmNha2syU0pYWC9D',
  'RjhtUXBmMGZ4YXRDWXBMaFJ2THg5T0ZzQnRidzNUb29iVkM4ZitGT1pRUlcrMmNLQUEKTUFvR0NDcUdTTTQ5QkFNQ0EwY0FNRVFDSUVRTHYzNkg1VEFreEFB',
  'WXJjVGZrQ0wvSW0yZTMrZGg4cmZKREdUWApaMWxmQWlBL1pndVA3RnV2cDF0VXZ2WkkvMzI3V3VoTnVCSVZHZmFudjQyczdnYVQ3Zz09Ci0tLS0tRU5EIENF',
  'UlRJRklDQVRFIFJFUVVFU1QtLS0tLQo=',
].join('');

let server: Fixture;
beforeEach(async () => {
  server = await Fixture.open();
});
afterEach(() => server.close());

function makePod(spec: object = {}): Promise<Reply> {
  return server.post(pods, { metadata: { generateName: 'p-' }, spec: { containers: [container], ...spec } });
}

test('a pod runs as its namespace’s default account, with a projected token', async () => {
  const spec: Record<string, Parsed> = (await makePod({ initContainers: [{ name: 'i', image: 'x' }] })).body['spec'];
  assert.equal(spec['serviceAccountName'], 'default');
  assert.equal(spec['serviceAccount'], 'default');
  const [volume] = spec['volumes'];
  assert.match(volume.name, /^kube-api-access-[bcdfghjklmnpqrstvwxz2456789]{5}$/);
  assert.deepEqual(volume.projected, {
    sources: [
      { serviceAccountToken: { expirationSeconds: 3607, path: 'token' } },
      { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
      { downwardAPI: { items: [{ path: 'namespace', fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' } }] } },
    ],
    defaultMode: 420,
  });
  for (const each of [spec['containers'][0], spec['initContainers'][0]])
    assert.deepEqual(each.volumeMounts, [{ name: volume.name, readOnly: true, mountPath }]);
});

test('no token where none is wanted, or where something else is mounted', async () => {
  assert.equal((await makePod({ automountServiceAccountToken: false })).body['spec'].volumes, undefined);
  const own = { volumes: [{ name: 'v', emptyDir: {} }], containers: [{ ...container, volumeMounts: [{ name: 'v', mountPath }] }] };
  assert.equal((await makePod(own)).body['spec'].volumes.length, 1);
  await server.post('/api/v1/namespaces/a/serviceaccounts', {
    metadata: { name: 'quiet' },
    automountServiceAccountToken: false,
    imagePullSecrets: [{ name: 'pull' }],
  });
  const quiet = (await makePod({ serviceAccountName: 'quiet' })).body['spec'];
  assert.equal(quiet.volumes, undefined);
  assert.deepEqual(quiet.imagePullSecrets, [{ name: 'pull' }]);
});

test('an account that is not there is Forbidden', async () => {
  const { code, body } = await server.post(pods, { metadata: { name: 'p' }, spec: { containers: [container], serviceAccountName: 'nope' } });
  assert.equal(code, 403);
  assert.equal(body['message'], 'pods "p" is forbidden: error looking up service account a/nope: serviceaccount "nope" not found');
});

test('the default account may come a moment after the namespace', async () => {
  await server.post('/api/v1/namespaces', { metadata: { name: 'b' } });
  const pending = server.post('/api/v1/namespaces/b/pods', { metadata: { name: 'p' }, spec: { containers: [container] } });
  await server.post('/api/v1/namespaces/b/serviceaccounts', { metadata: { name: 'default' } });
  assert.equal((await pending).code, 201);
  await server.post('/api/v1/namespaces', { metadata: { name: 'c' } });
  const never = server.post('/api/v1/namespaces/c/pods', { metadata: { name: 'p' }, spec: { containers: [container] } });
  await server.world.advance(1_000);
  assert.equal((await never).code, 403);
});

test('tolerations of five minutes for nodes that fail, unless the pod has its own', async () => {
  const byDefault = (await makePod()).body['spec'].tolerations;
  assert.deepEqual(byDefault, [
    { key: 'node.kubernetes.io/not-ready', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 },
    { key: 'node.kubernetes.io/unreachable', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 },
  ]);
  assert.equal((await makePod({ tolerations: [{ operator: 'Exists' }] })).body['spec'].tolerations.length, 1);
});

test('priority comes from the class', async () => {
  const none = (await makePod()).body['spec'];
  assert.deepEqual([none.priority, none.preemptionPolicy, none.priorityClassName], [0, 'PreemptLowerPriority', undefined]);
  assert.equal((await makePod({ priorityClassName: 'system-node-critical' })).body['spec'].priority, 2_000_001_000);
  const unknown = await server.post(pods, { metadata: { name: 'p' }, spec: { containers: [container], priorityClassName: 'nope' } });
  assert.equal(unknown.body['message'], 'pods "p" is forbidden: no PriorityClass with name nope was found');
  assert.equal((await makePod({ priority: 5 })).code, 403);
  const classes = '/apis/scheduling.k8s.io/v1/priorityclasses';
  await server.post(classes, { metadata: { name: 'usual' }, value: 7, globalDefault: true, preemptionPolicy: 'Never' });
  const usual = (await makePod()).body['spec'];
  assert.deepEqual([usual.priority, usual.priorityClassName, usual.preemptionPolicy], [7, 'usual', 'Never']);
  const second = await server.post(classes, { metadata: { name: 'other' }, value: 8, globalDefault: true });
  assert.match(second.body['message'], /PriorityClass usual is already marked as default. Only one default can exist/);
});

test('a new node takes no pods until it was seen ready', async () => {
  const { body } = await server.post('/api/v1/nodes', { metadata: { name: 'n' } });
  assert.deepEqual(body['spec'].taints, [{ key: 'node.kubernetes.io/not-ready', effect: 'NoSchedule' }]);
});

test('limit ranges fill in and bound', async () => {
  const limits = [{ type: 'Container', default: { cpu: '500m' }, defaultRequest: { cpu: '100m' }, max: { cpu: '1' } }];
  const made = await server.post('/api/v1/namespaces/a/limitranges', { metadata: { name: 'l' }, spec: { limits } });
  assert.equal(made.code, 201, JSON.stringify(made.body));
  assert.deepEqual((await makePod()).body['spec'].containers[0].resources, { limits: { cpu: '500m' }, requests: { cpu: '100m' } });
  const greedy = await makePod({ containers: [{ ...container, resources: { limits: { cpu: '2' }, requests: { cpu: '2' } } }] });
  assert.equal(greedy.code, 403);
  assert.match(greedy.body['message'], /maximum cpu usage per Container is 1, but limit is 2/);
});

test('a certificate request says who made it, whatever it claims', async () => {
  const user = { name: 'jane', uid: '7', groups: ['dev'], extra: { scope: ['a'] } };
  const request = Buffer.from('-----BEGIN CERTIFICATE REQUEST-----\nMA==\n-----END CERTIFICATE REQUEST-----\n').toString('base64');
  const spec = { request, signerName: 'kubernetes.io/kube-apiserver-client', usages: ['client auth'], username: 'admin', groups: ['system:masters'] };
  const path = '/apis/certificates.k8s.io/v1/certificatesigningrequests';
  const made = await server.post(path, { metadata: { name: 'c' }, spec }, { user });
  assert.equal(made.code, 201, JSON.stringify(made.body));
  const { username, uid, groups, extra } = made.body['spec'];
  assert.deepEqual({ username, uid, groups, extra }, { username: 'jane', uid: '7', groups: ['dev'], extra: { scope: ['a'] } });

  const conditions = [{ type: 'Approved', status: 'True', reason: 'Fine' }];
  const self = await server.patch(`${path}/c/status`, { status: { conditions } });
  assert.equal(self.body['status'].conditions, undefined, 'the status does not approve');
  const certificate = Buffer.from('-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n').toString('base64');
  const approved = await server.patch(`${path}/c/approval`, { spec: { username: 'x' }, status: { conditions, certificate } });
  assert.equal(approved.code, 200, JSON.stringify(approved.body));
  assert.equal(approved.body['status'].conditions[0].type, 'Approved');
  assert.equal(approved.body['status'].certificate, undefined, 'certificates come through the status');
  assert.equal(approved.body['spec'].username, 'jane');
  const issued = await server.patch(`${path}/c/status`, { status: { conditions: [], certificate } });
  assert.equal(issued.body['status'].conditions[0].type, 'Approved', JSON.stringify(issued.body));
});

test('volumes and claims are held while in use, and a claim without a class gets the default one', async () => {
  const classes = '/apis/storage.k8s.io/v1/storageclasses';
  const byDefault = { annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' } };
  await server.post(classes, { metadata: { name: 'slow' }, provisioner: 'x.example.com' });
  await server.post(classes, { metadata: { name: 'usual', ...byDefault }, provisioner: 'x.example.com' });
  const spec = { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } };
  const claims = '/api/v1/namespaces/a/persistentvolumeclaims';
  const claim = (await server.post(claims, { metadata: { name: 'c' }, spec })).body;
  assert.equal(claim['spec'].storageClassName, 'usual');
  assert.deepEqual(claim.metadata.finalizers, ['kubernetes.io/pvc-protection']);
  const none = (await server.post(claims, { metadata: { name: 'none' }, spec: { ...spec, storageClassName: '' } })).body;
  assert.equal(none['spec'].storageClassName, '', 'an empty name is a choice');
  const capacity = { capacity: { storage: '1Gi' }, accessModes: ['ReadWriteOnce'], hostPath: { path: '/x' } };
  const volume = (await server.post('/api/v1/persistentvolumes', { metadata: { name: 'v' }, spec: capacity })).body;
  assert.deepEqual(volume.metadata.finalizers, ['kubernetes.io/pv-protection']);
});

test('only a bound claim of a class that lets volumes grow may grow', async () => {
  const classes = '/apis/storage.k8s.io/v1/storageclasses';
  await server.post(classes, { metadata: { name: 'fixed' }, provisioner: 'x.example.com' });
  await server.post(classes, { metadata: { name: 'elastic' }, provisioner: 'x.example.com', allowVolumeExpansion: true });
  const claims = '/api/v1/namespaces/a/persistentvolumeclaims';
  const grow = (name: string): Promise<Reply> => server.patch(`${claims}/${name}`, { spec: { resources: { requests: { storage: '2Gi' } } } });
  for (const name of ['fixed', 'elastic', 'pending']) {
    const spec = { storageClassName: name === 'pending' ? 'elastic' : name, accessModes: ['ReadWriteOnce'], volumeName: 'v' };
    await server.post(claims, { metadata: { name }, spec: { ...spec, resources: { requests: { storage: '1Gi' } } } });
    if (name !== 'pending') await server.patch(`${claims}/${name}/status`, { status: { phase: 'Bound', capacity: { storage: '1Gi' } } });
  }
  assert.match((await grow('fixed')).body['message'], /is forbidden: only dynamically provisioned pvc can be resized and the storageclass/);
  assert.equal((await grow('elastic')).code, 200);
  assert.notEqual((await grow('pending')).code, 200);
});

test('an ingress without a class gets the default one', async () => {
  const annotations = { 'ingressclass.kubernetes.io/is-default-class': 'true' };
  await server.post('/apis/networking.k8s.io/v1/ingressclasses', { metadata: { name: 'usual', annotations }, spec: { controller: 'example.com/x' } });
  const backend = { service: { name: 's', port: { number: 80 } } };
  const { body } = await server.post('/apis/networking.k8s.io/v1/namespaces/a/ingresses', {
    metadata: { name: 'i' },
    spec: { defaultBackend: backend },
  });
  assert.equal(body['spec'].ingressClassName, 'usual');
});

test('a runtime class brings its overhead and its place', async () => {
  const toleration = { key: 'sandboxed', operator: 'Exists' };
  await server.post('/apis/node.k8s.io/v1/runtimeclasses', {
    metadata: { name: 'safe' },
    handler: 'runsc',
    overhead: { podFixed: { cpu: '100m' } },
    scheduling: { nodeSelector: { sandbox: 'yes' }, tolerations: [toleration] },
  });
  const made = (await makePod({ runtimeClassName: 'safe' })).body['spec'];
  assert.deepEqual([made.overhead, made.nodeSelector], [{ cpu: '100m' }, { sandbox: 'yes' }]);
  assert(made.tolerations.some((each: { key: string }) => each.key === 'sandboxed'));
  const refusal = async (spec: object): Promise<string> => (await makePod(spec)).body['message'];
  assert.match(await refusal({ runtimeClassName: 'nope' }), /pod rejected: RuntimeClass "nope" not found/);
  assert.match(await refusal({ overhead: { cpu: '1' } }), /pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead/);
  assert.match(
    await refusal({ runtimeClassName: 'safe', nodeSelector: { sandbox: 'no' } }),
    /conflict: runtimeClass.scheduling.nodeSelector\[sandbox\] = yes; pod.spec.nodeSelector\[sandbox\] = no/,
  );
});

test('no superuser’s certificate from the API server’s client signer', async () => {
  const spec = { request: superuserRequest, signerName: 'kubernetes.io/kube-apiserver-client', usages: ['client auth'] };
  const path = '/apis/certificates.k8s.io/v1/certificatesigningrequests';
  const refused = await server.post(path, { metadata: { name: 'c' }, spec });
  assert.equal(refused.code, 403);
  assert.match(refused.body['message'], /use of kubernetes.io\/kube-apiserver-client signer with system:masters group is not allowed/);
  const other = await server.post(path, { metadata: { name: 'c' }, spec: { ...spec, signerName: 'example.com/own' } });
  assert.equal(other.code, 201);
});
