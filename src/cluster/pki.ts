/**
 * The cluster's certificates and keys on disk, made once and renewed when their time runs out: an authority, the API server's certificate, and one
 * client certificate for each identity that is not a service account. Each component has its own; there is no shared secret.
 */
import { X509Certificate } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { CertificatePair, CertificateRequest } from '../kubeadm/certificates.ts';
import type { World } from '../world/world.ts';
import { fixedServiceAddresses } from './address-ranges.ts';
import { type ClusterConfig, writeAtomically } from './config.ts';
import { layoutOf } from './layout.ts';
import { linkGateway, linkGateway6 } from './nodes/link-addresses.ts';

export interface Pki {
  readonly ca: CertificatePair;
  readonly apiServer: CertificatePair;
  /** What the API server shows to kubelets. */
  readonly kubeletClient: CertificatePair;
  readonly frontProxyCa: CertificatePair;
  /** What the API server shows to servers of aggregated APIs, for them to believe who it says a request is from. */
  readonly frontProxyClient: CertificatePair;
  readonly admin: CertificatePair;
  /** The kubelet's own server. */
  readonly kubeletServer: CertificatePair;
  readonly kubelet: CertificatePair;
  readonly proxy: CertificatePair;
  readonly dns: CertificatePair;
  readonly provisioner: CertificatePair;
  readonly ingress: CertificatePair;
  readonly serviceAccountKey: string;
}

export const frontProxyName = 'front-proxy-client';

export const dnsServiceAccount = { namespace: 'kube-system', name: 'coredns' } as const;

/** Who the nodes are that serve Ingresses. */
export const ingressServiceAccount = { namespace: 'kube-system', name: 'k8ts-ingress' } as const;

/** Who the provisioners of the class `standard` are. */
export const provisionerServiceAccount = { namespace: 'kube-system', name: 'storage-provisioner' } as const;

/** What makes certificates is loaded when one is to be made: a start that finds all of them need not wait for it. */
const maker = (): Promise<typeof import('../kubeadm/certificates.ts')> => import('../kubeadm/certificates.ts');

const renewBeforeMs = 30 * 24 * 60 * 60 * 1000;

export async function ensurePki(config: ClusterConfig, world: World): Promise<Pki> {
  const { pki: directory } = layoutOf(config.dataDir);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const ca = readPair(directory, 'ca') ?? writePair(directory, 'ca', await (await maker()).createCertificateAuthority(world, 'kubernetes'));
  const frontProxyCa =
    readPair(directory, 'front-proxy-ca') ??
    writePair(directory, 'front-proxy-ca', await (await maker()).createCertificateAuthority(world, 'front-proxy-ca'));
  const leaf = (name: string, request: Omit<CertificateRequest, 'ca'>): Promise<CertificatePair> =>
    ensureLeaf(directory, name, { ca, ...request }, world);
  const { apiServer: apiServerIp } = fixedServiceAddresses(config.serviceCidr);
  const domain = config.clusterDomain;
  const nodeIp6 = config.nodeIp6 === undefined ? [] : [config.nodeIp6];
  const account = `system:serviceaccount:${dnsServiceAccount.namespace}`;
  const [frontProxyClient, apiServer, kubeletClient, admin, kubeletServer, kubelet, proxy, dns, provisioner, ingress] = await Promise.all([
    ensureLeaf(directory, 'front-proxy-client', { ca: frontProxyCa, commonName: frontProxyName, usages: ['client'] }, world),
    leaf('apiserver', {
      commonName: 'kube-apiserver',
      usages: ['server'],
      dnsNames: [
        'kubernetes',
        'kubernetes.default',
        'kubernetes.default.svc',
        `kubernetes.default.svc.${domain}`,
        'localhost',
        hostname().toLowerCase(),
      ],
      ipAddresses: [
        '127.0.0.1',
        '::1',
        apiServerIp,
        config.nodeIp,
        ...nodeIp6,
        ...(config.linkCidr === undefined ? [] : [linkGateway(config.linkCidr)]),
        ...(config.linkCidr6 === undefined ? [] : [linkGateway6(config.linkCidr6)]),
        ...(config.advertise === undefined ? [] : [config.advertise]),
      ],
    }),
    leaf('apiserver-kubelet-client', { commonName: 'kube-apiserver-kubelet-client', organizations: ['kubeadm:cluster-admins'], usages: ['client'] }),
    leaf('admin', { commonName: 'kubernetes-admin', organizations: ['system:masters'], usages: ['client'] }),
    leaf('kubelet-server', {
      commonName: `system:node:${config.nodeName}`,
      organizations: ['system:nodes'],
      usages: ['server'],
      dnsNames: [config.nodeName],
      ipAddresses: ['127.0.0.1', config.nodeIp, ...nodeIp6],
    }),
    leaf('kubelet', { commonName: `system:node:${config.nodeName}`, organizations: ['system:nodes'], usages: ['client'] }),
    leaf('proxy', { commonName: 'system:kube-proxy', organizations: ['system:node-proxier'], usages: ['client'] }),
    leaf('dns', {
      commonName: `${account}:${dnsServiceAccount.name}`,
      organizations: ['system:serviceaccounts', `system:serviceaccounts:${dnsServiceAccount.namespace}`],
      usages: ['client'],
    }),
    leaf('provisioner', {
      commonName: `${account}:${provisionerServiceAccount.name}`,
      organizations: ['system:serviceaccounts', `system:serviceaccounts:${provisionerServiceAccount.namespace}`],
      usages: ['client'],
    }),
    leaf('ingress', {
      commonName: `${account}:${ingressServiceAccount.name}`,
      organizations: ['system:serviceaccounts', `system:serviceaccounts:${ingressServiceAccount.namespace}`],
      usages: ['client'],
    }),
  ]);
  const keyPath = join(directory, 'service-account.key');
  if (!existsSync(keyPath)) writeAtomically(keyPath, await (await maker()).createSigningKey(), 0o600);
  return {
    ca,
    apiServer,
    kubeletClient,
    frontProxyCa,
    frontProxyClient,
    admin,
    kubeletServer,
    kubelet,
    proxy,
    dns,
    provisioner,
    ingress,
    serviceAccountKey: readFileSync(keyPath, 'utf8'),
  };
}

/** A certificate is made anew when it soon ends or was made for other names and addresses (the host moved). */
async function ensureLeaf(directory: string, name: string, request: CertificateRequest, world: World): Promise<CertificatePair> {
  const madeFor = JSON.stringify({ ...request, ca: undefined });
  const notePath = join(directory, `${name}.request.json`);
  const known = readPair(directory, name);
  const current = known && existsSync(notePath) && readFileSync(notePath, 'utf8') === madeFor;
  if (known && current && Date.parse(new X509Certificate(known.certificate).validTo) - world.clock.now() > renewBeforeMs) return known;
  const pair = writePair(directory, name, await (await maker()).issueCertificate(world, request));
  writeAtomically(notePath, madeFor);
  return pair;
}

/** Undefined when either half is missing. */
export function readPair(directory: string, name: string): CertificatePair | undefined {
  const [certificate, key] = [join(directory, `${name}.crt`), join(directory, `${name}.key`)];
  if (!existsSync(certificate) || !existsSync(key)) return undefined;
  return { certificate: readFileSync(certificate, 'utf8'), key: readFileSync(key, 'utf8') };
}

export function writePair(directory: string, name: string, pair: CertificatePair): CertificatePair {
  writeAtomically(join(directory, `${name}.key`), pair.key, 0o600);
  writeAtomically(join(directory, `${name}.crt`), pair.certificate);
  return pair;
}
