/** A profile: which plugins take part at which extension point, and how much each score counts. One scheduler has one or several, by `spec.schedulerName`. */
import type { Extender } from './extender.ts';
import type { Plugin } from './plugin.ts';

export interface WeightedPlugin {
  readonly plugin: Plugin;
  readonly weight: number;
}

export interface Profile {
  readonly schedulerName: string;
  /** Every plugin that takes part anywhere. */
  readonly plugins: readonly Plugin[];
  readonly preEnqueue: readonly Plugin[];
  readonly queueSort: Plugin;
  /** In the order they are asked: cheap and final ones first. */
  readonly filter: readonly Plugin[];
  readonly postFilter: readonly Plugin[];
  readonly score: readonly WeightedPlugin[];
  readonly reserve: readonly Plugin[];
  readonly permit: readonly Plugin[];
  readonly preBind: readonly Plugin[];
  readonly bind: readonly Plugin[];
  readonly postBind: readonly Plugin[];
  /** Of all nodes, how many fitting ones are enough, in percent; 0 leaves it to {@link nodesToFind}. */
  readonly percentageOfNodesToScore: number;
  readonly extenders: readonly Extender[];
}

const minNodesToFind = 100;
const minPercentage = 5;

/** How many nodes that fit are enough to choose among: all of a small cluster, from half down to a twentieth of a large one, as upstream. */
export function nodesToFind(nodes: number, percentage: number): number {
  if (nodes < minNodesToFind || percentage >= 100) return nodes;
  const share = percentage > 0 ? percentage : Math.max(50 - Math.trunc(nodes / 125), minPercentage);
  return Math.max(Math.trunc((nodes * share) / 100), minNodesToFind);
}
