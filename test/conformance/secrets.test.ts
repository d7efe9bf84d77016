/** The conformance behaviour of secrets that sig-api-machinery owns, by its name in the catalogue, in a real container of the built-in image. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type ClusterUnderTest, startClusterUnderTest } from '../support/cluster-under-test.ts';

let cluster: ClusterUnderTest;

before(async () => {
  cluster = await startClusterUnderTest();
});
after(() => cluster.close());

test('[sig-api-machinery] Secrets should be consumable from pods in env vars [NodeConformance] [Conformance]', async () => {
  await cluster.kubectl('create secret generic secret-test --from-literal=data-1=value-1');
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'pod-secrets' },
    spec: {
      restartPolicy: 'Never',
      containers: [
        {
          name: 'secret-env-test',
          image: 'k8ts.local/hello:1',
          command: ['node', '-p', 'process.env.SECRET_DATA'],
          env: [{ name: 'SECRET_DATA', valueFrom: { secretKeyRef: { name: 'secret-test', key: 'data-1' } } }],
        },
      ],
    },
  };
  await cluster.kubectl('create -f -', { input: JSON.stringify(pod) });
  await cluster.kubectl('wait --for=jsonpath={.status.phase}=Succeeded pod/pod-secrets --timeout=60s', { timeoutMs: 70_000 });
  assert.equal(await cluster.kubectl('logs pod-secrets'), 'value-1\n');
});
