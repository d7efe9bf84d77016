/**
 * Who belongs to a controller: what it owns and its selector still matches is kept, what it owns but no longer matches is released, and what no one
 * controls but matches is adopted. Upstream's `ControllerRefManager`.
 */
import type { Kind } from '../api/kind.ts';
import type { Client } from '../client/client.ts';
import { isReason, notFound } from '../machinery/errors.ts';
import { type KubeObject, controllerOf } from '../machinery/object.ts';
import type { Selector } from '../machinery/selector.ts';
import { orNone } from './merge.ts';
import { controllerReference } from './pods.ts';

export interface Claim<T extends KubeObject> {
  /** Owned and matching. */
  readonly keep: readonly T[];
  readonly adopt: readonly T[];
  readonly release: readonly T[];
}

export function decideClaim<T extends KubeObject>(
  owner: KubeObject,
  selector: Selector,
  candidates: readonly T[],
  mayAdopt: (object: T) => boolean = () => true,
): Claim<T> {
  const keep: T[] = [];
  const adopt: T[] = [];
  const release: T[] = [];
  const leaving = owner.metadata.deletionTimestamp !== undefined;
  for (const object of candidates) {
    const controller = controllerOf(object);
    const matches = selector.matches(object.metadata.labels);
    if (controller) {
      if (controller.uid !== owner.metadata.uid) continue;
      if (matches) keep.push(object);
      else if (!leaving) release.push(object);
    } else if (matches && !leaving && object.metadata.deletionTimestamp === undefined && mayAdopt(object)) {
      adopt.push(object);
    }
  }
  return { keep, adopt, release };
}

/** Writes the claim down, and answers what is owned now. What is adopted gets the finalizer, if one is named; what is released loses it. The owner is read live before the first adoption: a stale one must not adopt. */
export async function carryOutClaim<O extends KubeObject, T extends KubeObject>(
  client: Client,
  ownerKind: Kind<O>,
  owner: O,
  kind: Kind<T>,
  claim: Claim<T>,
  finalizer?: string,
): Promise<readonly T[]> {
  if (claim.adopt.length === 0 && claim.release.length === 0) return claim.keep;
  const namespace = owner.metadata.namespace ?? '';
  const objects = client.resource(kind).namespace(namespace);
  await Promise.all(
    claim.release.map((object) =>
      objects
        .patch(object.metadata.name, {
          metadata: {
            uid: object.metadata.uid,
            resourceVersion: object.metadata.resourceVersion,
            ownerReferences: orNone((object.metadata.ownerReferences ?? []).filter((reference) => reference.uid !== owner.metadata.uid)),
            ...(finalizer !== undefined && { finalizers: orNone((object.metadata.finalizers ?? []).filter((other) => other !== finalizer)) }),
          },
        })
        .then(() => undefined, ignoreGone),
    ),
  );
  if (claim.adopt.length === 0) return claim.keep;

  const live = await client.resource(ownerKind).namespace(namespace).get(owner.metadata.name);
  if (live.metadata.uid !== owner.metadata.uid) throw notFound(ownerKind, owner.metadata.name);
  if (live.metadata.deletionTimestamp !== undefined) return claim.keep;
  const adopted = await Promise.all(
    claim.adopt.map((object) =>
      objects
        .patch(object.metadata.name, {
          metadata: {
            uid: object.metadata.uid,
            resourceVersion: object.metadata.resourceVersion,
            ownerReferences: [...(object.metadata.ownerReferences ?? []), controllerReference(owner)],
            ...(finalizer !== undefined && { finalizers: [...new Set([...(object.metadata.finalizers ?? []), finalizer])] }),
          },
        })
        .catch(ignoreGone),
    ),
  );
  return [...claim.keep, ...adopted.filter((object) => object !== undefined)];
}

/** An object that is gone or no longer the one seen needs nothing more: its own event says so next. */
function ignoreGone(error: unknown): undefined {
  if (isReason(error, 'NotFound', 'Invalid')) return undefined;
  throw error;
}
