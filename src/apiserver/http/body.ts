/** Request bodies before the verbs see them: protobuf becomes the value it stands for; everything else is the verbs' to parse. */
import { ApiError, badRequest, unsupportedMediaType } from '../../machinery/errors.ts';
import type { ObjectSchema } from '../../machinery/schema.ts';
import { builtInName, metaV1, schemaNamed } from '../named-types.ts';
import { type Envelope, readEnvelope, readObject } from '../protobuf/decode.ts';
import { ProtobufError } from '../protobuf/wire.ts';
import type { Call } from '../request.ts';
import { protobufMediaType } from './negotiate.ts';

/** Throws a 400 for protobuf that cannot be read, and a 415 for types that have none. */
export function bodyOf(body: Uint8Array | undefined, contentType: string): Pick<Call, 'body' | 'contentType'> {
  if (contentType !== protobufMediaType) return { body, contentType };
  return { body: body === undefined ? undefined : fromProtobuf(body), contentType: 'application/json' };
}

function fromProtobuf(body: Uint8Array): object {
  try {
    const envelope = readEnvelope(body);
    return readObject(envelope, schemaOf(envelope));
  } catch (error) {
    if (error instanceof ApiError) throw error;
    if (error instanceof ProtobufError) throw badRequest(`the object provided is unrecognized: ${error.message}`);
    throw error;
  }
}

function schemaOf({ apiVersion, kind }: Envelope): ObjectSchema {
  const slash = apiVersion.indexOf('/');
  const group = slash < 0 ? '' : apiVersion.slice(0, slash);
  // Options of requests travel under the group of the object they are about.
  const schema = schemaNamed(kind.endsWith('Options') ? `${metaV1}.${kind}` : builtInName(group, apiVersion.slice(slash + 1), kind));
  if (schema === undefined) throw unsupportedMediaType(['application/json', 'application/yaml', protobufMediaType]);
  return schema;
}
