/** Answers the kubelet's own server from the pod workers and what the runtime has: which container, which log. */
import { dirname, join } from 'node:path';
import type { ObservedPods } from './observed-pods.ts';
import { currentSandbox, newestInstance } from './pod-plan.ts';
import { containerOf } from './pod-spec.ts';
import type { PodWorker } from './pod-worker.ts';
import type { ServedPods } from './server/served-pods.ts';
import type { Pod } from '../api/kinds.ts';

export function servedPods(workers: ReadonlyMap<string, PodWorker>, observed: ObservedPods): ServedPods {
  function find(namespace: string, name: string): Pod | undefined {
    let found: Pod | undefined;
    for (const { pod } of workers.values()) {
      if (pod.metadata.name !== name || pod.metadata.namespace !== namespace) continue;
      // A successor of the same name may already be here while the old one ends.
      if (!found || pod.metadata.deletionTimestamp === undefined) found = pod;
    }
    return found;
  }

  return {
    pods: () => [...workers.values()].map(({ pod }) => pod),
    find,
    sandboxId(namespace, name) {
      const pod = find(namespace, name);
      return pod && currentSandbox(observed.pod(pod.metadata.uid))?.id;
    },
    container(namespace, name, container) {
      const pod = find(namespace, name);
      if (!pod) return undefined;
      const seen = observed.pod(pod.metadata.uid);
      const instance = newestInstance(seen, container);
      if (!instance) return undefined;
      const older = seen.containers.find((other) => other.name === container && other.id !== instance.id && other.state === 'exited');
      const spec = containerOf(pod, container)?.spec;
      return {
        id: instance.id,
        running: instance.state === 'running',
        logPath: instance.logPath,
        previousId: older?.id,
        previousLogPath: older && (older.logPath || join(dirname(instance.logPath), `${older.attempt}.log`)),
        tty: spec?.tty === true,
        stdin: spec?.stdin === true,
      };
    },
  };
}
