/**
 * What follows when a container exits: whether it is started again, or all of its pod are. Pure functions.
 * https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#container-restart-rules
 */
import type { Pod } from '../api/kinds.ts';
import type { V1Container, V1ContainerRestartRule } from '../api/types.ts';
import { type ContainerRole, containersOf } from './pod-spec.ts';
import type { ContainerStatus } from './runtime/runtime.ts';

const restartAll = 'RestartAllContainers';

/**
 * Whether a container that exited so is started again: by the first of its own rules that speaks of the exit code, else by its own policy, else by the
 * pod's. Sidecars always are; ephemeral containers never.
 */
export function mayRestart(pod: Pod, container: V1Container, role: ContainerRole, exitCode: number): boolean {
  if (role === 'ephemeral') return false;
  if (role === 'sidecar') return true;
  const action = ruleFor(container, exitCode)?.action;
  if (action === 'Restart' || action === restartAll) return true;
  const policy = container.restartPolicy ?? pod.spec.restartPolicy ?? 'Always';
  if (role === 'init') return exitCode !== 0 && policy !== 'Never';
  return policy === 'Always' || (policy === 'OnFailure' && exitCode !== 0);
}

/** Whether some container could have all of them started anew. */
export function couldRestartAll(pod: Pod): boolean {
  return containersOf(pod).some(({ spec }) => spec.restartPolicyRules?.some(({ action }) => action === restartAll) === true);
}

/** The instance, of those in one sandbox and newest first, by whose end all containers are to start anew. */
export function restartTrigger(pod: Pod, instances: readonly ContainerStatus[]): ContainerStatus | undefined {
  for (const { role, spec } of containersOf(pod)) {
    if (role === 'ephemeral' || spec.restartPolicyRules === undefined) continue;
    const newest = instances.find(({ name }) => name === spec.name);
    if (newest?.state === 'exited' && ruleFor(spec, newest.exitCode)?.action === restartAll) return newest;
  }
  return undefined;
}

function ruleFor({ restartPolicyRules = [] }: V1Container, exitCode: number): V1ContainerRestartRule | undefined {
  return restartPolicyRules.find(({ exitCodes }) => {
    if (!exitCodes) return false;
    const isListed = exitCodes.values?.includes(exitCode) === true;
    return exitCodes.operator === 'In' ? isListed : exitCodes.operator === 'NotIn' && !isListed;
  });
}
