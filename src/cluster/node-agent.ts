/**
 * The node in one process: kubelet, service proxy, pod network and DNS. Each reaches the API server over HTTPS with a certificate of its own, as it
 * would from another machine.
 */
import { existsSync, readFileSync } from 'node:fs';
import { EndpointSlice } from '../api/kinds.ts';
import type { Client } from '../client/client.ts';
import { httpTransport } from '../client/http.ts';
import type { Informers } from '../client/informer.ts';
import { createInformers } from '../client/informers.ts';
import { createClient } from '../client/typed-client.ts';
import { startDnsServer } from '../dns/dns-server.ts';
import type { CertificatePair } from '../kubeadm/certificates.ts';
import { simulatedHost } from '../kubelet/host.ts';
import { createKubelet } from '../kubelet/kubelet.ts';
import { startContainerd } from '../kubelet/runtime/containerd.ts';
import { criRuntime } from '../kubelet/runtime/cri.ts';
import type { ContainerRuntime } from '../kubelet/runtime/runtime.ts';
import { simulatedRuntime } from '../kubelet/runtime/simulated.ts';
import { startKubeletServer } from '../kubelet/server/kubelet-server.ts';
import { startPodNetwork } from '../network/pod-network.ts';
import { startProxy } from '../proxy/proxy.ts';
import type { World } from '../world/world.ts';
import { loadBuiltInImages, pauseImageName } from './built-in-images.ts';
import { type ClusterConfig, fixedServiceAddresses } from './config.ts';
import { layoutOf } from './layout.ts';
import { plainListenError } from './listen-error.ts';
import { dnsServiceAccount, type Pki } from './pki.ts';

export interface NodeAgent {
  close(): Promise<void>;
}

/** Things to close, in the order they were opened; closing goes backwards. */
type Closers = (() => void | Promise<void>)[];

export function proxyTable(id: string): string {
  return `k8ts-${id}-services`;
}

export async function startNodeAgent(config: ClusterConfig, pki: Pki, world: World, progress: (text: string) => void): Promise<NodeAgent> {
  const closers: Closers = [];
  const close = async (): Promise<void> => {
    for (const end of closers.splice(0).reverse()) await end();
  };
  try {
    await start(config, pki, world, progress, closers);
    return { close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function start(config: ClusterConfig, pki: Pki, world: World, progress: (text: string) => void, closers: Closers): Promise<void> {
  const layout = layoutOf(config.dataDir);
  const real = config.runtime === 'containerd';
  const runtime = real ? await startRuntime(config, world, progress, closers) : { runtime: simulatedRuntime(world), controlGroup: '' };
  closers.push(() => runtime.runtime.close());
  const node = connect(config, pki, pki.kubelet, world, closers);
  const kubelet = createKubelet({
    world,
    client: node.client,
    informers: node.informers,
    runtime: runtime.runtime,
    nodeName: config.nodeName,
    nodeIps: [config.nodeIp],
    rootDir: layout.kubelet,
    logRoot: layout.podLogs,
    ...(real ? { cgroupPrefix: runtime.controlGroup } : { host: simulatedHost() }),
    clusterDns: [fixedServiceAddresses(config.serviceCidr).dns],
    clusterDomain: config.clusterDomain,
    serverPort: config.kubeletPort,
  });
  closers.push(() => kubelet.close());
  const server = await startKubeletServer({
    world,
    pods: kubelet.pods,
    runtime: runtime.runtime,
    host: '0.0.0.0',
    port: config.kubeletPort,
    ...pki.kubeletServer,
    clientCa: pki.ca.certificate,
  }).catch((error: unknown) => {
    throw plainListenError(error, { host: '0.0.0.0', port: config.kubeletPort, portFlag: '--port', hostFlag: '--bind-address' });
  });
  closers.push(() => server.close());
  if (!real) return;

  const network = startPodNetwork({
    world,
    informers: node.informers,
    nodeName: config.nodeName,
    id: config.id,
    clusterCidr: config.clusterCidr,
    cniConfigDir: layout.cniConfig,
    stateDir: layout.run,
  });
  closers.push(() => network.close());
  await startServices(config, pki, world, closers);
}

/** The service proxy and the DNS server. */
async function startServices(config: ClusterConfig, pki: Pki, world: World, closers: Closers): Promise<void> {
  const proxied = connect(config, pki, pki.proxy, world, closers);
  const proxy = startProxy({
    world,
    informers: proxied.informers,
    table: proxyTable(config.id),
    nodeName: config.nodeName,
    clusterCidr: config.clusterCidr,
  });
  closers.push(() => proxy.close());
  const named = connect(config, pki, pki.dns, world, closers);
  const dns = await startDnsServer({
    world,
    informers: named.informers,
    host: config.nodeIp,
    port: config.dnsPort,
    domain: config.clusterDomain,
    upstreams: hostNameservers(),
  });
  closers.push(() => dns.close());
  await announceDns(named.client, config, dns.port);
}

async function startRuntime(
  config: ClusterConfig,
  world: World,
  progress: (text: string) => void,
  closers: Closers,
): Promise<{ runtime: ContainerRuntime; controlGroup: string }> {
  const containerd = await startContainerd({
    dataDir: config.dataDir,
    clusterId: config.id,
    world,
    sandboxImage: pauseImageName,
    cniConfDir: layoutOf(config.dataDir).cniConfig,
  });
  const aborted = new AbortController();
  closers.push(() => aborted.abort());
  await loadBuiltInImages(containerd.socket, progress, aborted.signal);
  return { runtime: criRuntime({ socket: containerd.socket, world }), controlGroup: containerd.controlGroup };
}

function connect(config: ClusterConfig, pki: Pki, as: CertificatePair, world: World, closers: Closers): { client: Client; informers: Informers } {
  const transport = httpTransport({ server: `https://127.0.0.1:${config.port}`, ca: pki.ca.certificate, ...as });
  const client = createClient(transport);
  const informers = createInformers(client, world);
  closers.push(() => {
    informers.close();
    transport.close();
  });
  return { client, informers };
}

/** Makes this node's server an endpoint of the `kube-dns` Service, where pods look for it. */
async function announceDns(client: Client, config: ClusterConfig, port: number): Promise<void> {
  const slice = {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name: `kube-dns-${config.nodeName}`,
      namespace: dnsServiceAccount.namespace,
      labels: { 'kubernetes.io/service-name': 'kube-dns', 'endpointslice.kubernetes.io/managed-by': 'dns.k8ts.io' },
    },
    addressType: 'IPv4',
    endpoints: [{ addresses: [config.nodeIp], conditions: { ready: true, serving: true, terminating: false }, nodeName: config.nodeName }],
    ports: [
      { name: 'dns', port, protocol: 'UDP' },
      { name: 'dns-tcp', port, protocol: 'TCP' },
    ],
  };
  await client
    .resource(EndpointSlice)
    .namespace(dnsServiceAccount.namespace)
    .patch(slice.metadata.name, slice, { type: 'apply', fieldManager: 'k8ts-dns', force: true });
}

/** Whom the host itself asks for names. */
function hostNameservers(): string[] {
  // systemd-resolved lists the real servers here, and itself (on loopback, out of pods' reach) in the usual place.
  const path = ['/run/systemd/resolve/resolv.conf', '/etc/resolv.conf'].find((candidate) => existsSync(candidate));
  if (path === undefined) return [];
  return [...readFileSync(path, 'utf8').matchAll(/^nameserver\s+(\S+)/gm)].map((match) => match[1] ?? '');
}
