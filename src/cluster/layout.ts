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
  };
}
