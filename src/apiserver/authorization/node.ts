/**
 * The Node authorizer: what a kubelet (`system:node:<name>` in group `system:nodes`) may do. Secrets, config maps and volumes only one by one, and only
 * those its own pods refer to. See https://kubernetes.io/docs/reference/access-authn-authz/node/
 */
import type { V1PolicyRule } from '../../api/types.ts';
import { parseFieldSelector } from '../../machinery/selector.ts';
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

/** Whether the object a request names is one the node's pods need. */
export type IsRelated = (nodeName: string, attributes: Attributes) => boolean;

type Narrowing = (nodeName: string, attributes: Attributes, isRelated: IsRelated) => Decision;

const nodePrefix = 'system:node:';

/** The node a user is, or undefined for anyone else. */
export function nodeNameOf(user: User): string | undefined {
  return user.name.startsWith(nodePrefix) && user.name.length > nodePrefix.length && user.groups.includes('system:nodes')
    ? user.name.slice(nodePrefix.length)
    : undefined;
}

export function nodeAuthorizer(isRelated: IsRelated): Authorizer {
  return {
    authorize(attributes) {
      const nodeName = nodeNameOf(attributes.user);
      if (nodeName === undefined) return noOpinion;
      const narrowing = attributes.path === '' ? narrowings[`${attributes.group}/${attributes.resource}`] : undefined;
      return narrowing === undefined ? byRule(attributes) : narrowing(nodeName, attributes, isRelated);
    },
    rulesFor: () => ({ resourceRules: [], pathRules: [], incomplete: false }),
  };
}

/** Resources of which a node has only a part. Others go by the rules alone. */
const narrowings: Readonly<Record<string, Narrowing>> = {
  '/secrets': readOne,
  '/configmaps': readOne,
  '/persistentvolumeclaims': (nodeName, attributes, isRelated) =>
    attributes.subresource === 'status' ? updateStatus(nodeName, attributes, isRelated) : getOne(nodeName, attributes, isRelated),
  '/persistentvolumes': getOne,
  '/serviceaccounts': serviceAccount,
  '/nodes': ownNode,
  '/pods': ownPods,
  'resource.k8s.io/resourceclaims': getOne,
  'resource.k8s.io/resourceslices': ownSlices,
  'storage.k8s.io/volumeattachments': getOne,
  'storage.k8s.io/csinodes': ownCsiNode,
  'coordination.k8s.io/leases': ownLease,
};

function byRule(attributes: Attributes): Decision {
  return nodeRules.some((candidate) => ruleAllows(candidate, attributes)) ? allowed : noOpinion;
}

function because(reason: string): Decision {
  return { verdict: 'no opinion', reason };
}

function related(nodeName: string, attributes: Attributes, isRelated: IsRelated): Decision {
  if (attributes.name === '') return because('No Object name found');
  return isRelated(nodeName, attributes) ? allowed : because(`no relationship found between node '${nodeName}' and this object`);
}

function readOne(nodeName: string, attributes: Attributes, isRelated: IsRelated): Decision {
  const { verb, subresource, namespace } = attributes;
  if (verb !== 'get' && verb !== 'list' && verb !== 'watch') return because('can only read resources of this type');
  if (subresource !== '') return because('cannot read subresource');
  if (namespace === '') return because('can only read namespaced object of this type');
  return related(nodeName, attributes, isRelated);
}

function getOne(nodeName: string, attributes: Attributes, isRelated: IsRelated): Decision {
  if (attributes.verb !== 'get') return because('can only get individual resources of this type');
  if (attributes.subresource !== '') return because('cannot get subresource');
  return related(nodeName, attributes, isRelated);
}

function updateStatus(nodeName: string, attributes: Attributes, isRelated: IsRelated): Decision {
  const { verb } = attributes;
  if (verb !== 'get' && verb !== 'update' && verb !== 'patch') return because('can only get/update/patch this type');
  return related(nodeName, attributes, isRelated);
}

function serviceAccount(nodeName: string, attributes: Attributes, isRelated: IsRelated): Decision {
  if (attributes.verb === 'get' && attributes.subresource === '') return related(nodeName, attributes, isRelated);
  if (attributes.verb !== 'create' || attributes.name === '') return because('can only create tokens for individual service accounts');
  if (attributes.subresource !== 'token') return because('can only create token subresource of serviceaccount');
  return related(nodeName, attributes, isRelated);
}

function ownNode(nodeName: string, attributes: Attributes): Decision {
  const { verb, name, subresource } = attributes;
  if (subresource === '' && (verb === 'get' || verb === 'list' || verb === 'watch') && name !== nodeName) {
    return because(`node '${nodeName}' cannot read ${name === '' ? 'all nodes' : `'${name}'`}, only its own Node object`);
  }
  return byRule(attributes);
}

function ownPods(nodeName: string, attributes: Attributes, isRelated: IsRelated): Decision {
  const { verb, subresource } = attributes;
  if (subresource !== '') return byRule(attributes);
  if (verb === 'get') return related(nodeName, attributes, isRelated);
  if ((verb === 'list' || verb === 'watch') && !selectsNode(attributes, nodeName)) {
    return because('can only list/watch pods with spec.nodeName field selector');
  }
  return byRule(attributes);
}

function ownSlices(nodeName: string, attributes: Attributes, isRelated: IsRelated): Decision {
  const { verb, subresource } = attributes;
  if (subresource !== '') return because('cannot authorize ResourceSlice subresources');
  switch (verb) {
    case 'create':
      // Which node it is for is admission's business: the name does not tell.
      return allowed;
    case 'get':
    case 'update':
    case 'patch':
    case 'delete':
      return related(nodeName, attributes, isRelated);
    case 'list':
    case 'watch':
    case 'deletecollection':
      return selectsNode(attributes, nodeName)
        ? allowed
        : because('can only list/watch/deletecollection resourceslices with nodeName field selector');
    default:
      return because('only the following verbs are allowed for a ResourceSlice: get, watch, list, create, update, patch, delete, deletecollection');
  }
}

const ownObjectVerbs: ReadonlySet<string> = new Set(['get', 'create', 'update', 'patch', 'delete']);

function ownLease(nodeName: string, { verb, namespace, name }: Attributes): Decision {
  if (!ownObjectVerbs.has(verb)) return because('can only get, create, update, patch, or delete a node lease');
  if (namespace !== 'kube-node-lease') return because('can only access leases in the "kube-node-lease" system namespace');
  if (verb !== 'create' && name !== nodeName) return because('can only access node lease with the same name as the requesting node');
  return allowed;
}

function ownCsiNode(nodeName: string, { verb, subresource, name }: Attributes): Decision {
  if (!ownObjectVerbs.has(verb)) return because('can only get, create, update, patch, or delete a CSINode');
  if (subresource !== '') return because('cannot authorize CSINode subresources');
  if (verb !== 'create' && name !== nodeName) return because('can only access CSINode with the same name as the requesting node');
  return allowed;
}

function selectsNode({ fieldSelector }: Attributes, nodeName: string): boolean {
  if (fieldSelector === undefined || fieldSelector === '') return false;
  try {
    return parseFieldSelector(fieldSelector).requirements.some(
      ({ field, value, negated }) => field === 'spec.nodeName' && value === nodeName && !negated,
    );
  } catch {
    // A selector nobody understands selects nothing; the verb will say what is wrong with it to those who may list.
    return false;
  }
}
