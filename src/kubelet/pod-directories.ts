/** Where a pod's files are on the node: the same layout as upstream's, so that tools that look there find what they expect. */
import { join } from 'node:path';
import type { Pod } from '../api/kinds.ts';

export interface PodDirectories {
  readonly root: string;
  readonly volumes: string;
  readonly containers: string;
  readonly hostsFile: string;
}

/** Made when asked for: a pod that runs needs none of them, and there may be a hundred thousand in the process. */
export function podDirectories(rootDir: string, uid: string): PodDirectories {
  return {
    get root() {
      return join(rootDir, 'pods', uid);
    },
    get volumes() {
      return join(this.root, 'volumes');
    },
    get containers() {
      return join(this.root, 'containers');
    },
    get hostsFile() {
      return join(this.root, 'etc-hosts');
    },
  };
}

/** `<logRoot>/<namespace>_<name>_<uid>`. */
export function podLogDirectory(logRoot: string, { metadata }: Pod): string {
  return join(logRoot, `${metadata.namespace}_${metadata.name}_${metadata.uid}`);
}

/** Below the pod's log directory. */
export function containerLogPath(container: string, attempt: number): string {
  return `${container}/${attempt}.log`;
}

/** `volumes/kubernetes.io~secret/<volume>`. */
export function volumeDirectory(directories: PodDirectories, plugin: string, volume: string): string {
  return join(directories.volumes, `kubernetes.io~${plugin}`, volume);
}
