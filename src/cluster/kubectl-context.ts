/** The cluster's context in the user's kubeconfig: `k8ts`, or `k8ts-<port>` where another cluster has that name already. */
import { mergeContext, readKubeconfig, removeContextOf, userKubeconfigPath } from '../client/kubeconfig.ts';
import type { ClusterConfig } from './config.ts';
import type { Pki } from './pki.ts';

function serverOf(config: ClusterConfig): string {
  return `https://127.0.0.1:${config.port}`;
}

function contextName(config: ClusterConfig, path: string): string {
  const taken = readKubeconfig(path)?.clusters.find((cluster) => cluster.name === 'k8ts');
  return taken === undefined || taken.server === serverOf(config) ? 'k8ts' : `k8ts-${config.port}`;
}

/** Writes or refreshes the context and makes it the current one; answers its name. Whatever else is in the file stays. */
export function writeContext(config: ClusterConfig, pki: Pki): string {
  const path = userKubeconfigPath();
  const name = contextName(config, path);
  mergeContext(path, { name, server: serverOf(config), ca: pki.ca.certificate, certificate: pki.admin.certificate, key: pki.admin.key });
  return name;
}

export function removeContext(config: ClusterConfig): void {
  const path = userKubeconfigPath();
  removeContextOf(path, contextName(config, path));
}
