/** What a node agent must know of its node and its cluster, wherever it runs: on the control plane's host, in a namespace of its own, or far away. */
import type { PodNetworkFacts } from '../kubeadm/cluster-facts.ts';
import { fixedServiceAddresses, isDualStack } from './address-ranges.ts';
import { type ClusterConfig, podNetworkOf, type RuntimeName } from './config.ts';

export interface NodeSettings {
  /** The node's own; below it lie its pods' volumes and logs, its container runtime and its certificates. */
  readonly dataDir: string;
  /** Six hex digits: part of every device and table of this node in its network namespace. */
  readonly id: string;
  /** Tells the container runtimes and control groups of one host apart. */
  readonly runtimeId: string;
  /** The API server as this node reaches it. */
  readonly server: string;
  readonly nodeName: string;
  readonly nodeIp: string;
  /** Its IPv6 address, where it has one; of use in a dual-stack cluster. */
  readonly nodeIp6?: string;
  readonly runtime: RuntimeName;
  /** One range, or one of each family: `10.244.0.0/16,fd00:10:244::/56`. */
  readonly clusterCidr: string;
  readonly clusterDomain: string;
  readonly clusterDns: readonly string[];
  readonly kubeletPort: number;
  readonly dnsPort: number;
  readonly podNetwork: PodNetworkFacts;
  /** The network namespace the agent was started in; absent for a machine of its own. */
  readonly namespace?: string;
  /** Where machines that are not on the node's link reach its tunnel; its own address when absent. */
  readonly tunnelDoor?: { readonly address: string; readonly port: number };
  /** Where Ingresses are served; 80 and 443 when absent. */
  readonly ingressHttpPort?: number;
  readonly ingressHttpsPort?: number;
  /** How many processes a pod may have; any number when absent. */
  readonly podMaxPids?: number;
  /** A KubeletConfiguration; k8ts's own choices when absent. */
  readonly kubeletConfig?: string;
}

/** The addresses the node says it has: one, or in a dual-stack cluster one of each family. */
export function nodeIps(settings: Pick<NodeSettings, 'nodeIp' | 'nodeIp6' | 'clusterCidr'>): readonly string[] {
  const { nodeIp, nodeIp6 } = settings;
  return nodeIp6 !== undefined && isDualStack(settings) ? [nodeIp, nodeIp6] : [nodeIp];
}

/** What the cluster's options say of every node on this host. */
export function nodeChoices(
  config: ClusterConfig,
): Partial<Pick<NodeSettings, 'ingressHttpPort' | 'ingressHttpsPort' | 'podMaxPids' | 'kubeletConfig'>> {
  return {
    ...(config.ingressHttpPort !== undefined && { ingressHttpPort: config.ingressHttpPort }),
    ...(config.ingressHttpsPort !== undefined && { ingressHttpsPort: config.ingressHttpsPort }),
    ...(config.podMaxPids !== undefined && { podMaxPids: config.podMaxPids }),
    ...(config.kubeletConfig !== undefined && { kubeletConfig: config.kubeletConfig }),
  };
}

/** Those of the node on the control plane's host. */
export function hostNodeSettings(config: ClusterConfig): NodeSettings {
  const { dataDir, id, nodeName, nodeIp, nodeIp6, runtime, clusterCidr, clusterDomain, kubeletPort, dnsPort } = config;
  return {
    dataDir,
    id,
    runtimeId: id,
    server: `https://127.0.0.1:${config.port}`,
    nodeName,
    nodeIp,
    ...(nodeIp6 !== undefined && { nodeIp6 }),
    runtime,
    clusterCidr,
    clusterDomain,
    clusterDns: [fixedServiceAddresses(config.serviceCidr).dns],
    kubeletPort,
    dnsPort,
    podNetwork: podNetworkOf(config),
    ...nodeChoices(config),
  };
}
