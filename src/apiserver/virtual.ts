/**
 * Questions asked by POST and answered at once, never stored: reviews and token requests. Each answers one resource (or subresource), and is called
 * with what the client sent, decoded and of the right types.
 */
import { parse as parseYaml } from 'yaml';
import { apiVersionOf, type Kind } from '../api/kind.ts';
import { decodeObject } from '../machinery/decode.ts';
import { ApiError, badRequest, unsupportedMediaType } from '../machinery/errors.ts';
import type { KubeObject } from '../machinery/object.ts';
import type { NowOrLater } from './now-or-later.ts';
import type { Answer, Call } from './request.ts';

/** `group/resource` or `group/resource/subresource`, and who answers it. */
export type VirtualResources = ReadonlyMap<string, (call: Call) => NowOrLater<Answer>>;

/** What a virtual resource's body is. */
export type BodyKind<T extends KubeObject> = Pick<Kind<T>, 'group' | 'version' | 'kind' | 'schema' | 'defaults'>;

/** The decoded body of a call. Throws a 400 for one that is missing, malformed, of another kind or with values of wrong types. */
export function decodeBody<T extends KubeObject>(call: Call, kind: BodyKind<T>): T {
  const value = parseBody(call);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw badRequest(`the body of the request is not a ${kind.kind} object`);
  const claimed = value as { kind?: unknown; apiVersion?: unknown };
  const apiVersion = apiVersionOf(kind);
  if ((claimed.kind !== undefined && claimed.kind !== kind.kind) || (claimed.apiVersion !== undefined && claimed.apiVersion !== apiVersion)) {
    throw badRequest(
      `${String(claimed.kind)} in version "${String(claimed.apiVersion)}" cannot be handled as a ${kind.kind}: the API version in the data (${String(claimed.apiVersion)}) does not match the expected API version (${apiVersion})`,
    );
  }
  const { object, typeErrors } = decodeObject(value, kind.schema);
  if (typeErrors.length > 0)
    throw badRequest(`${kind.kind} in version "${kind.version}" cannot be handled as a ${kind.kind}: ${typeErrors.join(', ')}`);
  const metadata = typeof object['metadata'] === 'object' && object['metadata'] !== null ? object['metadata'] : {};
  // Decoding by the kind's schema is what makes it a T.
  return { ...object, kind: kind.kind, apiVersion, metadata } as T;
}

function parseBody({ body, contentType }: Call): unknown {
  if (body === undefined) throw badRequest('the request has no body');
  if (!(body instanceof Uint8Array)) return body;
  if (contentType !== 'application/json' && contentType !== 'application/yaml' && contentType !== '') {
    throw unsupportedMediaType(['application/json', 'application/yaml', 'application/vnd.kubernetes.protobuf']);
  }
  const text = Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8');
  try {
    return contentType === 'application/yaml' ? parseYaml(text) : JSON.parse(text);
  } catch (error) {
    throw error instanceof ApiError
      ? error
      : badRequest(`the body of the request cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
}
