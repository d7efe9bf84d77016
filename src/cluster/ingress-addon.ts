/** Ingress out of the box: the class `k8ts`, the default, and what the nodes that serve it may read and write. */
import { ClusterRole, ClusterRoleBinding, IngressClass, Role, RoleBinding, ServiceAccount } from '../api/kinds.ts';
import type { Kind } from '../api/kind.ts';
import type { Client } from '../client/client.ts';
import { ingressClassName, ingressControllerName } from '../ingress/names.ts';
import { isReason } from '../machinery/errors.ts';
import type { Draft, KubeObject } from '../machinery/object.ts';
import { ingressServiceAccount } from './pki.ts';

const apiGroup = 'rbac.authorization.k8s.io';
const roleName = 'system:k8ts-ingress';

/** Makes what is missing; what a user changed (another class is the default now) stays so. */
export async function installIngress(client: Client): Promise<void> {
  const { namespace, name } = ingressServiceAccount;
  const subjects = [{ kind: 'ServiceAccount', name, namespace }];
  await Promise.all([
    ensure(client, IngressClass, {
      metadata: { name: ingressClassName, annotations: { 'ingressclass.kubernetes.io/is-default-class': 'true' } },
      spec: { controller: ingressControllerName },
    }),
    ensure(client, ServiceAccount, { metadata: { name, namespace } }),
    ensure(client, ClusterRole, {
      metadata: { name: roleName },
      rules: [
        { apiGroups: ['networking.k8s.io'], resources: ['ingresses', 'ingressclasses'], verbs: ['get', 'list', 'watch'] },
        { apiGroups: ['networking.k8s.io'], resources: ['ingresses/status'], verbs: ['patch', 'update'] },
        { apiGroups: [''], resources: ['services', 'secrets', 'nodes'], verbs: ['get', 'list', 'watch'] },
        { apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: ['get', 'list', 'watch'] },
        { apiGroups: [''], resources: ['events'], verbs: ['create', 'patch', 'update'] },
      ],
    }),
    ensure(client, ClusterRoleBinding, { metadata: { name: roleName }, roleRef: { apiGroup, kind: 'ClusterRole', name: roleName }, subjects }),
    ensure(client, Role, {
      metadata: { name: roleName, namespace },
      rules: [
        { apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: ['create', 'patch', 'update', 'delete'] },
        { apiGroups: ['coordination.k8s.io'], resources: ['leases'], verbs: ['get', 'create', 'update'] },
      ],
    }),
    ensure(client, RoleBinding, { metadata: { name: roleName, namespace }, roleRef: { apiGroup, kind: 'Role', name: roleName }, subjects }),
  ]);
}

async function ensure<T extends KubeObject>(client: Client, kind: Kind<T>, draft: Draft<T>): Promise<void> {
  const { namespace } = draft.metadata;
  const resource = client.resource(kind);
  try {
    await (namespace === undefined ? resource : resource.namespace(namespace)).create(draft);
  } catch (error) {
    if (!isReason(error, 'AlreadyExists')) throw error;
  }
}
