/** A write as seen in one of its resource's versions: what webhooks and policies are shown, and how what they change finds its way back. */
import { apiVersionOf, type Kind } from '../../api/kind.ts';
import { clone } from '../../machinery/clone.ts';
import { ApiError } from '../../machinery/errors.ts';
import { andThen, type NowOrLater } from '../now-or-later.ts';
import { type AnyObject, bodyTypeOf, decodeAs } from '../registry/decoding.ts';
import type { Registry } from '../registry/registry.ts';
import type { AdmissionRequest } from './admission.ts';

/** What somebody made of an object is no object, or another one. */
export class ContentError extends Error {}

/** The object in the version of `kind`; the object itself when it is so already. Never to be changed. */
export function inVersionOf(registry: Registry, kind: Kind, object: AnyObject): NowOrLater<AnyObject> {
  if (object.apiVersion === apiVersionOf(kind)) return object;
  const [version = '', group = ''] = object.apiVersion.split('/').toReversed();
  const source = registry.served(group, version, kind.resource);
  const target = registry.served(kind.group, kind.version, kind.resource);
  if (!target) return object;
  const stored = source?.converted ? source.converted.conversion.toStored(object) : (source?.toStored?.(object) ?? object);
  return andThen(stored, (value) => {
    if (!target.converted) return (target.fromStored?.(value) ?? value) as AnyObject;
    return andThen(target.converted.conversion.show([value]), ([shown]) => {
      if (shown instanceof ApiError) throw shown;
      return (shown ?? value) as AnyObject;
    });
  });
}

/** The request with its objects in the version of `kind`. */
export function seenIn(registry: Registry, kind: Kind, request: AdmissionRequest): NowOrLater<AdmissionRequest> {
  const { object, oldObject } = request;
  const wanted = apiVersionOf(kind);
  if ((object?.apiVersion ?? wanted) === wanted && (oldObject?.apiVersion ?? wanted) === wanted) return request;
  return andThen(object && inVersionOf(registry, kind, object), (seen) =>
    andThen(oldObject && inVersionOf(registry, kind, oldObject), (old) => ({ ...request, object: seen, oldObject: old })),
  );
}

/**
 * Replaces what is written by what somebody made of it, in whatever version, through decoding and defaults as if a client had sent it. Throws a
 * {@link ContentError}.
 */
export function replaceContent(registry: Registry, request: AdmissionRequest, changed: unknown): NowOrLater<void> {
  const { object } = request;
  if (!object) return undefined;
  const { uid, namespace, resourceVersion } = object.metadata;
  const decoded = decodedAs(registry, request, changed);
  const { metadata } = decoded;
  if (metadata.uid !== uid || metadata.namespace !== namespace || metadata.resourceVersion !== resourceVersion) {
    throw new ContentError('an attempt to change which object is written');
  }
  const [version = '', group = ''] = object.apiVersion.split('/').toReversed();
  const own = registry.served(group, version, request.kind.resource);
  return andThen(own ? inVersionOf(registry, own.kind, decoded) : decoded, (value) => {
    // Parts that were left alone are still the object's own; decoding and patching copy the others.
    const copy = clone(value);
    for (const field of Object.keys(object)) delete object[field];
    Object.assign(object, copy);
    own?.kind.defaults?.(object);
  });
}

function decodedAs(registry: Registry, { kind }: AdmissionRequest, changed: unknown): AnyObject {
  try {
    const { apiVersion = '' } = changed as Partial<AnyObject>;
    const [version = '', group = ''] = apiVersion.split('/').toReversed();
    const served = registry.served(group, version, kind.resource);
    return served ? decodeAs(changed, bodyTypeOf(served), 'Ignore', []) : (changed as AnyObject);
  } catch (error) {
    throw new ContentError(error instanceof Error ? error.message : String(error));
  }
}
