/**
 * The node in one process: kubelet, service proxy, pod network and DNS. Each reaches the API server over HTTPS with a certificate of its own, as it
 * would from another machine.
 */
import { existsSync, readFileSync } from 'node:fs';
import type { Client } from '../client/client.ts';
import { httpTransport } from '../client/http.ts';
import type { Informers } from '../client/informer.ts';
import { createInformers } from '../client/informers.ts';
import { createClient } from '../client/typed-client.ts';
import { startDnsServer } from '../dns/dns-server.ts';
import { startIngress } from '../ingress/ingress.ts';
import { simulatedHost } from '../kubelet/host.ts';
import { createKubelet } from '../kubelet/kubelet.ts';
import { shareRoot } from '../kubelet/volumes/shared-root.ts';
import { startContainerd } from '../kubelet/runtime/containerd.ts';
import { criRuntime } from '../kubelet/runtime/cri.ts';
import { keepContainerd } from '../kubelet/runtime/keep-containerd.ts';
import type { ContainerRuntime } from '../kubelet/runtime/runtime.ts';
import { simulatedRuntime } from '../kubelet/runtime/simulated.ts';
import { delegatedAccess } from '../kubelet/server/delegated-access.ts';
import { type KubeletServerOptions, startKubeletServer } from '../kubelet/server/kubelet-server.ts';
import { KubeletCounters } from '../kubelet/stats/kubelet-counters.ts';
import { startPodNetwork } from '../network/pod-network.ts';
import type { NameServer } from '../network/policy/peers.ts';
import { policiesTable, type PolicyEnforcer, startPolicyEnforcer } from '../network/policy/policy-enforcer.ts';
import { realDirectories, simulatedDirectories } from '../provisioner/directories.ts';
import { startProvisioner } from '../provisioner/provisioner.ts';
import { startProxy } from '../proxy/proxy.ts';
import type { World } from '../world/world.ts';
import { announceDns } from './dns-announcement.ts';
import { loadBuiltInImages, pauseImageName } from './built-in-images.ts';
import { kubeletOptionsOf, readKubeletFile, sharedMachineThresholds } from './kubelet-file.ts';
import { withoutNameServer } from './host-dns.ts';
import { layoutOf } from './layout.ts';
import { plainListenError } from './listen-error.ts';
import type { NodeIdentities } from './node-identities.ts';
import { nodeIps, type NodeSettings } from './node-settings.ts';
import { dnsServiceAccount } from './pki.ts';

export interface NodeAgent {
  close(): Promise<void>;
}

/** Things to close, in the order they were opened; closing goes backwards. */
type Closers = (() => void | Promise<void>)[];

/** How long being ready waits for the certificate that the kubelet serves with; when it takes longer, logs and exec come later. */
const servingPatienceMs = 10_000;

export function proxyTable(id: string): string {
  return `k8ts-${id}-services`;
}

/** Holds load balancers' addresses. */
export function announceDevice(id: string): string {
  return `k8ts${id}lb`;
}

export async function startNodeAgent(
  settings: NodeSettings,
  identities: NodeIdentities,
  world: World,
  progress: (text: string) => void,
): Promise<NodeAgent> {
  const closers: Closers = [];
  const close = async (): Promise<void> => {
    for (const end of closers.splice(0).reverse()) await end();
  };
  try {
    await start(settings, identities, world, progress, closers);
    return { close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function start(
  settings: NodeSettings,
  identities: NodeIdentities,
  world: World,
  progress: (text: string) => void,
  closers: Closers,
): Promise<void> {
  const layout = layoutOf(settings.dataDir);
  const real = settings.runtime === 'containerd';
  if (real) await shareRoot(layout.kubelet);
  const counters = new KubeletCounters();
  const [runtime, node] = await Promise.all([
    real ? startRuntime(settings, world, progress, counters, closers) : { runtime: simulatedRuntime(world), controlGroup: '' },
    connect(settings, identities, 'kubelet', world, closers),
  ]);
  closers.push(() => runtime.runtime.close());
  const file = settings.kubeletConfig === undefined ? { settings: {} } : readKubeletFile('--kubelet-config', settings.kubeletConfig);
  const chosen = kubeletOptionsOf({ ...file, settings: { evictionThresholds: sharedMachineThresholds, ...file.settings } }, {}, world);
  // The kubelet starts first; its pods wait until the rules of their node are looked after.
  const policies = Promise.withResolvers<PolicyEnforcer>();
  const kubelet = createKubelet({
    world,
    client: node.client,
    informers: node.informers,
    runtime: runtime.runtime,
    nodeName: settings.nodeName,
    nodeIps: nodeIps(settings),
    rootDir: layout.kubelet,
    logRoot: layout.podLogs,
    ...(real ? { cgroupPrefix: runtime.controlGroup } : { host: simulatedHost() }),
    clusterDns: settings.clusterDns,
    clusterDomain: settings.clusterDomain,
    serverPort: settings.kubeletPort,
    ...chosen,
    ...(settings.podMaxPids !== undefined && { podPidsLimit: settings.podMaxPids }),
    counters,
    ...(real && { admitToNetwork: async (pod, addresses) => (await policies.promise).admit(pod, addresses) }),
  });
  closers.push(async () => {
    await kubelet.shutDown();
    kubelet.close();
  });
  const { pods, stats } = kubelet;
  const access = delegatedAccess(node.client, world, settings.nodeName);
  const served = serveKubelet(
    settings,
    identities,
    { world, pods, stats, access, runtime: runtime.runtime, configz: () => chosen.shownSettings ?? {}, pages: chosen.settings?.pages },
    closers,
  );
  if (identities.kubeletServer.current()) await served;
  const storage = await connect(settings, identities, 'provisioner', world, closers);
  const directories = (real ? realDirectories : simulatedDirectories)(layout.volumes);
  const provisioner = startProvisioner({ world, ...storage, serves: (name) => name === settings.nodeName, host: settings.nodeName, directories });
  closers.push(() => provisioner.close());
  if (real) await startNetwork(settings, identities, node, world, closers, policies.resolve);
  await Promise.race([served, world.clock.sleep(servingPatienceMs)]);
  // Nobody waits for it: a node is ready without.
  if (real)
    void serveIngress(settings, identities, world, closers).catch((error: unknown) =>
      world.log.warn('Ingresses are not served', { error: String(error) }),
    );
}

/** Ingresses, from the first one on. */
async function serveIngress(settings: NodeSettings, identities: NodeIdentities, world: World, closers: Closers): Promise<void> {
  const { nodeName, ingressHttpPort: httpPort = 80, ingressHttpsPort: httpsPort = 443 } = settings;
  let closed = false;
  closers.push(() => {
    closed = true;
  });
  const connection = await connect(settings, identities, 'ingress', world, closers);
  if (closed) return;
  const ingress = startIngress({
    world,
    ...connection,
    nodeName,
    nodeIps: nodeIps(settings),
    httpPort,
    httpsPort,
    async defaultCertificate() {
      const { createCertificateAuthority, issueCertificate } = await import('../kubeadm/certificates.ts');
      const ca = await createCertificateAuthority(world, 'k8ts-ingress');
      return issueCertificate(world, {
        ca,
        commonName: 'k8ts-ingress',
        dnsNames: ['ingress.local'],
        ipAddresses: nodeIps(settings),
        usages: ['server'],
      });
    },
  });
  closers.push(() => ingress.close());
}

/** The kubelet's own server, as soon as there is a certificate for it. */
async function serveKubelet(
  { kubeletPort: port, nodeName }: NodeSettings,
  { ca, kubeletServer }: NodeIdentities,
  parts: Pick<KubeletServerOptions, 'world' | 'pods' | 'runtime' | 'stats' | 'access' | 'configz' | 'pages'>,
  closers: Closers,
): Promise<void> {
  let closed = false;
  closers.push(() => {
    closed = true;
  });
  const identity = await kubeletServer.first.catch(() => undefined);
  if (closed || !identity) return;
  const place = { host: '0.0.0.0', port };
  const server = await startKubeletServer({ ...parts, ...place, nodeName, ...identity, clientCa: ca }).catch((error: unknown) => {
    throw plainListenError(error, { ...place, portFlag: '--port', hostFlag: '--bind-address' });
  });
  kubeletServer.onChange((next) => server.present(next));
  closers.push(() => server.close());
}

/** The pod network, the service proxy and the DNS server. */
async function startNetwork(
  settings: NodeSettings,
  identities: NodeIdentities,
  node: Connection,
  world: World,
  closers: Closers,
  onPolicies: (enforcer: PolicyEnforcer) => void,
): Promise<void> {
  const layout = layoutOf(settings.dataDir);
  const [proxied, named] = await Promise.all([
    connect(settings, identities, 'proxy', world, closers),
    connect(settings, identities, 'dns', world, closers),
  ]);
  const network = startPodNetwork({
    world,
    // A kubelet may see its own Node only; who knows the way to all of them is the proxy.
    informers: proxied.informers,
    client: node.client,
    nodeName: settings.nodeName,
    nodeIps: nodeIps(settings),
    id: settings.id,
    clusterCidr: settings.clusterCidr,
    ...settings.podNetwork,
    ...(settings.tunnelDoor && { tunnelDoor: settings.tunnelDoor }),
    cniConfigDir: cniConfigDir(settings),
    stateDir: layout.run,
  });
  closers.push(() => network.close());
  const proxy = startProxy({
    world,
    informers: proxied.informers,
    table: proxyTable(settings.id),
    nodeName: settings.nodeName,
    clusterCidr: settings.clusterCidr,
    announceOn: announceDevice(settings.id),
  });
  closers.push(() => proxy.close());
  const policies = startPolicyEnforcer({
    world,
    informers: proxied.informers,
    table: policiesTable(settings.id),
    nodeName: settings.nodeName,
    ...nameServerOf(settings),
  });
  closers.push(() => policies.close());
  onPolicies(policies);
  const dns = await startDnsServer({
    world,
    informers: named.informers,
    host: settings.nodeIp,
    port: settings.dnsPort,
    domain: settings.clusterDomain,
    upstreams: hostNameservers(),
  });
  closers.push(() => dns.close());
  if (settings.namespace !== undefined) await standInForLoopback(settings, named.informers, world, closers);
  const announcement = announceDns({ world, client: named.client, informers: proxied.informers, node: settings, port: dns.port });
  closers.push(() => announcement.close());
  await announcement.first;
}

/** Where the runtime looks for the pod network: in a place of ours, or where other CNI plugins put theirs on a machine. */
function cniConfigDir({ dataDir, podNetwork, namespace }: NodeSettings): string {
  return podNetwork.mode === 'none' && namespace === undefined ? '/etc/cni/net.d' : layoutOf(dataDir).cniConfig;
}

/** As policies know it: by the labels of the pods that it has elsewhere. */
function nameServerOf({ clusterDns: [address] }: NodeSettings): { readonly nameServer?: NameServer } {
  if (address === undefined) return {};
  return { nameServer: { address, port: 53, namespace: dnsServiceAccount.namespace, labels: { 'k8s-app': 'kube-dns' } } };
}

async function startRuntime(
  settings: NodeSettings,
  world: World,
  progress: (text: string) => void,
  counters: KubeletCounters,
  closers: Closers,
): Promise<{ runtime: ContainerRuntime; controlGroup: string }> {
  const aborted = new AbortController();
  const start = () =>
    startContainerd({
      dataDir: settings.dataDir,
      clusterId: settings.runtimeId,
      world,
      sandboxImage: pauseImageName,
      cniConfDir: cniConfigDir(settings),
      signal: aborted.signal,
    });
  closers.push(() => aborted.abort());
  const containerd = await start();
  keepContainerd({ world, socket: containerd.socket, start, signal: aborted.signal });
  await loadBuiltInImages(containerd.socket, progress, aborted.signal);
  const onCall = counters.operation.bind(counters);
  return { runtime: criRuntime({ socket: containerd.socket, world, onCall }), controlGroup: containerd.controlGroup };
}

interface Connection {
  readonly client: Client;
  readonly informers: Informers;
}

type ComponentName = 'kubelet' | 'proxy' | 'dns' | 'provisioner' | 'ingress';

async function connect({ server }: NodeSettings, identities: NodeIdentities, as: ComponentName, world: World, closers: Closers): Promise<Connection> {
  const transport = httpTransport({ server, ca: identities.ca, ...(await identities[as].first) });
  identities[as].onChange((next) => transport.present(next));
  const client = createClient(transport);
  const informers = createInformers(client, world);
  closers.push(() => {
    informers.close();
    transport.close();
  });
  return { client, informers };
}

/** A name server on the host's loopback is not to be reached from a namespace, whose loopback is another: one of ours answers there. */
async function standInForLoopback({ clusterDomain: domain }: NodeSettings, informers: Informers, world: World, closers: Closers): Promise<void> {
  const named = [...readFileSync('/etc/resolv.conf', 'utf8').matchAll(/^nameserver\s+(127\.\S+)/gm)].map((match) => match[1] ?? '');
  for (const host of new Set(named)) {
    const dns = await startDnsServer({ world, informers, host, port: 53, domain, upstreams: hostNameservers() });
    closers.push(() => dns.close());
  }
}

/** Whom the host itself asks for names. */
function hostNameservers(): string[] {
  // systemd-resolved lists the real servers here, and itself (on loopback, out of pods' reach) in the usual place.
  const path = ['/run/systemd/resolve/resolv.conf', '/etc/resolv.conf'].find((candidate) => existsSync(candidate));
  if (path === undefined) return [];
  // What `k8ts host-dns` wrote leads back here.
  return [...withoutNameServer(readFileSync(path, 'utf8')).matchAll(/^nameserver\s+(\S+)/gm)].map((match) => match[1] ?? '');
}
