/** `/metrics/resource`: CPU and memory of the node, its pods and containers, which metrics-server and the metrics API here read. */
import { Exposition, type Labels } from '../../machinery/exposition.ts';
import type { CpuUsage, MemoryUsage, Usage } from './usage.ts';

interface Entry {
  readonly labels: Labels;
  readonly cpu: CpuUsage;
  readonly memory: MemoryUsage;
}

export function resourceMetrics({ node, pods, incomplete }: Usage): string {
  const text = new Exposition();
  const containers = pods.flatMap(({ name: pod, namespace, containers: own }) =>
    own.map(({ name: container, cpu, memory, startedMs, swapBytes }) => ({
      labels: { container, namespace, pod },
      cpu,
      memory,
      startedMs,
      swapBytes,
    })),
  );
  const ofPods = pods.map(({ name: pod, namespace, cpu, memory }) => ({ labels: { namespace, pod }, cpu, memory }));
  const families: readonly (readonly [of: string, entries: readonly Entry[]])[] = [
    ['container', containers],
    ['node', [{ labels: {}, cpu: node.cpu, memory: node.memory }]],
    ['pod', ofPods],
  ];
  for (const [of, entries] of families) {
    text.family(`${of}_cpu_usage_seconds_total`, 'counter', `[STABLE] Cumulative cpu time consumed by the ${of} in core-seconds`);
    for (const { labels, cpu } of entries) text.sample(labels, cpu.nanoseconds / 1e9, cpu.timeMs);
    text.family(`${of}_memory_working_set_bytes`, 'gauge', `[STABLE] Current working set of the ${of} in bytes`);
    for (const { labels, memory } of entries) text.sample(labels, memory.workingSetBytes, memory.timeMs);
  }
  text.family('container_start_time_seconds', 'gauge', '[STABLE] Start time of the container since unix epoch in seconds');
  for (const { labels, startedMs } of containers) text.sample(labels, startedMs / 1000);
  text.family('resource_scrape_error', 'gauge', '[STABLE] 1 if there was an error while getting container metrics, 0 otherwise');
  text.sample({}, incomplete ? 1 : 0);
  text.family('scrape_error', 'gauge', '[ALPHA] (Deprecated since 1.29.0) 1 if there was an error while getting container metrics, 0 otherwise');
  return text.sample({}, incomplete ? 1 : 0).text();
}
