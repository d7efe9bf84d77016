import assert from 'node:assert/strict';
import { X509Certificate, webcrypto } from 'node:crypto';
import { afterEach, describe, it } from 'node:test';
// oxlint-disable-next-line import/no-unassigned-import -- the X.509 library looks for it when it is loaded
import 'reflect-metadata';
import * as x509 from '@peculiar/x509';
import { CertificateSigningRequest, ClusterRoleBinding, ConfigMap, Secret } from '../../src/api/kinds.ts';
import type { ControllerOptions } from '../../src/controllers/controller.ts';
import { createCertificateAuthority } from '../../src/kubeadm/certificates.ts';
import { simulatedWorld } from '../../src/world/simulated.ts';
import { type ControlPlane, notFound, startControlPlane } from './control-plane.ts';

const hourMs = 60 * 60_000;
const authority = await createCertificateAuthority(simulatedWorld(1), 'kubernetes');
const nodesAuthority = await createCertificateAuthority(simulatedWorld(1), 'nodes');

async function pkcs10(name: string): Promise<string> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const request = await x509.Pkcs10CertificateRequestGenerator.create({ name, keys, signingAlgorithm: algorithm });
  return Buffer.from(request.toString('pem')).toString('base64');
}

describe('certificate requests', () => {
  let plane: ControlPlane;
  afterEach(() => plane.close());

  async function start(options: Partial<ControllerOptions> = { signingAuthority: authority }): Promise<void> {
    plane = await startControlPlane({ options });
  }
  const get = (name: string): Promise<CertificateSigningRequest> => plane.get(CertificateSigningRequest, name);

  async function ask(name: string, subject: string, signer: string, usages: string[], more: object = {}): Promise<void> {
    await plane.create(CertificateSigningRequest, {
      metadata: { name },
      spec: { request: await pkcs10(subject), signerName: `kubernetes.io/${signer}`, usages, ...more },
    });
    await settleCrypto();
  }

  /** Keys are worked with outside the simulated world. */
  async function settleCrypto(): Promise<void> {
    for (let i = 0; i < 5; i++) {
      // Work of ours that queues up behind theirs: when it is done, so is theirs.
      await Promise.all(Array.from({ length: 4 }, () => webcrypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign'])));
      await plane.settle();
    }
  }

  async function approve(name: string): Promise<void> {
    const request = await get(name);
    const conditions = [{ type: 'Approved', status: 'True', reason: 'ByTest', message: '' }];
    await plane.admin.transport.request({
      method: 'PUT',
      path: `/apis/certificates.k8s.io/v1/certificatesigningrequests/${name}/approval`,
      body: { ...request, status: { ...request.status, conditions } },
    });
    await settleCrypto();
  }

  it('are signed once approved, for as long as they ask', async () => {
    await start();
    await ask('jane', 'CN=jane,O=dev', 'kube-apiserver-client', ['client auth'], { expirationSeconds: 3600 });
    assert.equal((await get('jane')).status.certificate, undefined);
    await approve('jane');
    const certificate = new X509Certificate(Buffer.from((await get('jane')).status.certificate ?? '', 'base64'));
    assert.ok(certificate.verify(new X509Certificate(authority.certificate).publicKey));
    assert.match(certificate.subject, /CN=jane/);
    assert.deepEqual(certificate.keyUsage, ['1.3.6.1.5.5.7.3.2']);
    const left = certificate.validToDate.getTime() - plane.world.clock.now();
    assert.ok(left > hourMs - 60_000 && left <= hourMs, `${left} ms`);
  });

  it('are signed by whom their signer signs with, if by anybody', async () => {
    await start({ signingAuthorities: { 'kubernetes.io/kube-apiserver-client-kubelet': nodesAuthority } });
    await ask('node', 'CN=system:node:n1,O=system:nodes', 'kube-apiserver-client-kubelet', ['digital signature', 'client auth']);
    await ask('jane', 'CN=jane', 'kube-apiserver-client', ['client auth']);
    await approve('node');
    await approve('jane');
    const certificate = new X509Certificate(Buffer.from((await get('node')).status.certificate ?? '', 'base64'));
    assert.match(certificate.issuer, /CN=nodes/);
    assert.ok(certificate.verify(new X509Certificate(nodesAuthority.certificate).publicKey));
    assert.equal((await get('jane')).status.certificate, undefined, 'its signer has none');
  });

  it('fail when they are not what their signer signs', async () => {
    await start();
    await ask('odd', 'CN=jane', 'kube-apiserver-client', ['client auth', 'server auth']);
    await approve('odd');
    const { status } = await get('odd');
    assert.equal(status.certificate, undefined);
    assert.equal(status.conditions?.find(({ type }) => type === 'Failed')?.reason, 'SignerValidationFailure');
  });

  it('of kubelets are approved without a human when who asks may have them', async () => {
    await start();
    await plane.create(ClusterRoleBinding, {
      metadata: { name: 'renew' },
      roleRef: {
        apiGroup: 'rbac.authorization.k8s.io',
        kind: 'ClusterRole',
        name: 'system:certificates.k8s.io:certificatesigningrequests:nodeclient',
      },
      subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'admin' }],
    });
    await ask('kubelet', 'CN=system:node:n1,O=system:nodes', 'kube-apiserver-client-kubelet', ['digital signature', 'client auth']);
    const { status } = await get('kubelet');
    assert.equal(status.conditions?.[0]?.message, 'Auto approving kubelet client certificate after SubjectAccessReview.');
    assert.ok(status.certificate);
  });

  it('that nobody decides go after a day, others an hour after they were decided', async () => {
    await start();
    await ask('pending', 'CN=a', 'kube-apiserver-client', ['client auth']);
    await ask('issued', 'CN=b', 'kube-apiserver-client', ['client auth']);
    await approve('issued');
    await plane.settle(hourMs + 60_000);
    await settleCrypto();
    assert.ok(await notFound(get('issued')));
    await get('pending');
    await plane.settle(23 * hourMs);
    await settleCrypto();
    assert.ok(await notFound(get('pending')));
  });
});

describe('bootstrap tokens', () => {
  let plane: ControlPlane;
  afterEach(() => plane.close());

  const encode = (text: string): string => Buffer.from(text).toString('base64');

  it('sign what everybody may read about the cluster, until they end and are swept', async () => {
    plane = await startControlPlane();
    const expiration = new Date(plane.world.clock.now() + hourMs).toISOString();
    await plane.create(ConfigMap, { metadata: { name: 'cluster-info', namespace: 'kube-public' }, data: { kubeconfig: 'apiVersion: v1\n' } });
    await plane.create(Secret, {
      metadata: { name: 'bootstrap-token-abcdef', namespace: 'kube-system' },
      type: 'bootstrap.kubernetes.io/token',
      data: {
        'token-id': encode('abcdef'),
        'token-secret': encode('0123456789abcdef'),
        'usage-bootstrap-signing': encode('true'),
        expiration: encode(expiration),
      },
    });
    await plane.settle();
    const signed = await plane.get(ConfigMap, 'cluster-info', 'kube-public');
    assert.match(signed.data?.['jws-kubeconfig-abcdef'] ?? '', /^eyJhbGciOiJIUzI1NiIsImtpZCI6ImFiY2RlZiJ9\.\.[\w-]{43}$/);
    await plane.settle(hourMs + 1000);
    assert.deepEqual((await plane.get(ConfigMap, 'cluster-info', 'kube-public')).data, { kubeconfig: 'apiVersion: v1\n' });
    assert.ok(await notFound(plane.get(Secret, 'bootstrap-token-abcdef', 'kube-system')));
  });
});
