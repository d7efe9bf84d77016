/** A pod with what scheduling asks of it again and again worked out once. */
import type { Pod } from '../api/kinds.ts';
import type { V1PodAffinityTerm } from '../api/types.ts';
import { keyOf } from '../machinery/object.ts';
import { nothing, selectorOf, type Selector } from '../machinery/selector.ts';
import { type Amounts, nonZeroRequests, podRequests } from './resources.ts';

/** A port on the host that a pod claims. An empty address claims it on all of them. */
export interface HostPort {
  readonly address: string;
  readonly protocol: string;
  readonly port: number;
}

/** Which pods a term of pod affinity is about, and within which topology. */
export interface AffinityTerm {
  /** Equal for terms that say the same. */
  readonly id: string;
  /** Equal for terms about the same pods, within whatever topology. */
  readonly podsId: string;
  readonly topologyKey: string;
  readonly namespaces: ReadonlySet<string>;
  /** Namespaces chosen by label, besides those. */
  readonly namespaceSelector: Selector;
  readonly selector: Selector;
}

export interface WeightedTerm {
  readonly term: AffinityTerm;
  readonly weight: number;
}

export interface AffinityTerms {
  readonly required: readonly AffinityTerm[];
  readonly requiredAnti: readonly AffinityTerm[];
  readonly preferred: readonly WeightedTerm[];
  readonly preferredAnti: readonly WeightedTerm[];
}

export interface PodInfo {
  /** Replaced when only what does not matter to scheduling changed. */
  pod: Pod;
  readonly key: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly priority: number;
  readonly terminating: boolean;
  readonly requests: Amounts;
  /** With upstream's assumptions for pods that ask for nothing, so that those spread too. */
  readonly nonZeroCpu: number;
  readonly nonZeroMemory: number;
  readonly hostPorts: readonly HostPort[];
  /** `namespace/name` of the volume claims it mounts, those of its own ephemeral volumes too. */
  readonly claims: readonly string[];
  readonly terms: AffinityTerms | undefined;
}

export function podInfo(pod: Pod): PodInfo {
  const requests = podRequests(pod);
  const nonZero = nonZeroRequests(pod, requests);
  return {
    pod,
    key: keyOf(pod),
    namespace: pod.metadata.namespace,
    labels: pod.metadata.labels ?? noLabels,
    priority: pod.spec.priority ?? 0,
    terminating: pod.metadata.deletionTimestamp !== undefined,
    requests,
    nonZeroCpu: nonZero.cpu,
    nonZeroMemory: nonZero.memory,
    hostPorts: hostPortsOf(pod),
    claims: claimsOf(pod),
    terms: pod.spec.affinity?.podAffinity || pod.spec.affinity?.podAntiAffinity ? termsOf(pod) : undefined,
  };
}

const noLabels: Readonly<Record<string, string>> = {};
const noPorts: readonly HostPort[] = [];
const noClaims: readonly string[] = [];

/** The later of a pod's phases: it holds nothing on its node any more. */
export function isFinished(pod: Pod): boolean {
  return pod.status.phase === 'Succeeded' || pod.status.phase === 'Failed';
}

export function hasNode(pod: Pod): boolean {
  return pod.spec.nodeName !== undefined && pod.spec.nodeName !== '';
}

/** Whether a pod on a node counts there as it did before: most updates are about its status. */
export function countsAlike(a: Pod, b: Pod): boolean {
  if (a === b) return true;
  if (a.metadata.uid !== b.metadata.uid || a.metadata.generation !== b.metadata.generation) return false;
  if ((a.metadata.deletionTimestamp === undefined) !== (b.metadata.deletionTimestamp === undefined)) return false;
  if (!sameText(a.metadata.labels, b.metadata.labels)) return false;
  const [before, after] = [a.status.containerStatuses ?? [], b.status.containerStatuses ?? []];
  return after.every((status, index) => sameText(before[index]?.allocatedResources, status.allocatedResources));
}

function sameText(a: Readonly<Record<string, string>> | undefined, b: Readonly<Record<string, string>> | undefined): boolean {
  if (a === b) return true;
  const keys = Object.keys(b ?? {});
  return Object.keys(a ?? {}).length === keys.length && keys.every((key) => a?.[key] === b?.[key]);
}

function hostPortsOf({ spec }: Pod): readonly HostPort[] {
  let ports: HostPort[] | undefined;
  for (const container of [...spec.containers, ...(spec.initContainers ?? []).filter((init) => init.restartPolicy === 'Always')]) {
    for (const port of container.ports ?? []) {
      if (port.hostPort === undefined || port.hostPort <= 0) continue;
      const address = port.hostIP === undefined || port.hostIP === '0.0.0.0' || port.hostIP === '::' ? '' : port.hostIP;
      (ports ??= []).push({ address, protocol: port.protocol ?? 'TCP', port: port.hostPort });
    }
  }
  return ports ?? noPorts;
}

function claimsOf({ metadata, spec }: Pod): readonly string[] {
  let claims: string[] | undefined;
  for (const volume of spec.volumes ?? []) {
    const name = volume.persistentVolumeClaim?.claimName ?? (volume.ephemeral ? `${metadata.name}-${volume.name}` : undefined);
    if (name !== undefined) (claims ??= []).push(`${metadata.namespace}/${name}`);
  }
  return claims ?? noClaims;
}

function termsOf(pod: Pod): AffinityTerms {
  const { podAffinity, podAntiAffinity } = pod.spec.affinity ?? {};
  const plain = (terms: readonly V1PodAffinityTerm[] | undefined): AffinityTerm[] => (terms ?? []).map((term) => affinityTerm(term, pod));
  const weighted = (terms: readonly { weight: number; podAffinityTerm: V1PodAffinityTerm }[] | undefined): WeightedTerm[] =>
    (terms ?? []).map(({ weight, podAffinityTerm }) => ({ weight, term: affinityTerm(podAffinityTerm, pod) }));
  return {
    required: plain(podAffinity?.requiredDuringSchedulingIgnoredDuringExecution),
    requiredAnti: plain(podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution),
    preferred: weighted(podAffinity?.preferredDuringSchedulingIgnoredDuringExecution),
    preferredAnti: weighted(podAntiAffinity?.preferredDuringSchedulingIgnoredDuringExecution),
  };
}

/** `matchLabelKeys` and `mismatchLabelKeys` take their values from the pod the term belongs to; without a selector they say nothing. */
function affinityTerm(term: V1PodAffinityTerm, { metadata }: Pod): AffinityTerm {
  const selector = term.labelSelector === undefined ? nothing : selectorWithKeys(term.labelSelector, metadata.labels, term);
  // An absent selector chooses no namespace by label; with neither list nor selector, the pod's own is meant.
  const namespaceSelector = selectorOf(term.namespaceSelector);
  const listed = term.namespaces ?? [];
  const namespaces = new Set(listed.length === 0 && term.namespaceSelector === undefined ? [metadata.namespace] : listed);
  const chosen = term.namespaceSelector === undefined ? '' : `*${namespaceSelector.toString()}`;
  const podsId = JSON.stringify([[...namespaces].sort(), chosen, selector === nothing ? '<none>' : selector.toString()]);
  return { id: `${term.topologyKey} ${podsId}`, podsId, topologyKey: term.topologyKey, namespaces, namespaceSelector, selector };
}

interface LabelKeys {
  readonly matchLabelKeys?: readonly string[];
  readonly mismatchLabelKeys?: readonly string[];
}

/** The selector with the pod's own values of some labels asked for (or ruled out). Keys the pod does not have are passed over. */
export function selectorWithKeys(
  selector: Parameters<typeof selectorOf>[0],
  labels: Readonly<Record<string, string>> | undefined,
  { matchLabelKeys = [], mismatchLabelKeys = [] }: LabelKeys,
): Selector {
  const added = (keys: readonly string[], operator: string): { key: string; operator: string; values: string[] }[] =>
    keys.flatMap((key) => (labels?.[key] === undefined ? [] : [{ key, operator, values: [labels[key]] }]));
  const more = [...added(matchLabelKeys, 'In'), ...added(mismatchLabelKeys, 'NotIn')];
  if (more.length === 0) return selectorOf(selector);
  return selectorOf({ ...selector, matchExpressions: [...(selector?.matchExpressions ?? []), ...more] });
}
