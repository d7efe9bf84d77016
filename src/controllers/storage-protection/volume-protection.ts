/**
 * Volumes in use: takes the finalizer `kubernetes.io/pv-protection` off a volume that is being deleted once no claim is bound to it. Upstream's
 * `pkg/controller/volume/pvprotection`.
 */
import { PersistentVolume } from '../../api/kinds.ts';
import { isReason } from '../../machinery/errors.ts';
import type { ControllerDefinition } from '../controller.ts';

const finalizer = 'kubernetes.io/pv-protection';

/** The finalizers the volume should have; undefined when it has them. */
export function finalizersOf({ metadata, status }: PersistentVolume): string[] | undefined {
  const present = metadata.finalizers ?? [];
  const has = present.includes(finalizer);
  if (metadata.deletionTimestamp === undefined) return has ? undefined : [...present, finalizer];
  return has && status.phase !== 'Bound' ? present.filter((name) => name !== finalizer) : undefined;
}

export const volumeProtectionController: ControllerDefinition = {
  name: 'persistentvolume-protection-controller',
  serviceAccount: 'pv-protection-controller',
  setup(context) {
    const { client } = context;
    const enqueue = (volume: PersistentVolume): void => {
      if (finalizersOf(volume)) context.enqueue(volume.metadata.name);
    };
    const volumes = context.watch(PersistentVolume, { added: enqueue, updated: enqueue });
    return {
      async reconcile(name) {
        const volume = volumes.get(name);
        const finalizers = volume && finalizersOf(volume);
        if (!finalizers) return;
        try {
          await client.resource(PersistentVolume).update({ ...volume, metadata: { ...volume.metadata, finalizers } });
        } catch (error) {
          if (!isReason(error, 'NotFound')) throw error;
        }
      },
    };
  },
};
