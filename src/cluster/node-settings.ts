/** What a node agent must know of its node and its cluster, wherever it runs: on the control plane's host, in a namespace of its own, or far away. */
import type { PodNetworkFacts } from '../kubeadm/cluster-facts.ts';
import { type ClusterConfig, fixedServiceAddresses, podNetworkOf, type RuntimeName } from './config.ts';

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
  readonly runtime: RuntimeName;
  readonly clusterCidr: string;
  readonly clusterDomain: string;
  readonly clusterDns: readonly string[];
  readonly kubeletPort: number;
  readonly dnsPort: number;
  readonly podNetwork: PodNetworkFacts;
  /** The network namespace the agent was started in; absent for a machine of its own. */
  readonly namespace?: string;
  /** Where Ingresses are served; 80 and 443 when absent. */
  readonly ingressHttpPort?: number;
  readonly ingressHttpsPort?: number;
  /** How many processes a pod may have; any number when absent. */
  readonly podMaxPids?: number;
  /** A KubeletConfiguration; k8ts's own choices when absent. */
  readonly kubeletConfig?: string;
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
  const { dataDir, id, nodeName, nodeIp, runtime, clusterCidr, clusterDomain, kubeletPort, dnsPort } = config;
  return {
    dataDir,
    id,
    runtimeId: id,
    server: `https://127.0.0.1:${config.port}`,
    nodeName,
    nodeIp,
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
