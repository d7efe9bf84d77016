import assert from 'node:assert/strict';
import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { simulatedWorld } from '../world/simulated.ts';
import { createCertificateAuthority, createSigningKey, issueCertificate } from './certificates.ts';

test('an authority is self-signed and may sign others', async () => {
  const ca = await createCertificateAuthority(simulatedWorld(1), 'kubernetes');
  const certificate = new X509Certificate(ca.certificate);
  assert.equal(certificate.ca, true);
  assert.equal(certificate.subject, 'CN=kubernetes');
  assert.ok(certificate.verify(certificate.publicKey));
  assert.ok(certificate.checkPrivateKey(createPrivateKey(ca.key)));
});

test('a client certificate carries the user as common name and its groups as organizations', async () => {
  const world = simulatedWorld(1);
  const ca = await createCertificateAuthority(world, 'kubernetes');
  const pair = await issueCertificate(world, { ca, commonName: 'jane', organizations: ['dev', 'system:masters'], usages: ['client'] });
  const certificate = new X509Certificate(pair.certificate);
  assert.ok(certificate.verify(new X509Certificate(ca.certificate).publicKey));
  assert.ok(certificate.checkIssued(new X509Certificate(ca.certificate)));
  assert.deepEqual(certificate.toLegacyObject().subject, { __proto__: null, O: ['dev', 'system:masters'], CN: 'jane' });
  assert.deepEqual(certificate.keyUsage, ['1.3.6.1.5.5.7.3.2']);
});

test('a serving certificate names its hosts', async () => {
  const world = simulatedWorld(1);
  const ca = await createCertificateAuthority(world, 'kubernetes');
  const pair = await issueCertificate(world, {
    ca,
    commonName: 'kube-apiserver',
    dnsNames: ['kubernetes.default.svc'],
    ipAddresses: ['10.96.0.1', '::1'],
    usages: ['server'],
    days: 30,
  });
  const certificate = new X509Certificate(pair.certificate);
  assert.equal(certificate.checkHost('kubernetes.default.svc'), 'kubernetes.default.svc');
  assert.equal(certificate.checkIP('10.96.0.1'), '10.96.0.1');
  assert.equal(certificate.checkIP('10.96.0.2'), undefined);
  assert.equal(Date.parse(new X509Certificate(pair.certificate).validTo), Math.floor((world.clock.now() + 30 * 24 * 3600 * 1000) / 1000) * 1000);
});

test('a signing key is an EC P-256 private key', async () => {
  const key = createPublicKey(await createSigningKey());
  assert.equal(key.asymmetricKeyDetails?.namedCurve, 'prime256v1');
});
