/** What a pod makes its node read: secrets, config maps, claims, its service account. Upstream's `VisitPodSecretNames` and friends. */
import type { Pod, PersistentVolume } from '../../api/kinds.ts';
import type { V1Container, V1EphemeralContainer, V1Volume } from '../../api/types.ts';

/** Calls with `<kind>:<namespace>/<name>` of everything the pod refers to, some more than once. A mirror pod refers to nothing: its node made it up. */
export function visitPodReferences(pod: Pod, visit: (reference: string) => void): void {
  const { metadata, spec } = pod;
  if (metadata.annotations?.['kubernetes.io/config.mirror'] !== undefined) return;
  const { namespace } = metadata;
  const seen: Seen = (kind, name) => {
    if (name !== undefined && name !== '') visit(referenceOf(kind, namespace, name));
  };
  seen('serviceaccount', spec.serviceAccountName);
  for (const { name } of spec.imagePullSecrets ?? []) seen('secret', name);
  for (const container of spec.initContainers ?? []) visitEnvironment(container, seen);
  for (const container of spec.containers) visitEnvironment(container, seen);
  for (const container of spec.ephemeralContainers ?? []) visitEnvironment(container, seen);
  for (const volume of spec.volumes ?? []) visitVolume(volume, metadata.name, seen);
  for (const claim of spec.resourceClaims ?? []) seen('resourceclaim', claim.resourceClaimName);
  for (const claim of pod.status.resourceClaimStatuses ?? []) seen('resourceclaim', claim.resourceClaimName);
}

export type ReferenceKind = 'secret' | 'configmap' | 'claim' | 'serviceaccount' | 'resourceclaim';

export function referenceOf(kind: ReferenceKind, namespace: string, name: string): string {
  return `${kind}:${namespace}/${name}`;
}

type Seen = (kind: ReferenceKind, name: string | undefined) => void;

function visitEnvironment({ env, envFrom }: V1Container | V1EphemeralContainer, seen: Seen): void {
  for (const { valueFrom } of env ?? []) {
    seen('secret', valueFrom?.secretKeyRef?.name);
    seen('configmap', valueFrom?.configMapKeyRef?.name);
  }
  for (const { secretRef, configMapRef } of envFrom ?? []) {
    seen('secret', secretRef?.name);
    seen('configmap', configMapRef?.name);
  }
}

function visitVolume(volume: V1Volume, podName: string, seen: Seen): void {
  seen('secret', volume.secret?.secretName);
  seen('configmap', volume.configMap?.name);
  seen('claim', volume.persistentVolumeClaim?.claimName);
  if (volume.ephemeral !== undefined) seen('claim', `${podName}-${volume.name}`);
  for (const source of volume.projected?.sources ?? []) {
    seen('secret', source.secret?.name);
    seen('configmap', source.configMap?.name);
  }
  seen('secret', volume.azureFile?.secretName);
  const { cephfs, cinder, flexVolume, iscsi, rbd, scaleIO, storageos } = volume;
  for (const source of [cephfs, cinder, flexVolume, iscsi, rbd, scaleIO, storageos]) seen('secret', source?.secretRef?.name);
  seen('secret', volume.csi?.nodePublishSecretRef?.name);
}

/** Whether a node that mounts the volume needs the secret for it. Secrets only controllers use do not count. */
export function volumeNeedsSecret({ spec }: PersistentVolume, namespace: string, name: string): boolean {
  const home = spec.claimRef?.namespace;
  const { csi, azureFile } = spec;
  const references = [
    csi?.nodePublishSecretRef,
    csi?.nodeStageSecretRef,
    csi?.nodeExpandSecretRef,
    spec.cephfs?.secretRef,
    spec.cinder?.secretRef,
    spec.flexVolume?.secretRef,
    spec.iscsi?.secretRef,
    spec.rbd?.secretRef,
    spec.scaleIO?.secretRef,
    spec.storageos?.secretRef,
    azureFile && { name: azureFile.secretName, namespace: azureFile.secretNamespace },
  ];
  return references.some((reference) => reference?.name === name && (reference.namespace ?? home) === namespace);
}
