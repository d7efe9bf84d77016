/**
 * The metrics API's objects, from what nodes say of themselves: what `kubectl top` shows and autoscalers go by, as upstream's metrics-server answers it.
 * See https://kubernetes.io/docs/tasks/debug/debug-cluster/resource-metrics-pipeline/
 */
import { Node, Pod } from '../api/kinds.ts';
import type { NodeMetrics, PodMetrics, ResourceUsage } from '../api/kinds/resource-metrics.ts';
import type { Client } from '../client/client.ts';
import { formatDuration } from '../machinery/duration.ts';
import { isReason } from '../machinery/errors.ts';
import { Quantity } from '../machinery/quantity.ts';
import { timestamp, type World } from '../world/world.ts';
import { type ContainerSample, measure, measureContainer, type MeasuredUsage, placeOf } from './node-reading.ts';
import { NodeReadings, type Readings, type ReadingSource } from './node-readings.ts';

export interface ResourceMetricsOptions {
  readonly world: World;
  /** May read all nodes and pods. */
  readonly client: Client;
  readonly source: ReadingSource;
}

export class ResourceMetrics {
  readonly #options: ResourceMetricsOptions;
  readonly #readings: NodeReadings;

  constructor(options: ResourceMetricsOptions) {
    this.#options = options;
    this.#readings = new NodeReadings(options.world, options.source);
  }

  /** Of all nodes, or the one of a name: those of which something is known. */
  async nodes(name?: string): Promise<readonly NodeMetrics[]> {
    const nodes = await this.#nodes(name);
    const readings = await this.#readings.of(nodes);
    return nodes.flatMap((node) => nodeMetrics(node, readings.get(node.metadata.name), this.#options.world.clock.now()) ?? []);
  }

  /** Of the running pods everywhere, in a namespace, or of a name in it. */
  async pods(namespace?: string, name?: string): Promise<readonly PodMetrics[]> {
    const pods = (await this.#pods(namespace, name)).filter(({ spec, status }) => status.phase === 'Running' && spec.nodeName !== undefined);
    const used = new Set(pods.map(({ spec }) => spec.nodeName));
    const nodes = pods.length === 0 ? [] : (await this.#nodes()).filter(({ metadata }) => used.has(metadata.name));
    const tellsOfAll = ({ metadata: { name: node } }: Node, { last }: Readings): boolean => {
      const told = new Set(last.containers.map((sample) => `${sample.namespace}/${sample.pod}`));
      return pods.every(({ metadata, spec }) => spec.nodeName !== node || told.has(`${metadata.namespace}/${metadata.name}`));
    };
    const tables = new Map([...(await this.#readings.of(nodes, tellsOfAll))].map(([node, readings]) => [node, containersByPod(readings)]));
    const nowMs = this.#options.world.clock.now();
    return pods.flatMap((pod) => {
      const { namespace: inside, name: called } = pod.metadata;
      return podMetrics(pod, tables.get(pod.spec.nodeName ?? '')?.get(`${inside}/${called}`) ?? [], nowMs) ?? [];
    });
  }

  close(): void {
    this.#readings.close();
  }

  async #nodes(name?: string): Promise<readonly Node[]> {
    const nodes = this.#options.client.resource(Node);
    return name === undefined ? (await nodes.list()).items : present(nodes.get(name));
  }

  async #pods(namespace: string | undefined, name: string | undefined): Promise<readonly Pod[]> {
    const pods = this.#options.client.resource(Pod);
    if (namespace === undefined) return (await pods.list()).items;
    return name === undefined ? (await pods.namespace(namespace).list()).items : present(pods.namespace(namespace).get(name));
  }
}

async function present<T>(answer: Promise<T>): Promise<readonly T[]> {
  try {
    return [await answer];
  } catch (error) {
    if (isReason(error, 'NotFound')) return [];
    throw error;
  }
}

interface MeasuredContainer {
  readonly name: string;
  /** Undefined while there is nothing to compare with. */
  readonly usage: MeasuredUsage | undefined;
}

function containersByPod({ last, before }: Readings): ReadonlyMap<string, readonly MeasuredContainer[]> {
  const earlier = new Map<string, ContainerSample>(before?.containers.map((sample) => [placeOf(sample), sample]));
  const byPod = new Map<string, MeasuredContainer[]>();
  for (const sample of last.containers) {
    const pod = `${sample.namespace}/${sample.pod}`;
    const usage = measureContainer(sample, earlier.get(placeOf(sample)), before?.node.timeMs ?? 0);
    const containers = byPod.get(pod) ?? [];
    byPod.set(pod, containers);
    containers.push({ name: sample.container, usage });
  }
  return byPod;
}

/** Undefined for a node of which not enough is known. */
export function nodeMetrics({ metadata }: Node, readings: Readings | undefined, nowMs: number): NodeMetrics | undefined {
  const usage = readings && measure(readings.last.node, readings.before?.node);
  if (usage === undefined) return undefined;
  return {
    kind: 'NodeMetrics',
    apiVersion: 'metrics.k8s.io/v1beta1',
    // Nobody stored it: it has no identity.
    metadata: metadataOf(metadata, nowMs) as NodeMetrics['metadata'],
    ...timesOf(usage),
    usage: usageOf(usage),
  };
}

/** Undefined for a pod of which not enough is known: a part of it would be taken for the whole. */
export function podMetrics({ metadata }: Pod, containers: readonly MeasuredContainer[], nowMs: number): PodMetrics | undefined {
  const usages = containers.flatMap(({ usage }) => usage ?? []);
  const [first] = usages;
  if (first === undefined || usages.length < containers.length) return undefined;
  const earliest = usages.reduce((sooner, usage) => (usage.timeMs < sooner.timeMs ? usage : sooner), first);
  return {
    kind: 'PodMetrics',
    apiVersion: 'metrics.k8s.io/v1beta1',
    metadata: metadataOf(metadata, nowMs) as PodMetrics['metadata'],
    ...timesOf(earliest),
    containers: containers.flatMap(({ name, usage }) => (usage === undefined ? [] : [{ name, usage: usageOf(usage) }])),
  };
}

function metadataOf({ name, namespace, labels }: Node['metadata'], nowMs: number): object {
  return { name, ...(namespace !== undefined && { namespace }), creationTimestamp: timestamp(nowMs), ...(labels && { labels }) };
}

function timesOf({ timeMs, windowMs }: MeasuredUsage): { timestamp: string; window: string } {
  return { timestamp: timestamp(timeMs), window: formatDuration(windowMs) };
}

function usageOf({ nanoCores, memoryBytes }: MeasuredUsage): ResourceUsage {
  return {
    cpu: Quantity.ofNanos(BigInt(Math.round(nanoCores))).toString(),
    memory: Quantity.of(Math.round(memoryBytes), 'BinarySI').toString(),
  };
}
