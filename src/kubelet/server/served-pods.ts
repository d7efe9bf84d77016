/** What the kubelet's own server must know of the pods on the node; the pod workers answer it. */
import type { Pod } from '../../api/kinds.ts';

export interface ServedContainer {
  readonly id: string;
  readonly running: boolean;
  /** Absolute path of the current instance's log in CRI's format. */
  readonly logPath: string;
  /** The instance before, when there is something left of it. */
  readonly previousId: string | undefined;
  /** Of the instance before, when there was one and its log is still there. */
  readonly previousLogPath: string | undefined;
  readonly tty: boolean;
  readonly stdin: boolean;
}

export interface ServedPods {
  pods(): readonly Pod[];
  find(namespace: string, name: string): Pod | undefined;
  sandboxId(namespace: string, name: string): string | undefined;
  /** Init, ordinary and ephemeral containers alike; undefined when it was never created. */
  container(namespace: string, name: string, container: string): ServedContainer | undefined;
}
