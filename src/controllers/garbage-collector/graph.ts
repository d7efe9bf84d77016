/** Who owns whom, across all kinds: what the caches show, by UID, and from every owner to its dependents. Upstream's `graph_builder`. */
import type { Kind } from '../../api/kind.ts';
import type { KubeObject, OwnerReference } from '../../machinery/object.ts';

export interface Vertex {
  readonly kind: Kind;
  readonly object: KubeObject;
}

export class OwnerGraph {
  private readonly vertices = new Map<string, Vertex>();
  private readonly dependents = new Map<string, Set<string>>();

  get(uid: string): Vertex | undefined {
    return this.vertices.get(uid);
  }

  /** Adds the object, or moves its edges to where its owner references point now. */
  put(kind: Kind, object: KubeObject): void {
    const { uid } = object.metadata;
    const old = this.vertices.get(uid)?.object.metadata.ownerReferences;
    const owners = object.metadata.ownerReferences;
    this.vertices.set(uid, { kind, object });
    // By what they say: whether an object shares its references with the one before it depends on what the collector has taken meanwhile, and moved edges would
    // change the order in which dependents go.
    if (sameOwners(old, owners)) return;
    for (const owner of old ?? []) this.cut(owner.uid, uid);
    for (const owner of owners ?? []) {
      const known = this.dependents.get(owner.uid);
      if (known) known.add(uid);
      else this.dependents.set(owner.uid, new Set([uid]));
    }
  }

  remove(uid: string): void {
    const vertex = this.vertices.get(uid);
    if (!vertex) return;
    this.vertices.delete(uid);
    for (const owner of vertex.object.metadata.ownerReferences ?? []) this.cut(owner.uid, uid);
  }

  dependentsOf(uid: string): readonly Vertex[] {
    const uids = this.dependents.get(uid);
    return uids ? [...uids].flatMap((dependent) => this.vertices.get(dependent) ?? []) : [];
  }

  private cut(owner: string, dependent: string): void {
    const known = this.dependents.get(owner);
    known?.delete(dependent);
    if (known?.size === 0) this.dependents.delete(owner);
  }
}

export function sameOwners(some: readonly OwnerReference[] = [], others: readonly OwnerReference[] = []): boolean {
  if (some === others) return true;
  return some.length === others.length && some.every(({ uid }, index) => uid === others[index]?.uid);
}

export const foregroundFinalizer = 'foregroundDeletion';
export const orphanFinalizer = 'orphan';

export function isLeaving({ metadata }: KubeObject): boolean {
  return metadata.deletionTimestamp !== undefined;
}

/** Waits, in foreground deletion, for its dependents to go first. */
export function waitsForDependents(object: KubeObject): boolean {
  return isLeaving(object) && object.metadata.finalizers?.includes(foregroundFinalizer) === true;
}

/** Is to let go of its dependents before it goes. */
export function orphansDependents(object: KubeObject): boolean {
  return isLeaving(object) && object.metadata.finalizers?.includes(orphanFinalizer) === true;
}

/** Whether what was found under the UID is what the reference names: same kind, name, and namespace unless cluster-scoped. */
export function isNamedBy({ kind, object }: Vertex, reference: OwnerReference, namespace: string | undefined): boolean {
  return (
    kind.kind === reference.kind &&
    kind.group === groupOf(reference.apiVersion) &&
    object.metadata.name === reference.name &&
    (!kind.namespaced || object.metadata.namespace === namespace)
  );
}

export function groupOf(apiVersion: string): string {
  const slash = apiVersion.indexOf('/');
  return slash < 0 ? '' : apiVersion.slice(0, slash);
}
