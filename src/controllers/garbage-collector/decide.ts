/** What becomes of an object, given what became of its owners: a pure function. Upstream's `attemptToDeleteItem`. */
import type { KubeObject } from '../../machinery/object.ts';
import { foregroundFinalizer, isLeaving, orphanFinalizer, orphansDependents, waitsForDependents } from './graph.ts';

/** `waiting`: there, but in foreground deletion, waiting for this object among others. `unknown`: cannot be looked up, so it counts as there. */
export type OwnerState = 'there' | 'absent' | 'waiting' | 'unknown';

export interface Facts {
  /** Read live, just now. */
  readonly object: KubeObject;
  readonly owners: ReadonlyMap<string, OwnerState>;
  readonly dependents: readonly KubeObject[];
}

export type Action =
  | { readonly type: 'keep' }
  /** Some owners are gone, another is there: the object stays with that one. */
  | { readonly type: 'drop-owners'; readonly uids: readonly string[] }
  | { readonly type: 'delete'; readonly policy: 'Orphan' | 'Background' | 'Foreground'; readonly unblock: boolean }
  /** In foreground deletion: these are to go first. */
  | { readonly type: 'await-dependents'; readonly dependents: readonly KubeObject[] }
  | { readonly type: 'orphan-dependents'; readonly dependents: readonly KubeObject[] }
  | { readonly type: 'drop-finalizer'; readonly finalizer: string };

export function decide({ object, owners, dependents }: Facts): Action {
  if (orphansDependents(object)) {
    return dependents.length > 0 ? { type: 'orphan-dependents', dependents } : { type: 'drop-finalizer', finalizer: orphanFinalizer };
  }
  if (waitsForDependents(object)) {
    // What owns itself does not wait for itself.
    const blocking = dependents.filter((dependent) => dependent.metadata.uid !== object.metadata.uid && blocks(dependent, object));
    return blocking.length > 0 ? { type: 'await-dependents', dependents: blocking } : { type: 'drop-finalizer', finalizer: foregroundFinalizer };
  }
  if (isLeaving(object) || owners.size === 0) return { type: 'keep' };

  const uids = [...owners.keys()];
  const isThere = (uid: string): boolean => owners.get(uid) === 'there' || owners.get(uid) === 'unknown';
  if (uids.some(isThere)) {
    const gone = uids.filter((uid) => !isThere(uid));
    return gone.length === 0 ? { type: 'keep' } : { type: 'drop-owners', uids: gone };
  }
  if (uids.some((uid) => owners.get(uid) === 'waiting') && dependents.length > 0) {
    // A circle would wait for itself: this object stops blocking its owner.
    return { type: 'delete', policy: 'Foreground', unblock: dependents.some(waitsForDependents) };
  }
  return { type: 'delete', policy: policyOf(object), unblock: false };
}

function blocks(dependent: KubeObject, owner: KubeObject): boolean {
  return (
    dependent.metadata.ownerReferences?.some(({ uid, blockOwnerDeletion }) => uid === owner.metadata.uid && blockOwnerDeletion === true) === true
  );
}

/** Finalizers already on the object say how it is to go. */
function policyOf({ metadata }: KubeObject): 'Orphan' | 'Background' | 'Foreground' {
  if (metadata.finalizers?.includes(orphanFinalizer)) return 'Orphan';
  return metadata.finalizers?.includes(foregroundFinalizer) ? 'Foreground' : 'Background';
}
