/** Proof of who one is that proves nothing: a refusal that tells no more than that. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { createCertificateAuthority, issueCertificate } from '../../src/kubeadm/certificates.ts';
import { realWorld } from '../../src/world/real.ts';
import { askedCluster, assertStatus, configMaps } from './asked-cluster.ts';

const asked = askedCluster('--control-plane-only');

describe('proof of who one is', () => {
  test('a wrong token is a 401', async () => {
    assertStatus(await asked.send(configMaps, { as: { token: 'wrong' } }), 401, 'Unauthorized', /^Unauthorized$/);
    const forged = ['{"alg":"none"}', '{"sub":"system:serviceaccount:kube-system:default"}', ''].map((part) =>
      Buffer.from(part).toString('base64url'),
    );
    assertStatus(await asked.send(configMaps, { as: { token: forged.join('.') } }), 401, 'Unauthorized', /^Unauthorized$/);
  });

  test("a certificate of another authority is a 401, even one of the same authority's name", async () => {
    const world = realWorld({ level: 'silent' });
    const other = await createCertificateAuthority(world, 'kubernetes');
    const forged = await issueCertificate(world, {
      ca: other,
      commonName: 'kubernetes-admin',
      organizations: ['system:masters'],
      usages: ['client'],
    });
    assertStatus(await asked.send(configMaps, { as: { cert: forged.certificate, key: forged.key } }), 401, 'Unauthorized', /^Unauthorized$/);
  });

  test('without any one is anonymous, and may read the version only', async () => {
    assertStatus(
      await asked.send(configMaps, { as: {} }),
      403,
      'Forbidden',
      /^configmaps is forbidden: User "system:anonymous" cannot list resource "configmaps" in API group "" in the namespace "default"$/,
    );
    assertStatus(await asked.send('/metrics', { as: {} }), 403, 'Forbidden', /User "system:anonymous" cannot get path "\/metrics"/);
    assert.equal((await asked.send('/version', { as: {} })).code, 200);
  });

  test('stock kubectl says the same in its own words', async () => {
    const bare = ['--kubeconfig=/dev/null', `--server=https://127.0.0.1:${asked.cluster.port}`];
    const wrong = await asked.cluster.tryKubectl([
      ...bare,
      `--certificate-authority=${join(asked.cluster.dataDir, 'pki', 'ca.crt')}`,
      '--token=wrong',
      'get',
      'pods',
    ]);
    assert.equal(wrong.code, 1);
    assert.match(wrong.stderr, /You must be logged in to the server/);
    const distrust = await asked.cluster.tryKubectl([...bare, '--token=wrong', 'get', 'pods']);
    assert.equal(distrust.code, 1);
    assert.match(distrust.stderr, /certificate signed by unknown authority/);
  });
});
