/** Fills in what most kinds have in common, so that a plain kind's declaration says only what is its own. */
import type { KubeObject } from '../machinery/object.ts';
import { allVerbs, type Kind, type ScalePaths, type Subresource } from './kind.ts';
import { nameAndAge } from './columns.ts';
import { schemaOf } from './schemas.ts';
import { fillZeroValues } from './zero-values.ts';

type Own = 'kind' | 'resource';
type Derived = 'schema' | 'singular';

/** `model` is the generated interface's name. Everything left out is as for a plain namespaced kind of version v1 without status. */
export type KindDeclaration<T extends KubeObject> = Pick<Kind<T>, Own> & Partial<Omit<Kind<T>, Own | Derived>> & { readonly model: string };

export function defineKind<T extends KubeObject>({ model, ...declaration }: KindDeclaration<T>): Kind<T> {
  return {
    group: '',
    version: 'v1',
    singular: declaration.kind.toLowerCase(),
    shortNames: [],
    categories: [],
    namespaced: true,
    verbs: allVerbs,
    subresources: {},
    nameRule: 'dns-subdomain',
    generation: false,
    selectableFields: {},
    columns: nameAndAge,
    ...('status' in (declaration.subresources ?? {}) && { prepareForCreate: withoutStatus }),
    ...declaration,
    get schema() {
      return schemaOf(model);
    },
    defaults(object) {
      for (const part of partsOf(model)) if (!(part in object)) Object.assign(object, { [part]: {} });
      fillZeroValues(object, schemaOf(model));
      declaration.defaults?.(object);
    },
  };
}

/** A new object starts without status: the client that creates it is not the one that observes it. */
function withoutStatus(object: KubeObject): void {
  Object.assign(object, { status: {} });
}

/** Which of `spec` and `status` the model has: on the wire they are never absent, if only empty. */
function partsOf(model: string): readonly string[] {
  const known = parts.get(model);
  if (known !== undefined) return known;
  const { properties } = schemaOf(model);
  const found = ['spec', 'status'].filter((part) => properties[part]?.schema.type === 'object');
  parts.set(model, found);
  return found;
}

const parts = new Map<string, readonly string[]>();

/** `status`, read and written like the object itself. */
export const statusSubresource: Subresource = { verbs: ['get', 'patch', 'update'] };

/** `scale`, the same for every scalable kind. */
export const scaleSubresource: Subresource = { verbs: ['get', 'patch', 'update'], body: { group: 'autoscaling', version: 'v1', kind: 'Scale' } };

/** A kind nobody stores: a question that create answers. */
export const virtualKind = { virtual: true, verbs: ['create'], columns: [], nameRule: 'dns-subdomain' } as const;

/** `proxy`, to the HTTP server behind the object, with any method. */
export function proxySubresource(options: string): Subresource {
  return { verbs: ['create', 'delete', 'get', 'patch', 'update'], body: { group: '', version: 'v1', kind: options } };
}

/** Where workloads keep what their Scale shows. */
export const workloadScale: ScalePaths = { specReplicas: 'spec.replicas', statusReplicas: 'status.replicas', selector: 'spec.selector' };
