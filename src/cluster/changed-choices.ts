/** A cluster that is up keeps its ways until it is down: other choices for it are refused, not half obeyed. */
import { type ClusterConfig, ClusterError } from './config.ts';

/** Throws {@link ClusterError} for the first choice that is not as the running cluster has it. */
export function refuseChanges(running: ClusterConfig, chosen: ClusterConfig): void {
  const choices: readonly (readonly [flag: string, now: string | number | boolean | undefined, wanted: string | number | boolean | undefined])[] = [
    ['--port', running.port, chosen.port],
    ['--bind-address', running.bindAddress, chosen.bindAddress],
    ['--store', running.store, chosen.store],
    ['--control-plane-only', running.controlPlaneOnly, chosen.controlPlaneOnly],
    ['--token-auth-file', running.tokenAuthFile, chosen.tokenAuthFile],
    ['--history-revisions', running.historyRevisions, chosen.historyRevisions],
    ['--ingress-http-port', running.ingressHttpPort, chosen.ingressHttpPort],
    ['--ingress-https-port', running.ingressHttpsPort, chosen.ingressHttpsPort],
    ['--pod-max-pids', running.podMaxPids, chosen.podMaxPids],
    ['--kubelet-config', running.kubeletConfig, chosen.kubeletConfig],
    ['--advertise-address', running.advertise, chosen.advertise],
    ['--pod-network', running.podNetwork ?? 'auto', chosen.podNetwork ?? 'auto'],
    ['--load-balancer-pool', running.loadBalancerPool?.join(',') ?? '', chosen.loadBalancerPool?.join(',') ?? ''],
  ];
  const changed = choices.find(([, now, wanted]) => now !== wanted);
  if (!changed) return;
  const [flag, now] = changed;
  const state = now === undefined || now === false || now === '' ? `without ${flag}` : now === true ? `with ${flag}` : `with ${flag} ${now}`;
  throw new ClusterError(`the cluster in ${running.dataDir} is up ${state}: take it down first (k8ts down), or give another --data-dir`);
}
