/** The cluster's context in the user's kubeconfig: `k8ts`, or `k8ts-<port>` where another cluster has that name already. */
import { KubeconfigError, mergeContext, readKubeconfig, removeContextOf, userKubeconfigPath } from '../client/kubeconfig.ts';
import { type ClusterConfig, ClusterError } from './config.ts';
import type { Pki } from './pki.ts';

function serverOf(config: ClusterConfig): string {
  return `https://127.0.0.1:${config.port}`;
}

function contextName(config: ClusterConfig, path: string): string {
  const taken = readKubeconfig(path)?.clusters.find((cluster) => cluster.name === 'k8ts');
  return taken === undefined || taken.server === serverOf(config) ? 'k8ts' : `k8ts-${config.port}`;
}

/** Throws {@link ClusterError} when the user's kubeconfig is not one that can be added to: better known before anything is started. */
export function checkContext(config: ClusterConfig): void {
  plainly(() => contextName(config, userKubeconfigPath()));
}

/** Writes or refreshes the context and makes it the current one; answers its name. Whatever else is in the file stays. */
export function writeContext(config: ClusterConfig, pki: Pki): string {
  return plainly(() => {
    const path = userKubeconfigPath();
    const name = contextName(config, path);
    mergeContext(path, { name, server: serverOf(config), ca: pki.ca.certificate, certificate: pki.admin.certificate, key: pki.admin.key });
    return name;
  });
}

export function removeContext(config: ClusterConfig): void {
  plainly(() => {
    const path = userKubeconfigPath();
    removeContextOf(path, contextName(config, path));
  });
}

function plainly<T>(act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (error instanceof KubeconfigError) throw new ClusterError(`${error.message}. Mend it, or give another with KUBECONFIG=<file>`);
    throw error;
  }
}
