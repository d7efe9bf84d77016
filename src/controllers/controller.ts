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
  readonly nodeMonitorPeriodMs: number;
  /** How many ended pods are kept before the oldest go. */
  readonly terminatedPodThreshold: number;
  /** Addresses, `first-last` ranges and CIDRs for Services of type LoadBalancer; the nodes' own addresses when there are none. */
  readonly loadBalancerPool: readonly string[];
  /** Signs certificate requests to the cluster's own signers (certificate and key in PEM); they stay unsigned when absent. */
  readonly signingAuthority?: { readonly certificate: string; readonly key: string };
  /** How long certificates hold at most. Upstream's `--cluster-signing-duration`. */
  readonly signingDurationMs: number;
  /** Removes a directory of the host, for volumes of type hostPath that are to be deleted. Nothing is removed when absent: simulated nodes have no disk. */
  readonly removePath?: (path: string) => Promise<void>;
}

export const defaultOptions: ControllerOptions = {
  clusterCidrs: [],
  nodeCidrMaskSize: 24,
  nodeCidrMaskSizeV6: 64,
  nodeMonitorGracePeriodMs: 40_000,
  nodeMonitorPeriodMs: 5_000,
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
