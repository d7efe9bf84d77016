/**
 * StorageObjectInUseProtection: claims and volumes get a finalizer, which their protection controllers take off once nothing uses them: what a pod
 * writes to is not deleted under it.
 */
import type { Kind } from '../../api/kind.ts';
import { PersistentVolume, PersistentVolumeClaim } from '../../api/kinds.ts';
import { type AdmissionPlugin, concernsOnly } from './admission.ts';

const finalizers: readonly (readonly [kind: Pick<Kind, 'group' | 'resource'>, finalizer: string])[] = [
  [PersistentVolumeClaim, 'kubernetes.io/pvc-protection'],
  [PersistentVolume, 'kubernetes.io/pv-protection'],
];

export const storageObjectInUseProtection: AdmissionPlugin = {
  name: 'StorageObjectInUseProtection',
  concerns: concernsOnly(PersistentVolumeClaim, PersistentVolume),
  admit({ operation, subresource, kind, object }) {
    if (operation !== 'CREATE' || subresource !== '' || !object) return;
    const finalizer = finalizers.find(([known]) => known.group === kind.group && known.resource === kind.resource)?.[1];
    const present = object.metadata.finalizers ?? [];
    if (finalizer !== undefined && !present.includes(finalizer)) object.metadata.finalizers = [...present, finalizer];
  },
};
