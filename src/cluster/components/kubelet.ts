/** `k8ts kubelet`: the node agent alone, with a container runtime that is there already, or a simulated one. */
import { existsSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { V1Taint } from '../../api/types.ts';
import { createInformers } from '../../client/informers.ts';
import { simulatedHost } from '../../kubelet/host.ts';
import type { KubeletFile } from '../../kubelet/configuration/kubelet-configuration.ts';
import { createKubelet } from '../../kubelet/kubelet.ts';
import { criRuntime } from '../../kubelet/runtime/cri.ts';
import type { ContainerRuntime } from '../../kubelet/runtime/runtime.ts';
import { simulatedRuntime } from '../../kubelet/runtime/simulated.ts';
import { delegatedAccess } from '../../kubelet/server/delegated-access.ts';
import { startKubeletServer } from '../../kubelet/server/kubelet-server.ts';
import { KubeletCounters } from '../../kubelet/stats/kubelet-counters.ts';
import { type CertificatePair, createCertificateAuthority, issueCertificate } from '../../kubeadm/certificates.ts';
import type { World } from '../../world/world.ts';
import { ClusterError, hostAddress } from '../config.ts';
import { plainListenError } from '../listen-error.ts';
import { type KubeletSettingFlags, kubeletOptionsOf, readKubeletFile } from '../kubelet-file.ts';
import { clientOf, type CommonFlags, readConnection, runComponent } from './component.ts';
import { readCertificates, readPair } from './files.ts';

export interface KubeletFlags extends CommonFlags, KubeletSettingFlags {
  readonly config?: string;
  readonly kubeconfig: string;
  readonly hostnameOverride?: string;
  readonly nodeIp?: string;
  readonly nodeLabels: Readonly<Record<string, string>>;
  readonly registerWithTaints: readonly V1Taint[];
  readonly rootDir: string;
  readonly podLogsDir?: string;
  readonly cgroupRoot?: string;
  readonly clusterDns: readonly string[];
  readonly clusterDomain?: string;
  readonly maxPods?: number;
  readonly containerRuntimeEndpoint?: string;
  readonly runtime?: 'simulated';
  readonly address?: string;
  readonly port?: number;
  readonly tlsCertFile?: string;
  readonly tlsPrivateKeyFile?: string;
  readonly clientCaFile?: string;
}

export function runKubelet(given: KubeletFlags): Promise<void> {
  const file = given.config === undefined ? { settings: {} } : readKubeletFile('--config', given.config);
  const flags = withFile(given, file);
  return runComponent('kubelet', flags, async ({ world, closers }) => {
    const { address: host = '0.0.0.0', port = 10_250 } = flags;
    if (flags.clientCaFile === undefined) throw new ClusterError('--client-ca-file is missing: authorities of the certificates of who calls');
    const nodeName = (flags.hostnameOverride ?? hostname()).toLowerCase();
    const nodeIps = flags.nodeIp?.split(',') ?? [hostAddress()];
    const clientCa = readCertificates('--client-ca-file', flags.clientCaFile);
    const serving = await readServing(flags, nodeName, nodeIps, world);
    const simulated = flags.runtime === 'simulated';
    const counters = new KubeletCounters();
    const runtime = openRuntime(flags, world, counters);
    closers.push(() => runtime.close());
    const client = clientOf(readConnection(flags.kubeconfig, 'kubelet'), closers);
    const chosen = kubeletOptionsOf(file, flags, world);
    const informers = createInformers(client, world);
    closers.push(() => informers.close());
    const kubelet = createKubelet({
      world,
      client,
      informers,
      runtime,
      nodeName,
      nodeIps,
      rootDir: flags.rootDir,
      logRoot: flags.podLogsDir ?? (simulated ? join(flags.rootDir, 'pod-logs') : '/var/log/pods'),
      ...(simulated && { host: simulatedHost() }),
      ...(flags.cgroupRoot !== undefined && { cgroupPrefix: flags.cgroupRoot }),
      clusterDns: flags.clusterDns,
      clusterDomain: flags.clusterDomain ?? 'cluster.local',
      serverPort: port,
      labels: flags.nodeLabels,
      taints: flags.registerWithTaints,
      counters,
      ...chosen,
      ...(flags.maxPods !== undefined && { maxPods: flags.maxPods }),
    });
    closers.push(async () => {
      await kubelet.shutDown();
      kubelet.close();
    });
    kubelet.started.catch(() => undefined);
    const { pods, stats } = kubelet;
    const access = delegatedAccess(client, world, nodeName);
    const server = await startKubeletServer({
      world,
      pods,
      stats,
      access,
      runtime,
      configz: () => chosen.shownSettings ?? {},
      pages: chosen.settings?.pages,
      host,
      port,
      nodeName,
      ...serving,
      clientCa,
    }).catch((error: unknown) => {
      throw plainListenError(error, { host, port, portFlag: '--port', hostFlag: '--address' });
    });
    closers.push(() => server.close());
  });
}

/** What the file says where no flag does. */
function withFile(flags: KubeletFlags, file: KubeletFile): KubeletFlags {
  const { address, port, clusterDns, clusterDomain, cgroupRoot, podLogsDir, containerRuntimeEndpoint, registerWithTaints } = file;
  const { tlsCertFile, tlsPrivateKeyFile, clientCaFile } = file;
  return {
    ...(address !== undefined && { address }),
    ...(port !== undefined && { port }),
    ...(clusterDomain !== undefined && { clusterDomain }),
    ...(cgroupRoot !== undefined && { cgroupRoot }),
    ...(podLogsDir !== undefined && { podLogsDir }),
    ...(containerRuntimeEndpoint !== undefined && flags.runtime === undefined && { containerRuntimeEndpoint }),
    ...(tlsCertFile !== undefined && { tlsCertFile }),
    ...(tlsPrivateKeyFile !== undefined && { tlsPrivateKeyFile }),
    ...(clientCaFile !== undefined && { clientCaFile }),
    ...flags,
    clusterDns: flags.clusterDns.length > 0 ? flags.clusterDns : (clusterDns ?? []),
    registerWithTaints: flags.registerWithTaints.length > 0 ? flags.registerWithTaints : (registerWithTaints ?? []),
  };
}

function openRuntime({ runtime, containerRuntimeEndpoint: endpoint }: KubeletFlags, world: World, counters: KubeletCounters): ContainerRuntime {
  if (runtime === 'simulated') return simulatedRuntime(world);
  if (endpoint === undefined) {
    throw new ClusterError('--container-runtime-endpoint is missing, such as unix:///run/containerd/containerd.sock; or give --runtime simulated');
  }
  const socket = endpoint.replace(/^unix:\/\//, '');
  if (!socket.startsWith('/')) throw new ClusterError(`--container-runtime-endpoint ${endpoint}: is not the path of a socket`);
  if (!existsSync(socket)) throw new ClusterError(`--container-runtime-endpoint ${endpoint}: there is no such socket; is the runtime running?`);
  return criRuntime({ socket, world, onCall: counters.operation.bind(counters) });
}

/** Signed by itself when no certificate is given, as upstream: then the API server cannot check whom it talks to. */
async function readServing(
  { tlsCertFile, tlsPrivateKeyFile }: KubeletFlags,
  nodeName: string,
  nodeIps: readonly string[],
  world: World,
): Promise<CertificatePair> {
  if (tlsCertFile !== undefined && tlsPrivateKeyFile !== undefined) {
    return readPair('--tls-cert-file', tlsCertFile, '--tls-private-key-file', tlsPrivateKeyFile);
  }
  if (tlsCertFile !== undefined || tlsPrivateKeyFile !== undefined) {
    throw new ClusterError('--tls-cert-file and --tls-private-key-file go together: give both');
  }
  const ca = await createCertificateAuthority(world, `${nodeName}-ca`);
  return issueCertificate(world, { ca, commonName: nodeName, dnsNames: [nodeName], ipAddresses: nodeIps, usages: ['server'] });
}
