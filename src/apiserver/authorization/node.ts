/**
 * The Node authorizer: what a kubelet (`system:node:<name>` in group `system:nodes`) may do. Secrets, config maps and volumes only one by one and by
 * name. See https://kubernetes.io/docs/reference/access-authn-authz/node/
 */
import type { V1PolicyRule } from '../../api/types.ts';
import type { User } from '../request.ts';
import { allowed, type Attributes, type Authorizer, type Decision, noOpinion } from './authorizer.ts';
import { rule } from './policy-rule.ts';
import { ruleAllows } from './rules.ts';

/** What every node may do, whatever runs on it. Also the rules of the ClusterRole `system:node`. */
export const nodeRules: readonly V1PolicyRule[] = [
  rule('create', 'authentication.k8s.io', 'tokenreviews'),
  rule('create', 'authorization.k8s.io', 'localsubjectaccessreviews subjectaccessreviews'),
  rule('get list watch', '', 'services'),
  rule('create get list watch', '', 'nodes'),
  rule('patch update', '', 'nodes/status'),
  rule('patch update', '', 'nodes'),
  rule('create patch update', ' events.k8s.io', 'events'),
  rule('get list watch', '', 'pods'),
  rule('create delete', '', 'pods'),
  rule('patch update', '', 'pods/status'),
  rule('create', '', 'pods/eviction'),
  rule('get list watch', '', 'configmaps secrets'),
  rule('get', '', 'persistentvolumeclaims persistentvolumes'),
  rule('get', '', 'endpoints'),
  rule('create get list watch', 'certificates.k8s.io', 'certificatesigningrequests'),
  rule('create delete get patch update', 'coordination.k8s.io', 'leases'),
  rule('get', 'storage.k8s.io', 'volumeattachments'),
  rule('create', '', 'serviceaccounts/token'),
  rule('get patch update', '', 'persistentvolumeclaims/status'),
  rule('get list watch', 'storage.k8s.io', 'csidrivers'),
  rule('create delete get patch update', 'storage.k8s.io', 'csinodes'),
  rule('get list watch', 'node.k8s.io', 'runtimeclasses'),
  rule('get', 'resource.k8s.io', 'resourceclaims'),
  rule('create delete deletecollection get list patch update watch', 'resource.k8s.io', 'resourceslices'),
];

/** Resources of which a node sees only what its pods need: an object at a time. */
const perPodResources = new Set([
  '/secrets',
  '/configmaps',
  '/persistentvolumeclaims',
  '/persistentvolumes',
  'resource.k8s.io/resourceclaims',
  'storage.k8s.io/volumeattachments',
]);

const nodePrefix = 'system:node:';

/** The node a user is, or undefined for anyone else. */
export function nodeNameOf(user: User): string | undefined {
  return user.name.startsWith(nodePrefix) && user.name.length > nodePrefix.length && user.groups.includes('system:nodes')
    ? user.name.slice(nodePrefix.length)
    : undefined;
}

/** `isRelated` narrows per-pod objects to those the node's own pods refer to. */
export function nodeAuthorizer(isRelated: (nodeName: string, attributes: Attributes) => boolean): Authorizer {
  return {
    authorize(attributes) {
      const nodeName = nodeNameOf(attributes.user);
      return nodeName === undefined ? noOpinion : decide(nodeName, attributes, isRelated);
    },
    rulesFor: () => ({ resourceRules: [], pathRules: [], incomplete: false }),
  };
}

function decide(nodeName: string, attributes: Attributes, isRelated: (nodeName: string, attributes: Attributes) => boolean): Decision {
  const { group, resource, subresource, name, namespace, verb } = attributes;
  if (perPodResources.has(`${group}/${resource}`) && subresource === '' && attributes.path === '') {
    if (verb !== 'get' && verb !== 'list' && verb !== 'watch') return { verdict: 'no opinion', reason: 'can only read resources of this type' };
    if (name === '') return { verdict: 'no opinion', reason: 'can only read individual resources of this type' };
    if (!isRelated(nodeName, attributes))
      return { verdict: 'no opinion', reason: `no relationship found between node '${nodeName}' and this object` };
    return allowed;
  }
  if (group === 'coordination.k8s.io' && resource === 'leases') {
    if (namespace !== 'kube-node-lease') return { verdict: 'no opinion', reason: 'can only access leases in the "kube-node-lease" system namespace' };
    if (verb !== 'create' && name !== nodeName)
      return { verdict: 'no opinion', reason: 'can only access node lease with the same name as the requesting node' };
  }
  if (group === 'storage.k8s.io' && resource === 'csinodes' && verb !== 'create' && name !== nodeName) {
    return { verdict: 'no opinion', reason: 'can only access CSINode with the same name as the requesting node' };
  }
  return nodeRules.some((candidate) => ruleAllows(candidate, attributes)) ? allowed : noOpinion;
}
