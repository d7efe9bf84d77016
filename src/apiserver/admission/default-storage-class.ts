/** DefaultStorageClass: a claim that names no class gets the cluster's default one. An empty name is a name: of no class. */
import { PersistentVolumeClaim, StorageClass } from '../../api/kinds.ts';
import type { Registry } from '../registry/registry.ts';
import { type AdmissionPlugin, concernsOnly, isWriteOf } from './admission.ts';
import { defaultOf } from './default-ingress-class.ts';

const annotations: readonly string[] = ['storageclass.kubernetes.io/is-default-class', 'storageclass.beta.kubernetes.io/is-default-class'];

export function defaultStorageClass(registry: Registry): AdmissionPlugin {
  return {
    name: 'DefaultStorageClass',
    concerns: concernsOnly(PersistentVolumeClaim),
    admit(request) {
      if (!isWriteOf(request, PersistentVolumeClaim, 'CREATE')) return;
      const claim = request.object as PersistentVolumeClaim | undefined;
      if (!claim?.spec || claim.spec.storageClassName !== undefined) return;
      if (claim.metadata.annotations?.['volume.beta.kubernetes.io/storage-class'] !== undefined) return;
      const chosen = defaultOf(registry.list(StorageClass), annotations);
      if (chosen) claim.spec.storageClassName = chosen.metadata.name;
    },
  };
}
