/**
 * Makes the claims of pods' generic ephemeral volumes: named after pod and volume, owned by the pod and gone with it. Upstream's
 * `pkg/controller/volume/ephemeral`.
 */
import { PersistentVolumeClaim, Pod } from '../api/kinds.ts';
import type { V1Volume } from '../api/types.ts';
import { isReason } from '../machinery/errors.ts';
import { controllerOf, type Draft, keyOf, splitKey } from '../machinery/object.ts';
import type { ControllerDefinition } from './controller.ts';
import { isNamespaceTerminating, messageOf } from './errors.ts';
import { controllerReference } from './pods.ts';

export function ephemeralClaimName(pod: Pod, volume: V1Volume): string {
  return `${pod.metadata.name}-${volume.name}`;
}

/** Undefined for a volume that is not a generic ephemeral one. */
export function ephemeralClaim(pod: Pod, volume: V1Volume): Draft<PersistentVolumeClaim> | undefined {
  const template = volume.ephemeral?.volumeClaimTemplate;
  if (!template) return undefined;
  const { labels, annotations } = template.metadata ?? {};
  return {
    metadata: {
      name: ephemeralClaimName(pod, volume),
      namespace: pod.metadata.namespace,
      ...(labels && { labels }),
      ...(annotations && { annotations }),
      ownerReferences: [controllerReference(pod)],
    },
    spec: template.spec,
  };
}

export const ephemeralVolumeController: ControllerDefinition = {
  name: 'ephemeral-volume-controller',
  serviceAccount: 'ephemeral-volume-controller',
  eventSource: 'ephemeral_volume',
  setup(context) {
    const { client, events } = context;
    const pods = context.watch(Pod, {
      added(pod) {
        if (pod.metadata.deletionTimestamp === undefined && pod.spec.volumes?.some(({ ephemeral }) => ephemeral)) context.enqueue(keyOf(pod));
      },
    });
    const claims = context.watch(PersistentVolumeClaim, {
      // Its pod may want another, and one that stood in the way is gone.
      deleted(claim) {
        for (const pod of pods.list(claim.metadata.namespace)) {
          if (pod.spec.volumes?.some((volume) => volume.ephemeral && ephemeralClaimName(pod, volume) === claim.metadata.name))
            context.enqueue(keyOf(pod));
        }
      },
    });

    async function ensure(pod: Pod, volume: V1Volume): Promise<void> {
      const draft = ephemeralClaim(pod, volume);
      if (!draft) return;
      const { namespace, name } = pod.metadata;
      const claimName = ephemeralClaimName(pod, volume);
      const resource = client.resource(PersistentVolumeClaim).namespace(namespace);
      let present = claims.get(claimName, namespace);
      try {
        present ??= await resource.create(draft);
      } catch (error) {
        if (isNamespaceTerminating(error)) return;
        if (!isReason(error, 'AlreadyExists')) throw new Error(`create PVC ${claimName}: ${messageOf(error)}`, { cause: error });
        // The cache is behind.
        present = await resource.get(claimName);
      }
      if (controllerOf(present)?.uid !== pod.metadata.uid)
        throw new Error(`PVC ${namespace}/${claimName} was not created for pod ${namespace}/${name} (pod is not owner)`);
    }

    return {
      async reconcile(key) {
        const { namespace, name } = splitKey(key);
        const pod = pods.get(name, namespace);
        if (!pod || pod.metadata.deletionTimestamp !== undefined) return;
        for (const volume of pod.spec.volumes ?? []) {
          try {
            await ensure(pod, volume);
          } catch (error) {
            events.event(pod, 'Warning', 'FailedBinding', `ephemeral volume ${volume.name}: ${messageOf(error)}`);
            throw error;
          }
        }
      },
    };
  },
};
