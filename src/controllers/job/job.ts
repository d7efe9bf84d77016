/** Jobs: pods of a template until enough of them succeed. Upstream's `pkg/controller/job`. */
import { Job, Pod } from '../../api/kinds.ts';
import type { V1JobStatus } from '../../api/types.ts';
import { equal } from '../../machinery/equal.ts';
import { ApiError, isReason } from '../../machinery/errors.ts';
import { controllerOf, keyOf, splitKey } from '../../machinery/object.ts';
import { selectorOf } from '../../machinery/selector.ts';
import { timestamp } from '../../world/world.ts';
import { carryOutClaim, decideClaim } from '../adoption.ts';
import type { ControllerDefinition, Outcome } from '../controller.ts';
import { isNamespaceTerminating, messageOf } from '../errors.ts';
import { Expectations } from '../expectations.ts';
import { indexByController, isReady, orphansIn, ownedBy } from '../pods.ts';
import { slowStart } from '../slow-start.ts';
import { type FailureStreak, noFailures } from './back-off.ts';
import { isTracked, jobPod, trackingFinalizer } from './job-pods.ts';
import { type JobPlan, countLetGo, finish, finishedCondition, planJob } from './plan.ts';

/** `spec.managedBy` of jobs that are ours; any other value means another controller's. */
const ownName = 'kubernetes.io/job-controller';
/** Before the key of a pod whose job is gone: nobody else will take its finalizer off. */
const strayPrefix = 'stray:';
/** Before a cache that was found behind is looked at again. */
const lookAgainMs = 100;

/** What is known of a job beside the caches. */
interface Memory {
  streak: FailureStreak;
  /** UIDs of pods let go, until the cache shows it. */
  readonly letGo: Set<string>;
  /** Resource versions of the job that were overwritten: while the cache shows one of them, it would have the same pods counted and made again. */
  readonly overwritten: Set<string>;
  /** A creation failed in a way that does not tell whether it happened: nothing is made until the cache shows all there is. */
  inDoubt: boolean;
}

export const jobController: ControllerDefinition = {
  name: 'job-controller',
  serviceAccount: 'job-controller',
  setup(context) {
    const { world, client, events } = context;
    const expectations = new Expectations(world);
    const memories = new Map<string, Memory>();
    function memoryOf(uid: string): Memory {
      let memory = memories.get(uid);
      if (!memory) memories.set(uid, (memory = { streak: noFailures, letGo: new Set(), overwritten: new Set(), inDoubt: false }));
      return memory;
    }

    const jobs = context.watch(Job, {
      added: (job) => context.enqueue(keyOf(job)),
      updated(job, old) {
        if (job.metadata.uid !== old.metadata.uid) forget(old);
        context.enqueue(keyOf(job));
      },
      deleted: forget,
    });
    function forget(job: Job): void {
      expectations.forget(keyOf(job));
      memories.delete(job.metadata.uid);
      for (const pod of ownedBy(pods, job.metadata.uid)) if (isTracked(pod)) context.enqueue(strayPrefix + keyOf(pod));
    }

    function jobOf(pod: Pod): Job | undefined {
      const owner = controllerOf(pod);
      if (owner?.kind !== 'Job') return undefined;
      const job = jobs.get(owner.name, pod.metadata.namespace);
      return job?.metadata.uid === owner.uid ? job : undefined;
    }
    function enqueueMatching(pod: Pod): void {
      for (const job of jobs.list(pod.metadata.namespace)) {
        if (selectorOf(job.spec.selector).matches(pod.metadata.labels)) context.enqueue(keyOf(job));
      }
    }
    function deleting(pod: Pod): void {
      const job = jobOf(pod);
      if (!job) return;
      expectations.deletionObserved(keyOf(job), pod.metadata.uid);
      context.enqueue(keyOf(job));
    }
    function enqueueStray(pod: Pod): void {
      if (isTracked(pod) && !jobOf(pod)) context.enqueue(strayPrefix + keyOf(pod));
    }
    const pods = context.watch(Pod, {
      added(pod) {
        if (pod.metadata.deletionTimestamp !== undefined) deleting(pod);
        const job = jobOf(pod);
        if (!job) {
          enqueueStray(pod);
          if (!controllerOf(pod)) enqueueMatching(pod);
          return;
        }
        // It may be on its way out when it is first seen: it was made all the same.
        expectations.creationObserved(keyOf(job));
        context.enqueue(keyOf(job));
      },
      updated(pod, old) {
        if (pod.metadata.uid !== old.metadata.uid) deleting(old);
        if (pod.metadata.deletionTimestamp !== undefined) deleting(pod);
        const before = controllerOf(old)?.uid === controllerOf(pod)?.uid ? undefined : jobOf(old);
        if (before) context.enqueue(keyOf(before));
        const job = jobOf(pod);
        if (job) {
          if (!isTracked(pod)) memories.get(job.metadata.uid)?.letGo.delete(pod.metadata.uid);
          context.enqueue(keyOf(job));
          return;
        }
        enqueueStray(pod);
        if (!controllerOf(pod) && (controllerOf(old) || !equal(pod.metadata.labels, old.metadata.labels))) enqueueMatching(pod);
      },
      deleted(pod) {
        const owner = controllerOf(pod);
        if (owner) memories.get(owner.uid)?.letGo.delete(pod.metadata.uid);
        deleting(pod);
      },
    });
    indexByController(pods);

    async function reconcile(key: string): Promise<Outcome> {
      if (key.startsWith(strayPrefix)) return releaseStray(key.slice(strayPrefix.length));
      const { namespace, name } = splitKey(key);
      const job = jobs.get(name, namespace);
      if (!job) return undefined;
      if (job.spec.managedBy !== undefined && job.spec.managedBy !== ownName) return undefined;
      if (finishedCondition(job)) return releaseAll(job);
      const memory = memoryOf(job.metadata.uid);
      if (memory.overwritten.has(job.metadata.resourceVersion)) return undefined;
      memory.overwritten.clear();

      if (memory.inDoubt && (await isBehind(job))) return { requeueAfterMs: lookAgainMs };
      memory.inDoubt = false;
      const behindMs = expectations.leftMs(key);
      const mayChange = behindMs === 0;
      const candidates = [...ownedBy(pods, job.metadata.uid), ...orphansIn(pods, job.metadata.namespace)];
      const claim = decideClaim(job, selectorOf(job.spec.selector), candidates);
      const owned = await carryOutClaim(client, Job, job, Pod, claim, trackingFinalizer);
      const view = { job, pods: owned, letGo: memory.letGo, streak: memory.streak, mayChange, nowMs: world.clock.now() };
      const plan = planJob(view);
      const { status, failure } = await changePods(job, plan);
      await writeDown(job, plan, status, owned, memory);
      if (failure) throw failure.error;
      const waits = [plan.requeueAfterMs ?? [], mayChange ? [] : behindMs].flat();
      return waits.length === 0 ? undefined : { requeueAfterMs: Math.min(...waits) };
    }

    /** Whether the server has pods of the job that the cache does not show yet. Asked live. */
    async function isBehind(job: Job): Promise<boolean> {
      const { namespace, uid } = job.metadata;
      const live = await client
        .resource(Pod)
        .namespace(namespace)
        .list({ labelSelector: selectorOf(job.spec.selector).toString() });
      return live.items.some((pod) => controllerOf(pod)?.uid === uid && pods.get(pod.metadata.name, namespace)?.metadata.uid !== pod.metadata.uid);
    }

    /** Makes and ends pods; answers the status with what came of it. */
    async function changePods(job: Job, plan: JobPlan): Promise<{ status: V1JobStatus; failure: { error: unknown } | undefined }> {
      const key = keyOf(job);
      const going = [...plan.withdraw, ...plan.end];
      if (plan.create.length === 0 && going.length === 0) return { status: plan.status, failure: undefined };
      const jobPods = client.resource(Pod).namespace(job.metadata.namespace);
      expectations.expect(
        key,
        plan.create.length,
        going.map(({ metadata }) => metadata.uid),
      );
      let created = 0;
      const { skipped, error } = await slowStart(plan.create.length, async (i) => {
        try {
          const pod = await jobPods.create(jobPod(job, plan.create[i] ?? {}));
          created++;
          events.event(job, 'Normal', 'SuccessfulCreate', `Created pod: ${pod.metadata.name}`);
        } catch (error) {
          expectations.creationObserved(key);
          if (isNamespaceTerminating(error)) return;
          if (isDoubtful(error)) memoryOf(job.metadata.uid).inDoubt = true;
          events.event(job, 'Warning', 'FailedCreate', `Error creating: ${messageOf(error)}`);
          throw error;
        }
      });
      if (skipped > 0) expectations.creationObserved(key, skipped);
      const gone: Pod[] = [];
      const results = await Promise.allSettled(
        going.map(async (pod) => {
          const { name, uid } = pod.metadata;
          try {
            // Without the finalizer first: what the job itself withdraws is not counted as failed.
            if (plan.withdraw.includes(pod)) await letGo(pod, job.metadata.uid);
            await jobPods.delete(name, { preconditions: { uid } });
            gone.push(pod);
            events.event(job, 'Normal', 'SuccessfulDelete', `Deleted pod: ${name}`);
          } catch (error) {
            expectations.deletionObserved(key, uid);
            if (isReason(error, 'NotFound', 'Conflict')) return;
            events.event(job, 'Warning', 'FailedDelete', `Error deleting: ${messageOf(error)}`);
            throw error;
          }
        }),
      );
      const failed = results.find((result) => result.status === 'rejected');
      const { active = 0, ready = 0, terminating = 0 } = plan.status;
      return {
        status: {
          ...plan.status,
          active: active + created - gone.length,
          ready: ready - gone.filter(isReady).length,
          terminating: terminating + gone.length,
        },
        failure: error === undefined ? failed && { error: failed.reason } : { error },
      };
    }

    /** First who is being counted, then the finalizers, then the counts: whatever ends in between, each pod is counted once. */
    async function writeDown(job: Job, plan: JobPlan, status: V1JobStatus, owned: readonly Pod[], memory: Memory): Promise<void> {
      let latest = job;
      // Numbers alone can wait for the second writing; who is counted, and how the job ends, cannot.
      const first: V1JobStatus = { ...status };
      const urgent =
        plan.letGo.length > 0 &&
        (!equal(first.uncountedTerminatedPods ?? {}, job.status.uncountedTerminatedPods ?? {}) ||
          !equal(first.completedIndexes ?? '', job.status.completedIndexes ?? '') ||
          !equal(first.failedIndexes, job.status.failedIndexes) ||
          !equal(first.conditions ?? [], job.status.conditions ?? []));
      if (urgent) latest = await writeStatus(latest, first);
      memory.streak = plan.streak;
      const stillTracked = new Set(owned.filter((pod) => isTracked(pod) && !memory.letGo.has(pod.metadata.uid)).map(({ metadata }) => metadata.uid));
      const results = await Promise.allSettled(
        plan.letGo.map(async (pod) => {
          await letGo(pod, job.metadata.uid);
          stillTracked.delete(pod.metadata.uid);
        }),
      );
      const counted = countLetGo(status, stillTracked);
      const final = finish(counted, plan.ending, timestamp(world.clock.now()));
      if (!sameStatus(latest.status, final)) await writeStatus(latest, final);

      if (plan.said === 'Suspended') events.event(job, 'Normal', 'Suspended', 'Job suspended');
      if (plan.said === 'Resumed') events.event(job, 'Normal', 'Resumed', 'Job resumed');
      if (final !== counted && plan.ending) {
        if (plan.ending.interim === 'SuccessCriteriaMet') events.event(job, 'Normal', 'Completed', 'Job completed');
        else events.event(job, 'Warning', plan.ending.reason, plan.ending.message);
      }
      const failed = results.find((result) => result.status === 'rejected');
      if (failed) throw failed.reason;
    }

    async function writeStatus(job: Job, status: V1JobStatus): Promise<Job> {
      const written = await client
        .resource(Job)
        .namespace(job.metadata.namespace)
        .updateStatus({ ...job, status: asWritten(status) });
      if (written.metadata.resourceVersion !== job.metadata.resourceVersion) {
        memoryOf(job.metadata.uid).overwritten.add(job.metadata.resourceVersion);
      }
      return written;
    }

    /** Takes the finalizer off. */
    async function letGo(pod: Pod, jobUid: string): Promise<void> {
      if (!isTracked(pod)) return;
      const { name, namespace, uid } = pod.metadata;
      const memory = memories.get(jobUid);
      memory?.letGo.add(uid);
      try {
        const patch = { metadata: { uid, '$deleteFromPrimitiveList/finalizers': [trackingFinalizer] } };
        await client.resource(Pod).namespace(namespace).patch(name, patch, { type: 'strategic' });
      } catch (error) {
        if (isReason(error, 'NotFound')) return;
        // A conflict may mean another pod of this name, which the cache will show, or only that others write to this one: it is looked at again.
        memory?.letGo.delete(uid);
        throw error;
      }
    }

    async function releaseAll(job: Job): Promise<Outcome> {
      const left = ownedBy(pods, job.metadata.uid).filter((pod) => isTracked(pod) && !memories.get(job.metadata.uid)?.letGo.has(pod.metadata.uid));
      await Promise.all(left.map((pod) => letGo(pod, job.metadata.uid)));
    }

    async function releaseStray(key: string): Promise<void> {
      const { namespace, name } = splitKey(key);
      const pod = pods.get(name, namespace);
      if (!pod || !isTracked(pod) || jobOf(pod)) return;
      const owner = controllerOf(pod);
      // An orphan that a job is about to adopt.
      if (!owner && jobs.list(pod.metadata.namespace).some(({ spec }) => selectorOf(spec.selector).matches(pod.metadata.labels))) return;
      if (owner?.kind === 'Job' && (await jobLives(pod.metadata.namespace, owner.name, owner.uid))) return;
      await letGo(pod, owner?.uid ?? '');
    }

    /** Asked live: the job may be newer than the cache. */
    async function jobLives(namespace: string, name: string, uid: string): Promise<boolean> {
      try {
        return (await client.resource(Job).namespace(namespace).get(name)).metadata.uid === uid;
      } catch (error) {
        if (isReason(error, 'NotFound')) return false;
        throw error;
      }
    }

    return { reconcile };
  },
};

/** The server may have done what was asked of it: it did not say so. */
function isDoubtful(error: unknown): boolean {
  return !(error instanceof ApiError) || isReason(error, 'Timeout', 'ServerTimeout', 'InternalError');
}

/** Counts that are zero are absent on the wire, but for `ready` and `terminating`, which say that they were looked at. */
function asWritten({ active, succeeded, failed, completedIndexes, ...rest }: V1JobStatus): V1JobStatus {
  return {
    ...rest,
    ...(active && { active }),
    ...(succeeded && { succeeded }),
    ...(failed && { failed }),
    ...(completedIndexes && { completedIndexes }),
  };
}

/** Zero and absent are the same count, and nothing uncounted is the same as no list. */
function sameStatus(a: V1JobStatus, b: V1JobStatus): boolean {
  return equal(comparable(a), comparable(b));
}

function comparable(status: V1JobStatus): object {
  const {
    active = 0,
    ready = 0,
    terminating = 0,
    succeeded = 0,
    failed = 0,
    completedIndexes = '',
    conditions = [],
    uncountedTerminatedPods,
  } = status;
  const { startTime, completionTime, failedIndexes } = status;
  const uncounted = { succeeded: uncountedTerminatedPods?.succeeded ?? [], failed: uncountedTerminatedPods?.failed ?? [] };
  return { active, ready, terminating, succeeded, failed, completedIndexes, failedIndexes, conditions, startTime, completionTime, uncounted };
}
