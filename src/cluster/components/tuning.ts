/** What the flags that tune controllers mean for their options. */
import type { ControllerOptions } from '../../controllers/controller.ts';
import { ClusterError } from '../config.ts';
import type { TuningFlags } from './tuning-flags.ts';

/** Throws when a value is none that makes sense. */
export function tuningOf(flags: TuningFlags): Partial<ControllerOptions> {
  const within = (name: string, value: number, least: number, most: number): void => {
    if (value < least || value > most) throw new ClusterError(`--${name} must be from ${least} to ${most}, not ${value}`);
  };
  within('unhealthy-zone-threshold', flags.unhealthyZoneThreshold, 0, 1);
  within('max-endpoints-per-slice', flags.maxEndpointsPerSlice, 1, 1000);
  within('mirroring-max-endpoints-per-subset', flags.mirroringMaxEndpointsPerSubset, 1, 1000);
  if (flags.horizontalPodAutoscalerSyncPeriod === 0) throw new ClusterError('--horizontal-pod-autoscaler-sync-period must be more than 0');
  return {
    nodeStartupGracePeriodMs: flags.nodeStartupGracePeriod,
    eviction: {
      rate: flags.nodeEvictionRate,
      secondaryRate: flags.secondaryNodeEvictionRate,
      unhealthyZoneThreshold: flags.unhealthyZoneThreshold,
      largeClusterSize: flags.largeClusterSizeThreshold,
    },
    maxEndpointsPerSlice: flags.maxEndpointsPerSlice,
    mirroringMaxEndpointsPerSubset: flags.mirroringMaxEndpointsPerSubset,
    endpointUpdatesBatchPeriodMs: flags.endpointUpdatesBatchPeriod,
    endpointSliceUpdatesBatchPeriodMs: flags.endpointsliceUpdatesBatchPeriod,
    mirroringEndpointSliceUpdatesBatchPeriodMs: flags.mirroringEndpointsliceUpdatesBatchPeriod,
    autoscaling: {
      syncPeriodMs: flags.horizontalPodAutoscalerSyncPeriod,
      tolerance: flags.horizontalPodAutoscalerTolerance,
      downscaleStabilizationMs: flags.horizontalPodAutoscalerDownscaleStabilization,
      cpuInitializationMs: flags.horizontalPodAutoscalerCpuInitializationPeriod,
      initialReadinessDelayMs: flags.horizontalPodAutoscalerInitialReadinessDelay,
    },
    legacyTokenCleanUpPeriodMs: flags.legacyServiceAccountTokenCleanUpPeriod,
  };
}
