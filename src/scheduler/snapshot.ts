/**
 * What the scheduler decides on: every node with what is left on it. Kept up to date change by change, not rebuilt for each pod; a decision reads
 * it and never changes it. Pods that were chosen a node but not yet bound count as "assumed".
 */
import type { Node, Pod } from '../api/kinds.ts';
import { keyOf } from '../machinery/object.ts';
import { type Amounts, addTo, amountsOf, podRequests, subtractFrom } from './resources.ts';

/** A port on the host that a pod claims. An empty address claims it on all of them. */
export interface HostPort {
  readonly address: string;
  readonly protocol: string;
  readonly port: number;
}

/** A pod with what the cycle asks of it again and again worked out once. */
export interface PodInfo {
  readonly pod: Pod;
  readonly key: string;
  readonly requests: Amounts;
  readonly hostPorts: readonly HostPort[];
}

export interface NodeInfo {
  /** Undefined while pods are known on a node that is not: nothing is placed there. */
  readonly node: Node | undefined;
  readonly name: string;
  readonly allocatable: Amounts;
  readonly requested: Amounts;
  readonly pods: ReadonlyMap<string, PodInfo>;
}

export interface Snapshot {
  /** Nodes that exist, in the order they came. */
  readonly nodes: readonly NodeInfo[];
}

export function podInfo(pod: Pod): PodInfo {
  const hostPorts: HostPort[] = [];
  for (const container of [...pod.spec.containers, ...(pod.spec.initContainers ?? []).filter((init) => init.restartPolicy === 'Always')]) {
    for (const port of container.ports ?? []) {
      if (port.hostPort !== undefined && port.hostPort > 0) {
        const address = port.hostIP === undefined || port.hostIP === '0.0.0.0' || port.hostIP === '::' ? '' : port.hostIP;
        hostPorts.push({ address, protocol: port.protocol ?? 'TCP', port: port.hostPort });
      }
    }
  }
  return { pod, key: keyOf(pod), requests: podRequests(pod), hostPorts };
}

interface Row {
  node: Node | undefined;
  readonly name: string;
  allocatable: Amounts;
  readonly requested: Map<string, number>;
  readonly pods: Map<string, PodInfo>;
}

/** The snapshot's keeper: informers and the binder tell it of every change. */
export class ClusterState implements Snapshot {
  private readonly rows = new Map<string, Row>();
  private readonly placed = new Map<string, { info: PodInfo; nodeName: string; assumed: boolean }>();
  private listed: Row[] | undefined;

  get nodes(): readonly NodeInfo[] {
    this.listed ??= [...this.rows.values()].filter((row) => row.node !== undefined);
    return this.listed;
  }

  setNode(node: Node): void {
    const row = this.row(node.metadata.name);
    if (row.node === undefined) this.listed = undefined;
    row.node = node;
    row.allocatable = amountsOf(node.status.allocatable ?? node.status.capacity);
  }

  removeNode(name: string): void {
    const row = this.rows.get(name);
    if (!row) return;
    row.node = undefined;
    this.listed = undefined;
    if (row.pods.size === 0) this.rows.delete(name);
  }

  /** A pod seen on a node, in any state that still holds its resources. Confirms an assumed one. */
  setPod(pod: Pod): void {
    const nodeName = pod.spec.nodeName;
    const finished = pod.status.phase === 'Succeeded' || pod.status.phase === 'Failed';
    if (nodeName === undefined || nodeName === '' || finished) {
      if (finished || this.placed.get(keyOf(pod))?.assumed !== true) this.removePod(keyOf(pod));
      return;
    }
    this.place(podInfo(pod), nodeName, false);
  }

  removePod(key: string): void {
    const entry = this.placed.get(key);
    if (!entry) return;
    this.placed.delete(key);
    const row = this.row(entry.nodeName);
    row.pods.delete(key);
    subtractFrom(row.requested, entry.info.requests);
    if (row.node === undefined && row.pods.size === 0) this.rows.delete(entry.nodeName);
  }

  /** Counts a pod on the node it was given, before the API server has it. */
  assume(info: PodInfo, nodeName: string): void {
    this.place(info, nodeName, true);
  }

  /** Takes an assumption back: the binding failed. A pod that was confirmed meanwhile stays. */
  forget(key: string): void {
    if (this.placed.get(key)?.assumed === true) this.removePod(key);
  }

  isAssumed(key: string): boolean {
    return this.placed.get(key)?.assumed === true;
  }

  private place(info: PodInfo, nodeName: string, assumed: boolean): void {
    this.removePod(info.key);
    const row = this.row(nodeName);
    row.pods.set(info.key, info);
    addTo(row.requested, info.requests);
    this.placed.set(info.key, { info, nodeName, assumed });
  }

  private row(name: string): Row {
    let row = this.rows.get(name);
    if (!row) {
      row = { node: undefined, name, allocatable: new Map(), requested: new Map(), pods: new Map() };
      this.rows.set(name, row);
    }
    return row;
  }
}
