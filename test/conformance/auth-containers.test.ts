/** Behaviours of the conformance catalogue marked sig-auth that need running containers, each named as there; with the built-in image. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type ClusterUnderTest, startClusterUnderTest } from '../support/cluster-under-test.ts';

let cluster: ClusterUnderTest;

before(async () => {
  cluster = await startClusterUnderTest();
});

after(() => cluster.close());

const image = 'k8ts.local/hello:1';

async function runPod(name: string, spec: object): Promise<void> {
  const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec: { terminationGracePeriodSeconds: 0, ...spec } };
  await cluster.kubectl('create -f -', { input: JSON.stringify(pod) });
  await cluster.kubectl(`wait --for=condition=Ready pod/${name} --timeout=60s`);
}

/** What is in files of the pod's container. */
async function read(pod: string, ...paths: string[]): Promise<string[]> {
  const script = `const { readFileSync } = require('node:fs'); console.log(JSON.stringify(${JSON.stringify(paths)}.map((path) => readFileSync(path, 'utf8'))))`;
  return JSON.parse(await cluster.kubectl(['exec', pod, '--', 'node', '-e', script])) as string[];
}

interface Reviewed {
  readonly status: {
    readonly authenticated?: boolean;
    readonly audiences?: readonly string[];
    readonly user: { readonly username: string; readonly extra?: Record<string, string[]> };
  };
}

async function review(token: string, audiences?: readonly string[]): Promise<Reviewed['status']> {
  const asked = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec: { token, ...(audiences && { audiences }) } };
  return (JSON.parse(await cluster.kubectl('create -o json -f -', { input: JSON.stringify(asked) })) as Reviewed).status;
}

test('[sig-auth] ServiceAccounts should mount an API token into pods [Conformance]', async () => {
  await cluster.kubectl('create serviceaccount mount-test');
  await runPod('pod-service-account', { serviceAccountName: 'mount-test', containers: [{ name: 'test', image }] });
  const home = '/var/run/secrets/kubernetes.io/serviceaccount';
  const [token = '', ca = '', namespace] = await read('pod-service-account', `${home}/token`, `${home}/ca.crt`, `${home}/namespace`);
  assert.equal(namespace, 'default');
  assert.equal(ca.trim(), (await cluster.kubectl(['get', 'configmap', 'kube-root-ca.crt', '-o', String.raw`jsonpath={.data.ca\.crt}`])).trim());
  const { authenticated, user } = await review(token);
  assert.equal(authenticated, true);
  assert.equal(user.username, 'system:serviceaccount:default:mount-test');
  assert.deepEqual(user.extra?.['authentication.kubernetes.io/pod-name'], ['pod-service-account']);
  await cluster.kubectl('delete pod pod-service-account --wait=true');
  assert.notEqual((await review(token)).authenticated, true, 'a token dies with its pod');
});

test('[sig-auth] ServiceAccounts should mount projected service account token [Conformance]', async () => {
  const source = { serviceAccountToken: { path: 'token', audience: 'somebody', expirationSeconds: 600 } };
  await runPod('test-pod', {
    volumes: [{ name: 'token', projected: { sources: [source] } }],
    containers: [{ name: 'agnhost-container', image, volumeMounts: [{ name: 'token', mountPath: '/var/run/secrets/tokens' }] }],
  });
  const [token = ''] = await read('test-pod', '/var/run/secrets/tokens/token');
  assert.notEqual((await review(token)).authenticated, true, 'it is not for the API server');
  const { authenticated, audiences, user } = await review(token, ['somebody']);
  assert.deepEqual([authenticated, audiences, user.username], [true, ['somebody'], 'system:serviceaccount:default:default']);
});
