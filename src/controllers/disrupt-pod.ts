/** Ends a pod that did nothing wrong: its status says who does it and why, for those who count failures, and then it is deleted. */
import { Pod } from '../api/kinds.ts';
import type { Client } from '../client/client.ts';
import { isReason } from '../machinery/errors.ts';
import { ignoreGone } from './errors.ts';
import { judgedBy, withCondition } from './conditions.ts';

export interface Disruption {
  readonly reason: string;
  readonly message: string;
  /** As on the wire. */
  readonly now: string;
}

export async function disruptPod(client: Client, pod: Pod, { reason, message, now }: Disruption): Promise<void> {
  const { namespace, name, uid } = pod.metadata;
  const pods = client.resource(Pod).namespace(namespace);
  const condition = { type: 'DisruptionTarget', status: 'True', reason, message, lastTransitionTime: now, ...judgedBy(pod) };
  const conditions = withCondition(pod.status.conditions, condition);
  if (conditions !== pod.status.conditions) {
    await pods.updateStatus({ ...pod, status: { ...pod.status, conditions: [...conditions] } }).catch((error: unknown) => {
      // A conflict is for the caller: nobody is to go without a word.
      if (!isReason(error, 'NotFound')) throw error;
    });
  }
  await pods.delete(name, { preconditions: { uid } }).catch(ignoreGone);
}
