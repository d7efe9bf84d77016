/** PersistentVolumeClaimResize: a claim may ask for more only where its storage class says that volumes can grow. */
import { PersistentVolumeClaim, StorageClass } from '../../api/kinds.ts';
import { forbidden } from '../../machinery/errors.ts';
import { parseQuantity } from '../../machinery/quantity.ts';
import type { Registry } from '../registry/registry.ts';
import { type AdmissionPlugin, concernsOnly, isWriteOf } from './admission.ts';

export function claimResize(registry: Registry): AdmissionPlugin {
  return {
    name: 'PersistentVolumeClaimResize',
    concerns: concernsOnly(PersistentVolumeClaim),
    validate(request) {
      if (!isWriteOf(request, PersistentVolumeClaim, 'UPDATE')) return;
      const [claim, old] = [request.object as PersistentVolumeClaim | undefined, request.oldObject as PersistentVolumeClaim | undefined];
      if (!claim || !old) return;
      const [size, oldSize] = [sizeOf(claim), sizeOf(old)];
      if (size.compare(oldSize) <= 0) return;
      if (old.status.phase !== 'Bound') {
        throw forbidden(request.resource, request.name, 'Only bound persistent volume claims can be expanded');
      }
      const className = claim.metadata.annotations?.['volume.beta.kubernetes.io/storage-class'] ?? claim.spec.storageClassName ?? '';
      if (className !== '' && registry.get(StorageClass, undefined, className)?.allowVolumeExpansion === true) return;
      const why = 'only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize';
      throw forbidden(request.resource, request.name, why);
    },
  };
}

function sizeOf({ spec }: PersistentVolumeClaim): ReturnType<typeof parseQuantity> {
  return parseQuantity(spec.resources?.requests?.['storage'] ?? '0');
}
