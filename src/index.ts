/** The package's face: `import { startCluster } from 'k8ts'`. A whole cluster inside a test, and the kinds and client to use it with. See docs/testing.md. */
export { startCluster } from './cluster/in-process/start-cluster.ts';
export type {
  Cluster,
  ClusterOptions,
  Duration,
  SettleOptions,
  UntilOptions,
  VirtualCluster,
  VirtualClusterOptions,
} from './cluster/in-process/cluster.ts';
export { badDay, type FaultRates } from './cluster/in-process/faults/rates.ts';
export type { ApplyOptions } from './cluster/in-process/manifests.ts';
export type { NodeShape } from './cluster/in-process/simulated-nodes.ts';
export type { Snapshot } from './cluster/in-process/snapshot.ts';
export type { SimulatedScript, SimulatedScripts } from './kubelet/runtime/simulated-script.ts';
export type { Change, StoreEvent } from './store/store.ts';
export type { Client, DeleteOptions, ListOptions, PatchOptions, ResourceClient, WatchOptions, WriteOptions } from './client/client.ts';
export type { WatchEvent } from './client/transport.ts';
export { ApiError, isReason } from './machinery/errors.ts';
export type { Draft, KubeList, KubeObject } from './machinery/object.ts';
export * from './api/kinds.ts';
