/**
 * Volume attributes classes in use: keeps the finalizer `kubernetes.io/vac-protection` on a class until no claim and no volume names it. Upstream's
 * `pkg/controller/volume/vacprotection`.
 */
import { PersistentVolume, PersistentVolumeClaim, VolumeAttributesClass } from '../../api/kinds.ts';
import { isReason } from '../../machinery/errors.ts';
import type { ControllerDefinition } from '../controller.ts';
import { sharedIndex } from '../pods.ts';

const finalizer = 'kubernetes.io/vac-protection';
const claimsIndex = 'claims by attributes class';
const volumesIndex = 'volumes by attributes class';

/** The classes a claim asks for, has, or is on its way to. */
export function attributesClassesOf({ spec, status }: PersistentVolumeClaim): string[] {
  const names = [spec.volumeAttributesClassName, status.currentVolumeAttributesClassName, status.modifyVolumeStatus?.targetVolumeAttributesClassName];
  return [...new Set(names.flatMap((name) => name || []))];
}

function attributesClassOf({ spec }: PersistentVolume): string[] {
  return [spec.volumeAttributesClassName || []].flat();
}

export const attributesClassProtectionController: ControllerDefinition = {
  name: 'volumeattributesclass-protection-controller',
  serviceAccount: 'volumeattributesclass-protection-controller',
  setup(context) {
    const { client } = context;
    const enqueue = ({ metadata }: VolumeAttributesClass): void => context.enqueue(metadata.name);
    const classes = context.watch(VolumeAttributesClass, { added: enqueue, updated: enqueue });
    const claimLeft = (claim: PersistentVolumeClaim): void => {
      for (const name of attributesClassesOf(claim)) context.enqueue(name);
    };
    const claims = context.watch(PersistentVolumeClaim, { updated: (_claim, old) => claimLeft(old), deleted: claimLeft });
    sharedIndex(claims, claimsIndex, attributesClassesOf);
    const volumeLeft = (volume: PersistentVolume): void => {
      for (const name of attributesClassOf(volume)) context.enqueue(name);
    };
    const volumes = context.watch(PersistentVolume, { updated: (_volume, old) => volumeLeft(old), deleted: volumeLeft });
    sharedIndex(volumes, volumesIndex, attributesClassOf);

    /** Asked of the server itself: a class that a stale cache shows unused may have been taken a moment ago. */
    async function isUsed(name: string): Promise<boolean> {
      if (claims.byIndex(claimsIndex, name).length > 0 || volumes.byIndex(volumesIndex, name).length > 0) return true;
      const [liveClaims, liveVolumes] = await Promise.all([client.resource(PersistentVolumeClaim).list(), client.resource(PersistentVolume).list()]);
      return (
        liveClaims.items.some((claim) => attributesClassesOf(claim).includes(name)) ||
        liveVolumes.items.some((volume) => attributesClassOf(volume).includes(name))
      );
    }

    return {
      async reconcile(name) {
        const found = classes.get(name);
        if (!found) return;
        const finalizers = found.metadata.finalizers ?? [];
        const leaving = found.metadata.deletionTimestamp !== undefined;
        if (leaving !== finalizers.includes(finalizer) || (leaving && (await isUsed(name)))) return;
        const changed = leaving ? finalizers.filter((known) => known !== finalizer) : [...finalizers, finalizer];
        try {
          await client.resource(VolumeAttributesClass).update({ ...found, metadata: { ...found.metadata, finalizers: changed } });
        } catch (error) {
          if (!isReason(error, 'NotFound')) throw error;
        }
      },
    };
  },
};
