/** What components and well-known groups may do: ClusterRoles `system:…` apart from the controllers'. Facts of upstream's policy. */
import type { V1PolicyRule } from '../../api/types.ts';
import { pathRule, rule } from '../authorization/policy-rule.ts';
import { nodeRules } from '../authorization/node.ts';

const writesEvents = rule('create patch update', ' events.k8s.io', 'events');

export const componentRoles: Readonly<Record<string, readonly V1PolicyRule[]>> = {
  'system:auth-delegator': [rule('create', 'authentication.k8s.io', 'tokenreviews'), rule('create', 'authorization.k8s.io', 'subjectaccessreviews')],
  'system:basic-user': [
    rule('create', 'authorization.k8s.io', 'selfsubjectaccessreviews selfsubjectrulesreviews'),
    rule('create', 'authentication.k8s.io', 'selfsubjectreviews'),
  ],
  'system:certificates.k8s.io:certificatesigningrequests:nodeclient': [
    rule('create', 'certificates.k8s.io', 'certificatesigningrequests/nodeclient'),
  ],
  'system:certificates.k8s.io:certificatesigningrequests:selfnodeclient': [
    rule('create', 'certificates.k8s.io', 'certificatesigningrequests/selfnodeclient'),
  ],
  'system:certificates.k8s.io:kube-apiserver-client-approver': [
    rule('approve', 'certificates.k8s.io', 'signers', 'kubernetes.io/kube-apiserver-client'),
  ],
  'system:certificates.k8s.io:kube-apiserver-client-kubelet-approver': [
    rule('approve', 'certificates.k8s.io', 'signers', 'kubernetes.io/kube-apiserver-client-kubelet'),
  ],
  'system:certificates.k8s.io:kubelet-serving-approver': [rule('approve', 'certificates.k8s.io', 'signers', 'kubernetes.io/kubelet-serving')],
  'system:certificates.k8s.io:legacy-unknown-approver': [rule('approve', 'certificates.k8s.io', 'signers', 'kubernetes.io/legacy-unknown')],
  'system:discovery': [pathRule('get', '/api /api/* /apis /apis/* /healthz /livez /openapi /openapi/* /readyz /version /version/')],
  'system:kube-aggregator': [rule('get list watch', '', 'endpoints services')],
  'system:kube-controller-manager': [
    writesEvents,
    rule('create', 'coordination.k8s.io', 'leases'),
    rule('get update', 'coordination.k8s.io', 'leases', 'kube-controller-manager'),
    rule('create', '', 'secrets serviceaccounts'),
    rule('delete', '', 'secrets'),
    rule('get', '', 'configmaps namespaces secrets serviceaccounts'),
    rule('update', '', 'secrets serviceaccounts'),
    rule('create', 'authentication.k8s.io', 'tokenreviews'),
    rule('create', 'authorization.k8s.io', 'subjectaccessreviews'),
    rule('list watch', '*', '*'),
    rule('create', '', 'serviceaccounts/token'),
    rule('create get list update watch', 'coordination.k8s.io', 'leasecandidates'),
  ],
  'system:kube-dns': [
    rule('list watch', '', 'endpoints services'),
    rule('list watch', 'discovery.k8s.io', 'endpointslices'),
    rule('list watch', '', 'namespaces pods'),
  ],
  'system:kube-scheduler': [
    writesEvents,
    rule('create', 'coordination.k8s.io', 'leases'),
    rule('get update', 'coordination.k8s.io', 'leases', 'kube-scheduler'),
    rule('get list watch', '', 'nodes'),
    rule('delete get list watch', '', 'pods'),
    rule('create', '', 'bindings pods/binding'),
    rule('patch update', '', 'pods/status'),
    rule('get list watch', '', 'replicationcontrollers services'),
    rule('get list watch', 'apps extensions', 'replicasets'),
    rule('get list watch', 'apps', 'statefulsets'),
    rule('get list watch', 'policy', 'poddisruptionbudgets'),
    rule('get list watch', '', 'persistentvolumeclaims persistentvolumes'),
    rule('create', 'authentication.k8s.io', 'tokenreviews'),
    rule('create', 'authorization.k8s.io', 'subjectaccessreviews'),
    rule('get list watch', 'storage.k8s.io', 'csinodes'),
    rule('get list watch', '', 'namespaces'),
    rule('get list watch', 'storage.k8s.io', 'csidrivers csistoragecapacities volumeattachments'),
    rule('get list watch', 'resource.k8s.io', 'deviceclasses resourceclaims resourceslices'),
    rule('patch update', 'resource.k8s.io', 'resourceclaims resourceclaims/status'),
    rule('create delete', 'resource.k8s.io', 'resourceclaims'),
    rule('patch update', '', 'pods/finalizers'),
    rule('create get list update watch', 'coordination.k8s.io', 'leasecandidates'),
  ],
  'system:kubelet-api-admin': [
    rule('get list watch', '', 'nodes'),
    rule('proxy', '', 'nodes'),
    rule('*', '', 'nodes/checkpoint nodes/configz nodes/healthz nodes/log nodes/metrics nodes/pods nodes/proxy nodes/spec nodes/stats'),
  ],
  'system:monitoring': [pathRule('get', '/healthz /healthz/* /livez /livez/* /metrics /readyz /readyz/*')],
  'system:node-bootstrapper': [rule('create get list watch', 'certificates.k8s.io', 'certificatesigningrequests')],
  'system:node-problem-detector': [rule('get', '', 'nodes'), rule('patch', '', 'nodes/status'), writesEvents],
  'system:node-proxier': [
    rule('list watch', '', 'endpoints services'),
    rule('get list watch', '', 'nodes'),
    writesEvents,
    rule('list watch', 'discovery.k8s.io', 'endpointslices'),
    rule('list watch', 'networking.k8s.io', 'servicecidrs'),
  ],
  'system:persistent-volume-provisioner': [
    rule('create delete get list watch', '', 'persistentvolumes'),
    rule('get list update watch', '', 'persistentvolumeclaims'),
    rule('get list watch', 'storage.k8s.io', 'storageclasses'),
    rule('watch', '', 'events'),
    writesEvents,
  ],
  'system:public-info-viewer': [pathRule('get', '/healthz /livez /readyz /version /version/')],
  'system:service-account-issuer-discovery': [pathRule('get', '/.well-known/openid-configuration /openid/v1/jwks')],
  'system:volume-scheduler': [
    rule('get list patch update watch', '', 'persistentvolumes'),
    rule('get list watch', 'storage.k8s.io', 'storageclasses'),
    rule('get list patch update watch', '', 'persistentvolumeclaims'),
  ],
  'system:node': nodeRules,
};
