/**
 * What every node must know of its cluster, as kubeadm keeps it for nodes that join: `kubeadm-config` (ranges and domain), `kubelet-config` (name servers)
 * and, beside them, the pod network's choices in the words of flannel's `net-conf.json`.
 */
import { parse } from 'yaml';
import { ConfigMap } from '../api/kinds.ts';
import type { Client } from '../client/client.ts';
import { splitCidrs } from '../machinery/ip.ts';
import { type PodNetworkMode, podNetworkModes } from './pod-network-modes.ts';

export interface PodNetworkFacts {
  readonly mode: PodNetworkMode;
  /** The VXLAN network identifier: clusters on one host have different ones. */
  readonly vni: number;
  /** The UDP port VXLAN is carried on. */
  readonly port: number;
}

export interface ClusterFacts {
  /** One range, or one of each family; so are pods'. */
  readonly serviceCidr: string;
  readonly clusterCidr: string;
  readonly clusterDomain: string;
  readonly clusterDns: readonly string[];
  readonly podNetwork: PodNetworkFacts;
}

interface FactMap {
  readonly name: string;
  readonly key: string;
  readonly content: object;
}

export function clusterFactMaps({ serviceCidr, clusterCidr, clusterDomain, clusterDns, podNetwork }: ClusterFacts): readonly FactMap[] {
  return [
    {
      name: 'kubeadm-config',
      key: 'ClusterConfiguration',
      content: {
        apiVersion: 'kubeadm.k8s.io/v1beta4',
        kind: 'ClusterConfiguration',
        clusterName: 'kubernetes',
        kubernetesVersion: 'v1.36.0',
        networking: { dnsDomain: clusterDomain, podSubnet: clusterCidr, serviceSubnet: serviceCidr },
      },
    },
    {
      name: 'kubelet-config',
      key: 'kubelet',
      content: {
        apiVersion: 'kubelet.config.k8s.io/v1beta1',
        kind: 'KubeletConfiguration',
        clusterDNS: [...clusterDns],
        clusterDomain,
        rotateCertificates: true,
        serverTLSBootstrap: true,
      },
    },
    {
      name: 'pod-network',
      key: 'net-conf.json',
      content: {
        ...networksOf(clusterCidr),
        Backend: { Type: podNetwork.mode, VNI: podNetwork.vni, Port: podNetwork.port },
      },
    },
  ];
}

/** In flannel's words. */
function networksOf(clusterCidr: string): object {
  const [v4, v6] = splitCidrs(clusterCidr);
  return { Network: v4, ...(v6 !== undefined && { EnableIPv6: true, IPv6Network: v6 }) };
}

/** Reads them as a node that joins. Rejects when one is missing or says nothing of use. */
export async function readClusterFacts(client: Client): Promise<ClusterFacts> {
  const maps = client.resource(ConfigMap).namespace('kube-system');
  const read = async (name: string, key: string): Promise<Fields> => {
    const content: unknown = parse((await maps.get(name)).data?.[key] ?? '');
    if (!isFields(content)) throw new Error(`the ConfigMap kube-system/${name} has no usable ${key}`);
    return content;
  };
  const [cluster, kubelet, network] = await Promise.all([
    read('kubeadm-config', 'ClusterConfiguration'),
    read('kubelet-config', 'kubelet'),
    read('pod-network', 'net-conf.json'),
  ]);
  const networking = isFields(cluster['networking']) ? cluster['networking'] : {};
  const backend = isFields(network['Backend']) ? network['Backend'] : {};
  const text = (fields: Fields, name: string): string => {
    const value = fields[name];
    if (typeof value !== 'string' || value === '') throw new Error(`the cluster does not say what its ${name} is`);
    return value;
  };
  const servers: unknown = kubelet['clusterDNS'];
  const mode = podNetworkModes.find((known) => known === backend['Type']);
  if (mode === undefined) throw new Error(`the cluster's pod network is of a kind this version does not know: ${String(backend['Type'])}`);
  return {
    serviceCidr: text(networking, 'serviceSubnet'),
    clusterCidr: text(networking, 'podSubnet'),
    clusterDomain: text(networking, 'dnsDomain'),
    clusterDns: Array.isArray(servers) ? servers.filter((server) => typeof server === 'string') : [],
    podNetwork: { mode, vni: Number(backend['VNI'] ?? 1), port: Number(backend['Port'] ?? 8472) },
  };
}

type Fields = Readonly<Record<string, unknown>>;

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null;
}
