/**
 * `/metrics/cadvisor`: the figures by cAdvisor's names and labels, which dashboards and alerts are written for. A cgroup is a line: the node's root, each
 * pod, each of its containers. See https://github.com/google/cadvisor/blob/master/docs/storage/prometheus.md
 */
import type { HostFacts } from '../host.ts';
import { Exposition, type Labels } from '../../machinery/exposition.ts';
import type { CgroupDetails, ContainerUsage, CpuUsage, InterfaceUsage, MemoryUsage, PodUsage, Usage } from './usage.ts';

interface Row {
  readonly labels: Labels;
  readonly cpu: CpuUsage;
  readonly memory: MemoryUsage;
  readonly startedMs: number;
  readonly details: CgroupDetails | undefined;
}

type Family = readonly [
  name: string,
  type: 'counter' | 'gauge',
  help: string,
  samples: (row: Row) => readonly (readonly [labels: Labels, value: number])[],
];

const one = (value: number | undefined, labels: Labels = {}): readonly (readonly [Labels, number])[] =>
  value === undefined ? [] : [[labels, value]];

const families: readonly Family[] = [
  [
    'container_cpu_usage_seconds_total',
    'counter',
    'Cumulative cpu time consumed in seconds.',
    ({ cpu }) => one(cpu.nanoseconds / 1e9, { cpu: 'total' }),
  ],
  [
    'container_cpu_user_seconds_total',
    'counter',
    'Cumulative user cpu time consumed in seconds.',
    ({ details }) => one(seconds(details?.userNanoseconds)),
  ],
  [
    'container_cpu_system_seconds_total',
    'counter',
    'Cumulative system cpu time consumed in seconds.',
    ({ details }) => one(seconds(details?.systemNanoseconds)),
  ],
  [
    'container_cpu_cfs_periods_total',
    'counter',
    'Number of elapsed enforcement period intervals.',
    ({ details }) => one(limited(details, details?.periods)),
  ],
  [
    'container_cpu_cfs_throttled_periods_total',
    'counter',
    'Number of throttled period intervals.',
    ({ details }) => one(limited(details, details?.throttledPeriods)),
  ],
  [
    'container_cpu_cfs_throttled_seconds_total',
    'counter',
    'Total time duration the container has been throttled.',
    ({ details }) => one(limited(details, seconds(details?.throttledNanoseconds))),
  ],
  [
    'container_memory_usage_bytes',
    'gauge',
    'Current memory usage in bytes, including all memory regardless of when it was accessed',
    ({ memory }) => one(memory.usageBytes),
  ],
  ['container_memory_working_set_bytes', 'gauge', 'Current working set in bytes.', ({ memory }) => one(memory.workingSetBytes)],
  ['container_memory_rss', 'gauge', 'Size of RSS in bytes.', ({ memory }) => one(memory.rssBytes)],
  ['container_memory_cache', 'gauge', 'Number of bytes of page cache memory.', ({ details }) => one(details?.cacheBytes)],
  ['container_memory_mapped_file', 'gauge', 'Size of memory mapped files in bytes.', ({ details }) => one(details?.mappedFileBytes)],
  ['container_memory_swap', 'gauge', 'Container swap usage in bytes.', ({ details }) => one(details?.swapBytes)],
  ['container_memory_max_usage_bytes', 'gauge', 'Maximum memory usage recorded in bytes', ({ details }) => one(details?.maxUsageBytes)],
  ['container_memory_failcnt', 'counter', 'Number of memory usage hits limits', ({ details }) => one(details?.failures)],
  [
    'container_memory_failures_total',
    'counter',
    'Cumulative count of memory allocation failures.',
    ({ memory }) => [
      [{ failure_type: 'pgfault', scope: 'container' }, memory.pageFaults],
      [{ failure_type: 'pgmajfault', scope: 'container' }, memory.majorPageFaults],
    ],
  ],
  ['container_oom_events_total', 'counter', 'Count of out of memory events observed for the container', ({ details }) => one(details?.oomKills)],
  ['container_processes', 'gauge', 'Number of processes running inside the container.', ({ details }) => one(details?.processes)],
  ['container_spec_cpu_period', 'gauge', 'CPU period of the container.', ({ details }) => one(details?.cpuPeriodMicroseconds)],
  ['container_spec_cpu_quota', 'gauge', 'CPU quota of the container.', ({ details }) => one(details?.cpuQuotaMicroseconds)],
  ['container_spec_cpu_shares', 'gauge', 'CPU share of the container.', ({ details }) => one(details?.cpuShares)],
  ['container_spec_memory_limit_bytes', 'gauge', 'Memory limit for the container.', ({ memory }) => one(memory.limitBytes ?? 0)],
  [
    'container_start_time_seconds',
    'gauge',
    'Start time of the container since unix epoch in seconds.',
    ({ startedMs }) => one(Math.floor(startedMs / 1000)),
  ],
  ['container_last_seen', 'gauge', 'Last time a container was seen by the exporter', ({ cpu }) => one(Math.floor(cpu.timeMs / 1000))],
];

const networkFamilies: readonly (readonly [name: string, help: string, read: (usage: InterfaceUsage) => number])[] = [
  ['container_network_receive_bytes_total', 'Cumulative count of bytes received', ({ rxBytes }) => rxBytes],
  ['container_network_receive_packets_total', 'Cumulative count of packets received', ({ rxPackets }) => rxPackets],
  ['container_network_receive_errors_total', 'Cumulative count of errors encountered while receiving', ({ rxErrors }) => rxErrors],
  ['container_network_receive_packets_dropped_total', 'Cumulative count of packets dropped while receiving', ({ rxDropped }) => rxDropped],
  ['container_network_transmit_bytes_total', 'Cumulative count of bytes transmitted', ({ txBytes }) => txBytes],
  ['container_network_transmit_packets_total', 'Cumulative count of packets transmitted', ({ txPackets }) => txPackets],
  ['container_network_transmit_errors_total', 'Cumulative count of errors encountered while transmitting', ({ txErrors }) => txErrors],
  ['container_network_transmit_packets_dropped_total', 'Cumulative count of packets dropped while transmitting', ({ txDropped }) => txDropped],
];

export function cadvisorMetrics({ node, pods }: Usage, facts: HostFacts): string {
  const text = new Exposition();
  const root = { container: '', id: '/', image: '', name: '', namespace: '', pod: '' };
  const rows: Row[] = [
    { labels: root, cpu: node.cpu, memory: node.memory, startedMs: node.startedMs, details: undefined },
    ...pods.flatMap((pod) => [
      { ...pod, labels: { container: '', id: pod.cgroup, image: '', name: '', namespace: pod.namespace, pod: pod.name } },
      ...pod.containers.map((container) => ({ ...container, labels: containerLabels(pod, container) })),
    ]),
  ];
  for (const [name, type, help, samples] of families) {
    text.family(name, type, help);
    for (const row of rows) for (const [more, value] of samples(row)) text.sample({ ...row.labels, ...more }, value, row.cpu.timeMs);
  }
  const networks = [
    { labels: root, interfaces: node.interfaces },
    ...pods.map((pod) => ({
      labels: { container: '', id: `${pod.cgroup}/${pod.sandboxId}`, image: '', name: pod.sandboxId, namespace: pod.namespace, pod: pod.name },
      interfaces: pod.interfaces ?? [],
    })),
  ];
  for (const [name, help, read] of networkFamilies) {
    text.family(name, 'counter', help);
    for (const { labels, interfaces } of networks) {
      for (const usage of interfaces) text.sample({ ...labels, interface: usage.name }, read(usage), node.cpu.timeMs);
    }
  }
  filesystems(text, { node, pods }, root);
  return machineMetrics(text, facts).text();
}

function filesystems(text: Exposition, { node, pods }: Pick<Usage, 'node' | 'pods'>, root: Labels): void {
  const { timeMs } = node.cpu;
  const layers = pods.flatMap((pod) =>
    pod.containers.flatMap((container) => (container.rootfs ? [{ labels: containerLabels(pod, container), usage: container.rootfs }] : [])),
  );
  text.family('container_fs_usage_bytes', 'gauge', 'Number of bytes that are consumed by the container on this filesystem.');
  if (node.fs) text.sample({ ...root, device: 'root' }, node.fs.usedBytes, timeMs);
  for (const { labels, usage } of layers) text.sample({ ...labels, device: '' }, usage.usedBytes, timeMs);
  text.family('container_fs_limit_bytes', 'gauge', 'Number of bytes that can be consumed by the container on this filesystem.');
  if (node.fs) text.sample({ ...root, device: 'root' }, node.fs.capacityBytes, timeMs);
  for (const { labels } of layers) text.sample({ ...labels, device: '' }, node.imageFs?.capacityBytes ?? 0, timeMs);
  text.family('container_fs_inodes_total', 'gauge', 'Number of Inodes');
  if (node.fs) text.sample({ ...root, device: 'root' }, node.fs.inodes, timeMs);
  text.family('container_fs_inodes_free', 'gauge', 'Number of available Inodes');
  if (node.fs) text.sample({ ...root, device: 'root' }, node.fs.inodesFree, timeMs);
}

function machineMetrics(text: Exposition, { cpus, memoryBytes, bootId, machineId, systemUuid, kernelVersion, osImage }: HostFacts): Exposition {
  const labels = { boot_id: bootId, machine_id: machineId, system_uuid: systemUuid };
  text.family('machine_cpu_cores', 'gauge', 'Number of logical CPU cores.').sample(labels, cpus);
  text.family('machine_memory_bytes', 'gauge', 'Amount of memory installed on the machine.').sample(labels, memoryBytes);
  return text
    .family(
      'cadvisor_version_info',
      'gauge',
      "A metric with a constant '1' value labeled by kernel version, OS version, docker version, cadvisor version & cadvisor revision.",
    )
    .sample({ cadvisorRevision: '', cadvisorVersion: '', dockerVersion: '', kernelVersion, osVersion: osImage }, 1);
}

function containerLabels({ namespace, name: pod }: PodUsage, { name: container, cgroup: id, image, id: name }: ContainerUsage): Labels {
  return { container, id, image, name, namespace, pod };
}

function seconds(nanoseconds: number | undefined): number | undefined {
  return nanoseconds === undefined ? undefined : nanoseconds / 1e9;
}

/** Periods are counted, and mean something, only where there is a quota. */
function limited(details: CgroupDetails | undefined, value: number | undefined): number | undefined {
  return details?.cpuQuotaMicroseconds === undefined ? undefined : value;
}
