/**
 * Attaches volumes of storage drivers to the nodes whose pods use them, and detaches them when no pod there does: it writes VolumeAttachments, which the
 * driver's attacher carries out, and tells each node what is attached to it. Upstream's `persistentvolume-attach-detach-controller`.
 */
import { CSIDriver, Node, PersistentVolume, PersistentVolumeClaim, Pod, VolumeAttachment } from '../../api/kinds.ts';
import type { V1AttachedVolume, V1CSIPersistentVolumeSource } from '../../api/types.ts';
import { equal } from '../../machinery/equal.ts';
import { isReason } from '../../machinery/errors.ts';
import { controllerOf } from '../../machinery/object.ts';
import type { ControllerDefinition, Outcome } from '../controller.ts';
import { ignoreGone } from '../errors.ts';
import { usesClaim } from '../persistent-volumes/claim-plan.ts';
import { usersIndex } from '../persistent-volumes/persistent-volumes.ts';
import { hasEnded, sharedIndex } from '../pods.ts';
import { isOwn, newAttachment, uniqueVolumeName } from './attachments.ts';
import { isSharable, multiAttachMessage, planAttachments } from './plan.ts';

const byVolumeIndex = 'attachments by volume';
const byNodeIndex = 'attachments by node';

export const attachDetachController: ControllerDefinition = {
  name: 'persistentvolume-attach-detach-controller',
  serviceAccount: 'attachdetach-controller',
  eventSource: 'attachdetach-controller',
  setup(context) {
    const { client, events, world } = context;
    const unwantedSinceMs = new Map<string, number>();
    /** Attachments, by name, that are to be deleted as soon as their node no longer counts on them. */
    const leaving = new Set<string>();
    /** Attachments, by name, whose driver has just answered. */
    const answered = new Set<string>();
    /** By the pod's UID, the volumes it was told it cannot have: once. */
    const told = new Map<string, Set<string>>();

    const wakeVolume = (name: string): void => context.enqueue(`volume/${name}`);
    const wakeNode = (name: string): void => context.enqueue(`node/${name}`);
    function wakeClaim({ spec }: PersistentVolumeClaim): void {
      if (spec.volumeName) wakeVolume(spec.volumeName);
    }
    function wakeClaimsOf(pod: Pod): void {
      for (const key of usesClaim(pod)) {
        const [namespace, name = ''] = key.split('/');
        const claim = claims.get(name, namespace);
        if (claim) wakeClaim(claim);
      }
    }
    function attachmentChanged(attachment: VolumeAttachment): void {
      wakeNode(attachment.spec.nodeName);
      const { persistentVolumeName } = attachment.spec.source;
      if (persistentVolumeName !== undefined) wakeVolume(persistentVolumeName);
    }
    function wakeVolumesOf(nodeName: string): void {
      for (const { spec } of attachments.byIndex(byNodeIndex, nodeName)) {
        if (spec.source.persistentVolumeName !== undefined) wakeVolume(spec.source.persistentVolumeName);
      }
    }

    const claims = context.watch(PersistentVolumeClaim);
    const attachments = context.watch(VolumeAttachment);
    sharedIndex(attachments, byVolumeIndex, ({ spec }) => [spec.source.persistentVolumeName ?? []].flat());
    sharedIndex(attachments, byNodeIndex, ({ spec }) => [spec.nodeName]);
    const volumes = context.watch(PersistentVolume);
    const drivers = context.watch(CSIDriver);
    const pods = context.watch(Pod, {
      added: wakeClaimsOf,
      updated(pod, old) {
        if (pod.spec.nodeName !== old.spec.nodeName || hasEnded(pod) !== hasEnded(old)) wakeClaimsOf(pod);
      },
      deleted(pod) {
        told.delete(pod.metadata.uid);
        wakeClaimsOf(pod);
      },
    });
    sharedIndex(pods, usersIndex, usesClaim);
    const nodes = context.watch(Node, {
      added: ({ metadata }) => wakeNode(metadata.name),
      updated(node, old) {
        const { name } = node.metadata;
        if (!equal(node.status.volumesAttached, old.status.volumesAttached)) wakeNode(name);
        if (!equal(factsOf(node), factsOf(old))) wakeVolumesOf(name);
      },
      deleted: ({ metadata }) => wakeVolumesOf(metadata.name),
    });
    context.watch(PersistentVolumeClaim, { added: wakeClaim, updated: wakeClaim, deleted: wakeClaim });
    context.watch(PersistentVolume, { added: ({ metadata }) => wakeVolume(metadata.name), updated: ({ metadata }) => wakeVolume(metadata.name) });
    context.watch(VolumeAttachment, {
      added: attachmentChanged,
      updated(attachment, old) {
        const outcome = ({ status }: VolumeAttachment): unknown => [status.attached, status.attachError?.message];
        if (!equal(outcome(attachment), outcome(old))) answered.add(attachment.metadata.name);
        attachmentChanged(attachment);
      },
      deleted(attachment) {
        answered.delete(attachment.metadata.name);
        leaving.delete(attachment.metadata.name);
        unwantedSinceMs.delete(attachment.metadata.name);
        attachmentChanged(attachment);
      },
    });

    function needsAttaching({ driver }: V1CSIPersistentVolumeSource): boolean {
      return drivers.get(driver)?.spec.attachRequired !== false;
    }

    /** By node, the pods that use the volume through a claim that is bound to it. */
    function usersOf({ metadata, spec: { claimRef } }: PersistentVolume): Map<string, Pod[]> {
      const users = new Map<string, Pod[]>();
      const claim = claimRef?.name === undefined ? undefined : claims.get(claimRef.name, claimRef.namespace);
      if (!claim || claim.metadata.uid !== claimRef?.uid || claim.spec.volumeName !== metadata.name || claim.status.phase !== 'Bound') return users;
      for (const pod of pods.byIndex(usersIndex, `${claim.metadata.namespace}/${claim.metadata.name}`)) {
        const { nodeName } = pod.spec;
        if (!nodeName || hasEnded(pod) || !mayUse(pod, claim)) continue;
        const there = users.get(nodeName) ?? [];
        there.push(pod);
        users.set(nodeName, there);
      }
      return users;
    }

    async function syncVolume(name: string): Promise<Outcome> {
      const volume = volumes.get(name);
      const csi = volume?.spec.csi;
      const own = attachments.byIndex(byVolumeIndex, name).filter((attachment) => isOwn(attachment, csi));
      const wanted = volume && csi && needsAttaching(csi) ? usersOf(volume) : new Map<string, Pod[]>();
      if (own.length === 0 && wanted.size === 0) return undefined;
      const nowMs = world.clock.now();
      for (const { metadata, spec } of own) {
        if (wanted.has(spec.nodeName)) {
          unwantedSinceMs.delete(metadata.name);
          if (metadata.deletionTimestamp === undefined && leaving.delete(metadata.name)) wakeNode(spec.nodeName);
        } else if (!unwantedSinceMs.has(metadata.name)) unwantedSinceMs.set(metadata.name, nowMs);
      }
      const plan = planAttachments({
        wanted,
        attachments: own,
        sharable: volume !== undefined && isSharable(volume),
        node: (nodeName) => nodes.get(nodeName),
        uniqueName: csi ? uniqueVolumeName(csi) : '',
        unwantedSinceMs,
        nowMs,
      });
      for (const attachment of plan.detach) await detach(attachment, csi);
      if (volume && csi) {
        for (const nodeName of plan.attach) await attach(volume, csi, nodeName);
        for (const nodeName of plan.blocked) tellBlocked(volume, nodeName, wanted);
        for (const attachment of own) tellOutcome(volume, attachment, wanted.get(attachment.spec.nodeName) ?? []);
      }
      return plan.requeueAfterMs === undefined ? undefined : { requeueAfterMs: plan.requeueAfterMs };
    }

    async function attach(volume: PersistentVolume, csi: V1CSIPersistentVolumeSource, nodeName: string): Promise<void> {
      try {
        await client.resource(VolumeAttachment).create(newAttachment(volume, csi, nodeName));
      } catch (error) {
        if (!isReason(error, 'AlreadyExists')) throw error;
      }
    }

    /** First the node is told that it no longer has the volume; the node's turn comes back here when that is written. */
    async function detach({ metadata, spec }: VolumeAttachment, csi: V1CSIPersistentVolumeSource | undefined): Promise<void> {
      leaving.add(metadata.name);
      const listed = csi && nodes.get(spec.nodeName)?.status.volumesAttached?.some(({ name }) => name === uniqueVolumeName(csi));
      if (listed === true) {
        wakeNode(spec.nodeName);
        return;
      }
      await client
        .resource(VolumeAttachment)
        .delete(metadata.name, { preconditions: { uid: metadata.uid } })
        .catch(ignoreGone);
    }

    async function syncNode(name: string): Promise<void> {
      const node = nodes.get(name);
      if (!node) return;
      const { volumesAttached = [] } = node.status;
      const next = attachedTo(name);
      if (!equal(next, volumesAttached)) {
        const metadata = { resourceVersion: node.metadata.resourceVersion };
        await client
          .resource(Node)
          .patch(name, { metadata, status: { volumesAttached: next.length === 0 ? null : next } }, { subresource: 'status' });
        return;
      }
      // What waited for the node's list to be shorter can go now.
      for (const attachment of attachments.byIndex(byNodeIndex, name)) {
        const { persistentVolumeName } = attachment.spec.source;
        if (leaving.has(attachment.metadata.name) && persistentVolumeName !== undefined) wakeVolume(persistentVolumeName);
      }
    }

    function attachedTo(nodeName: string): V1AttachedVolume[] {
      return attachments
        .byIndex(byNodeIndex, nodeName)
        .flatMap((attachment) => {
          const csi = volumes.get(attachment.spec.source.persistentVolumeName ?? '')?.spec.csi;
          const { metadata, status } = attachment;
          const gone = metadata.deletionTimestamp !== undefined || leaving.has(metadata.name) || !status.attached;
          return csi && !gone && isOwn(attachment, csi) ? [{ name: uniqueVolumeName(csi), devicePath: '' }] : [];
        })
        .sort((a, b) => (a.name < b.name ? -1 : 1));
    }

    // ---- events

    function tellBlocked({ metadata: { name } }: PersistentVolume, nodeName: string, wanted: ReadonlyMap<string, readonly Pod[]>): void {
      const elsewhere = [...wanted].flatMap(([other, users]) => (other === nodeName ? [] : users));
      for (const pod of wanted.get(nodeName) ?? []) {
        const known = told.get(pod.metadata.uid) ?? new Set();
        if (known.has(name)) continue;
        told.set(pod.metadata.uid, known.add(name));
        events.event(pod, 'Warning', 'FailedAttachVolume', multiAttachMessage(name, pod, elsewhere));
      }
    }

    function tellOutcome({ metadata: { name } }: PersistentVolume, { metadata, status }: VolumeAttachment, users: readonly Pod[]): void {
      if (!answered.delete(metadata.name)) return;
      const why = status.attachError?.message;
      for (const pod of users) {
        // The space at the end is upstream's.
        if (status.attached) events.event(pod, 'Normal', 'SuccessfulAttachVolume', `AttachVolume.Attach succeeded for volume "${name}" `);
        else if (why !== undefined) events.event(pod, 'Warning', 'FailedAttachVolume', `AttachVolume.Attach failed for volume "${name}" : ${why}`);
      }
    }

    return {
      async reconcile(key) {
        const slash = key.indexOf('/');
        const name = key.slice(slash + 1);
        if (key.slice(0, slash) === 'volume') return syncVolume(name);
        await syncNode(name);
        return undefined;
      },
    };
  },
};

/** What of a node decides whether a volume may be taken from it, or given to it. */
function factsOf({ metadata, spec, status }: Node): unknown {
  return [
    status.volumesInUse,
    status.volumesAttached,
    status.conditions?.find(({ type }) => type === 'Ready')?.status,
    spec.taints,
    metadata.annotations?.['volumes.kubernetes.io/controller-managed-attach-detach'],
  ];
}

/** A claim made for a pod's ephemeral volume is that pod's alone. */
function mayUse(pod: Pod, claim: PersistentVolumeClaim): boolean {
  const named = pod.spec.volumes?.some(({ persistentVolumeClaim }) => persistentVolumeClaim?.claimName === claim.metadata.name) === true;
  return named || controllerOf(claim)?.uid === pod.metadata.uid;
}
