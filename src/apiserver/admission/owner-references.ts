/**
 * OwnerReferencesPermissionEnforcement (off unless asked for): giving an object an owner lets the garbage collector delete it, and blocking the owner's
 * deletion holds that up: both need the rights to do so by hand.
 */
import { equal } from '../../machinery/equal.ts';
import { forbidden } from '../../machinery/errors.ts';
import type { OwnerReference } from '../../machinery/object.ts';
import type { Registry } from '../registry/registry.ts';
import type { AdmissionPlugin, AdmissionRequest } from './admission.ts';
import { type AuthorizerSource, may } from './permission.ts';

export function ownerReferencesPermissionEnforcement(registry: Registry, authorizer: AuthorizerSource): AdmissionPlugin {
  return {
    name: 'OwnerReferencesPermissionEnforcement',
    async validate(request) {
      if (!request.object || request.subresource === 'status') return;
      const [owners, before] = [request.object.metadata.ownerReferences ?? [], request.oldObject?.metadata.ownerReferences ?? []];
      if (equal(owners, before)) return;
      const { group, resource } = request.resource;
      const target = { group, resource, namespace: request.namespace ?? '', name: request.name };
      if (request.operation === 'UPDATE' && !(await may(authorizer, request.user, { ...target, verb: 'delete' }))) {
        throw forbidden(request.resource, request.name, "cannot set an ownerRef on a resource you can't delete: , <nil>");
      }
      const known = new Set(before.filter(blocks).map(({ uid }) => uid));
      for (const owner of owners) if (blocks(owner) && !known.has(owner.uid)) await requireFinalizers(registry, authorizer, request, owner);
    },
  };
}

function blocks(owner: OwnerReference): boolean {
  return owner.blockOwnerDeletion === true;
}

async function requireFinalizers(registry: Registry, authorizer: AuthorizerSource, request: AdmissionRequest, owner: OwnerReference): Promise<void> {
  const slash = owner.apiVersion.indexOf('/');
  const group = slash < 0 ? '' : owner.apiVersion.slice(0, slash);
  const refuse = (why: string): Error => forbidden(request.resource, request.name, `cannot set blockOwnerDeletion ${why}`);
  const kind = registry.kinds().find((candidate) => candidate.group === group && candidate.kind === owner.kind);
  if (!kind) throw refuse(`in this case because cannot find RESTMapping for APIVersion ${owner.apiVersion} Kind ${owner.kind}`);
  const permission = {
    verb: 'update',
    group,
    resource: kind.resource,
    subresource: 'finalizers',
    name: owner.name,
    namespace: kind.namespaced ? (request.namespace ?? '') : '',
  };
  if (!(await may(authorizer, request.user, permission))) {
    throw refuse("if an ownerReference refers to a resource you can't set finalizers on: , <nil>");
  }
}
