/** How a node comes by its certificates, and by the next ones before they end: the node's own code against the API server and its controllers, on a virtual clock. */
import assert from 'node:assert/strict';
import { webcrypto, X509Certificate } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { CertificateSigningRequest, ClusterRoleBinding, Node } from '../../src/api/kinds.ts';
import type { Client } from '../../src/client/client.ts';
import { joinedIdentities, type JoinedIdentities, type Proof } from '../../src/cluster/nodes/joined-identities.ts';
import { joiningGroup } from '../../src/kubeadm/bootstrap-token.ts';
import { type CertificatePair, createCertificateAuthority } from '../../src/kubeadm/certificates.ts';
import { installJoinSupport } from '../../src/kubeadm/join-support.ts';
import { simulatedWorld } from '../../src/world/simulated.ts';
import { type ControlPlane, readyNode, startControlPlane } from './control-plane.ts';

const minuteMs = 60_000;
const lifeMs = 60 * minuteMs;
const authority = await createCertificateAuthority(simulatedWorld(1), 'kubernetes');
const names = ['kubelet', 'kubeletServer', 'proxy', 'dns', 'provisioner', 'ingress'] as const;

describe("a node's certificates", () => {
  let plane: ControlPlane;
  let dataDir: string;
  let identities: JoinedIdentities;
  beforeEach(async () => {
    dataDir = mkdtempSync(join(tmpdir(), 'k8ts-node-'));
    mkdirSync(join(dataDir, 'pki'));
    plane = await startControlPlane({
      controllers: 'certificatesigningrequest-approving-controller,certificatesigningrequest-signing-controller',
      options: { signingAuthority: authority, signingDurationMs: lifeMs },
    });
    const podNetwork = { mode: 'auto', vni: 1, port: 8472 } as const;
    const facts = {
      serviceCidr: '10.96.0.0/16',
      clusterCidr: '10.244.0.0/16',
      clusterDomain: 'cluster.local',
      clusterDns: ['10.96.0.10'],
      podNetwork,
    };
    await installJoinSupport(plane.admin, { server: 'https://192.0.2.1:6443', ca: authority.certificate, facts });
  });
  afterEach(async () => {
    identities.close();
    await plane.close();
    rmSync(dataDir, { recursive: true, force: true });
  });

  /** As the API server knows who shows a certificate or a token. */
  function connect(proof: Proof): Client {
    if ('token' in proof) return plane.clientAs('system:bootstrap:abcdef', ['system:bootstrappers', joiningGroup]);
    const { certificate } = proof;
    assert.ok(new X509Certificate(certificate).validToDate.getTime() > plane.world.clock.now(), 'a certificate was shown after its end');
    const fields = new X509Certificate(certificate).subject.split('\n').map((line) => line.split('='));
    const of = (key: string): string[] => fields.filter(([name]) => name === key).map(([, value = '']) => value);
    return plane.clientAs(of('CN')[0] ?? '', of('O'));
  }

  function begin(token: string | undefined): void {
    const settings = { dataDir, nodeName: 'n1', server: 'https://192.0.2.1:6443' };
    identities = joinedIdentities(settings, { ca: authority.certificate, token }, plane.world, connect);
  }

  async function register(address: string): Promise<void> {
    const node = readyNode('n1', plane.world);
    const addresses = [
      { type: 'InternalIP', address },
      { type: 'Hostname', address: 'n1' },
    ];
    await plane.admin.resource(Node).create({ ...node, status: { ...node.status, addresses } });
  }

  /** Keys are worked with outside the simulated world: work of ours that queues up behind theirs is done when theirs is. */
  async function until(what: string, done: () => boolean): Promise<void> {
    for (let round = 0; round < 400 && !done(); round++) {
      await Promise.all(Array.from({ length: 4 }, () => webcrypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign'])));
      await plane.settle(50);
    }
    assert.ok(done(), `never: ${what}\n${plane.complaints.slice(-5).join('\n')}`);
  }

  const current = (): (CertificatePair | undefined)[] => names.map((name) => identities[name].current());

  it('come with a token, each under a name of its own', async () => {
    begin('abcdef.0123456789abcdef');
    await register('10.0.0.1');
    await until('all certificates', () => current().every((pair) => pair !== undefined));
    const subjects = current().map((pair) => new X509Certificate(pair?.certificate ?? '').subject.split('\n').at(-1));
    assert.deepEqual(subjects, [
      'CN=system:node:n1',
      'CN=system:node:n1',
      'CN=system:kube-proxy',
      'CN=system:serviceaccount:kube-system:coredns',
      'CN=system:serviceaccount:kube-system:storage-provisioner',
      'CN=system:serviceaccount:kube-system:k8ts-ingress',
    ]);
    assert.match(new X509Certificate(identities.kubeletServer.current()?.certificate ?? '').subjectAltName ?? '', /DNS:n1, IP Address:10\.0\.0\.1/);
    assert.ok(existsSync(join(dataDir, 'pki', 'kubelet.crt')));
  });

  it('are renewed before they end, time and again, and found by the next start', async () => {
    begin('abcdef.0123456789abcdef');
    await register('10.0.0.1');
    await until('all certificates', () => current().every((pair) => pair !== undefined));
    for (let round = 0; round < 3; round++) {
      const before = current();
      for (let minute = 0; minute < 61; minute++) {
        await plane.settle(minuteMs);
        await until('good ones', () => current().every((pair) => endOf(pair) > plane.world.clock.now()));
        if (current().every((pair, index) => pair !== before[index])) break;
      }
      assert.ok(
        current().every((pair, index) => pair !== before[index]),
        'each is another one',
      );
    }
    const last = current();
    identities.close();
    begin(undefined);
    assert.deepEqual(current(), last);
  });

  it('wait for a human when the rights for it are taken away', async () => {
    await plane.admin.resource(ClusterRoleBinding).delete('k8ts:node-certificates');
    begin('abcdef.0123456789abcdef');
    await register('10.0.0.1');
    await until('the kubelet is someone', () => identities.kubelet.current() !== undefined);
    await plane.settle(5 * minuteMs);
    assert.deepEqual(
      current().map((pair) => pair !== undefined),
      [true, false, false, false, false, false],
    );
    const requests = await plane.list(CertificateSigningRequest);
    assert.ok(
      requests
        .filter(({ spec }) => spec.signerName === 'kubernetes.io/kubelet-serving')
        .every(({ status }) => (status.conditions ?? []).length === 0),
    );
  });

  it('do not come without token or certificate', async () => {
    begin(undefined);
    await register('10.0.0.1');
    await plane.settle(5 * minuteMs);
    assert.deepEqual(await plane.list(CertificateSigningRequest), []);
    assert.match(plane.complaints.join('\n'), /join again with k8ts join/);
  });
});

function endOf(pair: CertificatePair | undefined): number {
  return pair === undefined ? 0 : new X509Certificate(pair.certificate).validToDate.getTime();
}
