/**
 * The node's own last word on a pod: whatever the scheduler said, it must fit here. A pod that does not is failed, with upstream's reasons. A pure
 * function. Upstream: the kubelet's predicate admit handler.
 */
import type { Node, Pod } from '../api/kinds.ts';
import { selectsNode } from '../machinery/node-selector.ts';
import { isTolerated } from '../machinery/tolerations.ts';
import { bytes, milli, podRequest } from './resources.ts';

export interface Rejection {
  readonly reason: string;
  readonly message: string;
}

/** `others`: the pods of the API that were admitted before and have not ended. */
export function admit(pod: Pod, node: Node, others: readonly Pod[]): Rejection | undefined {
  return wrongSystem(pod) ?? misfit(pod, node, others) ?? wrongNode(pod, node) ?? portTaken(pod, others) ?? untolerated(pod, node);
}

function wrongSystem({ spec }: Pod): Rejection | undefined {
  if (spec.os === undefined || spec.os.name === 'linux') return undefined;
  return { reason: 'PodOSNotSupported', message: "Pod was rejected: Failed to admit pod as the OS field doesn't match node OS" };
}

function misfit(pod: Pod, node: Node, others: readonly Pod[]): Rejection | undefined {
  const allocatable = node.status.allocatable ?? {};
  const most = Number(allocatable.pods ?? '110');
  if (others.length + 1 > most) return outOf('pods', 1, others.length, most);
  const names = new Set<string>();
  for (const { resources } of [...(pod.spec.initContainers ?? []), ...pod.spec.containers]) {
    for (const name of [...Object.keys(resources?.requests ?? {}), ...Object.keys(resources?.limits ?? {})]) names.add(name);
  }
  for (const name of names) {
    // As upstream: an extended resource that no device plugin offers here is one that devices were allocated for.
    if (name.includes('/') && allocatable[name] === undefined) continue;
    const unit = name === 'cpu' ? milli : bytes;
    const wanted = podRequest(pod, name, unit);
    if (wanted === 0) continue;
    const used = others.reduce((sum, other) => sum + podRequest(other, name, unit), 0);
    const capacity = unit(allocatable[name]);
    if (used + wanted > capacity) return outOf(name, wanted, used, capacity);
  }
  return undefined;
}

function outOf(resource: string, requested: number, used: number, capacity: number): Rejection {
  return {
    reason: `OutOf${resource}`,
    message: `Pod was rejected: Node didn't have enough resource: ${resource}, requested: ${requested}, used: ${used}, capacity: ${capacity}`,
  };
}

function wrongNode(pod: Pod, node: Node): Rejection | undefined {
  const terms = pod.spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms;
  if (selectsNode(pod.spec.nodeSelector, terms, node)) return undefined;
  return { reason: 'NodeAffinity', message: "Pod was rejected: Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector" };
}

function portTaken(pod: Pod, others: readonly Pod[]): Rejection | undefined {
  const wanted = hostPorts(pod);
  if (wanted.length === 0) return undefined;
  const taken = others.flatMap(hostPorts);
  const clash = wanted.some((own) =>
    taken.some(
      (other) =>
        own.port === other.port && own.protocol === other.protocol && (own.ip === other.ip || own.ip === '0.0.0.0' || other.ip === '0.0.0.0'),
    ),
  );
  if (!clash) return undefined;
  return { reason: 'NodePorts', message: "Pod was rejected: Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports" };
}

function hostPorts(pod: Pod): { port: number; protocol: string; ip: string }[] {
  return [...(pod.spec.initContainers ?? []), ...pod.spec.containers].flatMap(({ ports = [] }) =>
    ports.flatMap(({ hostPort, protocol = 'TCP', hostIP }) => (hostPort ? [{ port: hostPort, protocol, ip: hostIP || '0.0.0.0' }] : [])),
  );
}

/** Only NoExecute taints count here: a pod that is here already is not unscheduled. */
function untolerated(pod: Pod, node: Node): Rejection | undefined {
  const taints = (node.spec.taints ?? []).filter(({ effect }) => effect === 'NoExecute');
  const first = taints.find((taint) => !isTolerated(taint, pod.spec.tolerations));
  if (!first) return undefined;
  return { reason: 'TaintToleration', message: `Pod was rejected: Predicate TaintToleration failed: node(s) had untolerated taint(s)` };
}
