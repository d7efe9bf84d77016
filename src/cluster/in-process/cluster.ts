/** A cluster inside the calling process, as its user sees it. `start-cluster.ts` makes one. */
import type { Client } from '../../client/client.ts';
import type { SimulatedScripts } from '../../kubelet/runtime/simulated-script.ts';
import type { KubeObject } from '../../machinery/object.ts';
import type { StoreEvent } from '../../store/store.ts';
import type { OnLog } from '../../world/world.ts';
import type { FaultRates } from './faults/rates.ts';
import type { ApplyOptions } from './manifests.ts';
import type { NodeShape } from './simulated-nodes.ts';
import type { Snapshot } from './snapshot.ts';

/** Milliseconds, or Go's form: `500ms`, `1m30s`, `24h`. */
export type Duration = number | string;

export interface ClusterOptions {
  /** `real` (when absent): time passes by itself. `virtual`: only when told to, and the whole run is a function of the seed. */
  readonly clock?: 'real' | 'virtual';
  /** Of a virtual clock's cluster: the same seed gives the same names, ids, addresses and order of events. 1 when absent. */
  readonly seed?: number;
  /** When a virtual clock begins; 2026-01-01T00:00:00Z when absent. */
  readonly startTime?: Date;
  /** How many simulated nodes there are at the start, or which; one when absent. */
  readonly nodes?: number | NodeShape | readonly NodeShape[];
  /** Serve HTTPS on 127.0.0.1 at this port; 0 for any. No port, and nothing cryptographic, when absent. */
  readonly port?: number;
  /** What simulated containers do; what it leaves out is read from the pod's annotations. */
  readonly containers?: SimulatedScripts;
  /** Which controllers run, as `kube-controller-manager --controllers` takes them: `*,-job-controller`. All when absent. */
  readonly controllers?: string;
  /** Whether the scheduler runs; true when absent. */
  readonly scheduler?: boolean;
  /** Whether claims get volumes: from the class `standard`, the default, and who provisions for it on simulated nodes; true when absent. */
  readonly storage?: boolean;
  /**
   * `warnings`: simulated nodes and the scheduler write no events that say that all is well (Scheduled, Pulled, Created, Started), which are more than half of
   * all writes when thousands of pods start. `all` when absent.
   */
  readonly podEvents?: 'all' | 'warnings';
  /** Whether objects in caches are frozen, so that whoever changes one is found. */
  readonly freeze?: boolean;
  /** Takes what the components log; nothing is written when absent. */
  readonly onLog?: OnLog;
  /** Told of every write to the store, in order, with the bytes: the cluster's history. */
  readonly onCommit?: (commit: StoreEvent) => void;
}

export interface VirtualClusterOptions extends ClusterOptions {
  readonly clock: 'virtual';
  /** Things go wrong, by the seed, from when the cluster is up until {@link VirtualCluster.stopFaults}; rates left out are those of a bad day. */
  readonly faults?: Partial<FaultRates>;
}

export interface UntilOptions {
  /** What is waited for, for the error's text. */
  readonly what?: string;
  /** 30 s when absent, of the cluster's time. */
  readonly timeout?: Duration;
}

export interface RunningPod {
  readonly node: string;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}

export interface Cluster {
  /** Acts as an administrator. */
  readonly client: Client;
  /** A client that acts as somebody else: `system:serviceaccount:default:default`, or a user in some groups. */
  clientAs(user: string, groups?: readonly string[]): Client;
  /** The cluster's time. */
  now(): Date;
  /** Where the cluster is served; undefined without a port. */
  readonly url: string | undefined;
  /** A kubeconfig as text, for an administrator; throws when the cluster has no port. */
  kubeconfig(): string;
  /** Applies manifests (YAML, one object or several) on the server's side; answers the objects. */
  apply(manifests: string | object | readonly object[], options?: ApplyOptions): Promise<readonly KubeObject[]>;
  /** Adds simulated nodes and waits until they are ready; answers their names. */
  addNodes(count: number, shape?: NodeShape): Promise<readonly string[]>;
  /** What really runs: pods whose sandbox is up, by the machine it is up on. */
  running(): Promise<readonly RunningPod[]>;
  /** Switches a node's machine off: its containers are gone, it says no more. The Node object stays. */
  stopNode(name: string): void;
  /** Switches a stopped machine on again. */
  startNode(name: string): Promise<void>;
  /**
   * Waits until the condition answers something true, and answers that. Asked after whatever happens. Rejects when the timeout is over first. On a
   * virtual clock, time passes meanwhile.
   */
  until<T>(condition: () => T | Promise<T>, options?: UntilOptions): Promise<Exclude<T, false | undefined | null | 0 | ''>>;
  /** All there is: objects with their history, machines with their containers, and a virtual clock's time and chance. */
  snapshot(): Promise<Snapshot>;
  /** Goes back to (or on to) a snapshot. Clients stay good; watches end, and what runs in the cluster starts anew on what it finds. */
  restore(snapshot: Snapshot): Promise<void>;
  /** Another cluster that begins where this one is. */
  fork(): Promise<Cluster>;
  /** Ends it and leaves nothing behind: no timer, no socket, no file. */
  close(): Promise<void>;
}

export interface SettleOptions {
  /** For so long nothing changed but leases and events; 10 s when absent. */
  readonly quiet?: Duration;
  /** An hour when absent. */
  readonly timeout?: Duration;
}

export interface VirtualCluster extends Cluster {
  /** Lets so much time pass, with all that happens in it. */
  advance(duration: Duration): Promise<void>;
  /** Lets time pass until the cluster has come to rest. Rejects when it does not (a container that keeps crashing keeps it busy). */
  settle(options?: SettleOptions): Promise<void>;
  /** What went wrong so far, and when. */
  faults(): readonly string[];
  /** Ends all faults: processes and machines that were down come back. */
  stopFaults(): Promise<void>;
  fork(): Promise<VirtualCluster>;
}
