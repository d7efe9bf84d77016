/** Where a volume is to be attached and where it is to be let go of. Follows upstream's attach-detach reconciler. */
import type { Node, PersistentVolume, Pod, VolumeAttachment } from '../../api/kinds.ts';
import { conditionOf } from '../conditions.ts';

export interface AttachState {
  /** By node, the pods there that use the volume. */
  readonly wanted: ReadonlyMap<string, readonly Pod[]>;
  readonly attachments: readonly VolumeAttachment[];
  readonly sharable: boolean;
  node(name: string): Node | undefined;
  /** What the nodes call the volume. */
  readonly uniqueName: string;
  /** Since when an attachment, by name, has not been wanted. */
  readonly unwantedSinceMs: ReadonlyMap<string, number>;
  readonly nowMs: number;
}

export interface AttachPlan {
  readonly attach: readonly string[];
  readonly detach: readonly VolumeAttachment[];
  /** Nodes that cannot have the volume because another has it. */
  readonly blocked: readonly string[];
  /** When a node that does not answer is given up. */
  readonly requeueAfterMs: number | undefined;
}

/** How long a node may take to unmount before the volume is taken away from it, if it is not well. */
export const maxWaitForUnmountMs = 6 * 60_000;

export function planAttachments(state: AttachState): AttachPlan {
  const { wanted, attachments, nowMs } = state;
  const detach: VolumeAttachment[] = [];
  let requeueAfterMs: number | undefined;
  for (const attachment of attachments) {
    if (attachment.metadata.deletionTimestamp !== undefined || wanted.has(attachment.spec.nodeName)) continue;
    const node = state.node(attachment.spec.nodeName);
    if (!node || !isInUse(node, state.uniqueName) || isOutOfService(node)) {
      detach.push(attachment);
      continue;
    }
    // The node still has it mounted. One that is well will unmount it; one that is not is waited for only so long.
    if (isHealthy(node)) continue;
    const leftMs = (state.unwantedSinceMs.get(attachment.metadata.name) ?? nowMs) + maxWaitForUnmountMs - nowMs;
    if (leftMs <= 0) detach.push(attachment);
    else requeueAfterMs = Math.min(requeueAfterMs ?? leftMs, leftMs);
  }

  const attach: string[] = [];
  const blocked: string[] = [];
  const held = new Set(attachments.map(({ spec }) => spec.nodeName));
  for (const nodeName of wanted.keys()) {
    if (held.has(nodeName) || !isManaged(state.node(nodeName))) continue;
    if (!state.sharable && held.size > 0) {
      blocked.push(nodeName);
    } else {
      attach.push(nodeName);
      held.add(nodeName);
    }
  }
  return { attach, detach, blocked, requeueAfterMs };
}

export function isSharable({ spec }: PersistentVolume): boolean {
  return spec.accessModes?.some((mode) => mode === 'ReadWriteMany' || mode === 'ReadOnlyMany') === true;
}

/** The node leaves attaching to us. */
function isManaged(node: Node | undefined): boolean {
  return node?.metadata.annotations?.['volumes.kubernetes.io/controller-managed-attach-detach'] === 'true';
}

function isInUse({ status }: Node, uniqueName: string): boolean {
  return status.volumesInUse?.includes(uniqueName) === true;
}

function isHealthy({ status }: Node): boolean {
  return conditionOf(status.conditions, 'Ready')?.status === 'True';
}

function isOutOfService({ spec }: Node): boolean {
  return spec.taints?.some(({ key }) => key === 'node.kubernetes.io/out-of-service') === true;
}

/** What the pods that cannot have the volume are told. Names of pods in other namespaces are nobody's business. */
export function multiAttachMessage(volumeName: string, pod: Pod, users: readonly Pod[]): string {
  const begin = `Multi-Attach error for volume "${volumeName}" `;
  if (users.length === 0) return `${begin}Volume is already exclusively attached to one node and can't be attached to another`;
  const near = users.filter(({ metadata }) => metadata.namespace === pod.metadata.namespace).map(({ metadata }) => metadata.name);
  const far = users.length - near.length;
  if (near.length === 0) return `${begin}Volume is already used by ${far} pod(s) in different namespaces`;
  return `${begin}Volume is already used by pod(s) ${near.join(', ')}${far > 0 ? ` and ${far} pod(s) in different namespaces` : ''}`;
}
