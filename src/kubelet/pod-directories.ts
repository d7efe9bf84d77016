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
  return new Directories(rootDir, uid);
}

/** Put together as they are: `join` leaves a text in a dozen pieces, and those of every container stay in memory as long as a simulated one does. */
class Directories implements PodDirectories {
  readonly #rootDir: string;
  readonly #uid: string;

  constructor(rootDir: string, uid: string) {
    this.#rootDir = rootDir;
    this.#uid = uid;
  }

  get root(): string {
    return `${this.#rootDir}/pods/${this.#uid}`;
  }

  get volumes(): string {
    return `${this.root}/volumes`;
  }

  get containers(): string {
    return `${this.root}/containers`;
  }

  get hostsFile(): string {
    return `${this.root}/etc-hosts`;
  }
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
