/** Answers as bytes, in the form negotiated. Plain JSON goes out as the verbs made it; everything else is made from the object. */
import { stringify as stringifyYaml } from 'yaml';
import type { Kind } from '../../api/kind.ts';
import { ApiError } from '../../machinery/errors.ts';
import { listInProtobuf, metadataInProtobuf, metadataListInProtobuf, objectInProtobuf, valueInProtobuf } from '../protobuf/answers.ts';
import { includeObjectOf, metadataOnly, tableOf } from '../table.ts';
import type { Answer, Encoded, ListAnswer, ObjectAnswer } from '../request.ts';
import type { Accepted } from './negotiate.ts';

export type WholeAnswer = Exclude<Answer, { type: 'watch' }>;

export interface EncodeContext {
  readonly accepted: Accepted;
  /** What the path is about; undefined for none. */
  readonly kind: Kind | undefined;
  readonly query: URLSearchParams;
  readonly nowMs: number;
}

/** The bytes of a list are kept as long as the verbs hand out the same items. */
const lists = new WeakMap<readonly Encoded[], { readonly metadata: string; readonly bytes: Uint8Array }>();

export function encodeAnswer(answer: WholeAnswer, context: EncodeContext): Uint8Array {
  switch (answer.type) {
    case 'object':
      return encodeObject(answer, context);
    case 'list':
      return encodeList(answer, context);
    case 'status':
      return encodeValue(answer.body, context.accepted);
  }
}

export function encodeValue(value: object, { format, pretty }: Accepted): Uint8Array {
  if (format === 'protobuf') return valueInProtobuf(value);
  if (format === 'yaml') return Buffer.from(stringifyYaml(value, { aliasDuplicateObjects: false, lineWidth: 0 }));
  return Buffer.from(pretty ? `${JSON.stringify(value, undefined, 2)}\n` : JSON.stringify(value));
}

function encodeObject(answer: ObjectAnswer, { accepted, kind, query, nowMs }: EncodeContext): Uint8Array {
  const { format, as, metaVersion } = accepted;
  const { object } = answer;
  const isOfKind = kind !== undefined && kind.virtual !== true && object.kind === kind.kind;
  if (as === 'object' || !isOfKind) {
    if (format === 'json' && !accepted.pretty && answer.bytes !== undefined) return answer.bytes;
    return format === 'protobuf' && isOfKind ? objectInProtobuf(object, kind.schema) : encodeValue(object, accepted);
  }
  if (as === 'metadata-list') throw notThisForm(`you requested PartialObjectMetadataList, but the requested object is not a list (${object.kind})`);
  if (as === 'metadata') {
    return format === 'protobuf' ? metadataInProtobuf(object, metaVersion) : encodeValue(metadataOnly(object, metaVersion), accepted);
  }
  const options = { includeObject: includeObjectOf(query), version: metaVersion, nowMs };
  return encodeValue(tableOf(kind, [object], { resourceVersion: object.metadata.resourceVersion }, options), accepted);
}

function encodeList(answer: ListAnswer, { accepted, kind, query, nowMs }: EncodeContext): Uint8Array {
  const { format, as, metaVersion } = accepted;
  if (as === 'object' || kind === undefined) {
    if (format === 'protobuf' && kind !== undefined) return listInProtobuf(answer, kind.schema);
    return format === 'json' && !accepted.pretty ? joinList(answer) : encodeValue(wholeList(answer), accepted);
  }
  if (as === 'metadata') throw notThisForm(`you requested PartialObjectMetadata, but the requested object is a list (${answer.kind})`);
  if (as === 'metadata-list' && format === 'protobuf') return metadataListInProtobuf(answer, metaVersion);
  const objects = answer.items.map((item) => item.object);
  if (as === 'metadata-list') {
    const items = objects.map((object) => metadataOnly(object, metaVersion));
    return encodeValue({ kind: 'PartialObjectMetadataList', apiVersion: `meta.k8s.io/${metaVersion}`, metadata: answer.metadata, items }, accepted);
  }
  const options = { includeObject: includeObjectOf(query), version: metaVersion, nowMs };
  return encodeValue(tableOf(kind, objects, answer.metadata, options), accepted);
}

function notThisForm(message: string): ApiError {
  return new ApiError('NotAcceptable', message);
}

export function wholeList({ kind, apiVersion, metadata, items }: ListAnswer): object {
  return { kind, apiVersion, metadata, items: items.map((item) => item.object) };
}

function joinList(answer: ListAnswer): Uint8Array {
  const metadata = JSON.stringify(answer.metadata);
  const known = lists.get(answer.items);
  if (known !== undefined && known.metadata === metadata) return known.bytes;
  const head = Buffer.from(
    `{"kind":${JSON.stringify(answer.kind)},"apiVersion":${JSON.stringify(answer.apiVersion)},"metadata":${metadata},"items":[`,
  );
  let length = head.length + 2 + Math.max(0, answer.items.length - 1);
  for (const item of answer.items) length += item.bytes.length;
  const bytes = Buffer.allocUnsafeSlow(length);
  bytes.set(head, 0);
  let at = head.length;
  let first = true;
  for (const item of answer.items) {
    if (!first) bytes[at++] = comma;
    first = false;
    bytes.set(item.bytes, at);
    at += item.bytes.length;
  }
  bytes[at++] = closeBracket;
  bytes[at] = closeBrace;
  lists.set(answer.items, { metadata, bytes });
  return bytes;
}

const comma = 0x2c;
const closeBracket = 0x5d;
const closeBrace = 0x7d;
