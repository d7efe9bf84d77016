/** NodeResourcesFit: the pod's requests must fit into what is left; prefers nodes as its scoring strategy says (those with the most left, by default). */
import type { Pod } from '../../api/kinds.ts';
import { ConfigurationError } from '../config/arguments.ts';
import { NodeMemo } from '../node-memo.ts';
import type { PluginDefinition, Refusal } from '../plugin.ts';
import type { PodInfo } from '../pod-info.ts';
import { podRequests } from '../resources.ts';
import type { NodeRow, Snapshot } from '../snapshot.ts';
import { deviceClassFor } from './dynamic-resources/extended-resources.ts';
import { isExtended, usageKey, usageOf } from './resource-usage.ts';
import { scoringStrategy } from './scoring-strategy.ts';

interface Want {
  readonly name: string;
  readonly amount: number;
  readonly allocatable: Float64Array;
  readonly requested: Float64Array;
  /** A device class stands for it: nodes that have none of it may have devices, which DynamicResources looks at. */
  readonly backedByDevices: boolean;
}

export const nodeResourcesFit: PluginDefinition = {
  name: 'NodeResourcesFit',
  create(args) {
    const ignored = new Set(args.texts('ignoredResources'));
    const ignoredGroups = new Set(args.texts('ignoredResourceGroups'));
    const strategy = scoringStrategy(args.object('scoringStrategy'));
    args.done();
    for (const group of ignoredGroups) {
      if (group.includes('/'))
        throw new ConfigurationError(
          `${args.path}.ignoredResourceGroups: Invalid value: ${JSON.stringify(group)}: resource group name can't contain '/'`,
        );
    }
    const isIgnored = (name: string): boolean => isExtended(name) && (ignored.has(name) || ignoredGroups.has(name.split('/')[0] ?? ''));
    const memo = new NodeMemo();
    return {
      name: 'NodeResourcesFit',
      hints: [
        { on: ['NodeAdd', 'NodeUpdateAllocatable', 'PodScaleDown'] },
        { on: ['DeviceClass'], helps: (pod) => [...pod.requests.keys()].some(isExtended) },
        { on: ['AssignedPodDelete', 'AssignedPodScaleDown'], helps: (pod, { object }) => object.kind === 'Pod' && givesBack(object as Pod, pod) },
      ],
      preFilter(pod, snapshot) {
        const wants = wantsOf(pod, snapshot, isIgnored);
        const shared: Refusals = new Map();
        return { filter: (node) => shortage(wants, node, shared) };
      },
      preScore(pod, snapshot) {
        const usage = usageOf(pod, snapshot, strategy.resources, true);
        const { score } = strategy;
        return { score: memo.remember(snapshot, usageKey(usage), (index) => score(usage, index)) };
      },
    };
  },
};

function wantsOf({ requests }: PodInfo, { allocatable, requested, objects }: Snapshot, isIgnored: (name: string) => boolean): Want[] {
  const wants: Want[] = [];
  for (const [name, amount] of requests) {
    if (amount === 0 || isIgnored(name)) continue;
    const backedByDevices = name.includes('/') && deviceClassFor(name, objects.deviceClasses) !== undefined;
    wants.push({ name, amount, allocatable: allocatable.column(name), requested: requested.column(name), backedByDevices });
  }
  return wants;
}

/** What is short says everything a refusal holds, so nodes that lack the same things share one. */
type Refusals = Map<number, Refusal>;

function shortage(wants: readonly Want[], { index }: NodeRow, shared: Refusals): Refusal | undefined {
  let short = 0;
  for (let i = 0; i < wants.length; i++) {
    const want = wants[i];
    if (want === undefined) continue;
    const all = want.allocatable[index] ?? 0;
    if (want.amount <= all - (want.requested[index] ?? 0) || (want.backedByDevices && all === 0)) continue;
    // Two bits for each resource: short, and short even on the empty node.
    short += (want.amount > all ? 3 : 1) * 4 ** i;
  }
  if (short === 0) return undefined;
  let refusal = shared.get(short);
  if (refusal === undefined) {
    refusal = refusalOf(wants, index);
    shared.set(short, refusal);
  }
  return refusal;
}

/** Everything that is short, not only the first. */
function refusalOf(wants: readonly Want[], index: number): Refusal {
  const lacking = wants.filter(({ amount, allocatable, requested, backedByDevices }) => {
    const all = allocatable[index] ?? 0;
    return amount > all - (requested[index] ?? 0) && !(backedByDevices && all === 0);
  });
  return {
    reasons: lacking.map(({ name }) => (name === 'pods' ? 'Too many pods' : `Insufficient ${name}`)),
    // No eviction makes a node larger.
    unresolvable: lacking.some(({ amount, allocatable }) => amount > (allocatable[index] ?? 0)),
    detail: (node) => lacking.map((want) => lack(want, node.index)).join('; '),
  };
}

function lack({ name, amount, allocatable, requested }: Want, index: number): string {
  const all = allocatable[index] ?? 0;
  const unit = name === 'cpu' ? 'm' : '';
  return `${name}: ${amount}${unit} asked for, ${all - (requested[index] ?? 0)}${unit} of ${all}${unit} left`;
}

/** A pod that went helps only if it held something this one asks for. */
function givesBack(gone: Pod, pod: PodInfo): boolean {
  const held = podRequests(gone);
  for (const [name, amount] of pod.requests) if (amount > 0 && (held.get(name) ?? 0) > 0) return true;
  return false;
}
