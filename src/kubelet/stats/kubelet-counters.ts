/** What a kubelet counts of its own work, for `/metrics` and `/metrics/probes`. Whoever does the work tells; nothing here decides anything. */
import { Histogram } from '../../machinery/exposition.ts';

export interface OperationCount {
  total: number;
  errors: number;
  readonly seconds: Histogram;
}

export interface ProbedContainer {
  readonly namespace: string;
  readonly pod: string;
  readonly podUid: string;
  readonly container: string;
}

export type ProbeResult = 'successful' | 'failed' | 'unknown';

interface ProbeCount {
  readonly probed: ProbedContainer;
  readonly probe: string;
  readonly result: ProbeResult;
  total: number;
}

/** Upstream's bounds: of a call to the runtime, and of a pod's start. */
const operationBounds = [0.005, 0.0125, 0.03125, 0.078125, 0.1953125, 0.48828125, 1.220703125, 3.0517578125, 7.62939453125, 19.073486328125];
const startBounds = [0.5, 1, 2, 3, 4, 5, 6, 8, 10, 20, 30, 45, 60, 120, 180, 240, 300, 360, 480, 600, 900, 1200, 1800, 2700, 3600];

export class KubeletCounters {
  readonly operations = new Map<string, OperationCount>();
  readonly probes = new Map<string, ProbeCount>();
  readonly podStarts = new Histogram(startBounds);
  readonly podStartsSinceCreation = new Histogram(startBounds);
  /** By what was short, or the limit that was exceeded. */
  readonly evictions = new Map<string, number>();
  /** When pods that do not run yet were first seen. */
  readonly #seen = new Map<string, number>();

  /** A call to the container runtime, by CRI's name of it: `RunPodSandbox`. */
  operation(method: string, seconds: number, failed: boolean): void {
    const name = operationNames[method] ?? snakeCase(method);
    let count = this.operations.get(name);
    if (count === undefined) this.operations.set(name, (count = { total: 0, errors: 0, seconds: new Histogram(operationBounds) }));
    count.total++;
    if (failed) count.errors++;
    count.seconds.observe(seconds);
  }

  evicted(signal: string): void {
    this.evictions.set(signal, (this.evictions.get(signal) ?? 0) + 1);
  }

  probe(probed: ProbedContainer, probe: string, result: ProbeResult): void {
    const key = `${probed.podUid}/${probed.container}/${probe}/${result}`;
    const count = this.probes.get(key);
    if (count === undefined) this.probes.set(key, { probed, probe, result, total: 1 });
    else count.total++;
  }

  /** Told of a pod as it is now, whenever it changes. */
  podSeen(
    uid: string,
    { phase, createdMs, nowMs }: { readonly phase: string | undefined; readonly createdMs: number; readonly nowMs: number },
  ): void {
    const seenMs = this.#seen.get(uid);
    if (phase === undefined || phase === 'Pending') {
      if (seenMs === undefined) this.#seen.set(uid, nowMs);
      return;
    }
    if (seenMs === undefined) return;
    this.#seen.delete(uid);
    if (phase !== 'Running') return;
    this.podStarts.observe((nowMs - seenMs) / 1000);
    this.podStartsSinceCreation.observe(Math.max(0, nowMs - createdMs) / 1000);
  }

  podGone(uid: string): void {
    this.#seen.delete(uid);
    for (const [key, { probed }] of this.probes) if (probed.podUid === uid) this.probes.delete(key);
  }
}

/** Where upstream's name is not the method's own. */
const operationNames: Readonly<Record<string, string>> = {
  RunPodSandbox: 'run_podsandbox',
  StopPodSandbox: 'stop_podsandbox',
  RemovePodSandbox: 'remove_podsandbox',
  PodSandboxStatus: 'podsandbox_status',
  ListPodSandbox: 'list_podsandbox',
  ListContainerStats: 'list_container_stats',
  ImageFsInfo: 'image_fs_info',
};

function snakeCase(name: string): string {
  return name.replace(/(?<!^)[A-Z]/g, (letter) => `_${letter}`).toLowerCase();
}
