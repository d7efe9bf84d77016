/**
 * `GET /apis/k8ts.io/v1/namespaces/{namespace}/pods/{name}/scheduling`: what the scheduler thinks of a pod, node by node. The API server and the scheduler know
 * nothing of each other; here they meet. See docs/scheduling.md.
 */
import type { ComputedResources } from '../apiserver/computed.ts';
import { notFound, serviceUnavailable } from '../machinery/errors.ts';
import type { Scheduler } from '../scheduler/scheduler.ts';

/** `current` answers the scheduler that runs in this process; undefined while none does. */
export function podScheduling(current: () => Pick<Scheduler, 'explain'> | undefined): ComputedResources {
  return new Map([
    [
      'k8ts.io/v1/pods/scheduling',
      ({ target }) => {
        const { namespace = '', name = '' } = target;
        const scheduler = current();
        if (scheduler === undefined) throw serviceUnavailable('no scheduler runs in the process of this API server');
        const explanation = scheduler.explain(namespace, name);
        if (explanation === undefined) throw notFound({ group: '', resource: 'pods' }, name);
        return { apiVersion: 'k8ts.io/v1', kind: 'PodScheduling', metadata: { name, namespace, uid: explanation.pod.uid }, ...explanation };
      },
    ],
  ]);
}
