/**
 * The snapshot's keeper: informers and the binder tell it of every change, and it keeps the columns current, row by row. A pod that was given a node but is
 * not bound yet counts there as "assumed". Nothing is rebuilt for a decision.
 */
import type { Node, Pod } from '../api/kinds.ts';
import { keyOf } from '../machinery/object.ts';
import type { Taint } from '../machinery/tolerations.ts';
import { type ClusterObjects, listedObjects } from './cluster-objects.ts';
import { AmountColumns, IntegerColumn, Interner, LabelColumn, NumberColumn } from './columns.ts';
import { inZoneTurns, zoneOf } from './node-order.ts';
import { PodCounts, type PodMatch } from './pod-counts.ts';
import { countsAlike, hasNode, isFinished, type PodInfo, podInfo } from './pod-info.ts';
import { amountsOf } from './resources.ts';
import type { ImageState, NodeRow, Snapshot, TermGroup, WhatIf } from './snapshot.ts';
import { TermGroups } from './term-groups.ts';

interface Row extends NodeRow {
  node: Node | undefined;
  readonly pods: Map<string, PodInfo>;
  podsWithPorts: number;
}

interface Placement {
  readonly info: PodInfo;
  readonly row: Row;
  /** For pods that are assumed: until when the API server may take to show the binding; undefined while it is under way. */
  assumed: boolean;
  expiresMs: number | undefined;
}

const firstCapacity = 64;
/** Labels that pods name as topologies; more would be somebody's attack. */
const maxLabelColumns = 256;

export class ClusterState implements Snapshot {
  readonly objects: ClusterObjects;
  readonly allocatable = new AmountColumns(firstCapacity);
  readonly requested = new AmountColumns(firstCapacity);
  capacity: number = firstCapacity;

  private readonly rows = new Map<string, Row>();
  private readonly placed = new Map<string, Placement>();
  private readonly free: number[] = [];
  private nextIndex = 0;
  private listed: Row[] | undefined;

  private readonly versionColumn = new IntegerColumn(firstCapacity);
  private readonly nonZeroCpuColumn = new NumberColumn(firstCapacity);
  private readonly nonZeroMemoryColumn = new NumberColumn(firstCapacity);
  private readonly unschedulableColumn = new IntegerColumn(firstCapacity);
  private readonly taintSetColumn = new IntegerColumn(firstCapacity);
  private readonly taints = new Interner<readonly Taint[]>();
  private readonly softTaintNodes = new Set<number>();
  private readonly cordonedNodes = new Set<number>();
  private readonly labels = new Map<string, LabelColumn>();
  private readonly counts = new PodCounts();
  private readonly groups = new TermGroups();
  private readonly imageStates = new Map<string, ImageState & { readonly nodes: Set<number> }>();
  private readonly usersOfClaim = new Map<string, Set<PodInfo>>();
  private readonly nominations = new Map<string, PodInfo[]>();

  constructor(objects: ClusterObjects = listedObjects([])) {
    this.objects = objects;
  }

  // ---- reading

  get nodes(): readonly NodeRow[] {
    this.listed ??= inZoneTurns([...this.rows.values()].filter((row) => row.node !== undefined));
    return this.listed;
  }

  node(name: string): NodeRow | undefined {
    return this.rows.get(name);
  }

  get versions(): Int32Array {
    return this.versionColumn.values;
  }

  get nonZeroCpu(): Float64Array {
    return this.nonZeroCpuColumn.values;
  }

  get nonZeroMemory(): Float64Array {
    return this.nonZeroMemoryColumn.values;
  }

  get unschedulable(): Int32Array {
    return this.unschedulableColumn.values;
  }

  get hasCordoned(): boolean {
    return this.cordonedNodes.size > 0;
  }

  get taintSetOf(): Int32Array {
    return this.taintSetColumn.values;
  }

  get taintSets(): readonly (readonly Taint[] | undefined)[] {
    return this.taints.things;
  }

  get hasSoftTaints(): boolean {
    return this.softTaintNodes.size > 0;
  }

  label(key: string): LabelColumn {
    let column = this.labels.get(key);
    if (column === undefined) {
      if (this.labels.size >= maxLabelColumns) this.labels.clear();
      column = new LabelColumn(this.capacity);
      for (const row of this.rows.values()) column.set(row.index, row.node?.metadata.labels?.[key]);
      this.labels.set(key, column);
    }
    return column;
  }

  podCounts(match: PodMatch): Int32Array {
    return this.counts.of(match, this.capacity, () => this.placements());
  }

  get requiredAffinity(): ReadonlyMap<string, TermGroup> {
    return this.groups.required;
  }

  get requiredAntiAffinity(): ReadonlyMap<string, TermGroup> {
    return this.groups.requiredAnti;
  }

  get preferredAffinity(): ReadonlyMap<string, TermGroup> {
    return this.groups.preferred;
  }

  get preferredAntiAffinity(): ReadonlyMap<string, TermGroup> {
    return this.groups.preferredAnti;
  }

  get images(): ReadonlyMap<string, ImageState> {
    return this.imageStates;
  }

  claimUsers(claim: string): ReadonlySet<PodInfo> {
    return this.usersOfClaim.get(claim) ?? nobody;
  }

  nominated(nodeName: string): readonly PodInfo[] {
    return this.nominations.get(nodeName) ?? none;
  }

  get hasNominated(): boolean {
    return this.nominations.size > 0;
  }

  // ---- nodes

  setNode(node: Node): void {
    const row = this.row(node.metadata.name);
    const old = row.node;
    row.node = node;
    const { index } = row;
    this.changed(index);
    if (old === undefined || zoneOf(old) !== zoneOf(node)) this.listed = undefined;
    if (old?.metadata.labels !== node.metadata.labels) {
      for (const [key, column] of this.labels) column.set(index, node.metadata.labels?.[key]);
    }
    if (old?.status.allocatable !== node.status.allocatable || old === undefined) {
      this.allocatable.set(index, amountsOf(node.status.allocatable ?? node.status.capacity));
    }
    if (old === undefined || old.spec !== node.spec) this.setNodeSpec(index, node);
    if (old?.status.images !== node.status.images) {
      this.forgetImages(index, old);
      this.rememberImages(index, node);
    }
  }

  removeNode(name: string): void {
    const row = this.rows.get(name);
    if (!row) return;
    this.forgetImages(row.index, row.node);
    this.softTaintNodes.delete(row.index);
    this.cordonedNodes.delete(row.index);
    row.node = undefined;
    this.listed = undefined;
    for (const column of this.labels.values()) column.set(row.index, undefined);
    this.dropIfEmpty(row);
  }

  namespaceLabelsChanged(): void {
    this.counts.forgetNamespaceLabels();
  }

  // ---- pods

  /** A pod seen on a node, in any state that still holds its resources. Confirms an assumed one. */
  setPod(pod: Pod): void {
    const key = keyOf(pod);
    const known = this.placed.get(key);
    const finished = isFinished(pod);
    if (finished || !hasNode(pod)) {
      if (finished || known?.assumed !== true) this.removePod(key);
      return;
    }
    if (known !== undefined && known.row.name === pod.spec.nodeName && countsAlike(known.info.pod, pod)) {
      known.info.pod = pod;
      known.assumed = false;
      known.expiresMs = undefined;
      return;
    }
    this.place(podInfo(pod), pod.spec.nodeName ?? '', false);
  }

  removePod(key: string): void {
    const placement = this.placed.get(key);
    if (!placement) return;
    this.placed.delete(key);
    this.count(placement.info, placement.row, -1);
    this.dropIfEmpty(placement.row);
  }

  /** Counts a pod on the node it was given, before the API server has it. */
  assume(info: PodInfo, nodeName: string): void {
    this.place(info, nodeName, true);
  }

  /** The API server took the binding; the pod has to be seen on its node before `expiresMs`. */
  bound(key: string, expiresMs: number): void {
    const placement = this.placed.get(key);
    if (placement?.assumed === true) placement.expiresMs = expiresMs;
  }

  /** Takes an assumption back: the binding failed. A pod that was confirmed meanwhile stays. */
  forget(key: string): void {
    if (this.placed.get(key)?.assumed === true) this.removePod(key);
  }

  /** Takes back what was never confirmed in time; answers the keys. */
  forgetExpired(nowMs: number): string[] {
    const expired: string[] = [];
    for (const [key, { expiresMs }] of this.placed) if (expiresMs !== undefined && expiresMs <= nowMs) expired.push(key);
    for (const key of expired) this.forget(key);
    return expired;
  }

  isAssumed(key: string): boolean {
    return this.placed.get(key)?.assumed === true;
  }

  placedOn(key: string): string | undefined {
    return this.placed.get(key)?.row.name;
  }

  // ---- nominations

  nominate(info: PodInfo, nodeName: string): void {
    this.denominate(info.key);
    this.nominations.set(nodeName, [...(this.nominations.get(nodeName) ?? []), info]);
  }

  denominate(key: string): void {
    for (const [nodeName, pods] of this.nominations) {
      const left = pods.filter((pod) => pod.key !== key);
      if (left.length === pods.length) continue;
      if (left.length === 0) this.nominations.delete(nodeName);
      else this.nominations.set(nodeName, left);
      return;
    }
  }

  // ---- what if

  whatIf<T>(ask: (change: WhatIf) => T): T {
    const undo: (() => void)[] = [];
    const change: WhatIf = {
      add: (info, nodeName) => {
        const row = this.row(nodeName);
        this.count(info, row, 1);
        undo.push(() => this.count(info, row, -1));
      },
      remove: (info) => {
        const row = this.placed.get(info.key)?.row;
        if (row === undefined) return;
        this.count(info, row, -1);
        undo.push(() => this.count(info, row, 1));
      },
    };
    try {
      return ask(change);
    } finally {
      for (const step of undo.reverse()) step();
    }
  }

  // ---- keeping the columns

  private place(info: PodInfo, nodeName: string, assumed: boolean): void {
    this.removePod(info.key);
    const row = this.row(nodeName);
    this.placed.set(info.key, { info, row, assumed, expiresMs: undefined });
    this.count(info, row, 1);
  }

  /** The one place where a pod changes what its node has left. */
  private count(info: PodInfo, row: Row, change: 1 | -1): void {
    const { index } = row;
    if (change === 1) row.pods.set(info.key, info);
    else row.pods.delete(info.key);
    if (info.hostPorts.length > 0) row.podsWithPorts += change;
    this.changed(index);
    this.requested.add(index, info.requests, change);
    this.nonZeroCpu[index] = (this.nonZeroCpu[index] ?? 0) + change * info.nonZeroCpu;
    this.nonZeroMemory[index] = (this.nonZeroMemory[index] ?? 0) + change * info.nonZeroMemory;
    this.counts.count(info, index, change);
    this.groups.count(info, index, change);
    for (const claim of info.claims) this.countClaim(claim, info, change);
  }

  private changed(index: number): void {
    // Wraps around after 2^32 changes of one node, between two looks at it: that does not happen.
    this.versions[index] = ((this.versions[index] ?? 0) + 1) | 0;
  }

  private countClaim(claim: string, info: PodInfo, change: 1 | -1): void {
    const users = this.usersOfClaim.get(claim);
    if (change === 1) {
      if (users === undefined) this.usersOfClaim.set(claim, new Set([info]));
      else users.add(info);
      return;
    }
    users?.delete(info);
    if (users?.size === 0) this.usersOfClaim.delete(claim);
  }

  private setNodeSpec(index: number, { spec }: Node): void {
    const cordoned = spec.unschedulable === true;
    this.unschedulable[index] = cordoned ? 1 : 0;
    if (cordoned) this.cordonedNodes.add(index);
    else this.cordonedNodes.delete(index);
    const taints = spec.taints ?? [];
    const plain = taints.map(({ key, value, effect }) => ({ key, value: value ?? '', effect }));
    this.taintSetOf[index] = plain.length === 0 ? 0 : this.taints.idOf(JSON.stringify(plain), () => plain);
    if (plain.some(({ effect }) => effect === 'PreferNoSchedule')) this.softTaintNodes.add(index);
    else this.softTaintNodes.delete(index);
  }

  private rememberImages(index: number, { status }: Node): void {
    for (const { names = [], sizeBytes = 0 } of status.images ?? []) {
      for (const name of names) {
        const known = this.imageStates.get(name);
        if (known === undefined) this.imageStates.set(name, { sizeBytes, nodes: new Set([index]) });
        else known.nodes.add(index);
      }
    }
  }

  private forgetImages(index: number, node: Node | undefined): void {
    for (const { names = [] } of node?.status.images ?? []) {
      for (const name of names) {
        const known = this.imageStates.get(name);
        known?.nodes.delete(index);
        if (known?.nodes.size === 0) this.imageStates.delete(name);
      }
    }
  }

  private *placements(): Iterable<readonly [PodInfo, number]> {
    // By row, not by placement: what is taken away for a "what if" does not count.
    for (const row of this.rows.values()) for (const info of row.pods.values()) yield [info, row.index];
  }

  private row(name: string): Row {
    let row = this.rows.get(name);
    if (!row) {
      row = { index: this.free.pop() ?? this.nextIndex++, name, node: undefined, pods: new Map(), podsWithPorts: 0 };
      if (row.index >= this.capacity) this.grow();
      this.rows.set(name, row);
    }
    return row;
  }

  private dropIfEmpty(row: Row): void {
    if (row.node !== undefined || row.pods.size > 0) return;
    this.rows.delete(row.name);
    this.changed(row.index);
    this.allocatable.set(row.index, new Map());
    this.requested.set(row.index, new Map());
    this.unschedulable[row.index] = 0;
    this.taintSetOf[row.index] = 0;
    this.free.push(row.index);
  }

  private grow(): void {
    this.capacity *= 2;
    for (const columns of [this.allocatable, this.requested, this.nonZeroCpuColumn, this.nonZeroMemoryColumn, this.counts])
      columns.grow(this.capacity);
    this.unschedulableColumn.grow(this.capacity);
    this.taintSetColumn.grow(this.capacity);
    this.versionColumn.grow(this.capacity);
    for (const { column } of this.labels.values()) column.grow(this.capacity);
  }
}

const nobody: ReadonlySet<PodInfo> = new Set();
const none: readonly PodInfo[] = [];
