/** The flow schemas and priority levels every cluster has from the start; the same as upstream's, by name, order and share. */
import type { FlowSchema, PriorityLevelConfiguration } from '../../api/kinds.ts';
import type { FlowcontrolV1Subject, V1LimitResponse, V1PolicyRulesWithSubjects, V1ResourcePolicyRule } from '../../api/types.ts';
import { equal } from '../../machinery/equal.ts';
import type { Draft } from '../../machinery/object.ts';

const autoUpdate = 'apf.kubernetes.io/autoupdate-spec';

const everyResource: V1ResourcePolicyRule = { verbs: ['*'], apiGroups: ['*'], resources: ['*'], clusterScope: true, namespaces: ['*'] };

function everythingOf(...subjects: FlowcontrolV1Subject[]): V1PolicyRulesWithSubjects[] {
  return [{ subjects, resourceRules: [everyResource], nonResourceRules: [{ verbs: ['*'], nonResourceURLs: ['*'] }] }];
}

function user(name: string): FlowcontrolV1Subject {
  return { kind: 'User', user: { name } };
}

function group(name: string): FlowcontrolV1Subject {
  return { kind: 'Group', group: { name } };
}

function account(name: string): FlowcontrolV1Subject {
  return { kind: 'ServiceAccount', serviceAccount: { namespace: 'kube-system', name } };
}

const everyone = [group('system:unauthenticated'), group('system:authenticated')];
const manager = user('system:kube-controller-manager');
const scheduler = user('system:kube-scheduler');

const leases: V1ResourcePolicyRule = {
  verbs: ['get', 'create', 'update'],
  apiGroups: ['coordination.k8s.io'],
  resources: ['leases'],
  namespaces: ['*'],
};

function schema(
  name: string,
  level: string,
  matchingPrecedence: number,
  distinguisher: 'ByUser' | 'ByNamespace' | undefined,
  rules: V1PolicyRulesWithSubjects[],
): Draft<FlowSchema> {
  return {
    metadata: { name, annotations: { [autoUpdate]: 'true' } },
    spec: {
      priorityLevelConfiguration: { name: level },
      matchingPrecedence,
      ...(distinguisher && { distinguisherMethod: { type: distinguisher } }),
      rules,
    },
  };
}

export function bootstrapFlowSchemas(): Draft<FlowSchema>[] {
  const probed = [{ verbs: ['get'], nonResourceURLs: ['/healthz', '/readyz', '/livez'] }];
  const nodeRules: V1ResourcePolicyRule[] = [
    { verbs: ['*'], apiGroups: [''], resources: ['nodes', 'nodes/status'], clusterScope: true, namespaces: ['*'] },
    { verbs: ['*'], apiGroups: ['coordination.k8s.io'], resources: ['leases'], namespaces: ['*'] },
  ];
  const endpoints: V1ResourcePolicyRule = { verbs: ['get', 'create', 'update'], apiGroups: [''], resources: ['endpoints'], namespaces: ['*'] };
  return [
    schema('exempt', 'exempt', 1, undefined, everythingOf(group('system:masters'))),
    schema('probes', 'exempt', 2, undefined, [{ subjects: everyone, nonResourceRules: probed }]),
    schema('system-leader-election', 'leader-election', 100, 'ByUser', [{ subjects: [manager, scheduler, account('*')], resourceRules: [leases] }]),
    schema('endpoint-controller', 'workload-high', 150, 'ByUser', [
      { subjects: [manager, account('endpoint-controller'), account('endpointslicemirroring-controller')], resourceRules: [endpoints] },
    ]),
    schema('workload-leader-election', 'leader-election', 200, 'ByUser', [{ subjects: [account('*')], resourceRules: [leases] }]),
    schema('system-node-high', 'node-high', 400, 'ByUser', [{ subjects: [group('system:nodes')], resourceRules: nodeRules }]),
    schema('system-nodes', 'system', 500, 'ByUser', everythingOf(group('system:nodes'))),
    schema('kube-controller-manager', 'workload-high', 800, 'ByNamespace', everythingOf(manager)),
    schema('kube-scheduler', 'workload-high', 800, 'ByNamespace', everythingOf(scheduler)),
    schema('kube-system-service-accounts', 'workload-high', 900, 'ByNamespace', everythingOf(account('*'))),
    schema('service-accounts', 'workload-low', 9000, 'ByUser', everythingOf(group('system:serviceaccounts'))),
    schema('global-default', 'global-default', 9900, 'ByUser', everythingOf(...everyone)),
    schema('catch-all', 'catch-all', 10_000, 'ByUser', everythingOf(...everyone)),
  ];
}

function level(name: string, shares: number, lendablePercent: number, limitResponse: V1LimitResponse): Draft<PriorityLevelConfiguration> {
  return {
    metadata: { name, annotations: { [autoUpdate]: 'true' } },
    spec: { type: 'Limited', limited: { nominalConcurrencyShares: shares, lendablePercent, limitResponse } },
  };
}

function queued(queues: number, handSize: number): V1LimitResponse {
  return { type: 'Queue', queuing: { queues, handSize, queueLengthLimit: 50 } };
}

export function bootstrapPriorityLevels(): Draft<PriorityLevelConfiguration>[] {
  return [
    {
      metadata: { name: 'exempt', annotations: { [autoUpdate]: 'true' } },
      spec: { type: 'Exempt', exempt: { nominalConcurrencyShares: 0, lendablePercent: 0 } },
    },
    level('system', 30, 33, queued(64, 6)),
    level('node-high', 40, 25, queued(64, 6)),
    level('leader-election', 10, 0, queued(16, 4)),
    level('workload-high', 40, 50, queued(128, 6)),
    level('workload-low', 100, 90, queued(128, 6)),
    level('global-default', 20, 50, queued(128, 6)),
    level('catch-all', 5, 0, { type: 'Reject' }),
  ];
}

/** The object with the spec it should have; undefined when it has it, or somebody took it over by setting the annotation to false. */
export function respecified<T extends FlowSchema | PriorityLevelConfiguration>(present: T, wanted: Draft<T>): T | undefined {
  if (present.metadata.annotations?.[autoUpdate] === 'false' || equal(present.spec, wanted.spec)) return undefined;
  return { ...present, spec: wanted.spec };
}
