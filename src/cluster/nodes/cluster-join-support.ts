/** Prepares this cluster for machines that join it. Done when first asked for, so that a cluster nobody joins starts no slower. */
import type { Client } from '../../client/client.ts';
import { installJoinSupport } from '../../kubeadm/join-support.ts';
import { fixedServiceAddresses } from '../address-ranges.ts';
import { advertiseAddress, type ClusterConfig, podNetworkOf } from '../config.ts';
import type { Pki } from '../pki.ts';

export async function clusterJoinSupport(config: ClusterConfig, pki: Pki, client: Client): Promise<void> {
  const { serviceCidr, clusterCidr, clusterDomain } = config;
  await installJoinSupport(client, {
    server: `https://${advertiseAddress(config)}:${config.port}`,
    ca: pki.ca.certificate,
    facts: { serviceCidr, clusterCidr, clusterDomain, clusterDns: [fixedServiceAddresses(serviceCidr).dns], podNetwork: podNetworkOf(config) },
  });
}
