/**
 * What a controller is: it watches kinds, turns their events into keys, and reconciles one key at a time. Level-triggered (the key says what to
 * look at, never what happened), idempotent, and safe to run twice. See docs/adding-a-controller.md.
 */
import type { Kind } from '../api/kind.ts';
import type { Client } from '../client/client.ts';
import type { EventRecorder } from '../client/events.ts';
import type { Informer, InformerHandler } from '../client/informer.ts';
import type { KubeObject } from '../machinery/object.ts';
import type { World } from '../world/world.ts';

/** What `reconcile` resolves to: nothing when done, or when to look again. Throwing means: again, with back-off. */
export type Outcome = void | { readonly requeueAfterMs: number };

export interface Controller {
  reconcile(key: string): Promise<Outcome>;
}

export interface ControllerDefinition {
  /** Upstream's name, as `--controllers` takes it: `deployment-controller`. */
  readonly name: string;
  /** The service account in `kube-system` that it acts as: its API calls are authorized as that user. */
  readonly serviceAccount: string;
  /** Acts as the manager itself: what it works on are service accounts' own credentials. */
  readonly actsAsManager?: boolean;
  /** Whose events they are said to be; the service account's name when absent. */
  readonly eventSource?: string;
  /** Kinds may be watched here; nothing may be written. Reconciling starts when the caches are filled. */
  readonly setup: (context: ControllerContext) => Controller;
}

/** How fast nodes that are not ready drive their pods out. */
export interface EvictionPace {
  /** Nodes a second, in a zone that is well and in a large one that is not. */
  readonly rate: number;
  readonly secondaryRate: number;
  /** A zone is not well when this share of its nodes is not ready. */
  readonly unhealthyZoneThreshold: number;
  /** Zones of at most so many nodes drive nobody out while they are not well. */
  readonly largeClusterSize: number;
}

export interface AutoscalerTiming {
  /** Metrics are sampled, so nothing tells when they change. */
  readonly syncPeriodMs: number;
  /** How far usage may be from its target without a change, and how long fewer replicas must have been enough; where an autoscaler does not say. */
  readonly tolerance: number;
  readonly downscaleStabilizationMs: number;
  /** So long after its start, a pod's CPU use counts only if it was ready for the whole time of the measurement. */
  readonly cpuInitializationMs: number;
  /** A pod that was never ready stopped being ready within so long after its start. */
  readonly initialReadinessDelayMs: number;
}

/** Both in PEM. */
export interface SigningAuthority {
  readonly certificate: string;
  readonly key: string;
}

export interface ControllerOptions {
  /** Pod network ranges, one or one per family; without any, nodes get no pod CIDR. */
  readonly clusterCidrs: readonly string[];
  readonly nodeCidrMaskSize: number;
  readonly nodeCidrMaskSizeV6: number;
  /** PEM published in every namespace as `kube-root-ca.crt`; not published when absent. */
  readonly rootCa?: string;
  /** PEM private key that signs the tokens of Secrets of service accounts; they get none when absent. */
  readonly serviceAccountKey?: string;
  /** Silence after which a node counts as unreachable. Upstream's `--node-monitor-grace-period`. */
  readonly nodeMonitorGracePeriodMs: number;
  /** Silence after which a node that has never said a word counts as unreachable. */
  readonly nodeStartupGracePeriodMs: number;
  readonly eviction: EvictionPace;
  readonly maxEndpointsPerSlice: number;
  /** Of each subset of Endpoints that somebody wrote, so many addresses are mirrored. */
  readonly mirroringMaxEndpointsPerSubset: number;
  /** What happens to a Service's pods within so long is written to its endpoints at once. */
  readonly endpointUpdatesBatchPeriodMs: number;
  readonly endpointSliceUpdatesBatchPeriodMs: number;
  readonly mirroringEndpointSliceUpdatesBatchPeriodMs: number;
  readonly autoscaling: AutoscalerTiming;
  /** A token that was made for an account unasked is invalid when nobody has used it for so long, and deleted after as long again. */
  readonly legacyTokenCleanUpPeriodMs: number;
  /** How many ended pods are kept before the oldest go. */
  readonly terminatedPodThreshold: number;
  /** Addresses, `first-last` ranges and CIDRs for Services of type LoadBalancer; the nodes' own addresses when there are none. */
  readonly loadBalancerPool: readonly string[];
  /** Signs certificate requests to the cluster's own signers; they stay unsigned when absent. */
  readonly signingAuthority?: SigningAuthority;
  /** The same for single signers, by name. */
  readonly signingAuthorities?: Readonly<Record<string, SigningAuthority>>;
  /** How long certificates hold at most. Upstream's `--cluster-signing-duration`. */
  readonly signingDurationMs: number;
  /** Removes a directory of the host, for volumes of type hostPath that are to be deleted. Nothing is removed when absent: simulated nodes have no disk. */
  readonly removePath?: (path: string) => Promise<void>;
  /** Removes what is in such a directory, for those that are to be recycled. */
  readonly emptyPath?: (path: string) => Promise<void>;
}

export const defaultOptions: ControllerOptions = {
  clusterCidrs: [],
  nodeCidrMaskSize: 24,
  nodeCidrMaskSizeV6: 64,
  nodeMonitorGracePeriodMs: 40_000,
  nodeStartupGracePeriodMs: 60_000,
  eviction: { rate: 0.1, secondaryRate: 0.01, unhealthyZoneThreshold: 0.55, largeClusterSize: 50 },
  maxEndpointsPerSlice: 100,
  mirroringMaxEndpointsPerSubset: 1000,
  endpointUpdatesBatchPeriodMs: 0,
  endpointSliceUpdatesBatchPeriodMs: 0,
  mirroringEndpointSliceUpdatesBatchPeriodMs: 0,
  autoscaling: {
    syncPeriodMs: 15_000,
    tolerance: 0.1,
    downscaleStabilizationMs: 5 * 60_000,
    cpuInitializationMs: 5 * 60_000,
    initialReadinessDelayMs: 30_000,
  },
  legacyTokenCleanUpPeriodMs: 365 * 24 * 60 * 60_000,
  terminatedPodThreshold: 12_500,
  loadBalancerPool: [],
  signingDurationMs: 365 * 24 * 60 * 60_000,
};

export interface ControllerContext {
  readonly world: World;
  /** Acts as the controller's own service account. */
  readonly client: Client;
  readonly events: EventRecorder;
  readonly options: ControllerOptions;
  /** Aborted when the controllers are closed. */
  readonly signal: AbortSignal;
  /** The shared cache of a kind; its events, if asked for, until the controllers are closed. */
  watch<T extends KubeObject>(kind: Kind<T>, handler?: InformerHandler<T>): Informer<T>;
  enqueue(key: string): void;
  enqueueAfter(key: string, ms: number): void;
  /** Calls every `ms` once reconciling has begun. */
  every(ms: number, callback: () => void): void;
}

/** A handler that does the same whatever happened to the object; an update hands over both states. */
export function onAny<T extends KubeObject>(react: (object: T) => void): InformerHandler<T> {
  return {
    added: react,
    updated(object, old) {
      react(old);
      react(object);
    },
    deleted: react,
  };
}
