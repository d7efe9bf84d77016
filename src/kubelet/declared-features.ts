/**
 * What of v1.36's younger features this kubelet does, as it tells in the Node's status: schedulers and admission look for them.
 * https://kubernetes.io/docs/concepts/scheduling-eviction/node-declared-features/
 */
import type { PlacementSettings } from './configuration/placement-settings.ts';

/** In the order of their names. */
export function declaredFeatures({ cpuPolicy }: Pick<PlacementSettings, 'cpuPolicy'>): readonly string[] {
  // CPUs that a container has for itself stay what they are.
  const resizable = cpuPolicy === 'static' ? [] : ['GuaranteedQoSPodCPUResize'];
  return [...resizable, 'InPlacePodLevelResourcesVerticalScaling', 'RestartAllContainersOnContainerExits'];
}
