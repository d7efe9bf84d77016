/** Cron jobs: a job of a template at the times a schedule says. Upstream's `pkg/controller/cronjob`. */
import { CronJob, Job } from '../../api/kinds.ts';
import type { V1CronJobStatus } from '../../api/types.ts';
import { equal } from '../../machinery/equal.ts';
import { isReason } from '../../machinery/errors.ts';
import { controllerOf, keyOf, splitKey } from '../../machinery/object.ts';
import type { ControllerDefinition } from '../controller.ts';
import { ignoreGone, isNamespaceTerminating, messageOf } from '../errors.ts';
import { finishedCondition } from '../job/plan.ts';
import { indexByController, ownedBy } from '../pods.ts';
import { type CronPlan, planCronJob, started } from './plan.ts';

export const cronJobController: ControllerDefinition = {
  name: 'cronjob-controller',
  serviceAccount: 'cronjob-controller',
  setup(context) {
    const { world, client, events } = context;
    const enqueue = (cronJob: CronJob): void => context.enqueue(keyOf(cronJob));
    const cronJobs = context.watch(CronJob, { added: enqueue, updated: enqueue });
    const enqueueOwner = (job: Job): void => {
      const owner = controllerOf(job);
      if (owner?.kind === 'CronJob') context.enqueue(`${job.metadata.namespace}/${owner.name}`);
    };
    const jobs = context.watch(Job, { added: enqueueOwner, updated: enqueueOwner, deleted: enqueueOwner });
    indexByController(jobs);

    async function remove(cronJob: CronJob, job: Job): Promise<void> {
      try {
        await client
          .resource(Job)
          .namespace(job.metadata.namespace)
          .delete(job.metadata.name, { propagationPolicy: 'Background', preconditions: { uid: job.metadata.uid } })
          .catch(ignoreGone);
        events.event(cronJob, 'Normal', 'SuccessfulDelete', `Deleted job ${job.metadata.name}`);
      } catch (error) {
        events.event(cronJob, 'Warning', 'FailedDelete', `Deleted job: ${messageOf(error)}`);
        throw error;
      }
    }

    /** The job, made now or found made before; undefined when the namespace takes nothing new. */
    async function start(cronJob: CronJob, { draft }: NonNullable<CronPlan['start']>): Promise<Job | undefined> {
      const jobClient = client.resource(Job).namespace(cronJob.metadata.namespace);
      try {
        const job = await jobClient.create(draft);
        events.event(cronJob, 'Normal', 'SuccessfulCreate', `Created job ${job.metadata.name}`);
        return job;
      } catch (error) {
        if (isNamespaceTerminating(error)) return undefined;
        if (isReason(error, 'AlreadyExists')) {
          // Made just before a crash, or before the cache showed it: the name says for which time.
          const live = await jobClient.get(draft.metadata.name ?? '');
          if (controllerOf(live)?.uid === cronJob.metadata.uid) return live;
        }
        events.event(cronJob, 'Warning', 'FailedCreate', `Error creating job: ${messageOf(error)}`);
        throw error;
      }
    }

    /** What the cache shows, and what the status names beyond it: a job just made may not have come by yet. */
    async function jobsOf(cronJob: CronJob): Promise<readonly Job[]> {
      const known = ownedBy(jobs, cronJob.metadata.uid);
      const missing = (cronJob.status.active ?? []).filter(({ uid }) => !known.some(({ metadata }) => metadata.uid === uid));
      const live = await Promise.all(
        missing.map(({ name }) =>
          client
            .resource(Job)
            .namespace(cronJob.metadata.namespace)
            .get(name ?? '')
            .catch(ignoreGone),
        ),
      );
      return [...known, ...live.flatMap((job) => (job && controllerOf(job)?.uid === cronJob.metadata.uid ? [job] : []))];
    }

    return {
      async reconcile(key) {
        const { namespace, name } = splitKey(key);
        const cronJob = cronJobs.get(name, namespace);
        if (!cronJob) return undefined;
        const plan = planCronJob(cronJob, await jobsOf(cronJob), world.clock.now());
        const cronJobClient = client.resource(CronJob).namespace(cronJob.metadata.namespace);
        let latest = cronJob;
        const write = async (status: V1CronJobStatus): Promise<void> => {
          if (!equal(latest.status, status)) latest = await cronJobClient.updateStatus({ ...latest, status });
        };
        if (plan.start) {
          // A cache that is behind would start for the same time again; what brings it up to date brings the cron job back here.
          const live = await cronJobClient.get(cronJob.metadata.name);
          if (live.metadata.resourceVersion !== cronJob.metadata.resourceVersion) return undefined;
        }
        for (const { type, reason, message } of plan.events) events.event(cronJob, type, reason, message);
        await Promise.all(plan.forget.map((job) => remove(cronJob, job)));
        await Promise.all(plan.replace.map((job) => remove(cronJob, job)));
        const replaced = new Set(plan.replace.map(({ metadata }) => metadata.uid));
        let status: V1CronJobStatus = plan.status;
        if (replaced.size > 0) status = { ...status, active: status.active?.filter(({ uid }) => uid !== undefined && !replaced.has(uid)) ?? [] };
        if (plan.start) {
          const job = await start(cronJob, plan.start);
          if (job) {
            status = started(status, job, plan.start.scheduledMs);
            if (finishedCondition(job)) status = { ...status, active: status.active?.filter(({ uid }) => uid !== job.metadata.uid) ?? [] };
          }
        }
        await write(status);
        return plan.requeueAfterMs === undefined ? undefined : { requeueAfterMs: plan.requeueAfterMs };
      },
    };
  },
};
