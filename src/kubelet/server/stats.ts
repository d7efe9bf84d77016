/**
 * How much the node's containers use: `/stats/summary` as people and autoscalers of old read it, `/metrics/resource` as metrics-server does, and the
 * few lines of `/metrics` that describe the kubelet itself. See https://kubernetes.io/docs/reference/instrumentation/node-metrics/.
 */
import { readFile } from 'node:fs/promises';
import type { ContainerRuntime, ContainerStats } from '../runtime/runtime.ts';
import { timestamp, type World } from '../../world/world.ts';

const labelNames = {
  pod: 'io.kubernetes.pod.name',
  namespace: 'io.kubernetes.pod.namespace',
  uid: 'io.kubernetes.pod.uid',
  container: 'io.kubernetes.container.name',
} as const;

interface Usage {
  readonly timeMs: number;
  readonly cpuNanoseconds: number;
  readonly cpuNanoCores: number | undefined;
  readonly memoryBytes: number;
}

export interface NodeStats {
  summary(): Promise<object>;
  resourceMetrics(): Promise<string>;
  ownMetrics(): Promise<string>;
}

/** A rate needs two readings some time apart; a shorter time gives noise. */
const shortestRateMs = 1_000;

export function nodeStats(runtime: ContainerRuntime, world: World, nodeName: string): NodeStats {
  const rates = new Rates();

  async function containers(): Promise<readonly ContainerStats[]> {
    const stats = await runtime.containerStats();
    rates.keepOnly(new Set([...stats.map(({ containerId }) => containerId), nodeKey]));
    return stats;
  }

  const usageOf = (stats: ContainerStats): Usage => ({
    timeMs: stats.timestampMs,
    cpuNanoseconds: stats.cpuNanoseconds,
    cpuNanoCores: rates.rate(stats.containerId, stats.timestampMs, stats.cpuNanoseconds),
    memoryBytes: stats.memoryWorkingSetBytes,
  });

  async function node(): Promise<Usage> {
    const [cpuNanoseconds, memoryBytes] = [await nodeCpuNanoseconds(), await nodeMemoryBytes()];
    const timeMs = world.clock.now();
    return { timeMs, cpuNanoseconds, cpuNanoCores: rates.rate(nodeKey, timeMs, cpuNanoseconds), memoryBytes };
  }

  return {
    async summary() {
      const [own, all] = [await node(), await containers()];
      const byPod = Map.groupBy(all, (stats) => stats.labels[labelNames.uid] ?? '');
      const pods = [...byPod].map(([uid, stats]) => {
        const usages = stats.map((entry) => ({ entry, usage: usageOf(entry) }));
        return {
          podRef: { name: stats[0]?.labels[labelNames.pod] ?? '', namespace: stats[0]?.labels[labelNames.namespace] ?? '', uid },
          containers: usages.map(({ entry, usage }) => ({
            name: entry.labels[labelNames.container] ?? '',
            ...usageJson(usage),
            rootfs: { time: timestamp(usage.timeMs), usedBytes: entry.writableLayerBytes },
          })),
          ...usageJson(sum(usages.map(({ usage }) => usage))),
        };
      });
      return { node: { nodeName, ...usageJson(own) }, pods };
    },

    async resourceMetrics() {
      const [own, all] = [await node(), await containers()];
      const text = new MetricsText();
      const labelled = all.map((stats) => ({
        usage: usageOf(stats),
        labels: {
          container: stats.labels[labelNames.container] ?? '',
          namespace: stats.labels[labelNames.namespace] ?? '',
          pod: stats.labels[labelNames.pod] ?? '',
        },
      }));
      const pods = [...Map.groupBy(labelled, ({ labels }) => `${labels.namespace}/${labels.pod}`).values()].map((entries) => ({
        usage: sum(entries.map(({ usage }) => usage)),
        labels: { namespace: entries[0]?.labels.namespace ?? '', pod: entries[0]?.labels.pod ?? '' },
      }));
      for (const [prefix, entries] of [
        ['container', labelled],
        ['pod', pods],
        ['node', [{ usage: own, labels: {} }]],
      ] as const) {
        text.family(`${prefix}_cpu_usage_seconds_total`, 'counter', `Cumulative cpu time consumed by the ${prefix} in core-seconds`);
        for (const { labels, usage } of entries) text.sample(labels, usage.cpuNanoseconds / 1e9, usage.timeMs);
        text.family(`${prefix}_memory_working_set_bytes`, 'gauge', `Current working set of the ${prefix} in bytes`);
        for (const { labels, usage } of entries) text.sample(labels, usage.memoryBytes, usage.timeMs);
      }
      text.family('resource_scrape_error', 'gauge', '1 if there was an error while getting container metrics, 0 otherwise');
      text.sample({}, 0);
      return text.toString();
    },

    async ownMetrics() {
      const [sandboxes, list] = await Promise.all([runtime.listPodSandboxes(), runtime.listContainers()]);
      const text = new MetricsText();
      text.family('kubelet_running_pods', 'gauge', 'Number of pods that have a running pod sandbox');
      text.sample({}, sandboxes.filter(({ ready }) => ready).length);
      text.family('kubelet_running_containers', 'gauge', 'Number of containers currently running');
      for (const [state, entries] of Map.groupBy(list, (container) => container.state)) text.sample({ container_state: state }, entries.length);
      text.family('process_resident_memory_bytes', 'gauge', 'Resident memory size in bytes.');
      text.sample({}, process.memoryUsage.rss());
      const { user, system } = process.cpuUsage();
      text.family('process_cpu_seconds_total', 'counter', 'Total user and system CPU time spent in seconds.');
      text.sample({}, (user + system) / 1e6);
      return text.toString();
    },
  };
}

const nodeKey = '';

/** The last reading of each counter, from which the next gives a rate. */
class Rates {
  readonly #last = new Map<string, { timeMs: number; value: number; rate: number | undefined }>();

  rate(key: string, timeMs: number, nanoseconds: number): number | undefined {
    const last = this.#last.get(key);
    if (last === undefined) {
      this.#last.set(key, { timeMs, value: nanoseconds, rate: undefined });
      return undefined;
    }
    const elapsedMs = timeMs - last.timeMs;
    if (elapsedMs < shortestRateMs) return last.rate;
    const rate = Math.max(0, Math.round(((nanoseconds - last.value) / elapsedMs) * 1000));
    this.#last.set(key, { timeMs, value: nanoseconds, rate });
    return rate;
  }

  keepOnly(keys: ReadonlySet<string>): void {
    for (const key of this.#last.keys()) if (!keys.has(key)) this.#last.delete(key);
  }
}

/** Prometheus' text format. */
class MetricsText {
  readonly #lines: string[] = [];
  #name = '';

  family(name: string, type: 'counter' | 'gauge', help: string): void {
    this.#name = name;
    this.#lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`);
  }

  sample(labels: Readonly<Record<string, string>>, value: number, timeMs?: number): void {
    const pairs = Object.entries(labels).map(([name, text]) => `${name}=${JSON.stringify(text)}`);
    const braces = pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
    this.#lines.push(`${this.#name}${braces} ${value}${timeMs === undefined ? '' : ` ${Math.round(timeMs)}`}`);
  }

  toString(): string {
    return `${this.#lines.join('\n')}\n`;
  }
}

function usageJson({ timeMs, cpuNanoCores, cpuNanoseconds, memoryBytes }: Usage): object {
  const time = timestamp(timeMs);
  const rate = cpuNanoCores === undefined ? {} : { usageNanoCores: cpuNanoCores };
  return { cpu: { time, ...rate, usageCoreNanoSeconds: cpuNanoseconds }, memory: { time, workingSetBytes: memoryBytes } };
}

function sum(usages: readonly Usage[]): Usage {
  const rates = usages.flatMap(({ cpuNanoCores }) => cpuNanoCores ?? []);
  return {
    timeMs: Math.max(0, ...usages.map(({ timeMs }) => timeMs)),
    cpuNanoseconds: usages.reduce((total, usage) => total + usage.cpuNanoseconds, 0),
    cpuNanoCores: rates.length === 0 ? undefined : rates.reduce((total, rate) => total + rate, 0),
    memoryBytes: usages.reduce((total, usage) => total + usage.memoryBytes, 0),
  };
}

/** `/proc/stat` counts in hundredths of a second: user, nice, system, idle, iowait, irq, softirq, steal. */
async function nodeCpuNanoseconds(): Promise<number> {
  const line = (await readFile('/proc/stat', 'utf8')).split('\n')[0] ?? '';
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = line.split(/\s+/).slice(1).map(Number);
  return (user + nice + system + irq + softirq) * 10_000_000;
}

async function nodeMemoryBytes(): Promise<number> {
  const text = await readFile('/proc/meminfo', 'utf8');
  const kibibytes = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(text)?.[1] ?? 0);
  return (kibibytes('MemTotal') - kibibytes('MemAvailable')) * 1024;
}
