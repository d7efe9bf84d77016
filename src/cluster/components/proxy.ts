/** `k8ts kube-proxy`: the service proxy alone. */
import { hostname } from 'node:os';
import { createInformers } from '../../client/informers.ts';
import { removeProxyRules, startProxy } from '../../proxy/proxy.ts';
import { ClusterError } from '../config.ts';
import { findCommand } from '../preflight.ts';
import { clientOf, type CommonFlags, readConnection, runComponent } from './component.ts';

export interface ProxyFlags extends CommonFlags {
  readonly kubeconfig?: string;
  readonly clusterCidr?: string;
  readonly hostnameOverride?: string;
  readonly cleanup: boolean;
}

const table = 'k8ts-services';

export async function runProxy(flags: ProxyFlags): Promise<void> {
  if (findCommand('nft') === undefined) throw new ClusterError('the service proxy needs nft. Run: apt-get install -y nftables');
  if (flags.cleanup) return removeProxyRules(table);
  const { kubeconfig, clusterCidr } = flags;
  if (kubeconfig === undefined) throw new ClusterError('--kubeconfig is missing: how to reach the API server');
  if (clusterCidr === undefined) throw new ClusterError("--cluster-cidr is missing: pods' addresses, such as 10.244.0.0/16");
  return runComponent('kube-proxy', flags, ({ world, closers }) => {
    const client = clientOf(readConnection(kubeconfig, 'kube-proxy'), closers);
    const informers = createInformers(client, world);
    closers.push(() => informers.close());
    const proxy = startProxy({ world, informers, table, nodeName: flags.hostnameOverride ?? hostname().toLowerCase(), clusterCidr });
    proxy.ready.catch(() => undefined);
    closers.push(() => proxy.close());
  });
}
