/** Where a cluster keeps its files, below its data directory. */
import { join } from 'node:path';

export interface Layout {
  readonly pki: string;
  readonly store: string;
  readonly logs: string;
  /** Process ids of what runs in the background. */
  readonly run: string;
  readonly kubelet: string;
  readonly podLogs: string;
  readonly containerd: string;
  readonly cniConfig: string;
  readonly images: string;
  /** Data directories of nodes in namespaces on this host. */
  readonly nodes: string;
  /** Directories behind the volumes of class `standard`. */
  readonly volumes: string;
}

export function layoutOf(dataDir: string): Layout {
  return {
    pki: join(dataDir, 'pki'),
    store: join(dataDir, 'store'),
    logs: join(dataDir, 'logs'),
    run: join(dataDir, 'run'),
    kubelet: join(dataDir, 'kubelet'),
    podLogs: join(dataDir, 'pod-logs'),
    containerd: join(dataDir, 'containerd'),
    cniConfig: join(dataDir, 'cni'),
    images: join(dataDir, 'images'),
    nodes: join(dataDir, 'nodes'),
    volumes: join(dataDir, 'volumes'),
  };
}
