/**
 * The cluster's port for clients outside the process, or inside it over the wire: HTTPS with an authority made for this cluster alone. Nothing here
 * happens, and no key is made, unless a port is asked for.
 */
import type { ApiServer, ListenOptions } from '../../apiserver/api-server.ts';
import type { CertificatePair } from '../../kubeadm/certificates.ts';
import type { World } from '../../world/world.ts';
import { fixedServiceAddresses } from '../address-ranges.ts';

export interface Credentials {
  readonly ca: CertificatePair;
  readonly server: CertificatePair;
  readonly admin: CertificatePair;
  readonly serviceAccountKey: string;
}

const host = '127.0.0.1';

/** `world` is the real one, whatever clock the cluster has: clients check certificates by theirs. */
export async function createCredentials(world: World, serviceCidr: string): Promise<Credentials> {
  const { createCertificateAuthority, createSigningKey, issueCertificate } = await import('../../kubeadm/certificates.ts');
  const ca = await createCertificateAuthority(world, 'k8ts-in-process');
  const [server, admin, serviceAccountKey] = await Promise.all([
    issueCertificate(world, {
      ca,
      commonName: 'kube-apiserver',
      usages: ['server'],
      dnsNames: ['localhost', 'kubernetes', 'kubernetes.default', 'kubernetes.default.svc'],
      ipAddresses: [host, '::1', fixedServiceAddresses(serviceCidr).apiServer],
    }),
    issueCertificate(world, { ca, commonName: 'kubernetes-admin', organizations: ['system:masters'], usages: ['client'] }),
    createSigningKey(),
  ]);
  return { ca, server, admin, serviceAccountKey };
}

export function listen(apiServer: ApiServer, port: number, { server }: Credentials): Promise<number> {
  const options: ListenOptions = { host, port, certificate: server.certificate, key: server.key };
  return apiServer.listen(options);
}

/** A kubeconfig with everything in it, as text; JSON, which every reader of YAML takes. */
export function kubeconfigOf(port: number, { ca, admin }: Credentials): string {
  const base64 = (pem: string): string => Buffer.from(pem).toString('base64');
  const name = 'k8ts';
  return JSON.stringify(
    {
      apiVersion: 'v1',
      kind: 'Config',
      'current-context': name,
      clusters: [{ name, cluster: { server: `https://${host}:${port}`, 'certificate-authority-data': base64(ca.certificate) } }],
      users: [{ name, user: { 'client-certificate-data': base64(admin.certificate), 'client-key-data': base64(admin.key) } }],
      contexts: [{ name, context: { cluster: name, user: name, namespace: 'default' } }],
    },
    undefined,
    2,
  );
}
