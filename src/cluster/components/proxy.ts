/** `k8ts kube-proxy`: the service proxy alone. */
import { hostname } from 'node:os';
import { createInformers } from '../../client/informers.ts';
import { tryParseCidr } from '../../machinery/ip.ts';
import { removeProxyRules, startProxy } from '../../proxy/proxy.ts';
import { ClusterError, hostAddress } from '../config.ts';
import { findCommand } from '../preflight.ts';
import { clientOf, type CommonFlags, readConnection, runComponent } from './component.ts';
import { serveProxyPages } from './proxy-pages.ts';

export interface ProxyFlags extends CommonFlags {
  readonly kubeconfig?: string;
  readonly clusterCidr?: string;
  readonly hostnameOverride?: string;
  /** CIDRs, or `primary` for the host's own first address; all of the node's addresses when empty. */
  readonly nodeportAddresses: readonly string[];
  readonly healthzBindAddress: string;
  readonly metricsBindAddress: string;
  readonly cleanup: boolean;
}

const table = 'k8ts-services';

export async function runProxy(flags: ProxyFlags): Promise<void> {
  if (findCommand('nft') === undefined) throw new ClusterError('the service proxy needs nft. Run: apt-get install -y nftables');
  if (flags.cleanup) return removeProxyRules(table);
  const { kubeconfig, clusterCidr } = flags;
  if (kubeconfig === undefined) throw new ClusterError('--kubeconfig is missing: how to reach the API server');
  if (clusterCidr === undefined) throw new ClusterError("--cluster-cidr is missing: pods' addresses, such as 10.244.0.0/16");
  for (const cidr of clusterCidr.split(',')) parseFlag('--cluster-cidr', cidr);
  const nodePortAddresses = flags.nodeportAddresses.map((text) => (text === 'primary' ? `${hostAddress()}/32` : text));
  for (const cidr of nodePortAddresses) parseFlag('--nodeport-addresses', cidr);
  return runComponent('kube-proxy', flags, async ({ world, closers }) => {
    const client = clientOf(readConnection(kubeconfig, 'kube-proxy'), closers);
    const informers = createInformers(client, world);
    closers.push(() => informers.close());
    const nodeName = (flags.hostnameOverride ?? hostname()).toLowerCase();
    const proxy = startProxy({ world, informers, table, nodeName, clusterCidr, nodePortAddresses });
    proxy.ready.catch(() => undefined);
    closers.push(() => proxy.close());
    await serveProxyPages({ world, proxy, informers, nodeName, ...flags }, closers);
  });
}

function parseFlag(flag: string, cidr: string): void {
  if (tryParseCidr(cidr) === undefined) throw new ClusterError(`${flag} ${cidr}: is no CIDR, such as 10.244.0.0/16`);
}
