/** Where objects live in the store: `/registry/<group or core>/<resource>/[<namespace>/]<name>`, as upstream lays out etcd. */
import type { Kind } from '../../api/kind.ts';

/** Everything the API server keeps lies below this. */
export const registryPrefix = '/registry/';

/** All objects of a kind. */
export function kindPrefix(kind: Pick<Kind, 'group' | 'resource'>): string {
  return `${registryPrefix}${kind.group === '' ? 'core' : kind.group}/${kind.resource}/`;
}

/** The kind's prefix a key lies below; undefined for a key of another form. */
export function prefixOfKey(key: string): string | undefined {
  const group = key.indexOf('/', registryPrefix.length);
  const resource = group < 0 ? -1 : key.indexOf('/', group + 1);
  return resource < 0 ? undefined : key.slice(0, resource + 1);
}

/** `namespace/name`, or `name` for a cluster-scoped object: what follows the kind's prefix. */
export function objectPath(namespace: string | undefined, name: string): string {
  return namespace === undefined ? name : `${namespace}/${name}`;
}
