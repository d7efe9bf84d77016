/** Says on a pod why it has no node, and where room is being made for it; nothing is written when it says so already. */
import { Pod } from '../api/kinds.ts';
import type { Client } from '../client/client.ts';
import { timestamp, type World } from '../world/world.ts';
import type { PodInfo } from './pod-info.ts';

export type WaitingReason = 'Unschedulable' | 'SchedulerError' | 'SchedulingGated';

export interface WaitingStatus {
  readonly reason: WaitingReason;
  readonly message: string;
  /** Empty takes back what was there; undefined leaves it. */
  readonly nominatedNode?: string;
}

export async function writeWaiting(client: Client, world: World, { pod }: PodInfo, { reason, message, nominatedNode }: WaitingStatus): Promise<void> {
  const { name, namespace, uid } = pod.metadata;
  const known = pod.status.conditions?.find(({ type }) => type === 'PodScheduled');
  const sameCondition = known?.status === 'False' && known.reason === reason && known.message === message;
  const sameNode = nominatedNode === undefined || nominatedNode === (pod.status.nominatedNodeName ?? '');
  if (sameCondition && sameNode) return;
  const since = known?.status === 'False' ? known.lastTransitionTime : timestamp(world.clock.now());
  const { generation } = pod.metadata;
  const condition = {
    type: 'PodScheduled',
    status: 'False',
    reason,
    message,
    lastTransitionTime: since,
    lastProbeTime: null,
    ...(generation !== undefined && { observedGeneration: generation }),
  };
  const patch = {
    metadata: { uid },
    status: { conditions: [condition], ...(nominatedNode !== undefined && { nominatedNodeName: nominatedNode === '' ? null : nominatedNode }) },
  };
  await client.resource(Pod).namespace(namespace).patch(name, patch, { type: 'strategic', subresource: 'status' });
}
