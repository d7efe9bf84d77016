/**
 * Whether one pod is to end, by when, and what the kubelet itself has against it, if it does: it was refused, evicted, ran too long, or the machine goes
 * down. Once begun, an end is not taken back.
 */
import type { Pod } from '../api/kinds.ts';
import type { Clock } from '../world/world.ts';
import type { Termination } from './pod-plan.ts';
import { isTerminalPhase } from './pod-spec.ts';
import type { Verdict } from './pod-status.ts';

export class PodEnding {
  readonly #clock: Clock;
  readonly #onBegin: () => void;
  #termination: Termination | undefined;
  #verdict: Verdict | undefined;

  /** `onBegin` is told when it begins, and when it has to be over sooner. */
  constructor(clock: Clock, onBegin: () => void) {
    this.#clock = clock;
    this.#onBegin = onBegin;
  }

  /** Undefined while the pod is to go on. */
  get termination(): Termination | undefined {
    return this.#termination;
  }

  get verdict(): Verdict | undefined {
    return this.#verdict;
  }

  /** A shorter grace period than before takes its place, a longer one does not. */
  begin(graceMs: number): void {
    const deadlineMs = this.#clock.now() + graceMs;
    if (this.#termination && this.#termination.deadlineMs <= deadlineMs) return;
    this.#termination = { deadlineMs };
    this.#onBegin();
  }

  /** The kubelet ends it, and its status will say why. */
  fail(verdict: Verdict, graceMs: number): void {
    this.#verdict = verdict;
    this.begin(graceMs);
  }

  /** What the API says of it: that it was deleted, or that it ended before this kubelet came to see it. */
  follow(pod: Pod): void {
    if (pod.metadata.deletionTimestamp !== undefined) this.begin(graceMsOf(pod));
    else if (isTerminalPhase(pod.status.phase)) this.begin(0);
  }
}

/** What its deletion grants it, or else its spec. */
export function graceMsOf({ metadata, spec }: Pod): number {
  return (metadata.deletionGracePeriodSeconds ?? spec.terminationGracePeriodSeconds ?? 30) * 1000;
}

/** When a pod that started then has run for as long as it may; undefined when it may for ever. */
export function activeDeadlineMs({ spec: { activeDeadlineSeconds } }: Pod, startTime: string | undefined): number | undefined {
  return activeDeadlineSeconds === undefined || startTime === undefined ? undefined : Date.parse(startTime) + activeDeadlineSeconds * 1000;
}
