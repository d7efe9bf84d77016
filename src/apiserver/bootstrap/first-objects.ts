/**
 * Every object that a cluster has from its first moment, whatever its server's configuration: system namespaces, system priority classes, flow control,
 * RBAC's default policy, and the APIServices of what is served.
 */
import {
  APIService,
  ClusterRole,
  ClusterRoleBinding,
  FlowSchema,
  Namespace,
  PriorityClass,
  PriorityLevelConfiguration,
  Role,
  RoleBinding,
} from '../../api/kinds.ts';
import type { Kind } from '../../api/kind.ts';
import type { Draft } from '../../machinery/object.ts';
import { localCondition, localServices } from '../aggregation/local-api-services.ts';
import { bootstrapFlowSchemas, bootstrapPriorityLevels } from '../flow-control/bootstrap-objects.ts';
import { conditionWriter, levelCondition } from '../flow-control/upkeep.ts';
import type { FirstObject } from '../verbs/create-first.ts';
import { bootstrapClusterRoleBindings, bootstrapClusterRoles, bootstrapRoleBindings, bootstrapRoles } from './policy.ts';

export const systemNamespaces = ['default', 'kube-node-lease', 'kube-public', 'kube-system'] as const;

export const systemPriorityClasses: readonly Draft<PriorityClass>[] = [
  {
    metadata: { name: 'system-cluster-critical' },
    value: 2_000_000_000,
    preemptionPolicy: 'PreemptLowerPriority',
    description: 'For pods the cluster cannot do without, but which may move to another node.',
  },
  {
    metadata: { name: 'system-node-critical' },
    value: 2_000_001_000,
    preemptionPolicy: 'PreemptLowerPriority',
    description: 'For pods their node cannot do without.',
  },
];

/** Those that are the same in every cluster; made once. */
let always: readonly FirstObject[] | undefined;

/** `kinds`: all that are served. */
export function firstObjects(kinds: readonly Kind[]): readonly FirstObject[] {
  always ??= [
    ...systemNamespaces.map((name) => ({ kind: Namespace, draft: { metadata: { name }, spec: {} } })),
    ...systemPriorityClasses.map((draft) => ({ kind: PriorityClass, draft })),
    ...bootstrapPriorityLevels().map((draft) => ({ kind: PriorityLevelConfiguration, draft })),
    ...bootstrapFlowSchemas().map((draft) => ({
      kind: FlowSchema,
      draft,
      status: { manager: conditionWriter, conditions: [levelCondition(draft.spec.priorityLevelConfiguration.name, true)] },
    })),
    ...bootstrapClusterRoles().map((draft) => ({ kind: ClusterRole, draft })),
    ...bootstrapClusterRoleBindings().map((draft) => ({ kind: ClusterRoleBinding, draft })),
    ...bootstrapRoles().map((draft) => ({ kind: Role, draft })),
    ...bootstrapRoleBindings().map((draft) => ({ kind: RoleBinding, draft })),
  ];
  const services = [...localServices(kinds).values()].map((draft) => ({
    kind: APIService,
    draft,
    status: { manager: 'kube-apiserver', conditions: [localCondition] },
  }));
  return [...always, ...services];
}
