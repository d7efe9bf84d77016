/** Where a pod's files are on the node: the same layout as upstream's, so that tools that look there find what they expect. */
import { join } from 'node:path';
import type { Pod } from '../api/kinds.ts';

export interface PodDirectories {
  readonly root: string;
  readonly volumes: string;
  readonly containers: string;
  readonly hostsFile: string;
}

export function podDirectories(rootDir: string, uid: string): PodDirectories {
  const root = join(rootDir, 'pods', uid);
  return { root, volumes: join(root, 'volumes'), containers: join(root, 'containers'), hostsFile: join(root, 'etc-hosts') };
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
