/**
 * NodeRestriction: a kubelet touches its own Node, Lease, CSINode and pods, and nothing else; it gives itself no labels that steer pods, no taints, and no
 * owner (by whose absence the garbage collector would delete the node for it, CVE-2025-5187).
 * https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#noderestriction
 */
import { CSINode, Lease, Node, PersistentVolumeClaim, Pod, ResourceSlice } from '../../api/kinds.ts';
import type { V1BoundObjectReference, V1PersistentVolumeClaim, V1PodSpec } from '../../api/types.ts';
import { clone } from '../../machinery/clone.ts';
import { equal } from '../../machinery/equal.ts';
import { forbidden, notFound } from '../../machinery/errors.ts';
import { nodeNameOf } from '../authorization/node.ts';
import type { User } from '../request.ts';
import type { ObjectReader } from '../verbs.ts';
import type { Registry } from '../registry/registry.ts';
import { type AdmissionPlugin, type AdmissionRequest, concernsOnly } from './admission.ts';
import { forbiddenNodeLabels } from './node-labels.ts';

const mirrorAnnotation = 'kubernetes.io/config.mirror';

interface NodeRequest extends AdmissionRequest {
  readonly nodeName: string;
}

export function nodeRestriction(registry: Registry): AdmissionPlugin {
  const checks: Readonly<Record<string, (request: NodeRequest) => void>> = {
    '/pods': (request) => checkPod(registry, request),
    '/nodes': checkNode,
    '/persistentvolumeclaims': checkClaim,
    'coordination.k8s.io/leases': checkLease,
    'storage.k8s.io/csinodes': checkCsiNode,
    'resource.k8s.io/resourceslices': checkResourceSlice,
  };
  return {
    name: 'NodeRestriction',
    concerns: concernsOnly(Pod, Node, PersistentVolumeClaim, Lease, CSINode, ResourceSlice),
    admit(request) {
      const nodeName = nodeNameOf(request.user);
      if (nodeName !== undefined) checks[`${request.kind.group}/${request.kind.resource}`]?.({ ...request, nodeName });
    },
  };
}

function refuse(request: AdmissionRequest, why: string): never {
  throw forbidden(request.resource, request.name, why);
}

function checkPod(registry: Registry, request: NodeRequest): void {
  const { nodeName, operation, subresource } = request;
  const pod = request.object as Pod | undefined;
  const old = request.oldObject as Pod | undefined;
  const node = JSON.stringify(nodeName);
  switch (subresource) {
    case '':
      if (operation === 'CREATE' && pod) checkNewPod(registry, request, pod);
      else if (operation === 'DELETE') {
        if (old?.spec.nodeName !== nodeName) refuse(request, `node ${node} can only delete pods with spec.nodeName set to itself`);
      } else refuse(request, `unexpected operation ${JSON.stringify(operation)}, node ${node} can only create and delete mirror pods`);
      return;
    case 'status':
      if (old?.spec.nodeName !== nodeName) refuse(request, `node ${node} can only update pod status for pods with spec.nodeName set to itself`);
      if (!equal(pod?.metadata.labels, old.metadata.labels)) refuse(request, `node ${node} cannot update labels through pod status`);
      return;
    case 'eviction':
      if (old !== undefined && old.spec.nodeName !== nodeName)
        refuse(request, `node ${nodeName} can only evict pods with spec.nodeName set to itself`);
      return;
    default:
      refuse(request, `unexpected pod subresource ${JSON.stringify(subresource)}, only 'status' and 'eviction' are allowed`);
  }
}

/** A node makes mirror pods only: of pods it runs from files, which the API may show but not feed with secrets. */
function checkNewPod(registry: Registry, request: NodeRequest, { metadata, spec }: Pod): void {
  const { nodeName } = request;
  const node = JSON.stringify(nodeName);
  const only = `node ${node} can only create pods with`;
  if (metadata.annotations?.[mirrorAnnotation] === undefined) {
    refuse(request, `pod does not have ${JSON.stringify(mirrorAnnotation)} annotation, node ${node} can only create mirror pods`);
  }
  if (spec.nodeName !== nodeName) refuse(request, `${only} spec.nodeName set to itself`);
  const owners = metadata.ownerReferences ?? [];
  if (owners.length > 1) refuse(request, `${only} a single owner reference set to itself`);
  const [owner] = owners;
  if (!owner || owner.apiVersion !== 'v1' || owner.kind !== 'Node' || owner.name !== nodeName) {
    refuse(request, `${only} an owner reference set to itself`);
  }
  if (owner.controller !== true) refuse(request, `${only} a controller owner reference set to itself`);
  if (owner.blockOwnerDeletion === true) refuse(request, `node ${node} must not set blockOwnerDeletion on an owner reference`);
  const self = registry.get(Node, undefined, nodeName);
  if (!self) throw notFound(Node, nodeName);
  if (owner.uid !== self.metadata.uid) refuse(request, `node ${nodeName} UID mismatch: expected ${owner.uid} got ${self.metadata.uid}`);
  const referred = referredTo(spec);
  if (referred !== undefined) refuse(request, `node ${node} can not create pods that reference ${referred}`);
}

/** The first of the other objects a pod refers to, in upstream's words. */
function referredTo(spec: V1PodSpec): string | undefined {
  if (spec.serviceAccountName) return 'a service account';
  const containers = [...spec.containers, ...(spec.initContainers ?? [])];
  const volumes = spec.volumes ?? [];
  const sources = volumes.flatMap(({ projected }) => projected?.sources ?? []);
  const refersTo = (of: 'secret' | 'configMap'): boolean =>
    volumes.some((volume) => volume[of] !== undefined) ||
    sources.some((source) => source[of] !== undefined) ||
    containers.some(
      ({ env, envFrom }) =>
        env?.some(({ valueFrom }) => valueFrom?.[`${of}KeyRef`] !== undefined) || envFrom?.some((from) => from[`${of}Ref`] !== undefined),
    );
  if (refersTo('secret') || (spec.imagePullSecrets?.length ?? 0) > 0) return 'secrets';
  if (refersTo('configMap')) return 'configmaps';
  if ((spec.resourceClaims?.length ?? 0) > 0) return 'resourceclaims';
  if (sources.some(({ clusterTrustBundle }) => clusterTrustBundle !== undefined)) return 'clustertrustbundles';
  return volumes.some(({ persistentVolumeClaim }) => persistentVolumeClaim !== undefined) ? 'persistentvolumeclaims' : undefined;
}

function checkNode(request: NodeRequest): void {
  const { nodeName, operation } = request;
  const node = request.object as Node | undefined;
  const old = request.oldObject as Node | undefined;
  const requested = request.name === '' ? (node?.metadata.name ?? '') : request.name;
  const who = `node ${JSON.stringify(nodeName)} is not allowed to`;
  if (requested !== nodeName) refuse(request, `${who} modify node ${JSON.stringify(requested)}`);
  if (!node) return;
  const forbiddenLabels = forbiddenNodeLabels(node.metadata.labels, old?.metadata.labels);
  if (operation === 'CREATE') {
    if (forbiddenLabels.length > 0) refuse(request, `${who} set the following labels: ${forbiddenLabels.join(', ')}`);
    if (node.metadata.ownerReferences?.length) refuse(request, `${who} set ownerReferences`);
    return;
  }
  if (!equal(node.spec.taints, old?.spec.taints)) refuse(request, `${who} modify taints`);
  if (forbiddenLabels.length > 0) refuse(request, `${who} modify labels: ${forbiddenLabels.join(', ')}`);
  if (!equal(node.metadata.ownerReferences, old?.metadata.ownerReferences)) refuse(request, `${who} modify ownerReferences`);
}

/** While it grows a volume's file system a kubelet writes the claim's sizes and conditions. */
function checkClaim(request: NodeRequest): void {
  const { nodeName, operation, subresource } = request;
  if (subresource !== 'status') refuse(request, `may only update PVC status`);
  if (operation !== 'UPDATE') refuse(request, `unexpected operation ${JSON.stringify(operation)}`);
  if (equal(withoutSizes(request.object), withoutSizes(request.oldObject))) return;
  refuse(request, `node ${JSON.stringify(nodeName)} is not allowed to update fields other than status.quantity and status.conditions`);
}

function withoutSizes(object: AdmissionRequest['object']): unknown {
  if (!object) return undefined;
  const copy = clone(object) as typeof object & V1PersistentVolumeClaim;
  const { capacity: _capacity, conditions: _conditions, allocatedResources: _sizes, allocatedResourceStatuses: _states, ...rest } = copy.status ?? {};
  const { resourceVersion: _version, managedFields: _fields, ...metadata } = copy.metadata;
  return { ...copy, metadata, status: rest };
}

function checkLease(request: NodeRequest): void {
  if (request.namespace !== 'kube-node-lease') refuse(request, 'can only access leases in the "kube-node-lease" system namespace');
  if (nameIn(request) !== request.nodeName) refuse(request, 'can only access node lease with the same name as the requesting node');
}

function checkCsiNode(request: NodeRequest): void {
  if (nameIn(request) !== request.nodeName) refuse(request, 'can only access CSINode with the same name as the requesting node');
}

function checkResourceSlice(request: NodeRequest): void {
  const slice = (request.object ?? request.oldObject) as ResourceSlice | undefined;
  if (slice?.spec.nodeName === request.nodeName) return;
  const done = request.operation === 'CREATE' ? 'create' : request.operation === 'UPDATE' ? 'update' : 'delete';
  refuse(request, `can only ${done} ResourceSlice with the same NodeName as the requesting node`);
}

function nameIn({ name, object }: AdmissionRequest): string {
  return name === '' ? (object?.metadata.name ?? '') : name;
}

/** A kubelet gets tokens for the accounts of pods that run on it, bound to those pods. Token requests are not stored, so they do not come by the plugin. */
export function checkNodeToken(
  user: User,
  account: { readonly namespace: string; readonly name: string },
  reference: V1BoundObjectReference | undefined,
  objects: ObjectReader,
): void {
  const nodeName = nodeNameOf(user);
  if (nodeName === undefined) return;
  const denied = (why: string): Error => forbidden({ group: '', resource: 'serviceaccounts' }, account.name, why);
  if (reference?.kind !== 'Pod' || reference.apiVersion !== 'v1' || !reference.name) throw denied('node requested token not bound to a pod');
  if (!reference.uid) throw denied('node requested token with a pod binding without a uid');
  const pod = objects.get(Pod, account.namespace, reference.name);
  if (!pod) throw notFound(Pod, reference.name);
  if (pod.metadata.uid !== reference.uid) {
    const why = `the UID in the bound object reference (${reference.uid}) does not match the UID in record. The object might have been deleted and then recreated`;
    throw denied(why);
  }
  if (pod.spec.nodeName !== nodeName) throw denied('node requested token bound to a pod scheduled on a different node');
}
