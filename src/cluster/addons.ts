/** Objects every cluster has beyond what the API server makes itself: the DNS Service, and what the DNS server may read and write. */
import { ClusterRole, ClusterRoleBinding, Role, RoleBinding, Service, ServiceAccount } from '../api/kinds.ts';
import { apiVersionOf, type Kind } from '../api/kind.ts';
import type { Client } from '../client/client.ts';
import type { KubeObject } from '../machinery/object.ts';
import { fixedServiceAddresses } from './address-ranges.ts';
import type { ClusterConfig } from './config.ts';
import { dnsServiceAccount } from './pki.ts';
import { installStorage } from './storage-addon.ts';

const rbac = 'rbac.authorization.k8s.io';
const { namespace, name: account } = dnsServiceAccount;
const subjects = [{ kind: 'ServiceAccount', name: account, namespace }];

/** Applies them all: made when missing, set right when changed, left alone otherwise. */
export async function installAddons(client: Client, config: ClusterConfig): Promise<void> {
  const apply = async (kind: Kind, name: string, body: object): Promise<void> => {
    const object = {
      apiVersion: apiVersionOf(kind),
      kind: kind.kind,
      ...body,
      metadata: { name, ...(kind.namespaced && { namespace }), ...metadataOf(body) },
    };
    const resource = client.resource<KubeObject>(kind);
    await (kind.namespaced ? resource.namespace(namespace) : resource).patch(name, object, { type: 'apply', fieldManager: 'k8ts', force: true });
  };
  await Promise.all([
    installStorage(client),
    apply(ServiceAccount, account, {}),
    apply(ClusterRole, 'system:coredns', {
      rules: [
        { apiGroups: [''], resources: ['services', 'namespaces'], verbs: ['get', 'list', 'watch'] },
        { apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: ['get', 'list', 'watch'] },
      ],
    }),
    apply(ClusterRoleBinding, 'system:coredns', { roleRef: { apiGroup: rbac, kind: 'ClusterRole', name: 'system:coredns' }, subjects }),
    apply(Role, 'system:coredns', {
      rules: [{ apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: ['get', 'create', 'update', 'patch', 'delete'] }],
    }),
    apply(RoleBinding, 'system:coredns', { roleRef: { apiGroup: rbac, kind: 'Role', name: 'system:coredns' }, subjects }),
    apply(ClusterRole, 'k8ts:network-policies', {
      rules: [
        { apiGroups: [''], resources: ['pods', 'namespaces'], verbs: ['get', 'list', 'watch'] },
        { apiGroups: ['networking.k8s.io'], resources: ['networkpolicies'], verbs: ['get', 'list', 'watch'] },
      ],
    }),
    // Each node's proxy keeps the rules of network policies too.
    apply(ClusterRoleBinding, 'k8ts:network-policies', {
      roleRef: { apiGroup: rbac, kind: 'ClusterRole', name: 'k8ts:network-policies' },
      subjects: [{ apiGroup: rbac, kind: 'User', name: 'system:kube-proxy' }],
    }),
    apply(Service, 'kube-dns', {
      metadata: { labels: { 'k8s-app': 'kube-dns', 'kubernetes.io/cluster-service': 'true', 'kubernetes.io/name': 'CoreDNS' } },
      spec: {
        clusterIP: fixedServiceAddresses(config.serviceCidr).dns,
        // Each node has a server, and its pods ask that one: no name waits for another node.
        internalTrafficPolicy: 'Local',
        ports: [
          { name: 'dns', port: 53, protocol: 'UDP', targetPort: 53 },
          { name: 'dns-tcp', port: 53, protocol: 'TCP', targetPort: 53 },
        ],
      },
    }),
  ]);
}

function metadataOf(body: object): object {
  return 'metadata' in body && typeof body.metadata === 'object' && body.metadata ? body.metadata : {};
}
