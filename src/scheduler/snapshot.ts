/** What the scheduler decides on: every node with what is on it and left on it, and the objects plugins ask about. Read, never changed, by a decision. */
import type { Node } from '../api/kinds.ts';
import type { Taint } from '../machinery/tolerations.ts';
import type { ClusterObjects } from './cluster-objects.ts';
import type { LabelColumn } from './columns.ts';
import type { AffinityTerm, PodInfo } from './pod-info.ts';
import type { PodMatch } from './pod-counts.ts';

/** A node's place in the columns, and what is not a number. */
export interface NodeRow {
  readonly index: number;
  readonly name: string;
  /** Undefined while pods are known on a node that is not: nothing is placed there. */
  readonly node: Node | undefined;
  readonly pods: ReadonlyMap<string, PodInfo>;
  /** How many of those claim a port of the host. */
  readonly podsWithPorts: number;
}

export interface AmountsByNode {
  /** By a node's index. Not to be kept: another array may take its place. */
  column(resource: string): Float64Array;
  /** Everything of one node. */
  at(index: number): ReadonlyMap<string, number>;
}

/** Pods on nodes that all say the same about other pods. */
export interface TermGroup {
  readonly term: AffinityTerm;
  readonly podsByNode: ReadonlyMap<number, number>;
  /** Sum of the pods' weights by node; what counts for preferred terms. */
  readonly weightByNode: ReadonlyMap<number, number>;
}

export interface ImageState {
  readonly sizeBytes: number;
  readonly nodes: ReadonlySet<number>;
}

export interface Snapshot {
  /** Nodes that exist, zone after zone in turn, so that a search that ends early has looked into all of them. */
  readonly nodes: readonly NodeRow[];
  node(name: string): NodeRow | undefined;
  /** One more than the highest index. */
  readonly capacity: number;

  /** By node, a number that changes whenever what is on it or left on it does. */
  readonly versions: Int32Array;
  readonly allocatable: AmountsByNode;
  readonly requested: AmountsByNode;
  readonly nonZeroCpu: Float64Array;
  readonly nonZeroMemory: Float64Array;
  /** 1 for cordoned nodes. */
  readonly unschedulable: Int32Array;
  readonly hasCordoned: boolean;
  /** By node, which of `taintSets`; 0 for none. */
  readonly taintSetOf: Int32Array;
  readonly taintSets: readonly (readonly Taint[] | undefined)[];
  /** Whether any node has a `PreferNoSchedule` taint. */
  readonly hasSoftTaints: boolean;

  label(key: string): LabelColumn;
  /** How many placed pods match, by node. */
  podCounts(match: PodMatch): Int32Array;
  readonly requiredAntiAffinity: ReadonlyMap<string, TermGroup>;
  readonly requiredAffinity: ReadonlyMap<string, TermGroup>;
  readonly preferredAffinity: ReadonlyMap<string, TermGroup>;
  readonly preferredAntiAffinity: ReadonlyMap<string, TermGroup>;
  readonly images: ReadonlyMap<string, ImageState>;
  /** Placed pods that mount the claim. */
  claimUsers(claim: string): ReadonlySet<PodInfo>;
  /** Pods for which room is being made on the node. */
  nominated(nodeName: string): readonly PodInfo[];
  readonly hasNominated: boolean;

  readonly objects: ClusterObjects;

  /** Asks "and if these pods were (not) on the node?": the changes are taken back before it returns. */
  whatIf<T>(ask: (change: WhatIf) => T): T;
}

export interface WhatIf {
  add(pod: PodInfo, nodeName: string): void;
  remove(pod: PodInfo): void;
}
