/**
 * What the published model leaves out: how lists and maps merge (server-side apply's list types, strategic merge's keys), what is replaced whole, and
 * which strings are quantities. From the `x-kubernetes-*` extensions of upstream's OpenAPI document. Fields are `Model.field`; a list that is not
 * here is atomic and replaced by a patch, a map or object that is not here merges field by field.
 */
import type { ListSchema, Property } from '../machinery/schema.ts';

export interface FieldMerge {
  readonly listType?: ListSchema['listType'];
  readonly mapKeys?: readonly string[];
  readonly patchStrategy?: Property['patchStrategy'];
  readonly mergeKey?: string;
}

/** A list of items told apart by keys; a strategic merge patch goes by the first. */
function byKeys(...keys: [string, ...string[]]): FieldMerge {
  return { listType: 'map', mapKeys: keys, patchStrategy: ['merge'], mergeKey: keys[0] };
}

/** The same, and a patch drops an item's other fields: it is a union of alternatives. */
function unionByKey(key: string): FieldMerge {
  return { ...byKeys(key), patchStrategy: ['merge', 'retainKeys'] };
}

/** By keys for server-side apply, but replaced whole by a strategic merge patch. */
function byKeysInApply(...keys: string[]): FieldMerge {
  return { listType: 'map', mapKeys: keys };
}

/** Merged by key by a strategic merge patch, but owned whole in server-side apply. */
function byKeyInPatch(key: string): FieldMerge {
  return { listType: 'atomic', patchStrategy: ['merge'], mergeKey: key };
}

const set: FieldMerge = { listType: 'set' };
const mergedSet: FieldMerge = { listType: 'set', patchStrategy: ['merge'] };

export const fieldMerges: Readonly<Record<string, FieldMerge | undefined>> = {
  'V1ObjectMeta.finalizers': mergedSet,
  'V1ObjectMeta.ownerReferences': byKeys('uid'),

  'V1Container.env': byKeys('name'),
  'V1Container.ports': byKeys('containerPort', 'protocol'),
  'V1Container.volumeDevices': byKeys('devicePath'),
  'V1Container.volumeMounts': byKeys('mountPath'),
  'V1EphemeralContainer.env': byKeys('name'),
  'V1EphemeralContainer.ports': byKeys('containerPort', 'protocol'),
  'V1EphemeralContainer.volumeDevices': byKeys('devicePath'),
  'V1EphemeralContainer.volumeMounts': byKeys('mountPath'),
  'V1ResourceRequirements.claims': byKeysInApply('name'),
  'V1PodSpec.containers': byKeys('name'),
  'V1PodSpec.initContainers': byKeys('name'),
  'V1PodSpec.ephemeralContainers': byKeys('name'),
  'V1PodSpec.hostAliases': byKeys('ip'),
  'V1PodSpec.imagePullSecrets': byKeys('name'),
  'V1PodSpec.resourceClaims': unionByKey('name'),
  'V1PodSpec.schedulingGates': byKeys('name'),
  'V1PodSpec.topologySpreadConstraints': byKeys('topologyKey', 'whenUnsatisfiable'),
  'V1PodSpec.volumes': unionByKey('name'),
  'V1PodStatus.conditions': byKeys('type'),
  'V1PodStatus.podIPs': byKeys('ip'),
  'V1PodStatus.hostIPs': byKeyInPatch('ip'),
  'V1PodStatus.resourceClaimStatuses': unionByKey('name'),
  'V1ContainerStatus.volumeMounts': byKeys('mountPath'),
  'V1ContainerStatus.allocatedResourcesStatus': byKeys('name'),
  'V1ResourceStatus.resources': byKeysInApply('resourceID'),

  'V1ComponentStatus.conditions': byKeys('type'),
  'V1NamespaceStatus.conditions': byKeys('type'),
  'V1NodeSpec.podCIDRs': mergedSet,
  'V1NodeStatus.addresses': byKeys('type'),
  'V1NodeStatus.conditions': byKeys('type'),
  'V1PersistentVolumeClaimStatus.conditions': byKeys('type'),
  'V1ReplicationControllerStatus.conditions': byKeys('type'),
  'V1ServiceAccount.secrets': byKeys('name'),
  'V1ServiceSpec.ports': byKeys('port', 'protocol'),
  'V1ServiceStatus.conditions': byKeys('type'),

  'V1DaemonSetStatus.conditions': byKeys('type'),
  'V1DeploymentSpec.strategy': { patchStrategy: ['retainKeys'] },
  'V1DeploymentStatus.conditions': byKeys('type'),
  'V1ReplicaSetStatus.conditions': byKeys('type'),
  'V1StatefulSetStatus.conditions': byKeys('type'),
  'V1JobStatus.conditions': byKeyInPatch('type'),
  'V1UncountedTerminatedPods.failed': set,
  'V1UncountedTerminatedPods.succeeded': set,
  'V1PodFailurePolicyOnExitCodesRequirement.values': set,
  'V2HorizontalPodAutoscalerStatus.conditions': byKeys('type'),
  'V1PodDisruptionBudgetSpec.selector': { patchStrategy: ['replace'] },
  'V1PodDisruptionBudgetStatus.conditions': byKeys('type'),

  'V1Endpoint.addresses': set,
  'V1ServiceCIDRStatus.conditions': byKeys('type'),
  'V1CertificateSigningRequestStatus.conditions': byKeysInApply('type'),
  'V1CSIDriverSpec.volumeLifecycleModes': set,
  'V1CSINodeSpec.drivers': byKeys('name'),

  'V1MutatingWebhookConfiguration.webhooks': byKeys('name'),
  'V1MutatingWebhook.matchConditions': byKeys('name'),
  'V1ValidatingWebhookConfiguration.webhooks': byKeys('name'),
  'V1ValidatingWebhook.matchConditions': byKeys('name'),
  'V1ValidatingAdmissionPolicySpec.matchConditions': byKeys('name'),
  'V1ValidatingAdmissionPolicySpec.variables': byKeys('name'),
  'V1ValidatingAdmissionPolicyStatus.conditions': byKeysInApply('type'),
  'V1MutatingAdmissionPolicySpec.matchConditions': byKeys('name'),

  'V1CustomResourceDefinitionStatus.conditions': byKeysInApply('type'),
  'V1JSONSchemaProps.x-kubernetes-validations': byKeys('rule'),
  'V1APIServiceStatus.conditions': byKeys('type'),

  'V1FlowSchemaStatus.conditions': byKeys('type'),
  'V1PriorityLevelConfigurationStatus.conditions': byKeys('type'),
  'V1NonResourcePolicyRule.nonResourceURLs': set,
  'V1NonResourcePolicyRule.verbs': set,
  'V1ResourcePolicyRule.apiGroups': set,
  'V1ResourcePolicyRule.namespaces': set,
  'V1ResourcePolicyRule.resources': set,
  'V1ResourcePolicyRule.verbs': set,

  'V1ResourceClaimStatus.reservedFor': byKeys('uid'),
  'V1ResourceClaimStatus.devices': byKeysInApply('driver', 'device', 'pool', 'shareID'),
  'V1AllocatedDeviceStatus.conditions': byKeysInApply('type'),
};

/** Objects that one manager owns whole: their fields mean nothing apart. */
export const atomicModels: ReadonlySet<string> = new Set([
  'V1ConfigMapKeySelector',
  'V1CrossVersionObjectReference',
  'V2CrossVersionObjectReference',
  'V1EndpointAddress',
  'CoreV1EndpointPort',
  'DiscoveryV1EndpointPort',
  'V1FileKeySelector',
  'V1LabelSelector',
  'V1LocalObjectReference',
  'V1MatchResources',
  'V1NamedRuleWithOperations',
  'V1NodeSelector',
  'V1NodeSelectorTerm',
  'V1ObjectFieldSelector',
  'V1ObjectReference',
  'V1OwnerReference',
  'V1ParamKind',
  'V1ParamRef',
  'RbacV1Subject',
  'V1ResourceFieldSelector',
  'V1RoleRef',
  'V1ScopeSelector',
  'V1SecretKeySelector',
  'V1SecretReference',
  'V1ServiceBackendPort',
  'V1TopologySelectorTerm',
  'V1TypedLocalObjectReference',
]);

/** Fields that merge though their model is atomic elsewhere. */
export const granularFields: ReadonlySet<string> = new Set(['V1PersistentVolumeSpec.claimRef']);

/** Maps that one manager owns whole. */
export const atomicMaps: ReadonlySet<string> = new Set([
  'V1Endpoint.deprecatedTopology',
  'V1PodSpec.nodeSelector',
  'V1ReplicationControllerSpec.selector',
  'V1Scheduling.nodeSelector',
  'V1ServiceSpec.selector',
]);

/** Strings, or maps or lists of strings, that are amounts such as `100m` or `2Gi`. */
export const quantities: ReadonlySet<string> = new Set([
  'V1CapacityRequestPolicy.default',
  'V1CapacityRequestPolicy.validValues',
  'V1CapacityRequestPolicyRange.max',
  'V1CapacityRequestPolicyRange.min',
  'V1CapacityRequestPolicyRange.step',
  'V1CapacityRequirements.requests',
  'V1ContainerStatus.allocatedResources',
  'V1Counter.value',
  'V1CSIStorageCapacity.capacity',
  'V1CSIStorageCapacity.maximumVolumeSize',
  'V1DeviceCapacity.value',
  'V1DeviceRequestAllocationResult.consumedCapacity',
  'V1EmptyDirVolumeSource.sizeLimit',
  'V1LimitRangeItem.default',
  'V1LimitRangeItem.defaultRequest',
  'V1LimitRangeItem.max',
  'V1LimitRangeItem.maxLimitRequestRatio',
  'V1LimitRangeItem.min',
  'V1NodeAllocatableResourceClaimStatus.resources',
  'V1NodeAllocatableResourceMapping.allocationMultiplier',
  'V1NodeStatus.allocatable',
  'V1NodeStatus.capacity',
  'V1Overhead.podFixed',
  'V1PersistentVolumeClaimStatus.allocatedResources',
  'V1PersistentVolumeClaimStatus.capacity',
  'V1PersistentVolumeSpec.capacity',
  'V1PodSpec.overhead',
  'V1PodStatus.allocatedResources',
  'V1ResourceFieldSelector.divisor',
  'V1ResourceQuotaSpec.hard',
  'V1ResourceQuotaStatus.hard',
  'V1ResourceQuotaStatus.used',
  'V1ResourceRequirements.limits',
  'V1ResourceRequirements.requests',
  'V1VolumeResourceRequirements.limits',
  'V1VolumeResourceRequirements.requests',
  'V2HPAScalingRules.tolerance',
  'V2MetricTarget.averageValue',
  'V2MetricTarget.value',
  'V2MetricValueStatus.averageValue',
  'V2MetricValueStatus.value',
]);
