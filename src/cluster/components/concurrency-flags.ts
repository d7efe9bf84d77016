/** How many keys single controllers work on at once: upstream's flags and their defaults. */

export const concurrencyFlags = [
  { flag: 'concurrent-cron-job-syncs', field: 'concurrentCronJobSyncs', controller: 'cronjob-controller', count: 5 },
  { flag: 'concurrent-daemonset-syncs', field: 'concurrentDaemonsetSyncs', controller: 'daemonset-controller', count: 2 },
  { flag: 'concurrent-deployment-syncs', field: 'concurrentDeploymentSyncs', controller: 'deployment-controller', count: 5 },
  {
    flag: 'concurrent-device-taint-eviction-syncs',
    field: 'concurrentDeviceTaintEvictionSyncs',
    controller: 'device-taint-eviction-controller',
    count: 8,
  },
  { flag: 'concurrent-endpoint-syncs', field: 'concurrentEndpointSyncs', controller: 'endpoints-controller', count: 5 },
  { flag: 'concurrent-ephemeralvolume-syncs', field: 'concurrentEphemeralvolumeSyncs', controller: 'ephemeral-volume-controller', count: 5 },
  { flag: 'concurrent-gc-syncs', field: 'concurrentGcSyncs', controller: 'garbage-collector-controller', count: 20 },
  {
    flag: 'concurrent-horizontal-pod-autoscaler-syncs',
    field: 'concurrentHorizontalPodAutoscalerSyncs',
    controller: 'horizontal-pod-autoscaler-controller',
    count: 5,
  },
  { flag: 'concurrent-job-syncs', field: 'concurrentJobSyncs', controller: 'job-controller', count: 5 },
  { flag: 'concurrent-namespace-syncs', field: 'concurrentNamespaceSyncs', controller: 'namespace-controller', count: 10 },
  { flag: 'concurrent-rc-syncs', field: 'concurrentRcSyncs', controller: 'replicationcontroller-controller', count: 5 },
  { flag: 'concurrent-replicaset-syncs', field: 'concurrentReplicasetSyncs', controller: 'replicaset-controller', count: 5 },
  { flag: 'concurrent-resource-quota-syncs', field: 'concurrentResourceQuotaSyncs', controller: 'resourcequota-controller', count: 5 },
  { flag: 'concurrent-resourceclaim-syncs', field: 'concurrentResourceclaimSyncs', controller: 'resourceclaim-controller', count: 50 },
  { flag: 'concurrent-service-endpoint-syncs', field: 'concurrentServiceEndpointSyncs', controller: 'endpointslice-controller', count: 5 },
  { flag: 'concurrent-service-syncs', field: 'concurrentServiceSyncs', controller: 'service-lb-controller', count: 1 },
  {
    flag: 'concurrent-serviceaccount-token-syncs',
    field: 'concurrentServiceaccountTokenSyncs',
    controller: 'serviceaccount-token-controller',
    count: 5,
  },
  { flag: 'concurrent-statefulset-syncs', field: 'concurrentStatefulsetSyncs', controller: 'statefulset-controller', count: 5 },
  { flag: 'concurrent-ttl-after-finished-syncs', field: 'concurrentTtlAfterFinishedSyncs', controller: 'ttl-after-finished-controller', count: 5 },
  {
    flag: 'concurrent-validating-admission-policy-status-syncs',
    field: 'concurrentValidatingAdmissionPolicyStatusSyncs',
    controller: 'validatingadmissionpolicy-status-controller',
    count: 5,
  },
  {
    flag: 'mirroring-concurrent-service-endpoint-syncs',
    field: 'mirroringConcurrentServiceEndpointSyncs',
    controller: 'endpointslice-mirroring-controller',
    count: 5,
  },
] as const;

export type ConcurrencyFlags = Readonly<Record<(typeof concurrencyFlags)[number]['field'], number>>;
