/**
 * ServiceAccount: every pod runs as a service account of its namespace, and finds a token for it, the cluster's CA and its namespace's name mounted
 * where client libraries look for them (a projected volume `kube-api-access-…`).
 */
import { Pod, ServiceAccount } from '../../api/kinds.ts';
import type { V1Container, V1PodSpec, V1ProjectedVolumeSource, V1Volume } from '../../api/types.ts';
import { deepFreeze } from '../../machinery/clone.ts';
import { forbidden } from '../../machinery/errors.ts';
import type { World } from '../../world/world.ts';
import { objectPath } from '../registry/storage-key.ts';
import type { Registry } from '../registry/registry.ts';
import { type AdmissionPlugin, type AdmissionRequest, isWriteOf } from './admission.ts';

const mountPath = '/var/run/secrets/kubernetes.io/serviceaccount';
const mirrorAnnotation = 'kubernetes.io/config.mirror';
/** An hour, and the seconds by which upstream recognizes tokens it may extend. */
const tokenExpirationSeconds = 3_607;
/** A namespace's `default` account is made by a controller a moment after the namespace. */
const defaultAccountTimeoutMs = 1_000;

export function serviceAccount(registry: Registry, world: World): AdmissionPlugin {
  return {
    name: 'ServiceAccount',
    async admit(request) {
      if (!isWriteOf(request, Pod, 'CREATE')) return;
      const pod = request.object as Pod | undefined;
      if (!pod?.spec) return;
      if (pod.metadata.annotations?.[mirrorAnnotation] !== undefined) {
        refuseMirrorReferences(request, pod.spec);
        return;
      }
      const { spec } = pod;
      // `serviceAccount` is the field's older name.
      spec.serviceAccountName ||= spec.serviceAccount || 'default';
      spec.serviceAccount = spec.serviceAccountName;
      const account = await findAccount(registry, request, spec.serviceAccountName);
      if (spec.automountServiceAccountToken ?? account.automountServiceAccountToken ?? true)
        mountToken(spec, () => `kube-api-access-${world.random.name(5)}`);
      if (!spec.imagePullSecrets?.length && account.imagePullSecrets?.length)
        spec.imagePullSecrets = account.imagePullSecrets.map((reference) => ({ ...reference }));
    },
  };
}

function refuseMirrorReferences(request: AdmissionRequest, spec: V1PodSpec): void {
  if (spec.serviceAccountName) throw forbidden(request.resource, request.name, 'a mirror pod may not reference service accounts');
  if (spec.volumes?.some((volume) => volume.projected?.sources?.some((source) => source.serviceAccountToken !== undefined))) {
    throw forbidden(request.resource, request.name, 'a mirror pod may not use ServiceAccountToken volume projections');
  }
}

async function findAccount(registry: Registry, request: AdmissionRequest, name: string): Promise<ServiceAccount> {
  const found = registry.get(ServiceAccount, request.namespace, name);
  if (found) return found;
  if (name === 'default') {
    await registry.waitForChange(registry.servedKind(ServiceAccount).cache, objectPath(request.namespace, name), undefined, defaultAccountTimeoutMs);
    const late = registry.get(ServiceAccount, request.namespace, name);
    if (late) return late;
  }
  throw forbidden(
    request.resource,
    request.name,
    `error looking up service account ${request.namespace}/${name}: serviceaccount ${JSON.stringify(name)} not found`,
  );
}

/** Adds the volume, and its mount to every container that has nothing mounted there. */
export function mountToken(spec: V1PodSpec, newVolumeName: () => string): void {
  const containers: V1Container[] = [...(spec.initContainers ?? []), ...spec.containers].filter(
    (container) => !container.volumeMounts?.some((mount) => mount.mountPath === mountPath),
  );
  if (containers.length === 0) return;
  const existing = spec.volumes?.find((volume) => volume.name.startsWith('kube-api-access-'));
  const volume = existing ?? tokenVolume(newVolumeName());
  if (!existing) spec.volumes = [...(spec.volumes ?? []), volume];
  for (const container of containers) container.volumeMounts = [...(container.volumeMounts ?? []), { name: volume.name, readOnly: true, mountPath }];
}

/** One for all pods: whole, so that no default is filled in later. */
const projectedToken: V1ProjectedVolumeSource = deepFreeze({
  sources: [
    { serviceAccountToken: { expirationSeconds: tokenExpirationSeconds, path: 'token' } },
    { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
    { downwardAPI: { items: [{ path: 'namespace', fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' } }] } },
  ],
  defaultMode: 0o644,
});

function tokenVolume(name: string): V1Volume {
  return { name, projected: projectedToken };
}
