/** `k8ts kube-apiserver`: the API server alone. */
import { mkdirSync } from 'node:fs';
import { createApiServer } from '../../apiserver/create-api-server.ts';
import { IpError, parseCidr } from '../../machinery/ip.ts';
import { openLmdbStore } from '../../store/lmdb.ts';
import { memoryStore } from '../../store/memory.ts';
import type { Store } from '../../store/store.ts';
import type { World } from '../../world/world.ts';
import { ClusterError } from '../config.ts';
import { plainListenError } from '../listen-error.ts';
import { readTokens } from '../token-file.ts';
import { readSecurity, type SecurityFlags } from './api-server-security.ts';
import { followCertificates } from './certificate-files.ts';
import { type CommonFlags, runComponent } from './component.ts';
import { readCertificates, readPair, readSigningKey } from './files.ts';

export interface ApiServerFlags extends CommonFlags, SecurityFlags {
  readonly serviceAccountSigningKeyFile: string;
  readonly serviceAccountKeyFile?: string;
  readonly serviceAccountIssuer: string;
  readonly tlsCertFile: string;
  readonly tlsPrivateKeyFile: string;
  readonly clientCaFile: string;
  readonly serviceClusterIpRange: string;
  readonly serviceNodePortRange: string;
  readonly securePort: number;
  readonly bindAddress: string;
  readonly advertiseAddress?: string;
  readonly tokenAuthFile?: string;
  readonly kubeletClientCertificate?: string;
  readonly kubeletClientKey?: string;
  readonly kubeletCertificateAuthority?: string;
  readonly storage?: string;
  readonly etcdServers?: string;
}

export function runApiServer(flags: ApiServerFlags): Promise<void> {
  return runComponent('kube-apiserver', flags, async ({ world, closers }) => {
    const { bindAddress: host, securePort: port } = flags;
    // Everything is read and checked before anything is opened.
    const serving = readPair('--tls-cert-file', flags.tlsCertFile, '--tls-private-key-file', flags.tlsPrivateKeyFile);
    const settings = {
      serviceCidr: readRange(flags.serviceClusterIpRange),
      nodePortRange: readPorts(flags.serviceNodePortRange),
      ...(flags.advertiseAddress !== undefined && { advertise: { address: flags.advertiseAddress, port } }),
      serviceAccountKey: readSigningKey(flags.serviceAccountSigningKeyFile, flags.serviceAccountKeyFile),
      serviceAccountIssuer: flags.serviceAccountIssuer,
      staticTokens: flags.tokenAuthFile === undefined ? new Map() : readTokens(flags.tokenAuthFile),
      clientCa: readCertificates('--client-ca-file', flags.clientCaFile),
      ...readKubeletClient(flags),
      ...readSecurity(flags, world),
    };
    const store = await openStore(flags, world);
    closers.push(() => store.close());
    const server = await createApiServer({ world, store, ...settings });
    closers.push(() => server.close());
    await server.listen({ host, port, ...serving }).catch((error: unknown) => {
      throw plainListenError(error, { host, port, portFlag: '--secure-port', hostFlag: '--bind-address' });
    });
    closers.push(followCertificates(flags, server, world));
    world.log.info('serving', { host, port });
  });
}

async function openStore({ etcdServers, storage }: ApiServerFlags, world: World): Promise<Store> {
  if (etcdServers !== undefined) {
    throw new ClusterError('--etcd-servers is not there yet: give --storage <directory> instead, or nothing to keep everything in memory');
  }
  if (storage === undefined) {
    world.log.warn('everything is kept in memory and lost at the end: --storage <directory> keeps it');
    return memoryStore({ clock: world.clock });
  }
  try {
    mkdirSync(storage, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new ClusterError(`--storage ${storage}: the directory cannot be made: ${String(error)}`);
  }
  return openLmdbStore({ path: storage, world });
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

function readPorts(text: string): { from: number; to: number } {
  const [from = 0, to = 0] = (/^(\d+)-(\d+)$/.exec(text) ?? []).slice(1).map(Number);
  if (from < 1 || to > 65_535 || from > to) throw new ClusterError(`--service-node-port-range ${text}: is not two ports, such as 30000-32767`);
  return { from, to };
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
