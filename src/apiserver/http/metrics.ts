/** The server's own numbers, in Prometheus' text format and under upstream's names. See https://kubernetes.io/docs/reference/instrumentation/metrics/ */
import type { World } from '../../world/world.ts';

interface Series {
  readonly labels: string;
  count: number;
  sumSeconds: number;
  readonly buckets: Uint32Array;
}

const bucketSeconds = [0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60];

/** Labels come from paths that exist and from a closed list of verbs and codes, so this is never reached by honest use. */
const seriesBound = 20_000;

export interface RequestLabels {
  readonly verb: string;
  readonly group: string;
  readonly version: string;
  readonly resource: string;
  readonly subresource: string;
  readonly scope: string;
}

export class Metrics {
  private readonly world: World;
  private readonly startedMs: number;
  private readonly totals = new Map<string, { readonly labels: string; count: number }>();
  private readonly durations = new Map<string, Series>();
  private readonly sources: (() => readonly string[])[] = [];
  inflight = 0;
  watchers = 0;

  constructor(world: World) {
    this.world = world;
    this.startedMs = world.clock.now();
  }

  observe(labels: RequestLabels, code: number, seconds: number): void {
    const key = `${labels.verb} ${labels.group}/${labels.version}/${labels.resource}/${labels.subresource} ${labels.scope}`;
    const totalKey = `${key} ${code}`;
    let total = this.totals.get(totalKey);
    if (total === undefined) {
      if (this.totals.size >= seriesBound) return;
      total = { labels: `code="${code}",${labelText(labels)}`, count: 0 };
      this.totals.set(totalKey, total);
    }
    total.count++;
    let series = this.durations.get(key);
    if (series === undefined) {
      series = { labels: labelText(labels), count: 0, sumSeconds: 0, buckets: new Uint32Array(bucketSeconds.length) };
      this.durations.set(key, series);
    }
    series.count++;
    series.sumSeconds += seconds;
    const bucket = bucketSeconds.findIndex((bound) => seconds <= bound);
    if (bucket >= 0) series.buckets[bucket] = (series.buckets[bucket] ?? 0) + 1;
  }

  /** Lines of another part of the server, asked for at every reading. */
  addSource(source: () => readonly string[]): void {
    this.sources.push(source);
  }

  render(): string {
    const lines: string[] = this.sources.flatMap((source) => source());
    const family = (name: string, type: 'counter' | 'gauge' | 'histogram', help: string): void => {
      lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`);
    };
    family('apiserver_request_total', 'counter', 'Requests answered, by verb, resource and HTTP code.');
    for (const { labels, count } of this.totals.values()) lines.push(`apiserver_request_total{${labels}} ${count}`);
    family('apiserver_request_duration_seconds', 'histogram', 'How long requests took, by verb and resource.');
    for (const series of this.durations.values()) lines.push(...histogramLines('apiserver_request_duration_seconds', series));
    family('apiserver_current_inflight_requests', 'gauge', 'Requests under way, without long-running ones.');
    lines.push(`apiserver_current_inflight_requests{request_kind="all"} ${this.inflight}`);
    family('apiserver_longrunning_requests', 'gauge', 'Watches under way.');
    lines.push(`apiserver_longrunning_requests{verb="WATCH"} ${this.watchers}`);
    const usage = process.resourceUsage();
    family('process_cpu_seconds_total', 'counter', 'Processor time spent, user and system.');
    lines.push(`process_cpu_seconds_total ${(usage.userCPUTime + usage.systemCPUTime) / 1e6}`);
    family('process_resident_memory_bytes', 'gauge', 'Resident memory.');
    lines.push(`process_resident_memory_bytes ${process.memoryUsage.rss()}`);
    family('process_start_time_seconds', 'gauge', 'When the server started, in seconds since the epoch.');
    lines.push(`process_start_time_seconds ${this.startedMs / 1000}`);
    family('nodejs_heap_size_used_bytes', 'gauge', 'Heap in use.');
    lines.push(`nodejs_heap_size_used_bytes ${process.memoryUsage().heapUsed}`);
    family('process_uptime_seconds', 'gauge', 'How long the server has been running.');
    lines.push(`process_uptime_seconds ${(this.world.clock.now() - this.startedMs) / 1000}`);
    return `${lines.join('\n')}\n`;
  }
}

function histogramLines(name: string, series: Series): string[] {
  const lines: string[] = [];
  let sum = 0;
  for (const [i, bound] of bucketSeconds.entries()) {
    sum += series.buckets[i] ?? 0;
    lines.push(`${name}_bucket{${series.labels},le="${bound}"} ${sum}`);
  }
  lines.push(
    `${name}_bucket{${series.labels},le="+Inf"} ${series.count}`,
    `${name}_sum{${series.labels}} ${series.sumSeconds}`,
    `${name}_count{${series.labels}} ${series.count}`,
  );
  return lines;
}

function labelText({ verb, group, version, resource, subresource, scope }: RequestLabels): string {
  return `component="apiserver",group="${group}",resource="${resource}",scope="${scope}",subresource="${subresource}",verb="${verb}",version="${version}"`;
}
