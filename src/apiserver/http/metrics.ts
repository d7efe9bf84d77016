/**
 * The server's own numbers under upstream's names. What every request counts is found by looking up its kind: no text is put together before someone
 * reads the numbers. See https://kubernetes.io/docs/reference/instrumentation/metrics/
 */
import { readdirSync } from 'node:fs';
import type { Kind } from '../../api/kind.ts';
import type { World } from '../../world/world.ts';
import { Exposition, Histogram, labelText } from '../../machinery/exposition.ts';

const durationBounds = [0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60];
const sizeBounds = [1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];

/** Labels come from kinds that exist and from closed lists of verbs and codes, so this is never reached by honest use. */
const seriesBound = 20_000;

export type Scope = '' | 'resource' | 'namespace' | 'cluster';

/** What a request was about; without a kind, for a path or something that does not exist. */
export interface RequestLabels {
  /** As upstream's metrics have it: `LIST`, `APPLY`. */
  readonly verb: string;
  readonly kind: Kind | undefined;
  readonly subresource: string;
  readonly scope: Scope;
  readonly dryRun: boolean;
}

/** Requests of the same labels. */
class RequestSeries {
  readonly labels: Readonly<Record<string, string>>;
  readonly dryRun: string;
  readonly codes = new Map<number, number>();
  readonly durations = new Histogram(durationBounds);
  readonly sizes = new Histogram(sizeBounds);

  constructor(labels: Readonly<Record<string, string>>, dryRun: string) {
    this.labels = labels;
    this.dryRun = dryRun;
  }
}

/** Counts of one kind's watches. */
export class WatchCounter {
  readonly kind: Pick<Kind, 'group' | 'version' | 'kind'>;
  readonly sizes = new Histogram([1024, 2048, 4096, 8192, 16_384, 32_768, 65_536, 131_072]);
  open = 0;

  constructor(kind: Pick<Kind, 'group' | 'version' | 'kind'>) {
    this.kind = kind;
  }
}

/** Lines of another part of the server, asked for at every reading. */
export type MetricSource = () => readonly string[];

/** Requests under way that end by themselves, told apart by whether they change something. */
export type InflightKind = 'readOnly' | 'mutating';

export class Metrics {
  private readonly world: World;
  private readonly startedMs: number;
  private readonly series = new Map<string, RequestSeries>();
  private readonly byKind = new WeakMap<object, Map<string, Map<string, RequestSeries>>>();
  private readonly watches = new WeakMap<Kind, WatchCounter>();
  private readonly allWatches = new Map<string, WatchCounter>();
  private readonly sources: MetricSource[] = [];
  private readonly terminated = new Map<string, number>();
  readonly inflight: Record<InflightKind, number> = { readOnly: 0, mutating: 0 };
  tlsHandshakeErrors = 0;

  constructor(world: World) {
    this.world = world;
    this.startedMs = world.clock.now();
  }

  observe(labels: RequestLabels, code: number, seconds: number, sizeBytes: number): void {
    const series = this.seriesOf(labels);
    if (series === undefined) return;
    series.codes.set(code, (series.codes.get(code) ?? 0) + 1);
    series.durations.observe(seconds);
    if (sizeBytes >= 0) series.sizes.observe(sizeBytes);
    if (code === 429 || code === 504) this.terminated.set(String(code), (this.terminated.get(String(code)) ?? 0) + 1);
  }

  private seriesOf(labels: RequestLabels): RequestSeries | undefined {
    const place = labels.kind ?? nothing;
    let byVerb = this.byKind.get(place);
    if (byVerb === undefined) {
      byVerb = new Map();
      this.byKind.set(place, byVerb);
    }
    const { verb, scope, subresource, dryRun } = labels;
    const detail = details[scope][dryRun ? 1 : 0];
    let byDetail = byVerb.get(verb);
    if (byDetail === undefined) {
      byDetail = new Map();
      byVerb.set(verb, byDetail);
    }
    const known = subresource === '' ? byDetail.get(detail) : byDetail.get(`${detail} ${subresource}`);
    return known ?? this.newSeries(labels, byDetail, subresource === '' ? detail : `${detail} ${subresource}`);
  }

  private newSeries({ verb, kind, subresource, scope, dryRun }: RequestLabels, into: Map<string, RequestSeries>, detail: string) {
    const { group = '', version = '', resource = '' } = kind ?? {};
    const labels = { component: 'apiserver', group, resource, scope, subresource, verb, version };
    // A definition that changes is a new kind at the same place.
    const key = `${labelText(labels)} ${dryRun}`;
    let series = this.series.get(key);
    if (series === undefined) {
      if (this.series.size >= seriesBound) return undefined;
      series = new RequestSeries(labels, dryRun ? 'All' : '');
      this.series.set(key, series);
    }
    into.set(detail, series);
    return series;
  }

  watchCounter(kind: Kind): WatchCounter {
    let counter = this.watches.get(kind);
    if (counter !== undefined) return counter;
    const key = `${kind.group}/${kind.version}/${kind.kind}`;
    counter = this.allWatches.get(key) ?? new WatchCounter(kind);
    if (this.allWatches.size < seriesBound) this.allWatches.set(key, counter);
    this.watches.set(kind, counter);
    return counter;
  }

  addSource(source: MetricSource): void {
    this.sources.push(source);
  }

  render(): string {
    const out = new Exposition();
    for (const source of this.sources) out.add(source());
    this.renderRequests(out);
    this.renderWatches(out);
    this.renderProcess(out);
    return out.text();
  }

  private renderRequests(out: Exposition): void {
    const all = [...this.series.values()];
    out.family('apiserver_request_total', 'counter', 'Requests answered, by verb, resource and HTTP code.');
    for (const { labels, dryRun, codes } of all) {
      for (const [code, count] of codes) {
        const { component = '', ...rest } = labels;
        out.value('apiserver_request_total', labelText({ code: String(code), component, dry_run: dryRun, ...rest }), count);
      }
    }
    out.family('apiserver_request_duration_seconds', 'histogram', 'How long requests took, by verb and resource.');
    for (const { labels, dryRun, durations } of all)
      out.histogram('apiserver_request_duration_seconds', labelText({ ...labels, dry_run: dryRun }), durations);
    out.family('apiserver_response_sizes', 'histogram', 'Bytes answered to reads.');
    for (const { labels, dryRun, sizes } of all)
      if (dryRun === '' && sizes.count > 0) out.histogram('apiserver_response_sizes', labelText(labels), sizes);
    out.family('apiserver_current_inflight_requests', 'gauge', 'Requests under way, without long-running ones.');
    for (const [kind, count] of Object.entries(this.inflight))
      out.value('apiserver_current_inflight_requests', labelText({ request_kind: kind }), count);
    out.family('apiserver_request_terminations_total', 'counter', 'Requests ended by the server to protect itself.');
    for (const [code, count] of this.terminated)
      out.value('apiserver_request_terminations_total', labelText({ code, component: 'apiserver' }), count);
  }

  private renderWatches(out: Exposition): void {
    const all = [...this.allWatches.values()];
    const labelsOf = ({ kind: { group, version, kind } }: WatchCounter): string => labelText({ group, kind, version });
    out.family('apiserver_longrunning_requests', 'gauge', 'Watches under way.');
    for (const counter of all) out.value('apiserver_longrunning_requests', `${labelsOf(counter)},component="apiserver",verb="WATCH"`, counter.open);
    out.family('apiserver_watch_events_total', 'counter', 'Events sent to watches.');
    for (const counter of all) out.value('apiserver_watch_events_total', labelsOf(counter), counter.sizes.count);
    out.family('apiserver_watch_events_sizes', 'histogram', 'Bytes of events sent to watches.');
    for (const counter of all) out.histogram('apiserver_watch_events_sizes', labelsOf(counter), counter.sizes);
  }

  private renderProcess(out: Exposition): void {
    const usage = process.resourceUsage();
    const memory = process.memoryUsage();
    out.single('apiserver_tls_handshake_errors_total', 'counter', 'TLS handshakes that failed.', this.tlsHandshakeErrors);
    out.single('process_cpu_seconds_total', 'counter', 'Processor time spent, user and system.', (usage.userCPUTime + usage.systemCPUTime) / 1e6);
    out.single('process_resident_memory_bytes', 'gauge', 'Resident memory.', memory.rss);
    out.single('process_open_fds', 'gauge', 'File descriptors open.', openDescriptors());
    out.single('process_start_time_seconds', 'gauge', 'When the server started, in seconds since the epoch.', this.startedMs / 1000);
    out.single('nodejs_heap_size_total_bytes', 'gauge', 'Heap taken from the system.', memory.heapTotal);
    out.single('nodejs_heap_size_used_bytes', 'gauge', 'Heap in use.', memory.heapUsed);
    out.single('process_uptime_seconds', 'gauge', 'How long the server has been running.', (this.world.clock.now() - this.startedMs) / 1000);
  }
}

/** Linux tells; elsewhere none is known. */
function openDescriptors(): number {
  try {
    return readdirSync('/proc/self/fd').length;
  } catch {
    return 0;
  }
}

const nothing = {};

/** Keys of the innermost maps, ready made. */
const details: Readonly<Record<Scope, readonly [string, string]>> = {
  '': ['', ' dry'],
  resource: ['resource', 'resource dry'],
  namespace: ['namespace', 'namespace dry'],
  cluster: ['cluster', 'cluster dry'],
};
