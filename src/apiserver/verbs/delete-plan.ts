/**
 * What deleting an object comes to, decided from the object and the options alone: gone at once, marked and left to its finalizers or to the kubelet, or
 * nothing new. Upstream's `rest.BeforeDelete` and `deletionFinalizersForGarbageCollection`.
 */
import type { Kind } from '../../api/kind.ts';
import { equal } from '../../machinery/equal.ts';
import { timestamp } from '../../world/world.ts';
import type { AnyObject } from '../registry/decoding.ts';
import { isHeldBySpec } from './change.ts';
import type { DeleteOptions } from './delete-options.ts';

export type DeletePlan =
  | { readonly action: 'remove' }
  /** Store this instead: the object marked as being deleted. */
  | { readonly action: 'mark'; readonly object: AnyObject }
  /** It is being deleted already, and this request changes nothing. */
  | { readonly action: 'none' };

const orphan = 'orphan';
const foreground = 'foregroundDeletion';

/** Kinds whose dependents stay when nobody says what is to become of them. Upstream's `DefaultGarbageCollectionPolicy`. */
const orphaning: ReadonlySet<string> = new Set(['/replicationcontrollers', 'batch/jobs']);

export function isOrphaning({ group, resource }: Kind): boolean {
  return orphaning.has(`${group}/${resource}`);
}

export function planDelete(
  kind: Kind,
  object: AnyObject,
  options: Pick<DeleteOptions, 'gracePeriodSeconds' | 'propagationPolicy'>,
  nowMs: number,
): DeletePlan {
  const { metadata } = object;
  const cleanup = metadata.deletionTimestamp === undefined ? (kind.deletionFinalizers ?? []) : [];
  const present = [...new Set([...(metadata.finalizers ?? []), ...cleanup])];
  const finalizers = finalizersFor(present, options.propagationPolicy ?? defaultPolicy(kind, present));
  const grace = gracePeriod(kind, object, options.gracePeriodSeconds);
  const held = finalizers.length > 0 || isHeldBySpec(object);

  if (metadata.deletionTimestamp === undefined) {
    if (grace === 0 && !held) return { action: 'remove' };
    return { action: 'mark', object: marked(object, finalizers, grace, nowMs + grace * 1000) };
  }
  const running = metadata.deletionGracePeriodSeconds ?? 0;
  if (grace === 0 && !held) return { action: 'remove' };
  // A deletion under way can be hurried, never slowed down.
  const shorter = options.gracePeriodSeconds !== undefined && grace < running;
  if (!shorter)
    return equal(finalizers, metadata.finalizers ?? []) ? { action: 'none' } : { action: 'mark', object: withFinalizers(object, finalizers) };
  const startMs = Date.parse(metadata.deletionTimestamp) - running * 1000;
  return { action: 'mark', object: marked(object, finalizers, grace, startMs + grace * 1000) };
}

/** Seconds until the object goes; a delete without a period of its own keeps the one that is running. */
function gracePeriod(kind: Kind, object: AnyObject, asked: number | undefined): number {
  const byKind = kind.gracefulDeletion?.(object);
  if (byKind === undefined || byKind === 0) return 0;
  const { deletionTimestamp, deletionGracePeriodSeconds } = object.metadata;
  if (asked === undefined) return deletionTimestamp === undefined ? byKind : (deletionGracePeriodSeconds ?? 0);
  return asked;
}

/** What was decided before, and is there as a finalizer, counts before what the kind is used to. */
function defaultPolicy(kind: Kind, finalizers: readonly string[]): DeleteOptions['propagationPolicy'] {
  if (finalizers.includes(orphan) || finalizers.includes(foreground)) return undefined;
  return isOrphaning(kind) ? 'Orphan' : undefined;
}

/** The finalizers by which the garbage collector learns what is to happen to dependents. Without a policy those there stay. */
function finalizersFor(finalizers: readonly string[], policy: DeleteOptions['propagationPolicy']): string[] {
  if (policy === undefined) return [...finalizers];
  const others = finalizers.filter((name) => name !== orphan && name !== foreground);
  if (policy === 'Orphan') return [...others, orphan];
  return policy === 'Foreground' ? [...others, foreground] : others;
}

function marked(object: AnyObject, finalizers: readonly string[], grace: number, deletionMs: number): AnyObject {
  const { generation } = object.metadata;
  const result = withFinalizers(object, finalizers);
  Object.assign(result.metadata, { deletionTimestamp: timestamp(deletionMs), deletionGracePeriodSeconds: grace });
  // Whoever acts on the object sees by its generation that something is to be done.
  if (generation !== undefined && generation > 0) result.metadata.generation = generation + 1;
  if (object.kind === 'Namespace' && object.apiVersion === 'v1') {
    delete result.metadata.deletionGracePeriodSeconds;
    result['status'] = { ...(object['status'] as object | undefined), phase: 'Terminating' };
  }
  return result;
}

function withFinalizers(object: AnyObject, finalizers: readonly string[]): AnyObject {
  const metadata = { ...object.metadata };
  if (finalizers.length === 0) delete metadata.finalizers;
  else metadata.finalizers = [...finalizers];
  return { ...object, metadata };
}
