/** One pod as the parts of its worker see it. */
import type { Pod } from '../api/kinds.ts';
import type { KubeletContext } from './context.ts';
import type { ObservedPod } from './observed-pods.ts';
import type { PodDirectories } from './pod-directories.ts';
import type { PodTasks } from './pod-tasks.ts';

export interface PodScope {
  readonly context: KubeletContext;
  /** As the API last told, or as its file says. */
  readonly pod: Pod;
  /** With the resources it was granted, which may not be yet what its spec asks for. */
  readonly granted: Pod;
  /** What the runtime has of it. */
  readonly observed: ObservedPod;
  /** The first is primary; none before it has its network. */
  readonly podIps: readonly string[];
  readonly directories: PodDirectories;
  readonly tasks: PodTasks;
  /** Something about it may have changed: look again. */
  wake(): void;
}
