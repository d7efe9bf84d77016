/**
 * What a cluster must hold before a machine can join it: the facts a node needs, where joining nodes may read them, and the rights to ask for
 * certificates. kubeadm's phases `bootstrap-token`, `upload-config` and `kubelet-config`; names are kubeadm's where it has them.
 */
import { ClusterRole, ClusterRoleBinding, ConfigMap, Role, RoleBinding } from '../api/kinds.ts';
import { apiVersionOf, type Kind } from '../api/kind.ts';
import { stringify } from 'yaml';
import type { Client } from '../client/client.ts';
import type { KubeObject } from '../machinery/object.ts';
import { joiningGroup } from './bootstrap-token.ts';
import { type ClusterFacts, clusterFactMaps } from './cluster-facts.ts';

const rbac = 'rbac.authorization.k8s.io';
const csrs = 'certificates.k8s.io';

const joining = { apiGroup: rbac, kind: 'Group', name: joiningGroup };
const nodes = { apiGroup: rbac, kind: 'Group', name: 'system:nodes' };
const anybody = { apiGroup: rbac, kind: 'User', name: 'system:anonymous' };
const certificateController = { kind: 'ServiceAccount', name: 'certificate-controller', namespace: 'kube-system' };

export interface JoinSupport {
  /** The API server as joining nodes reach it. */
  readonly server: string;
  /** PEM. */
  readonly ca: string;
  readonly facts: ClusterFacts;
}

/** Applies all of it: made when missing, set right when changed, left alone otherwise. */
export async function installJoinSupport(client: Client, support: JoinSupport): Promise<void> {
  const apply = async (kind: Kind, namespace: string | undefined, name: string, body: object): Promise<void> => {
    const resource = client.resource<KubeObject>(kind);
    const object = { apiVersion: apiVersionOf(kind), kind: kind.kind, metadata: { name, ...(namespace !== undefined && { namespace }) }, ...body };
    await (namespace === undefined ? resource : resource.namespace(namespace)).patch(name, object, {
      type: 'apply',
      fieldManager: 'k8ts',
      force: true,
    });
  };
  const readable = (namespace: string, role: string, map: string, subjects: readonly object[]): Promise<void>[] => [
    apply(Role, namespace, role, { rules: [{ apiGroups: [''], resources: ['configmaps'], resourceNames: [map], verbs: ['get'] }] }),
    apply(RoleBinding, namespace, role, { roleRef: { apiGroup: rbac, kind: 'Role', name: role }, subjects }),
  ];
  const bound = (name: string, role: string, subject: object): Promise<void> =>
    apply(ClusterRoleBinding, undefined, name, { roleRef: { apiGroup: rbac, kind: 'ClusterRole', name: role }, subjects: [subject] });
  const allowed = (role: string, ...rules: object[]): Promise<void> => apply(ClusterRole, undefined, role, { rules });
  await Promise.all([
    apply(ConfigMap, 'kube-public', 'cluster-info', { data: { kubeconfig: clusterInfo(support) } }),
    ...clusterFactMaps(support.facts).map(({ name, key, content }) => apply(ConfigMap, 'kube-system', name, { data: { [key]: stringify(content) } })),
    ...readable('kube-public', 'kubeadm:bootstrap-signer-clusterinfo', 'cluster-info', [anybody]),
    ...readable('kube-system', 'kubeadm:nodes-kubeadm-config', 'kubeadm-config', [joining, nodes]),
    ...readable('kube-system', 'kubeadm:kubelet-config', 'kubelet-config', [joining, nodes]),
    ...readable('kube-system', 'k8ts:pod-network', 'pod-network', [joining, nodes]),
    allowed('kubeadm:get-nodes', { apiGroups: [''], resources: ['nodes'], verbs: ['get'] }),
    bound('kubeadm:get-nodes', 'kubeadm:get-nodes', joining),
    bound('kubeadm:kubelet-bootstrap', 'system:node-bootstrapper', joining),
    bound('kubeadm:node-autoapprove-bootstrap', `system:${csrs}:certificatesigningrequests:nodeclient`, joining),
    bound('kubeadm:node-autoapprove-certificate-rotation', `system:${csrs}:certificatesigningrequests:selfnodeclient`, nodes),
    allowed('k8ts:node-certificates', {
      apiGroups: [csrs],
      resources: ['certificatesigningrequests/selfnodeserving', 'certificatesigningrequests/nodecomponent'],
      verbs: ['create'],
    }),
    bound('k8ts:node-certificates', 'k8ts:node-certificates', nodes),
    allowed(
      'k8ts:certificate-approver',
      { apiGroups: [''], resources: ['nodes'], verbs: ['get', 'list'] },
      {
        apiGroups: [csrs],
        resources: ['signers'],
        resourceNames: ['kubernetes.io/kubelet-serving', 'kubernetes.io/kube-apiserver-client'],
        verbs: ['approve'],
      },
    ),
    bound('k8ts:certificate-approver', 'k8ts:certificate-approver', certificateController),
  ]);
}

/** A kubeconfig with a cluster and nobody to act as. */
function clusterInfo({ server, ca }: JoinSupport): string {
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: '', cluster: { 'certificate-authority-data': Buffer.from(ca).toString('base64'), server } }],
    contexts: [],
    'current-context': '',
    preferences: {},
    users: [],
  });
}
