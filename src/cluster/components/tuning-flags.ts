/** Upstream's flags that change how controllers do what they do. What holds when one is not given stands with the controllers' options. */
import { defaultOptions } from '../../controllers/controller.ts';

const { eviction, autoscaling, ...usual } = defaultOptions;

/** `value`: written as `15s`, as a whole number from 0 up, or as any number; durations are in milliseconds here. */
export const tuningFlags = [
  {
    flag: 'node-startup-grace-period',
    field: 'nodeStartupGracePeriod',
    value: 'duration',
    usual: usual.nodeStartupGracePeriodMs,
    about: 'silence after which a node that never said a word is not ready',
  },
  {
    flag: 'node-eviction-rate',
    field: 'nodeEvictionRate',
    value: 'number',
    usual: eviction.rate,
    about: 'nodes a second whose pods are driven out, in a zone that is well',
  },
  {
    flag: 'secondary-node-eviction-rate',
    field: 'secondaryNodeEvictionRate',
    value: 'number',
    usual: eviction.secondaryRate,
    about: 'the same in a zone that is not',
  },
  {
    flag: 'unhealthy-zone-threshold',
    field: 'unhealthyZoneThreshold',
    value: 'number',
    usual: eviction.unhealthyZoneThreshold,
    about: 'the share of nodes not ready that makes a zone unwell',
  },
  {
    flag: 'large-cluster-size-threshold',
    field: 'largeClusterSizeThreshold',
    value: 'count',
    usual: eviction.largeClusterSize,
    about: 'zones of at most so many nodes drive nobody out while unwell',
  },
  {
    flag: 'max-endpoints-per-slice',
    field: 'maxEndpointsPerSlice',
    value: 'count',
    usual: usual.maxEndpointsPerSlice,
    about: 'endpoints in one slice',
  },
  {
    flag: 'mirroring-max-endpoints-per-subset',
    field: 'mirroringMaxEndpointsPerSubset',
    value: 'count',
    usual: usual.mirroringMaxEndpointsPerSubset,
    about: 'addresses mirrored of each subset of Endpoints, and in one slice of them',
  },
  {
    flag: 'endpoint-updates-batch-period',
    field: 'endpointUpdatesBatchPeriod',
    value: 'duration',
    usual: usual.endpointUpdatesBatchPeriodMs,
    about: "how long changes of pods are collected for a Service's Endpoints",
  },
  {
    flag: 'endpointslice-updates-batch-period',
    field: 'endpointsliceUpdatesBatchPeriod',
    value: 'duration',
    usual: usual.endpointSliceUpdatesBatchPeriodMs,
    about: 'the same for its slices',
  },
  {
    flag: 'mirroring-endpointslice-updates-batch-period',
    field: 'mirroringEndpointsliceUpdatesBatchPeriod',
    value: 'duration',
    usual: usual.mirroringEndpointSliceUpdatesBatchPeriodMs,
    about: 'the same for mirrored slices',
  },
  {
    flag: 'horizontal-pod-autoscaler-sync-period',
    field: 'horizontalPodAutoscalerSyncPeriod',
    value: 'duration',
    usual: autoscaling.syncPeriodMs,
    about: 'how often metrics are looked at',
  },
  {
    flag: 'horizontal-pod-autoscaler-tolerance',
    field: 'horizontalPodAutoscalerTolerance',
    value: 'number',
    usual: autoscaling.tolerance,
    about: 'how far usage may be from its target without a change',
  },
  {
    flag: 'horizontal-pod-autoscaler-downscale-stabilization',
    field: 'horizontalPodAutoscalerDownscaleStabilization',
    value: 'duration',
    usual: autoscaling.downscaleStabilizationMs,
    about: 'how long fewer replicas must have been enough',
  },
  {
    flag: 'horizontal-pod-autoscaler-cpu-initialization-period',
    field: 'horizontalPodAutoscalerCpuInitializationPeriod',
    value: 'duration',
    usual: autoscaling.cpuInitializationMs,
    about: "how long after its start a pod's CPU use may be left out",
  },
  {
    flag: 'horizontal-pod-autoscaler-initial-readiness-delay',
    field: 'horizontalPodAutoscalerInitialReadinessDelay',
    value: 'duration',
    usual: autoscaling.initialReadinessDelayMs,
    about: 'how long after its start a pod that is not ready was never ready',
  },
  {
    flag: 'legacy-service-account-token-clean-up-period',
    field: 'legacyServiceAccountTokenCleanUpPeriod',
    value: 'duration',
    usual: usual.legacyTokenCleanUpPeriodMs,
    about: 'how long a token made for an account unasked may go unused',
  },
] as const;

export type TuningFlags = Readonly<Record<(typeof tuningFlags)[number]['field'], number>>;
