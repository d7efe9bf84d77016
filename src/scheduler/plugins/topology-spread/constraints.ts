/** The topology spread constraints that hold for a pod: its own, or the cluster's defaults for pods that belong to something. */
import type { V1TopologySpreadConstraint } from '../../../api/types.ts';
import { controllerOf } from '../../../machinery/object.ts';
import { everything, nothing, selectorFrom, selectorOf, selectorOfLabels, type Selector } from '../../../machinery/selector.ts';
import { type Arguments, ConfigurationError } from '../../config/arguments.ts';
import type { PodMatch } from '../../pod-counts.ts';
import { type PodInfo, selectorWithKeys } from '../../pod-info.ts';
import type { Snapshot } from '../../snapshot.ts';
import { zoneLabel } from '../../node-order.ts';

export const hostnameLabel = 'kubernetes.io/hostname';

export interface Constraint {
  readonly maxSkew: number;
  readonly topologyKey: string;
  readonly minDomains: number;
  readonly honorsAffinity: boolean;
  readonly honorsTaints: boolean;
  readonly match: PodMatch;
}

export interface DefaultConstraints {
  /** k8ts' own: nodes that lack a topology are not left out. */
  readonly system: boolean;
  readonly constraints: readonly V1TopologySpreadConstraint[];
}

const systemDefaults: DefaultConstraints = {
  system: true,
  constraints: [
    { topologyKey: hostnameLabel, whenUnsatisfiable: 'ScheduleAnyway', maxSkew: 3 },
    { topologyKey: zoneLabel, whenUnsatisfiable: 'ScheduleAnyway', maxSkew: 5 },
  ],
};

type WhenUnsatisfiable = 'DoNotSchedule' | 'ScheduleAnyway';

/** A pod that says nothing itself gets the defaults, selecting what its services and its owner select. */
export function constraintsOf(pod: PodInfo, snapshot: Snapshot, defaults: DefaultConstraints, when: WhenUnsatisfiable): Constraint[] {
  const own = pod.pod.spec.topologySpreadConstraints ?? [];
  if (own.length > 0) {
    return own
      .filter((one) => one.whenUnsatisfiable === when)
      .map((one) => constraintOf(one, pod, selectorWithKeys(one.labelSelector, pod.pod.metadata.labels, one)));
  }
  const wanted = defaults.constraints.filter((one) => one.whenUnsatisfiable === when);
  if (wanted.length === 0) return [];
  const selector = selectorOfOwners(pod, snapshot);
  return selector === nothing ? [] : wanted.map((one) => constraintOf(one, pod, selector));
}

function constraintOf(given: V1TopologySpreadConstraint, pod: PodInfo, selector: Selector): Constraint {
  const { namespace } = pod;
  return {
    maxSkew: given.maxSkew,
    topologyKey: given.topologyKey,
    minDomains: given.minDomains ?? 1,
    honorsAffinity: given.nodeAffinityPolicy !== 'Ignore',
    honorsTaints: given.nodeTaintsPolicy === 'Honor',
    match: {
      id: `spread ${namespace} ${selector === nothing ? '<none>' : selector.toString()}`,
      namespace,
      byNamespaceLabels: false,
      // A pod on its way out does not hold its place.
      matches: (other) => other.namespace === namespace && !other.terminating && selector.matches(other.labels),
    },
  };
}

/** What the services in front of the pod and the controller behind it select, all together; nothing for a pod that stands alone. */
function selectorOfOwners({ pod, namespace, labels }: PodInfo, { objects }: Snapshot): Selector {
  const parts: Selector[] = [];
  for (const service of objects.services.list(namespace)) {
    const selector = selectorOfLabels(service.spec.selector);
    if (selector !== nothing && selector.matches(labels)) parts.push(selector);
  }
  const owner = controllerOf(pod);
  const selected = owner && ownerSelector(owner.kind, owner.name, namespace, objects);
  if (selected !== undefined && selected !== nothing) parts.push(selected);
  const requirements = parts.flatMap((part) => part.requirements);
  return parts.length === 0 ? nothing : requirements.length === 0 ? everything : selectorFrom(requirements);
}

function ownerSelector(kind: string, name: string, namespace: string, objects: Snapshot['objects']): Selector | undefined {
  switch (kind) {
    case 'ReplicationController':
      return selectorOfLabels(objects.replicationControllers.get(name, namespace)?.spec.selector);
    case 'ReplicaSet':
      return selectorOf(objects.replicaSets.get(name, namespace)?.spec.selector);
    case 'StatefulSet':
      return selectorOf(objects.statefulSets.get(name, namespace)?.spec.selector);
    default:
      return undefined;
  }
}

/** `defaultingType` and `defaultConstraints` of the plugin's arguments. */
export function readDefaults(args: Arguments): DefaultConstraints {
  const type = args.oneOf('defaultingType', ['System', 'List'] as const) ?? 'System';
  const given = args.objects('defaultConstraints') ?? [];
  args.done();
  if (type === 'System') {
    if (given.length > 0) args.refuse('defaultingType', 'when .defaultConstraints are not empty, must be "List"');
    return systemDefaults;
  }
  const seen = new Set<string>();
  const constraints = given.map((one): V1TopologySpreadConstraint => {
    const topologyKey = one.text('topologyKey');
    const whenUnsatisfiable = one.oneOf('whenUnsatisfiable', ['DoNotSchedule', 'ScheduleAnyway'] as const);
    const maxSkew = one.whole('maxSkew', 1, 2 ** 31 - 1);
    if (one.has('labelSelector')) one.refuse('labelSelector', 'constraint must not define a selector, as they deduced for each pod');
    const minDomains = one.whole('minDomains', 1, 2 ** 31 - 1);
    const nodeAffinityPolicy = one.oneOf('nodeAffinityPolicy', ['Honor', 'Ignore'] as const);
    const nodeTaintsPolicy = one.oneOf('nodeTaintsPolicy', ['Honor', 'Ignore'] as const);
    if (topologyKey === undefined) return one.refuse('topologyKey', 'can not be empty');
    if (whenUnsatisfiable === undefined) return one.refuse('whenUnsatisfiable', 'must be given');
    if (maxSkew === undefined) return one.refuse('maxSkew', 'not in valid range (1 or more)');
    one.done();
    const id = `${topologyKey} ${whenUnsatisfiable}`;
    if (seen.has(id)) throw new ConfigurationError(`${one.path}: Duplicate value: {${topologyKey}, ${whenUnsatisfiable}}`);
    seen.add(id);
    return {
      topologyKey,
      whenUnsatisfiable,
      maxSkew,
      ...(minDomains !== undefined && { minDomains }),
      ...(nodeAffinityPolicy && { nodeAffinityPolicy }),
      ...(nodeTaintsPolicy && { nodeTaintsPolicy }),
    };
  });
  return { system: false, constraints };
}
