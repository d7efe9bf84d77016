/**
 * Answers in protobuf: objects, lists, metadata only, and frames of watches. An object's message is made when someone first asks for it and then shared by
 * GET, LIST and all watchers, as its JSON is; how much is kept so is bounded.
 */
import type { Kind } from '../../api/kind.ts';
import type { ObjectSchema } from '../../machinery/schema.ts';
import type { KubeObject } from '../../machinery/object.ts';
import { ApiError } from '../../machinery/errors.ts';
import { builtInName, metaV1, schemaNamed } from '../named-types.ts';
import type { EncodedWatchEvent, ListAnswer } from '../request.ts';
import { encodeMessage, hasProtobufForm, watchEventMessage, wrap, wrapList } from './encode.ts';

/** Whether the kind's objects can be written in protobuf: those of custom resources cannot. */
export function servesProtobuf({ custom, schema }: Pick<Kind, 'custom' | 'schema'>): boolean {
  return custom === undefined && hasProtobufForm(schema);
}

/** A value that says what it is: an object, a `Status`. */
interface Typed {
  readonly apiVersion: string;
  readonly kind: string;
}

/** Messages of objects take up to twice this. */
const keptBytes = 32 * 1024 * 1024;

/** Two generations: what is asked for again moves into the younger, and the older is dropped when that is full. */
let young = new WeakMap<object, Buffer>();
let old = new WeakMap<object, Buffer>();
let youngBytes = 0;

function messageOfObject(object: KubeObject, schema: ObjectSchema): Buffer {
  const known = young.get(object);
  if (known !== undefined) return known;
  const message = old.get(object) ?? encodeMessage(object, schema);
  keep(object, message);
  return message;
}

function keep(object: object, message: Buffer): void {
  if (youngBytes + message.length > keptBytes) {
    old = young;
    young = new WeakMap();
    youngBytes = 0;
  }
  young.set(object, message);
  youngBytes += message.length;
}

export function objectInProtobuf(object: KubeObject, schema: ObjectSchema): Buffer {
  return wrap(object.apiVersion, object.kind, messageOfObject(object, schema));
}

/** The bytes of a list are kept as long as the verbs hand out the same items, unless they are many. */
const lists = new WeakMap<ListAnswer['items'], { readonly resourceVersion: string; readonly bytes: Buffer }>();
const longestKeptList = 8 * 1024 * 1024;

export function listInProtobuf(answer: ListAnswer, schema: ObjectSchema): Buffer {
  const { apiVersion, kind, metadata, items } = answer;
  const known = metadata.continue === undefined ? lists.get(items) : undefined;
  if (known !== undefined && known.resourceVersion === metadata.resourceVersion) return known.bytes;
  const messages = items.map(({ object }) => messageOfObject(object, schema));
  const bytes = wrapList(apiVersion, kind, encodeMessage(metadata, metaSchema('ListMeta')), messages);
  if (metadata.continue === undefined && bytes.length <= longestKeptList) lists.set(items, { resourceVersion: metadata.resourceVersion, bytes });
  return bytes;
}

type MetaVersion = 'v1' | 'v1beta1';

export function metadataInProtobuf(object: KubeObject, version: MetaVersion): Buffer {
  return wrap(`meta.k8s.io/${version}`, 'PartialObjectMetadata', metadataMessage(object));
}

export function metadataListInProtobuf({ metadata, items }: ListAnswer, version: MetaVersion): Buffer {
  const messages = items.map(({ object }) => metadataMessage(object));
  return wrapList(`meta.k8s.io/${version}`, 'PartialObjectMetadataList', encodeMessage(metadata, metaSchema('ListMeta')), messages);
}

function metadataMessage({ metadata }: KubeObject): Buffer {
  return encodeMessage({ metadata }, partialObject);
}

/** Whatever else answers consist of: a `Status`, a review, a scale. Throws a 406 for what has no protobuf form. */
export function valueInProtobuf(value: object): Buffer {
  const { apiVersion, kind } = value as Partial<Typed>;
  const schema = apiVersion === undefined || kind === undefined ? undefined : schemaOfType({ apiVersion, kind });
  if (apiVersion === undefined || kind === undefined || schema === undefined || !hasProtobufForm(schema)) {
    const name = kind === undefined ? 'it' : kind;
    throw new ApiError('NotAcceptable', `${name} does not implement the protobuf marshalling interface and cannot be encoded to a protobuf message`);
  }
  return wrap(apiVersion, kind, encodeMessage(value, schema));
}

function schemaOfType({ apiVersion, kind }: Typed): ObjectSchema | undefined {
  if (kind === 'Status') return schemaNamed(`${metaV1}.Status`);
  const slash = apiVersion.indexOf('/');
  return schemaNamed(builtInName(slash < 0 ? '' : apiVersion.slice(0, slash), apiVersion.slice(slash + 1), kind));
}

function metaSchema(name: string): ObjectSchema {
  const schema = schemaNamed(`${metaV1}.${name}`);
  if (schema === undefined) throw new Error(`the model has no ${name}`);
  return schema;
}

/** `PartialObjectMetadata` is no type of the published model. Its message is like that of any object that has nothing but metadata. */
const partialObject: ObjectSchema = {
  type: 'object',
  name: 'meta.v1.PartialObjectMetadata',
  get properties() {
    return { metadata: { schema: metaSchema('ObjectMeta'), required: false, patchStrategy: [] } };
  },
  mapType: 'granular',
  preserveUnknown: false,
};

const frames = new WeakMap<EncodedWatchEvent, Buffer>();

/** A watch event about a whole object, in the frame that streams have: the same bytes for all who watch it. */
export function eventInProtobuf(event: EncodedWatchEvent, schema: ObjectSchema): Buffer {
  let known = frames.get(event);
  if (known === undefined) {
    known = lengthDelimited(watchEventMessage(event.type, objectInProtobuf(event.object, schema)));
    frames.set(event, known);
  }
  return known;
}

export function metadataEventInProtobuf({ type, object }: EncodedWatchEvent, version: MetaVersion): Buffer {
  return lengthDelimited(watchEventMessage(type, metadataInProtobuf(object, version)));
}

export function errorEventInProtobuf(status: object): Buffer {
  return lengthDelimited(watchEventMessage('ERROR', valueInProtobuf(status)));
}

/** How long the length before a message is. */
export const frameHeadBytes = 4;

function lengthDelimited(message: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(frameHeadBytes + message.length);
  frame.writeUInt32BE(message.length, 0);
  frame.set(message, frameHeadBytes);
  return frame;
}
