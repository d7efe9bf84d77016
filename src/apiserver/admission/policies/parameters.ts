/** The objects a policy is given as `params`, as its bindings name or select them. */
import { apiVersionOf, type Kind } from '../../../api/kind.ts';
import type { V1ParamKind, V1ParamRef } from '../../../api/types.ts';
import type { KubeObject } from '../../../machinery/object.ts';
import { selectorOf } from '../../../machinery/selector.ts';
import type { Registry } from '../../registry/registry.ts';

/** A policy or a binding that cannot be put to use as it is. */
export class ConfigurationError extends Error {}

/** One evaluation for each; `null` where there are no parameters to give. Throws a {@link ConfigurationError}. */
export function parametersOf(
  registry: Registry,
  paramKind: V1ParamKind | undefined,
  paramRef: V1ParamRef | undefined,
  namespace: string | undefined,
): readonly (KubeObject | null)[] {
  if (paramKind === undefined) return [null];
  const kind = kindOf(registry, paramKind);
  if (kind === undefined) {
    throw new ConfigurationError(`failed to find resource referenced by paramKind: '${paramKind.apiVersion ?? ''}, Kind=${paramKind.kind ?? ''}'`);
  }
  if (paramRef === undefined) return [null];
  const found = select(registry, kind, paramRef, namespaceOf(kind, paramRef, namespace));
  if (found.length > 0 || paramRef.parameterNotFoundAction !== 'Deny') return found;
  throw new ConfigurationError('no params found for policy binding with `Deny` parameterNotFoundAction');
}

function kindOf(registry: Registry, { apiVersion, kind }: V1ParamKind): Kind | undefined {
  return registry.kinds().find((candidate) => candidate.kind === kind && apiVersionOf(candidate) === apiVersion && !candidate.virtual);
}

/** Where the reference names none, it is the namespace of what is written. */
function namespaceOf(kind: Kind, { namespace: named }: V1ParamRef, written: string | undefined): string | undefined {
  if (!kind.namespaced) {
    if ((named ?? '') !== '') throw new ConfigurationError('paramRef.namespace must not be provided for a cluster-scoped `paramKind`');
    return undefined;
  }
  const namespace = (named ?? '') === '' ? written : named;
  if (namespace === undefined) throw new ConfigurationError('cannot use namespaced paramRef in policy binding that matches cluster-scoped resources');
  return namespace;
}

function select(registry: Registry, kind: Kind, { name, selector }: V1ParamRef, namespace: string | undefined): readonly KubeObject[] {
  if ((name ?? '') !== '') {
    const object = registry.get(kind, namespace, name ?? '');
    return object ? [object] : [];
  }
  const wanted = selectorOf(selector);
  return registry.list(kind, namespace).filter(({ metadata }) => wanted.matches(metadata.labels));
}
