/** All that can be set on a kubelet beyond who and where it is, with upstream's defaults. A `KubeletConfiguration` file and flags fill it in. */
import { parseCpuSet } from '../cpu-set.ts';
import { type Threshold, defaultHardThresholds, thresholdsOf, valueOf } from '../eviction/thresholds.ts';
import { type ImageGarbageSettings, defaultImageGarbage } from '../garbage/image-garbage.ts';
import type { PullRateSettings } from '../image-pull/pull-rate.ts';
import { type VerificationSettings, defaultVerification } from '../image-pull/verification.ts';
import { bytes, milli } from '../resources.ts';
import { defaultPages, type ServedPages } from '../server/served-pages.ts';
import { type PlacementSettings, defaultPlacement } from './placement-settings.ts';

export interface KubeletSettings {
  readonly maxPods: number;
  /** -1 for no limit. */
  readonly podPidsLimit: number;
  /** Quantities by resource: `cpu`, `memory`, `ephemeral-storage`. */
  readonly kubeReserved: Readonly<Record<string, string>>;
  readonly systemReserved: Readonly<Record<string, string>>;
  readonly evictionThresholds: readonly Threshold[];
  readonly evictionTransitionMs: number;
  readonly evictionMaxGraceSeconds: number;
  /** Whether pods' cgroups together are held to what is allocatable. */
  readonly enforcePodsAllocatable: boolean;
  /** Cgroups of others on the node that are held to what is reserved for them. */
  readonly reservedCgroups: readonly ReservedCgroup[];
  readonly imageGarbage: ImageGarbageSettings;
  readonly serializeImagePulls: boolean;
  /** 0 for any number at a time. */
  readonly maxParallelImagePulls: number;
  readonly imagePullRate: PullRateSettings;
  readonly imageVerification: VerificationSettings;
  readonly containerLogMaxBytes: number;
  readonly containerLogMaxFiles: number;
  /** Patterns: `kernel.msg*`, `net.core.somaxconn`. */
  readonly allowedUnsafeSysctls: readonly string[];
  readonly crashBackOffMaxMs: number;
  /** Whether containers that say nothing are held to the runtime's own list of system calls. */
  readonly seccompDefault: boolean;
  /** Which pages the kubelet's server has. */
  readonly pages: ServedPages;
  /** Of a stop of the kubelet itself: how long pods may take to end, and how much of it is kept for critical ones. 0 lets them run on. */
  readonly shutdownGraceMs: number;
  readonly shutdownCriticalMs: number;
  readonly placement: PlacementSettings;
}

export interface ReservedCgroup {
  readonly reservation: 'kubeReserved' | 'systemReserved';
  /** From the root of the hierarchy: `/system.slice`. */
  readonly path: string;
  /** Only of what can be shared more thinly: CPU, not memory and processes. */
  readonly compressible: boolean;
}

export const defaultSettings: KubeletSettings = {
  maxPods: 110,
  podPidsLimit: -1,
  kubeReserved: {},
  systemReserved: {},
  evictionThresholds: thresholdsOf({ hard: defaultHardThresholds }),
  evictionTransitionMs: 300_000,
  evictionMaxGraceSeconds: 0,
  enforcePodsAllocatable: true,
  reservedCgroups: [],
  imageGarbage: defaultImageGarbage,
  serializeImagePulls: false,
  maxParallelImagePulls: 0,
  imagePullRate: { perSecond: 0, burst: 0 },
  imageVerification: defaultVerification,
  containerLogMaxBytes: 10 * 2 ** 20,
  containerLogMaxFiles: 5,
  allowedUnsafeSysctls: [],
  crashBackOffMaxMs: 300_000,
  seccompDefault: false,
  pages: defaultPages,
  shutdownGraceMs: 0,
  shutdownCriticalMs: 0,
  placement: defaultPlacement,
};

export interface ReservedResources {
  readonly cpuMillis: number;
  readonly memoryBytes: number;
  readonly storageBytes: number;
}

/** What pods cannot have: reservations, and what eviction keeps free. */
export function reservedOf(
  settings: KubeletSettings,
  node: { readonly memoryBytes: number; readonly ephemeralStorageBytes: number },
): ReservedResources {
  const { kubeReserved, systemReserved, evictionThresholds } = settings;
  const kept = (signal: Threshold['signal'], capacity: number): number => {
    const hard = evictionThresholds.find((threshold) => threshold.signal === signal && threshold.graceMs === 0);
    return hard ? valueOf(hard.amount, capacity) : 0;
  };
  // CPUs that are reserved by number are all that is.
  const reservedCpus = parseCpuSet(settings.placement.reservedCpus) ?? [];
  const sum = (name: string, unit: (text: string | undefined) => number): number => unit(kubeReserved[name]) + unit(systemReserved[name]);
  return {
    cpuMillis: reservedCpus.length > 0 ? reservedCpus.length * 1000 : sum('cpu', milli),
    memoryBytes: sum('memory', bytes) + kept('memory.available', node.memoryBytes),
    storageBytes: sum('ephemeral-storage', bytes) + kept('nodefs.available', node.ephemeralStorageBytes),
  };
}
