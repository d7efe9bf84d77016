/**
 * The scheduling framework: what a plugin can say about a pod and a node, at upstream's extension points. A plugin is one file and one line in
 * `plugins.ts`. What decides (preEnqueue, compare, preFilter, filter, postFilter, preScore, score) is pure: it reads the pod and the snapshot and answers;
 * what acts (reserve, permit, preBind, bind, postBind) comes after the decision.
 */
import type { Client } from '../client/client.ts';
import type { EventRecorder } from '../client/events.ts';
import type { World } from '../world/world.ts';
import type { Hint } from './cluster-event.ts';
import type { Arguments } from './config/arguments.ts';
import type { PodInfo } from './pod-info.ts';
import type { Candidate } from './preemption.ts';
import type { NodeRow, Snapshot } from './snapshot.ts';

/** Why a node (or the whole cluster) will not do. */
export interface Refusal {
  /** As the event counts them: "Insufficient cpu". */
  readonly reasons: readonly string[];
  /** True when removing pods from the node cannot help. */
  readonly unresolvable: boolean;
  /** For explanations only, more exact than the counted reason: which taint, how much is missing. */
  readonly detail?: (node: NodeRow) => string;
}

/** Answers why the node will not do; undefined when it does. */
export type NodeFilter = (node: NodeRow) => Refusal | undefined;

/** What `preFilter` made of the pod; undefined in its place when the plugin has nothing to say about it. */
export interface Filtering {
  /** No node at all will do. */
  readonly refusal?: Refusal;
  /** Only these nodes are worth a look. */
  readonly nodes?: ReadonlySet<string>;
  readonly filter?: NodeFilter;
}

/** What `preScore` made of the pod; undefined in its place when all nodes are alike to the plugin. */
export interface Scoring {
  readonly score: (node: NodeRow) => number;
  /** Brings raw scores to whole numbers from 0 to 100, in place; absent when they are. */
  readonly normalize?: (scores: Float64Array, nodes: readonly NodeRow[]) => void;
}

/** What can be done for a pod no node would do for. */
export interface Remedy {
  /** Said after the reasons. */
  readonly message: string;
  /** Where room is being made. */
  readonly nominatedNode?: string;
  /** Room is still being made where it was promised before. */
  readonly keepsPromise?: boolean;
  /** What has to happen for it; the pod waits until it is done. */
  readonly plan?: RemedyPlan;
}

export interface RemedyPlan {
  /** For explanations. */
  readonly describe: object;
  /** How many pods have to go. */
  readonly evicts?: number;
  /** Where else it could be done; extenders may strike some out. */
  readonly candidates?: readonly Candidate[];
  readonly among?: (candidates: readonly Candidate[]) => Remedy | undefined;
  readonly carryOut: (signal: AbortSignal) => Promise<void>;
}

export type Permission = 'allow' | Refusal | { readonly waitMs: number };

export interface Plugin {
  /** Upstream's name: `NodeResourcesFit`. */
  readonly name: string;
  /** After which events a pod it refused may fit; after any when absent. */
  readonly hints?: readonly Hint[];
  /** Its `preFilter` looks at pods that are placed, so that its answer has to be made anew to ask "and without these?". */
  readonly dependsOnPods?: boolean;

  /** A reason why this pod may not even be tried yet. */
  readonly preEnqueue?: (pod: PodInfo) => string | undefined;
  /** Who is tried first: negative for `a`. */
  readonly compare?: (a: QueuedPod, b: QueuedPod) => number;
  readonly preFilter?: (pod: PodInfo, snapshot: Snapshot) => Filtering | undefined;
  /** The short form for plugins that need no `preFilter`. */
  readonly filter?: (pod: PodInfo, node: NodeRow, snapshot: Snapshot) => Refusal | undefined;
  readonly postFilter?: (pod: PodInfo, snapshot: Snapshot, attempt: FailedAttempt) => Remedy;
  readonly preScore?: (pod: PodInfo, snapshot: Snapshot, nodes: readonly NodeRow[]) => Scoring | undefined;
  /** The short form for plugins that need no `preScore`; the answers are from 0 to 100. */
  readonly score?: (pod: PodInfo, node: NodeRow, snapshot: Snapshot) => number;

  /** Takes what the pod needs on the node, in the plugin's own books. Throwing refuses the node. */
  readonly reserve?: (pod: PodInfo, nodeName: string, snapshot: Snapshot) => void;
  /** Gives it back; called for every plugin when anything after `reserve` fails, also if its own `reserve` was not reached. */
  readonly unreserve?: (pod: PodInfo, nodeName: string) => void;
  readonly permit?: (pod: PodInfo, nodeName: string) => Permission;
  /** Whether `preBind` has anything to do. */
  readonly needsPreBind?: (pod: PodInfo, nodeName: string) => boolean;
  readonly preBind?: (pod: PodInfo, nodeName: string, signal: AbortSignal) => Promise<void>;
  /** Answers false to leave the binding to the next plugin. */
  readonly bind?: (pod: PodInfo, nodeName: string) => Promise<boolean>;
  readonly postBind?: (pod: PodInfo, nodeName: string) => void;
}

export interface QueuedPod {
  readonly info: PodInfo;
  /** Order of arrival. */
  readonly sequence: number;
}

/** An attempt that found no node: which nodes were refused and why, and the means to ask again under other circumstances. */
export interface FailedAttempt {
  readonly refusals: ReadonlyMap<NodeRow, Refusal>;
  /** What holds for nodes that were not looked at. */
  readonly others: Refusal | undefined;
  /** Whether the pod would fit on the node as the snapshot is at this moment; the reason if not. */
  readonly wouldFit: NodeFilter;
  /** In [0, 1): where a search begins. */
  readonly chance: number;
}

/** What a plugin is made with. */
export interface PluginHandle {
  readonly world: World;
  readonly client: Client;
  readonly events: EventRecorder;
  /** `spec.schedulerName` of the profile. */
  readonly schedulerName: string;
  /** The state plugins decide on, for those that act on it later. */
  readonly snapshot: Snapshot;
  /** Pods that `permit` keeps waiting may go on, or not. */
  readonly waiting: WaitingPods;
  readonly changes: Changes;
}

/** Waiting for the cluster to become so, without polling. */
export interface Changes {
  /** Asked after each change to volumes and resource claims; rejects when `check` throws, with a timeout, or with the signal's reason. */
  until(check: () => boolean, timeoutMs: number, signal: AbortSignal): Promise<void>;
}

export interface WaitingPods {
  /** Both answer whether such a pod was waiting. */
  allow(key: string, plugin: string): boolean;
  reject(key: string, plugin: string, reason: string): boolean;
}

export interface PluginDefinition {
  readonly name: string;
  /** Throws a `ConfigurationError` for arguments that make no sense. */
  readonly create: (args: Arguments, handle: PluginHandle) => Plugin;
  /** How much its score counts among others; 1 when absent. */
  readonly weight?: number;
}

export const maxScore = 100;

/** Scales to 0…100 by the highest score; `inverse` gives the lowest raw score 100. Whole numbers, as upstream. */
export function normalizeByHighest(scores: Float64Array, inverse = false): void {
  let highest = 0;
  for (const score of scores) if (score > highest) highest = score;
  for (let i = 0; i < scores.length; i++) {
    const scaled = highest === 0 ? 0 : Math.trunc((maxScore * (scores[i] ?? 0)) / highest);
    scores[i] = inverse ? maxScore - scaled : scaled;
  }
}
