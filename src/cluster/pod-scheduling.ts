/**
 * `GET /apis/k8ts.io/v1/namespaces/{namespace}/pods/{name}/scheduling`: what the scheduler thinks of a pod, node by node. The API server and the scheduler know
 * nothing of each other; here they meet. See docs/scheduling.md.
 */
import type { ComputedResources } from '../apiserver/computed.ts';
import { notFound, serviceUnavailable } from '../machinery/errors.ts';
import type { Scheduler } from '../scheduler/scheduler.ts';

/** The explanation as an object of the API. Throws a 503 when no scheduler is at work here, a 404 when it knows no such pod. */
export function podSchedulingOf(scheduler: Pick<Scheduler, 'explain'> | undefined, namespace: string, name: string): object {
  if (scheduler === undefined) throw serviceUnavailable('no scheduler is at work in this process');
  const explanation = scheduler.explain(namespace, name);
  if (explanation === undefined) throw notFound({ group: '', resource: 'pods' }, name);
  return { apiVersion: 'k8ts.io/v1', kind: 'PodScheduling', metadata: { name, namespace, uid: explanation.pod.uid }, ...explanation };
}

/** `current` answers the scheduler that runs in this process; undefined while none does. */
export function podScheduling(current: () => Pick<Scheduler, 'explain'> | undefined): ComputedResources {
  return new Map([
    [
      'k8ts.io/v1/pods/scheduling',
      ({ target }) => {
        const { namespace = '', name = '' } = target;
        return podSchedulingOf(current(), namespace, name);
      },
    ],
  ]);
}
