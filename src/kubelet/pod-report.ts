/** What one pod's status says: worded anew from all that is known of the pod, and written to the API when it changed. */
import type { V1PodStatus } from '../api/types.ts';
import { equal } from '../machinery/equal.ts';
import type { LastWords } from './last-words.ts';
import type { PodContainers } from './pod-containers.ts';
import type { PodEnding } from './pod-ending.ts';
import type { PodScope } from './pod-scope.ts';
import { containerOf } from './pod-spec.ts';
import { podStatus } from './pod-status.ts';
import type { PodProbes } from './probes.ts';
import type { PodResize } from './resize/pod-resize.ts';

export interface PodReportOptions {
  readonly scope: PodScope;
  readonly containers: PodContainers;
  readonly probes: PodProbes;
  readonly lastWords: LastWords;
  readonly resize: PodResize;
  readonly ending: PodEnding;
}

export class PodReport {
  readonly #parts: PodReportOptions;
  #status: V1PodStatus;

  constructor(parts: PodReportOptions) {
    this.#parts = parts;
    this.#status = parts.scope.pod.status;
  }

  /** The last one made here; before that, what the API had. */
  get status(): V1PodStatus {
    return this.#status;
  }

  /** `isInApi`: there is someone to tell. */
  publish(nowMs: number, isInApi: boolean): void {
    const { scope, containers, probes, lastWords, resize, ending } = this.#parts;
    const { context, pod, granted, observed, tasks } = scope;
    const nothingRuns = !observed.containers.some(({ state }) => state === 'running');
    containers.look();
    const status = podStatus({
      pod: granted,
      observed,
      nowMs,
      runtimeName: context.runtimeName,
      hostIps: context.nodeIps,
      previous: this.#status,
      waiting: (name) => containers.waiting(name),
      startsAnew: (name) => containers.removedAttempt(name) !== undefined,
      hooked: (name) => tasks.isBusy(name) && containerOf(pod, name)?.spec.lifecycle?.postStart !== undefined,
      started: ({ id }) => probes.verdict(id).started,
      ready: ({ id }) => probes.ready(id),
      terminationMessage: (instance) => lastWords.of(instance),
      ended: ending.termination !== undefined && nothingRuns && tasks.busy().size === 0,
      resources: ({ id }) => resize.resourcesOf(id),
      whole: resize.whole,
      resize: resize.conditions(),
      verdict: nothingRuns ? ending.verdict : undefined,
    });
    const shown = context.apiPod(pod);
    // Where the API has it already, one copy is enough.
    this.#status = shown && equal(status, shown.status) ? shown.status : status;
    if (isInApi && shown) context.statuses.write(shown, this.#status);
  }
}
