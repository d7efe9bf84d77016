/** Behaviours of the conformance catalogue marked sig-auth that need no running container, each named as there. */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { after, before, test } from 'node:test';
import { createCertificateAuthority, issueCertificate } from '../../src/kubeadm/certificates.ts';
import { realWorld } from '../../src/world/real.ts';
import { type Json, startTestServer, type TestServer } from '../apiserver/server.ts';

let server: TestServer;

before(async () => {
  server = await startTestServer();
});

after(() => server.close());

const requests = '/apis/certificates.k8s.io/v1/certificatesigningrequests';

/** PEM of a request for CN=e2e.example.com, made with openssl. */
const pem = `-----BEGIN CERTIFICATE REQUEST-----
MIHUMHwCAQAwGjEYMBYGA1UEAwwPZTJlLmV4YW1wbGUuY29tMFkwEwYHKoZIzj0C
AQYIKoZIzj0DAQcDQgAEyVvKBxyND46kMoAkdOTCC4efD+Cp0PLPdEY3TUfTJJj1
Em1rVjFllJZI2X1u4amRp2yQGE117ZrMijJnEf9UmaAAMAoGCCqGSM49BAMCA0gA
MEUCIQD/SaQ7NCFZIO3yMOcl9zJXwXuz4GLEWypL49grW02eWQIgPIncmiFM1GCe
Or0FyPjt7v+ZFOcnaP5eD35RR3NltcM=
-----END CERTIFICATE REQUEST-----
`;

function csr(name: string): object {
  return {
    apiVersion: 'certificates.k8s.io/v1',
    kind: 'CertificateSigningRequest',
    metadata: { generateName: name, labels: { 'e2e-test': 'csr-api' } },
    spec: {
      request: Buffer.from(pem).toString('base64'),
      signerName: 'example.com/e2e',
      expirationSeconds: 3600,
      usages: ['digital signature', 'key encipherment', 'server auth'],
    },
  };
}

async function created(): Promise<Json> {
  const reply = await server.send(requests, { method: 'POST', body: csr('e2e-example-csr-') });
  assert.equal(reply.code, 201, reply.text);
  return reply.json;
}

test('[sig-auth] Certificates API [Privileged:ClusterAdmin] should support CSR API operations [Conformance]', async (t) => {
  await t.test('discovery lists the resource and its subresources', async () => {
    const groups = (await server.send('/apis')).json.groups;
    assert.ok(groups.some(({ name, versions }: Json) => name === 'certificates.k8s.io' && versions.some(({ version }: Json) => version === 'v1')));
    const resources = (await server.send('/apis/certificates.k8s.io/v1')).json.resources.map(({ name }: Json) => name);
    for (const part of ['', '/approval', '/status']) assert.ok(resources.includes(`certificatesigningrequests${part}`));
  });
  const first = await created();
  const others = [await created(), await created()];
  const path = `${requests}/${first.metadata.name}`;
  await t.test('it is read, listed and watched', async () => {
    assert.equal((await server.send(path)).json.metadata.uid, first.metadata.uid);
    const { items } = (await server.send(`${requests}?labelSelector=e2e-test%3Dcsr-api`)).json;
    assert.equal(items.length, 3);
    const from = Number(first.metadata.resourceVersion) - 1;
    const events = await server.send(
      `${requests}?watch=true&resourceVersion=${from}&timeoutSeconds=1&fieldSelector=metadata.name%3D${first.metadata.name}`,
    );
    assert.equal(JSON.parse(events.text.split('\n')[0] ?? '').type, 'ADDED');
  });
  await t.test('who asks is written down by the server', () => {
    assert.equal(first.spec.username, 'admin');
    assert.ok(first.spec.groups.includes('system:masters'));
  });
  await t.test('it is patched and updated', async () => {
    const patched = await server.send(path, {
      method: 'PATCH',
      body: JSON.stringify({ metadata: { annotations: { patched: 'true' } } }),
      headers: { 'content-type': 'application/merge-patch+json' },
    });
    assert.equal(patched.json.metadata.annotations.patched, 'true');
    patched.json.metadata.annotations.updated = 'true';
    const updated = await server.send(path, { method: 'PUT', body: patched.json });
    assert.equal(updated.json.metadata.annotations.updated, 'true');
  });
  await t.test('/approval is read, updated and patched', async () => {
    const read = (await server.send(`${path}/approval`)).json;
    assert.equal(read.metadata.uid, first.metadata.uid);
    const approval = { type: 'Approved', status: 'True', reason: 'E2E', message: 'Set from an e2e test' };
    const updated = await server.send(`${path}/approval`, { method: 'PUT', body: { ...read, status: { conditions: [approval] } } });
    assert.equal(updated.code, 200, updated.text);
    const [condition] = updated.json.status.conditions;
    assert.deepEqual([condition.type, condition.message], ['Approved', 'Set from an e2e test']);
    assert.ok(condition.lastUpdateTime && condition.lastTransitionTime, 'the server says when');
    const patched = await server.send(`${path}/approval`, {
      method: 'PATCH',
      body: JSON.stringify({
        metadata: { annotations: { patchedapproval: 'true' } },
        status: { conditions: [{ ...condition, type: 'ApprovalPatch' }, condition] },
      }),
      headers: { 'content-type': 'application/merge-patch+json' },
    });
    assert.deepEqual(patched.json.status.conditions.map(({ type }: Json) => type).toSorted(), ['ApprovalPatch', 'Approved']);
  });
  await t.test('/status is read, updated and patched', async () => {
    const read = (await server.send(`${path}/status`)).json;
    const ca = await createCertificateAuthority(realWorld({ level: 'silent' }), 'e2e');
    const pair = await issueCertificate(realWorld({ level: 'silent' }), { ca, commonName: 'e2e.example.com', usages: ['server'] });
    const certificate = Buffer.from(pair.certificate).toString('base64');
    const updated = await server.send(`${path}/status`, { method: 'PUT', body: { ...read, status: { ...read.status, certificate } } });
    assert.equal(updated.code, 200, updated.text);
    assert.match(new X509Certificate(Buffer.from(updated.json.status.certificate, 'base64')).subject, /e2e\.example\.com/);
    const condition = { type: 'StatusPatch', status: 'True', reason: 'E2E', message: 'Set from an e2e test' };
    const patched = await server.send(`${path}/status`, {
      method: 'PATCH',
      body: JSON.stringify({
        metadata: { annotations: { patchedstatus: 'true' } },
        status: { conditions: [...updated.json.status.conditions, condition] },
      }),
      headers: { 'content-type': 'application/merge-patch+json' },
    });
    assert.ok(patched.json.status.conditions.some(({ type }: Json) => type === 'StatusPatch'));
  });
  await t.test('what was decided and issued stays', async () => {
    const read = (await server.send(`${path}/approval`)).json;
    const taken = await server.send(`${path}/approval`, { method: 'PUT', body: { ...read, status: { ...read.status, conditions: [] } } });
    assert.equal(taken.code, 422);
    assert.match(taken.json.message, /updates may not remove a condition of type "Approved"/);
    const both = [...read.status.conditions, { type: 'Denied', status: 'True' }];
    assert.match(
      (await server.send(`${path}/approval`, { method: 'PUT', body: { ...read, status: { conditions: both } } })).text,
      /mutually exclusive/,
    );
    const other = Buffer.from(server.ca.certificate).toString('base64');
    const changed = await server.send(`${path}/status`, { method: 'PUT', body: { ...read, status: { ...read.status, certificate: other } } });
    assert.match(changed.json.message, /updates may not modify existing certificate content/);
  });
  await t.test('it is deleted, alone and as a collection', async () => {
    assert.equal((await server.send(path, { method: 'DELETE' })).code, 200);
    assert.equal((await server.send(path)).code, 404);
    assert.equal((await server.send(`${requests}/${others[0].metadata.name}`)).code, 200);
    assert.equal((await server.send(`${requests}?labelSelector=e2e-test%3Dcsr-api`, { method: 'DELETE' })).code, 200);
    assert.equal((await server.send(`${requests}?labelSelector=e2e-test%3Dcsr-api`)).json.items.length, 0);
  });
});

test('[sig-auth] ServiceAccounts should allow opting out of API token automount [Conformance]', async (t) => {
  const accounts = '/api/v1/namespaces/default/serviceaccounts';
  const settings: readonly (readonly [string, boolean | undefined])[] = [
    ['default', undefined],
    ['mount', true],
    ['nomount', false],
  ];
  for (const [name, automount] of settings) {
    const body = {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { name },
      ...(automount !== undefined && { automountServiceAccountToken: automount }),
    };
    assert.equal((await server.send(accounts, { method: 'POST', body })).code, 201);
  }
  for (const [account, byAccount] of settings) {
    for (const [suffix, byPod] of [
      ['defaultspec', undefined],
      ['mountspec', true],
      ['nomountspec', false],
    ] as const) {
      // What the pod says goes before what the account says.
      const expected = byPod ?? byAccount ?? true;
      await t.test(`account ${account}, pod ${suffix}: ${expected ? 'mounted' : 'not mounted'}`, async () => {
        const spec = {
          serviceAccountName: account,
          containers: [{ name: 'token-test', image: 'pause' }],
          ...(byPod !== undefined && { automountServiceAccountToken: byPod }),
        };
        const body = { apiVersion: 'v1', kind: 'Pod', metadata: { name: `pod-service-account-${account}-${suffix}` }, spec };
        const { code, json, text } = await server.send('/api/v1/namespaces/default/pods', { method: 'POST', body });
        assert.equal(code, 201, text);
        const mounts = json.spec.containers[0].volumeMounts ?? [];
        assert.equal(
          mounts.some(({ mountPath }: Json) => mountPath === '/var/run/secrets/kubernetes.io/serviceaccount'),
          expected,
        );
      });
    }
  }
});
