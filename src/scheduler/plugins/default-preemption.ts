/**
 * DefaultPreemption: when no node will do, makes room for a more important pod by removing less important ones. The search is in `../preemption.ts`; this
 * carries it out: victims are marked and deleted, all at once, while the scheduler goes on with other pods.
 */
import { Pod } from '../../api/kinds.ts';
import { isReason } from '../../machinery/errors.ts';
import { timestamp } from '../../world/world.ts';
import { ConfigurationError } from '../config/arguments.ts';
import type { PluginDefinition, Remedy } from '../plugin.ts';
import type { PodInfo } from '../pod-info.ts';
import { type Candidate, cheapest, notEligible, searchCandidates, victimsLeaving } from '../preemption.ts';

export const defaultPreemption: PluginDefinition = {
  name: 'DefaultPreemption',
  create(args, { client, events, waiting, world, schedulerName }) {
    const limits = {
      minCandidateNodesPercentage: args.whole('minCandidateNodesPercentage', 0, 100) ?? 10,
      minCandidateNodesAbsolute: args.whole('minCandidateNodesAbsolute', 0, 2 ** 31 - 1) ?? 100,
    };
    args.done();
    if (limits.minCandidateNodesPercentage === 0 && limits.minCandidateNodesAbsolute === 0) {
      throw new ConfigurationError(`${args.path}: Invalid value: minCandidateNodesPercentage and minCandidateNodesAbsolute cannot both be zero`);
    }
    /** Pods for which victims are being removed right now. */
    const preempting = new Set<string>();

    return {
      name: 'DefaultPreemption',
      hints: [{ on: ['AssignedPodDelete'] }],
      preEnqueue: (pod) => (preempting.has(pod.key) ? 'waiting for the preemption for this pod to be finished' : undefined),
      postFilter(pod, snapshot, attempt) {
        const why = notEligible(pod, snapshot, attempt);
        if (why !== undefined) return { message: `preemption: ${why}`, keepsPromise: why === victimsLeaving };
        const { candidates, message } = searchCandidates(pod, snapshot, attempt, limits);
        return candidates.length === 0 ? { message: `preemption: ${message}` } : (remedyOf(pod, candidates) ?? { message: '' });
      },
    };

    function remedyOf(pod: PodInfo, candidates: readonly Candidate[]): Remedy | undefined {
      const chosen = cheapest(candidates);
      return (
        chosen && {
          message: '',
          nominatedNode: chosen.node.name,
          plan: {
            describe: {
              node: chosen.node.name,
              victims: chosen.victims.map((victim) => ({ namespace: victim.namespace, name: victim.pod.metadata.name, priority: victim.priority })),
              disruptionBudgetViolations: chosen.budgetViolations,
              candidates: candidates.length,
            },
            evicts: chosen.victims.length,
            candidates,
            among: (left) => remedyOf(pod, left),
            carryOut: (signal) => carryOut(pod, chosen, signal),
          },
        }
      );
    }

    async function carryOut(pod: PodInfo, { victims, node }: Candidate, signal: AbortSignal): Promise<void> {
      preempting.add(pod.key);
      try {
        await Promise.all(victims.map((victim) => evict(victim, pod, node.name, signal)));
      } finally {
        preempting.delete(pod.key);
      }
    }

    /** "Not found" is success: it has left. */
    async function evict(victim: PodInfo, pod: PodInfo, nodeName: string, signal: AbortSignal): Promise<void> {
      // One that waits for permission is not on the node yet: it is enough to say no.
      if (waiting.reject(victim.key, 'DefaultPreemption', 'preempted')) return;
      const { name, namespace, uid, generation } = victim.pod.metadata;
      const pods = client.resource(Pod).namespace(namespace);
      if (victim.terminating) return;
      try {
        const lastTransitionTime = timestamp(world.clock.now());
        const message = `${schedulerName}: preempting to accommodate a higher priority pod`;
        const condition = {
          type: 'DisruptionTarget',
          status: 'True',
          reason: 'PreemptionByScheduler',
          message,
          lastTransitionTime,
          ...(generation !== undefined && { observedGeneration: generation }),
        };
        await pods.patch(name, { metadata: { uid }, status: { conditions: [condition] } }, { type: 'strategic', subresource: 'status', signal });
        await pods.delete(name, { preconditions: { uid }, signal });
      } catch (error) {
        if (!isReason(error, 'NotFound', 'Conflict')) throw error;
        return;
      }
      events.event(victim.pod, 'Normal', 'Preempted', `Preempted by pod ${pod.pod.metadata.uid} on node ${nodeName}`);
    }
  },
};
