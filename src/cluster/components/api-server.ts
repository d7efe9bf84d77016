/** `k8ts kube-apiserver`: the API server alone. */
import { mkdirSync } from 'node:fs';
import { isIP } from 'node:net';
import { hostname } from 'node:os';
import type { ApiServerOptions, ListenOptions, ServingCertificates } from '../../apiserver/api-server.ts';
import { createApiServer } from '../../apiserver/create-api-server.ts';
import { IpError, parseCidr } from '../../machinery/ip.ts';
import { openLmdbStore } from '../../store/lmdb.ts';
import { memoryStore } from '../../store/memory.ts';
import type { Store } from '../../store/store.ts';
import type { World } from '../../world/world.ts';
import { ClusterError } from '../config.ts';
import { plainListenError } from '../listen-error.ts';
import { readTokens } from '../token-file.ts';
import { followedConfigurations, readSecurity, type SecurityFlags } from './api-server-security.ts';
import { readSni, readTls, sniFiles, type TlsFlags } from './api-server-tls.ts';
import { type CommonFlags, runComponent } from './component.ts';
import { followFiles, type Followed } from './configuration-files.ts';
import { readCertificates, readPair, readSigningKey, readVerificationKeys } from './files.ts';

export interface ApiServerFlags extends CommonFlags, SecurityFlags, TlsFlags {
  readonly serviceAccountSigningKeyFile: string;
  readonly serviceAccountKeyFile: readonly string[];
  readonly serviceAccountJwksUri?: string;
  readonly serviceAccountMaxTokenExpiration?: number;
  readonly enableAdmissionPlugins: readonly string[];
  readonly disableAdmissionPlugins: readonly string[];
  readonly tlsCertFile: string;
  readonly tlsPrivateKeyFile: string;
  readonly clientCaFile: string;
  readonly serviceClusterIpRange: string;
  readonly serviceNodePortRange: string;
  readonly securePort: number;
  readonly bindAddress: string;
  readonly advertiseAddress?: string;
  readonly tokenAuthFile?: string;
  readonly proxyClientCertFile?: string;
  readonly proxyClientKeyFile?: string;
  readonly kubeletClientCertificate?: string;
  readonly kubeletClientKey?: string;
  readonly kubeletCertificateAuthority?: string;
  readonly storage?: string;
  readonly historyRevisions?: number;
  readonly etcdServers?: string;
}

export function runApiServer(flags: ApiServerFlags): Promise<void> {
  return runComponent('kube-apiserver', flags, async ({ world, closers }) => {
    const { bindAddress: host, securePort: port } = flags;
    // Everything is read and checked before anything is opened.
    const serving = readServing(flags);
    const tls = readTls(flags);
    const settings = {
      serviceCidr: readRange(flags.serviceClusterIpRange),
      nodePortRange: readPorts(flags.serviceNodePortRange),
      ...(flags.advertiseAddress !== undefined && { advertise: { address: readAdvertised(flags.advertiseAddress), port } }),
      ...readServiceAccounts(flags),
      admissionPlugins: { enabled: flags.enableAdmissionPlugins, disabled: flags.disableAdmissionPlugins },
      staticTokens: flags.tokenAuthFile === undefined ? new Map() : readTokens(flags.tokenAuthFile),
      clientCa: readCertificates('--client-ca-file', flags.clientCaFile),
      ...readKubeletClient(flags),
      ...readProxyClient(flags),
      ...readSecurity(flags, world),
    };
    const store = await openStore(flags, world);
    closers.push(() => store.close());
    const server = await createApiServer({ world, store, hostname: hostname().toLowerCase(), ...settings });
    closers.push(() => server.close());
    await server.listen({ host, port, ...serving, tls }).catch((error: unknown) => {
      throw plainListenError(error, { host, port, portFlag: '--secure-port', hostFlag: '--bind-address' });
    });
    closers.push(followFiles([servingFiles(flags), ...followedConfigurations(flags, world)], server, world));
    world.log.info('serving', { host, port });
  });
}

function readServing(flags: ApiServerFlags): Pick<ListenOptions, 'certificate' | 'key' | 'sni'> {
  return {
    ...readPair('--tls-cert-file', flags.tlsCertFile, '--tls-private-key-file', flags.tlsPrivateKeyFile),
    sni: readSni(flags.tlsSniCertKey),
  };
}

function servingFiles(flags: ApiServerFlags): Followed {
  const read = (): ServingCertificates => ({ ...readServing(flags), clientCa: readCertificates('--client-ca-file', flags.clientCaFile) });
  const files = [flags.tlsCertFile, flags.tlsPrivateKeyFile, flags.clientCaFile, ...flags.tlsSniCertKey.flatMap(sniFiles)];
  return { name: 'certificates', files, read: () => JSON.stringify(read()), take: (server) => server.replaceCertificates(read()) };
}

function readServiceAccounts(
  flags: ApiServerFlags,
): Partial<ApiServerOptions> & Pick<ApiServerOptions, 'serviceAccountKey' | 'serviceAccountIssuer'> {
  const [issuer = '', ...former] = flags.serviceAccountIssuer;
  const { serviceAccountJwksUri, serviceAccountMaxTokenExpiration: longest } = flags;
  if (serviceAccountJwksUri !== undefined && !serviceAccountJwksUri.startsWith('https://')) {
    throw new ClusterError(`--service-account-jwks-uri ${serviceAccountJwksUri}: has to begin with https://`);
  }
  if (longest !== undefined && (longest < shortestTokenMs || longest > longestTokenMs)) {
    throw new ClusterError('--service-account-max-token-expiration: must be between 1 hour and 2^32 seconds');
  }
  const { apiAudiences } = flags;
  return {
    serviceAccountKey: readSigningKey(flags.serviceAccountSigningKeyFile),
    serviceAccountVerificationKeys: readVerificationKeys(flags.serviceAccountKeyFile),
    serviceAccountIssuer: issuer,
    serviceAccountFormerIssuers: former,
    // As upstream: the first issuer is whom tokens are for when nobody says.
    apiAudiences: apiAudiences ?? [issuer],
    ...(serviceAccountJwksUri !== undefined && { serviceAccountJwksUri }),
    ...(longest !== undefined && { serviceAccountMaxExpirationMs: longest }),
  };
}

const shortestTokenMs = 60 * 60 * 1000;
const longestTokenMs = 2 ** 32 * 1000;

async function openStore({ etcdServers, storage, historyRevisions: revisions }: ApiServerFlags, world: World): Promise<Store> {
  const history = revisions === undefined ? {} : { history: { revisions } };
  if (etcdServers !== undefined) {
    throw new ClusterError('--etcd-servers is not there yet: give --storage <directory> instead, or nothing to keep everything in memory');
  }
  if (storage === undefined) {
    world.log.warn('everything is kept in memory and lost at the end: --storage <directory> keeps it');
    return memoryStore({ clock: world.clock, ...history });
  }
  try {
    mkdirSync(storage, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new ClusterError(`--storage ${storage}: the directory cannot be made: ${String(error)}`);
  }
  return openLmdbStore({ path: storage, world, ...history });
}

function readRange(text: string): string {
  try {
    parseCidr(text);
    return text;
  } catch (error) {
    if (error instanceof IpError) throw new ClusterError(`--service-cluster-ip-range ${text}: is not a range of addresses, such as 10.96.0.0/16`);
    throw error;
  }
}

/** It becomes an endpoint, and endpoints have to be reachable from elsewhere. */
function readAdvertised(address: string): string {
  if (isIP(address) === 0) throw new ClusterError(`--advertise-address ${address}: is not an IP address`);
  if (/^(127\.|::1$|0\.0\.0\.0$|::$|169\.254\.|fe80:)/i.test(address)) {
    throw new ClusterError(
      `--advertise-address ${address}: others cannot reach it; give an address of this machine that they can, or leave the flag out`,
    );
  }
  return address;
}

function readPorts(text: string): { from: number; to: number } {
  const [from = 0, to = 0] = (/^(\d+)-(\d+)$/.exec(text) ?? []).slice(1).map(Number);
  if (from < 1 || to > 65_535 || from > to) throw new ClusterError(`--service-node-port-range ${text}: is not two ports, such as 30000-32767`);
  return { from, to };
}

function readProxyClient({ proxyClientCertFile, proxyClientKeyFile }: ApiServerFlags): { proxyClient?: { certificate: string; key: string } } {
  if (proxyClientCertFile === undefined && proxyClientKeyFile === undefined) return {};
  if (proxyClientCertFile === undefined || proxyClientKeyFile === undefined) {
    throw new ClusterError('--proxy-client-cert-file and --proxy-client-key-file go together: give both');
  }
  return { proxyClient: readPair('--proxy-client-cert-file', proxyClientCertFile, '--proxy-client-key-file', proxyClientKeyFile) };
}

function readKubeletClient(flags: ApiServerFlags): { kubeletClient?: { certificate: string; key: string; ca: string } } {
  const { kubeletClientCertificate: certificate, kubeletClientKey: key, kubeletCertificateAuthority: ca } = flags;
  if (certificate === undefined && key === undefined && ca === undefined) return {};
  if (certificate === undefined || key === undefined || ca === undefined) {
    throw new ClusterError('--kubelet-client-certificate, --kubelet-client-key and --kubelet-certificate-authority go together: give all three');
  }
  const pair = readPair('--kubelet-client-certificate', certificate, '--kubelet-client-key', key);
  return { kubeletClient: { ...pair, ca: readCertificates('--kubelet-certificate-authority', ca) } };
}
