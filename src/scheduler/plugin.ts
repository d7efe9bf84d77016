/**
 * The scheduling framework: what a plugin can say about a pod and a node. A plugin is one file and one line in `plugins.ts`. All of it is pure: a
 * plugin reads the pod and the node's row and answers; it never waits, writes or looks at a clock.
 */
import type { NodeInfo, PodInfo } from './snapshot.ts';

/** Why a node will not do. */
export interface Refusal {
  readonly plugin: string;
  /** As the event counts it: "Insufficient cpu". */
  readonly reason: string;
  /** True when removing pods from the node cannot help. */
  readonly unresolvable: boolean;
}

/** Things that happen to the cluster; each plugin names those after which a pod it refused may fit. */
export type ClusterEvent =
  | 'node-added'
  | 'node-allocatable-changed'
  | 'node-labels-changed'
  | 'node-taints-changed'
  | 'node-schedulable-changed'
  | 'assigned-pod-deleted'
  | 'pod-changed';

export interface Plugin {
  /** Upstream's name: `NodeResourcesFit`. */
  readonly name: string;
  readonly helpedBy: readonly ClusterEvent[];
  /** A reason why this pod may not even be tried yet (scheduling gates). */
  readonly hold?: (pod: PodInfo) => string | undefined;
  /** The reasons why the node will not do; none when it does. */
  readonly filter?: (pod: PodInfo, node: NodeInfo) => readonly Omit<Refusal, 'plugin'>[];
  /** How well the node suits; any range, see `normalize`. */
  readonly score?: (pod: PodInfo, node: NodeInfo) => number;
  /** Brings raw scores to 0…100; `as-is` when they are already. `inverse` gives the lowest raw score 100. */
  readonly normalize?: 'as-is' | 'proportional' | 'inverse';
  /** How much the score counts among others. */
  readonly weight?: number;
}

export const maxScore = 100;
