/** Small questions about a pod's spec that many parts of the kubelet ask. */
import type { Pod } from '../api/kinds.ts';
import type { V1Container } from '../api/types.ts';

export type ContainerRole = 'init' | 'sidecar' | 'regular' | 'ephemeral';

export interface PodContainer {
  readonly role: ContainerRole;
  readonly spec: V1Container;
}

/** Init containers and sidecars in their order, then the regular ones, then the ephemeral ones. */
export function containersOf(pod: Pod): readonly PodContainer[] {
  const { initContainers = [], containers, ephemeralContainers = [] } = pod.spec;
  return [
    ...initContainers.map((spec): PodContainer => ({ role: isSidecar(spec) ? 'sidecar' : 'init', spec })),
    ...containers.map((spec): PodContainer => ({ role: 'regular', spec })),
    ...ephemeralContainers.map((spec): PodContainer => ({ role: 'ephemeral', spec })),
  ];
}

export function containerOf(pod: Pod, name: string): PodContainer | undefined {
  return containersOf(pod).find(({ spec }) => spec.name === name);
}

/** An init container that is always restarted runs beside the regular ones. */
export function isSidecar(container: V1Container): boolean {
  return container.restartPolicy === 'Always';
}

/** A pod given by a file on the node rather than by the API: its mirror carries this annotation. */
export function isMirrorPod(pod: Pod): boolean {
  return pod.metadata.annotations?.['kubernetes.io/config.mirror'] !== undefined;
}

export function isTerminalPhase(phase: string | undefined): boolean {
  return phase === 'Succeeded' || phase === 'Failed';
}

/** `name_namespace(uid)`, as events and messages name a pod. */
export function formatPod(pod: Pod): string {
  return `${pod.metadata.name}_${pod.metadata.namespace}(${pod.metadata.uid})`;
}

/** `spec.containers{web}`. */
export function containerFieldPath({ spec }: Pod, container: string): string {
  const list = spec.initContainers?.some(({ name }) => name === container)
    ? 'initContainers'
    : spec.ephemeralContainers?.some(({ name }) => name === container)
      ? 'ephemeralContainers'
      : 'containers';
  return `spec.${list}{${container}}`;
}
