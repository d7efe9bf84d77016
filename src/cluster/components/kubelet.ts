/** `k8ts kubelet`: the node agent alone, with a container runtime that is there already, or a simulated one. */
import { existsSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { V1Taint } from '../../api/types.ts';
import { createInformers } from '../../client/informers.ts';
import { simulatedHost } from '../../kubelet/host.ts';
import { createKubelet } from '../../kubelet/kubelet.ts';
import { criRuntime } from '../../kubelet/runtime/cri.ts';
import type { ContainerRuntime } from '../../kubelet/runtime/runtime.ts';
import { simulatedRuntime } from '../../kubelet/runtime/simulated.ts';
import { startKubeletServer } from '../../kubelet/server/kubelet-server.ts';
import { type CertificatePair, createCertificateAuthority, issueCertificate } from '../../kubeadm/certificates.ts';
import type { World } from '../../world/world.ts';
import { ClusterError, hostAddress } from '../config.ts';
import { plainListenError } from '../listen-error.ts';
import { clientOf, type CommonFlags, readConnection, runComponent } from './component.ts';
import { readCertificates, readPair } from './files.ts';

export interface KubeletFlags extends CommonFlags {
  readonly kubeconfig: string;
  readonly hostnameOverride?: string;
  readonly nodeIp?: string;
  readonly nodeLabels: Readonly<Record<string, string>>;
  readonly registerWithTaints: readonly V1Taint[];
  readonly rootDir: string;
  readonly podLogsDir?: string;
  readonly cgroupRoot?: string;
  readonly clusterDns: readonly string[];
  readonly clusterDomain: string;
  readonly maxPods?: number;
  readonly containerRuntimeEndpoint?: string;
  readonly runtime?: 'simulated';
  readonly address: string;
  readonly port: number;
  readonly tlsCertFile?: string;
  readonly tlsPrivateKeyFile?: string;
  readonly clientCaFile: string;
}

export function runKubelet(flags: KubeletFlags): Promise<void> {
  return runComponent('kubelet', flags, async ({ world, closers }) => {
    const { address: host, port } = flags;
    const nodeName = (flags.hostnameOverride ?? hostname()).toLowerCase();
    const nodeIps = flags.nodeIp?.split(',') ?? [hostAddress()];
    const clientCa = readCertificates('--client-ca-file', flags.clientCaFile);
    const serving = await readServing(flags, nodeName, nodeIps, world);
    const simulated = flags.runtime === 'simulated';
    const runtime = openRuntime(flags, world);
    closers.push(() => runtime.close());
    const client = clientOf(readConnection(flags.kubeconfig, 'kubelet'), closers);
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
      ...(flags.maxPods !== undefined && { maxPods: flags.maxPods }),
      clusterDns: flags.clusterDns,
      clusterDomain: flags.clusterDomain,
      serverPort: port,
      labels: flags.nodeLabels,
      taints: flags.registerWithTaints,
    });
    closers.push(() => kubelet.close());
    kubelet.started.catch(() => undefined);
    const server = await startKubeletServer({ world, pods: kubelet.pods, runtime, host, port, nodeName, ...serving, clientCa }).catch(
      (error: unknown) => {
        throw plainListenError(error, { host, port, portFlag: '--port', hostFlag: '--address' });
      },
    );
    closers.push(() => server.close());
  });
}

function openRuntime({ runtime, containerRuntimeEndpoint: endpoint }: KubeletFlags, world: World): ContainerRuntime {
  if (runtime === 'simulated') return simulatedRuntime(world);
  if (endpoint === undefined) {
    throw new ClusterError('--container-runtime-endpoint is missing, such as unix:///run/containerd/containerd.sock; or give --runtime simulated');
  }
  const socket = endpoint.replace(/^unix:\/\//, '');
  if (!socket.startsWith('/')) throw new ClusterError(`--container-runtime-endpoint ${endpoint}: is not the path of a socket`);
  if (!existsSync(socket)) throw new ClusterError(`--container-runtime-endpoint ${endpoint}: there is no such socket; is the runtime running?`);
  return criRuntime({ socket, world });
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
