/** Jobs that are over go by themselves when they say how long they want to be kept. Upstream's `ttlafterfinished`. */
import { Job } from '../api/kinds.ts';
import { keyOf, splitKey } from '../machinery/object.ts';
import type { ControllerDefinition } from './controller.ts';
import { ignoreGone } from './errors.ts';
import { finishedCondition } from './job/plan.ts';

export const ttlAfterFinishedController: ControllerDefinition = {
  name: 'ttl-after-finished-controller',
  serviceAccount: 'ttl-after-finished-controller',
  setup(context) {
    const { world, client } = context;
    const enqueue = (job: Job): void => {
      if (expiresMs(job) !== undefined) context.enqueue(keyOf(job));
    };
    const jobs = context.watch(Job, { added: enqueue, updated: enqueue });
    const leftMs = (job: Job): number | undefined => {
      const expires = expiresMs(job);
      return expires === undefined || job.metadata.deletionTimestamp !== undefined ? undefined : expires - world.clock.now();
    };
    return {
      async reconcile(key) {
        const { namespace, name } = splitKey(key);
        const job = jobs.get(name, namespace);
        const left = job && leftMs(job);
        if (!job || left === undefined) return undefined;
        if (left > 0) return { requeueAfterMs: left };
        // Asked live: someone may just have given it more time.
        const jobClient = client.resource(Job).namespace(job.metadata.namespace);
        const live = await jobClient.get(name).catch(ignoreGone);
        if (live?.metadata.uid !== job.metadata.uid || (leftMs(live) ?? 1) > 0) return undefined;
        await jobClient
          .delete(name, { propagationPolicy: 'Foreground', preconditions: { uid: job.metadata.uid, resourceVersion: live.metadata.resourceVersion } })
          .catch(ignoreGone);
        return undefined;
      },
    };
  },
};

/** When the job is to go, in epoch ms; undefined while it runs or when it is to be kept. */
export function expiresMs(job: Job): number | undefined {
  const ttl = job.spec.ttlSecondsAfterFinished;
  const finished = finishedCondition(job)?.lastTransitionTime;
  return ttl === undefined || finished === undefined ? undefined : Date.parse(finished) + ttl * 1000;
}
