/** What the managers of CPUs and of memory have in common for whoever places a container. */
import type { Pod } from '../../api/kinds.ts';
import type { V1Container } from '../../api/types.ts';
import { type PodContainer, containersOf } from '../pod-spec.ts';
import { qosClass } from '../qos.ts';
import type { HintsByResource, TopologyHint } from './topology-policy.ts';

export interface ResourceProvider {
  /** Where the container could get what it asks for; without entries when it asks for nothing of its own. */
  hints(pod: Pod, container: PodContainer): HintsByResource;
  /** The same for all containers of the pod together. */
  podHints(pod: Pod): HintsByResource;
  /** A container that has its share keeps it. Throws `AllocationError`. */
  allocate(pod: Pod, container: PodContainer, hint: TopologyHint): void;
  release(uid: string): void;
  /** Uids of pods that have something. */
  holders(): readonly string[];
}

/** A share cannot be given. `reason` is the pod's. */
export class AllocationError extends Error {
  override readonly name = 'AllocationError';
  readonly reason: string;

  constructor(message: string, reason = 'UnexpectedAdmissionError') {
    super(reason === 'UnexpectedAdmissionError' ? `Allocate failed due to ${message}, which is unexpected` : message);
    this.reason = reason;
  }
}

/** Those that may have something of their own: of guaranteed pods alone, whose containers say each for itself what it needs. */
export function placedContainers(pod: Pod): readonly PodContainer[] {
  if (pod.spec.resources !== undefined || qosClass(pod) !== 'Guaranteed') return [];
  return containersOf(pod).filter(({ role }) => role !== 'ephemeral');
}

/** What the pod needs at once: regular containers and sidecars together, or an init container with the sidecars before it if that is more. */
export function podNeed(containers: readonly PodContainer[], amount: (container: V1Container) => number): number {
  let most = 0;
  let sidecars = 0;
  let regular = 0;
  for (const { role, spec } of containers) {
    if (role === 'sidecar') sidecars += amount(spec);
    else if (role === 'init') most = Math.max(most, sidecars + amount(spec));
    else if (role === 'regular') regular += amount(spec);
  }
  return Math.max(most, sidecars + regular);
}
