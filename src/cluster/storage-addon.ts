/** Storage out of the box: the class `standard`, the default, and what the provisioners on the nodes may read and write. */
import { ClusterRole, ClusterRoleBinding, ServiceAccount, StorageClass } from '../api/kinds.ts';
import type { Client } from '../client/client.ts';
import { isReason } from '../machinery/errors.ts';
import type { Draft, KubeObject } from '../machinery/object.ts';
import type { Kind } from '../api/kind.ts';
import { provisionerName } from '../provisioner/names.ts';
import { provisionerServiceAccount } from './pki.ts';

const rbac = 'rbac.authorization.k8s.io';
const roleName = 'system:storage-provisioner';

const standard: Draft<StorageClass> = {
  metadata: { name: 'standard', annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' } },
  provisioner: provisionerName,
  reclaimPolicy: 'Delete',
  volumeBindingMode: 'WaitForFirstConsumer',
  allowVolumeExpansion: true,
};

/** Makes what is missing; what a user changed (another class is the default now) stays so. */
export async function installStorage(client: Client): Promise<void> {
  const { namespace, name } = provisionerServiceAccount;
  await Promise.all([
    ensure(client, StorageClass, standard),
    ensure(client, ServiceAccount, { metadata: { name, namespace } }),
    ensure(client, ClusterRole, {
      metadata: { name: roleName },
      rules: [
        { apiGroups: [''], resources: ['persistentvolumes'], verbs: ['get', 'list', 'watch', 'create', 'patch', 'delete'] },
        { apiGroups: [''], resources: ['persistentvolumeclaims', 'nodes'], verbs: ['get', 'list', 'watch'] },
        { apiGroups: [''], resources: ['persistentvolumeclaims/status'], verbs: ['patch'] },
        { apiGroups: ['storage.k8s.io'], resources: ['storageclasses'], verbs: ['get', 'list', 'watch'] },
        { apiGroups: [''], resources: ['events'], verbs: ['create', 'patch', 'update'] },
      ],
    }),
    ensure(client, ClusterRoleBinding, {
      metadata: { name: roleName },
      roleRef: { apiGroup: rbac, kind: 'ClusterRole', name: roleName },
      subjects: [{ kind: 'ServiceAccount', name, namespace }],
    }),
  ]);
}

async function ensure<T extends KubeObject>(client: Client, kind: Kind<T>, draft: Draft<T>): Promise<void> {
  try {
    await client.resource(kind).create(draft);
  } catch (error) {
    if (!isReason(error, 'AlreadyExists')) throw error;
  }
}
