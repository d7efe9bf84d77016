/**
 * When what is about to be written to a Service's endpoints began: the first change since the last time. Whoever programs the network measures by it how long that took.
 * Upstream's `TriggerTimeTracker`.
 */
import type { Pod, Service } from '../../api/kinds.ts';
import { readyCondition } from '../pods.ts';

export const lastChangeAnnotation = 'endpoints.kubernetes.io/last-change-trigger-time';

export class TriggerTimes {
  /** By Service, then by pod: when it last became ready, or ceased to be. */
  readonly #services = new Map<string, ReadonlyMap<string, string>>();

  /** Undefined when nothing that has a time changed. Times compare as text: all are of the same form. */
  next(key: string, service: Service, pods: readonly Pod[]): string | undefined {
    const before = this.#services.get(key);
    const now = new Map(pods.flatMap((pod) => [[pod.metadata.name, readyCondition(pod)?.lastTransitionTime ?? '']] as const));
    this.#services.set(key, now);
    if (!before) return service.metadata.creationTimestamp;
    let first: string | undefined;
    for (const [name, time] of now) if (time > (before.get(name) ?? '') && (first === undefined || time < first)) first = time;
    return first;
  }

  forget(key: string): void {
    this.#services.delete(key);
  }
}

/** The annotations with this time, or without any. */
export function withTriggerTime(annotations: Readonly<Record<string, string>> | undefined, time: string | undefined): Record<string, string> {
  const { [lastChangeAnnotation]: _before, ...others } = annotations ?? {};
  return time === undefined ? others : { ...others, [lastChangeAnnotation]: time };
}
