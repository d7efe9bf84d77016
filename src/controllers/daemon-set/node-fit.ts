/**
 * On which nodes a daemon set's pod belongs, and the pod it gets there. Upstream's `NodeShouldRunDaemonPod`: the scheduler's predicates on names,
 * labels and taints, without resources, so that a full node has a pod pending rather than none.
 */
import type { DaemonSet, Node, Pod } from '../../api/kinds.ts';
import type { V1PodSpec, V1Toleration } from '../../api/types.ts';
import { selectsNode } from '../../machinery/node-selector.ts';
import type { Draft } from '../../machinery/object.ts';
import { isTolerated } from '../../machinery/tolerations.ts';
import { controllerReference, podFromTemplate } from '../pods.ts';
import { revisionHashLabel } from '../revisions.ts';

export const templateGenerationAnnotation = 'deprecated.daemonset.template.generation';
export const templateGenerationLabel = 'pod-template-generation';

const tolerated: readonly (readonly [key: string, effect: string])[] = [
  ['node.kubernetes.io/not-ready', 'NoExecute'],
  ['node.kubernetes.io/unreachable', 'NoExecute'],
  ['node.kubernetes.io/disk-pressure', 'NoSchedule'],
  ['node.kubernetes.io/memory-pressure', 'NoSchedule'],
  ['node.kubernetes.io/pid-pressure', 'NoSchedule'],
  ['node.kubernetes.io/unschedulable', 'NoSchedule'],
];

/** The template's tolerations and those every daemon pod has: it stays on sick and cordoned nodes. */
export function daemonTolerations(spec: V1PodSpec): V1Toleration[] {
  const wanted = spec.hostNetwork === true ? [...tolerated, ['node.kubernetes.io/network-unavailable', 'NoSchedule'] as const] : tolerated;
  const result = [...(spec.tolerations ?? [])];
  for (const [key, effect] of wanted) {
    const toleration: V1Toleration = { key, operator: 'Exists', effect };
    const same = result.findIndex((other) => other.key === key && other.effect === effect && (other.operator ?? 'Equal') === 'Exists');
    if (same >= 0) result[same] = toleration;
    else result.push(toleration);
  }
  return result;
}

export interface NodeFit {
  readonly shouldRun: boolean;
  /** A pod that is there may stay, though none would be made. */
  readonly mayStay: boolean;
}

/** The question for one daemon set, to be asked of every node. */
export function nodeFit({ spec: { template } }: DaemonSet): (node: Node) => NodeFit {
  const spec = template.spec ?? { containers: [] };
  const terms = spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms;
  const tolerations = daemonTolerations(spec);
  return (node) => {
    if (spec.nodeName && spec.nodeName !== node.metadata.name) return { shouldRun: false, mayStay: false };
    if (!selectsNode(spec.nodeSelector, terms, node)) return { shouldRun: false, mayStay: false };
    const refused = (node.spec.taints ?? []).filter((taint) => taint.effect !== 'PreferNoSchedule' && !isTolerated(taint, tolerations));
    return { shouldRun: refused.length === 0, mayStay: !refused.some(({ effect }) => effect === 'NoExecute') };
  };
}

/** The node a daemon pod is on, or is meant for while the scheduler has not bound it. */
export function targetNode(pod: Pod): string | undefined {
  if (pod.spec.nodeName) return pod.spec.nodeName;
  const terms = pod.spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms ?? [];
  for (const { matchFields = [] } of terms) {
    for (const { key, operator, values } of matchFields) {
      if (key === 'metadata.name' && operator === 'In' && values?.length === 1) return values[0];
    }
  }
  return undefined;
}

/** Meant for one node, by its name; the default scheduler puts it there. */
export function daemonPod(daemonSet: DaemonSet, node: string, hash: string): Draft<Pod> {
  const draft = podFromTemplate(daemonSet.spec.template, daemonSet.metadata.namespace, `${daemonSet.metadata.name}-`, controllerReference(daemonSet));
  const generation = daemonSet.metadata.annotations?.[templateGenerationAnnotation];
  const { affinity, ...spec } = draft.spec;
  return {
    ...draft,
    metadata: {
      ...draft.metadata,
      labels: { ...draft.metadata.labels, [revisionHashLabel]: hash, ...(generation !== undefined && { [templateGenerationLabel]: generation }) },
    },
    spec: {
      ...spec,
      tolerations: daemonTolerations(spec),
      affinity: {
        ...affinity,
        nodeAffinity: {
          ...affinity?.nodeAffinity,
          requiredDuringSchedulingIgnoredDuringExecution: {
            nodeSelectorTerms: [{ matchFields: [{ key: 'metadata.name', operator: 'In', values: [node] }] }],
          },
        },
      },
    },
  };
}
