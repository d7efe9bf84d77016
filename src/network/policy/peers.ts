/** Whom a NetworkPolicy's peers are about: pods by their labels and their namespaces' labels. A pod of the host's network is nobody here: its address is the node's. */
import type { Namespace, NetworkPolicy, Pod } from '../../api/kinds.ts';
import type { V1LabelSelector } from '../../api/types.ts';
import { everything, type Selector, selectorOf } from '../../machinery/selector.ts';

export interface PolicySnapshot {
  /** Rules are made for this node's pods. */
  readonly nodeName: string;
  readonly policies: readonly NetworkPolicy[];
  readonly pods: readonly Pod[];
  readonly namespaces: readonly Namespace[];
  /** The cluster's name server, which is no pod: policies see it as the pod that it is elsewhere. */
  readonly nameServer?: NameServer;
}

export interface NameServer {
  readonly address: string;
  readonly port: number;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
}

type Labels = Readonly<Record<string, string>> | undefined;

/** A pod as rules see it. */
export interface PolicyPod {
  readonly namespace: string;
  readonly name: string;
  readonly labels: Labels;
  readonly addresses: readonly string[];
  readonly nodeName: string | undefined;
  /** Named container ports. */
  readonly ports: readonly { readonly name: string; readonly protocol: string; readonly number: number }[];
}

/** Undefined for a pod that rules have nothing to do with: on the host's network, without an address yet, or ended, when its address may be another's. */
export function policyPod({ metadata, spec, status }: Pod): PolicyPod | undefined {
  if (spec.hostNetwork === true || status.phase === 'Succeeded' || status.phase === 'Failed') return undefined;
  const addresses = podAddresses({ status });
  if (addresses.length === 0) return undefined;
  const containers = [...(spec.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === 'Always'), ...spec.containers];
  const ports = containers.flatMap((container) =>
    (container.ports ?? []).flatMap(({ name, protocol = 'TCP', containerPort }) =>
      name === undefined ? [] : [{ name, protocol, number: containerPort }],
    ),
  );
  return { namespace: metadata.namespace, name: metadata.name, labels: metadata.labels, addresses, nodeName: spec.nodeName, ports };
}

export function podAddresses({ status: { podIP, podIPs } }: Pick<Pod, 'status'>): string[] {
  return (podIPs ?? (podIP === undefined ? [] : [{ ip: podIP }])).map(({ ip }) => ip).filter((ip) => ip !== '');
}

export function formatName({ metadata }: { readonly metadata: { readonly namespace: string; readonly name: string } }): string {
  return `${metadata.namespace}/${metadata.name}`;
}

/** Whether two states of a pod are the same to {@link policyPod}, for most changes of a pod are of no concern. */
export function samePolicyPod(a: PolicyPod | undefined, b: PolicyPod | undefined): boolean {
  return a === b || JSON.stringify(a) === JSON.stringify(b);
}

export interface PodSelector {
  /** Equal for selectors that select the same pods. */
  readonly key: string;
  matches(pod: { readonly namespace: string; readonly labels: Labels }): boolean;
}

/** Pods of one namespace, or of those that `namespaceSelector` selects; all pods there when `podSelector` is absent. */
export class PodSelectors {
  readonly #namespaces: ReadonlyMap<string, Labels>;

  constructor(namespaces: readonly Namespace[]) {
    this.#namespaces = new Map(namespaces.map(({ metadata }) => [metadata.name, metadata.labels]));
  }

  select(policyNamespace: string, podSelector: V1LabelSelector | undefined, namespaceSelector?: V1LabelSelector): PodSelector {
    const pods: Selector = podSelector === undefined ? everything : selectorOf(podSelector);
    if (namespaceSelector === undefined) {
      return {
        key: `${policyNamespace}: ${pods.toString()}`,
        matches: ({ namespace, labels }) => namespace === policyNamespace && pods.matches(labels),
      };
    }
    const namespaces = selectorOf(namespaceSelector);
    return {
      key: `{${namespaces.toString()}}: ${pods.toString()}`,
      matches: ({ namespace, labels }) =>
        this.#namespaces.has(namespace) && namespaces.matches(this.#namespaces.get(namespace)) && pods.matches(labels),
    };
  }
}
