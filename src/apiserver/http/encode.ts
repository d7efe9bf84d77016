/** Answers as bytes, in the form negotiated. Plain JSON goes out as the verbs made it; everything else is made from the object. */
import { stringify as stringifyYaml } from 'yaml';
import type { Kind } from '../../api/kind.ts';
import { ApiError } from '../../machinery/errors.ts';
import { listInProtobuf, metadataInProtobuf, metadataListInProtobuf, objectInProtobuf, valueInProtobuf } from '../protobuf/answers.ts';
import { includeObjectOf, metadataOnly, tableOf } from '../table.ts';
import type { Answer, ListAnswer, ObjectAnswer } from '../request.ts';
import { listBytes, type Unjoined } from './list-bytes.ts';
import type { Accepted } from './negotiate.ts';

export type WholeAnswer = Exclude<Answer, { type: 'watch' }>;

export interface EncodeContext {
  readonly accepted: Accepted;
  /** What the path is about; undefined for none. */
  readonly kind: Kind | undefined;
  readonly query: URLSearchParams;
  readonly nowMs: number;
}

export function encodeAnswer(answer: WholeAnswer, context: EncodeContext): Uint8Array | Unjoined {
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
  const isOfKind = kind !== undefined && (kind.virtual !== true || kind.verbs.includes('get')) && object.kind === kind.kind;
  const table = (columns: Kind['columns']): Uint8Array => {
    const options = { includeObject: includeObjectOf(query), version: metaVersion, nowMs };
    return encodeValue(tableOf({ columns }, [object], { resourceVersion: object.metadata.resourceVersion }, options), accepted);
  };
  if (as === 'table' && answer.columns !== undefined) return table(answer.columns);
  if (as === 'object' || !isOfKind) {
    if (format === 'json' && !accepted.pretty && answer.bytes !== undefined) return answer.bytes;
    return format === 'protobuf' && isOfKind ? objectInProtobuf(object, kind.schema) : encodeValue(object, accepted);
  }
  if (as === 'metadata-list') throw notThisForm(`you requested PartialObjectMetadataList, but the requested object is not a list (${object.kind})`);
  if (as === 'metadata') {
    return format === 'protobuf' ? metadataInProtobuf(object, metaVersion) : encodeValue(metadataOnly(object, metaVersion), accepted);
  }
  return table(kind.columns);
}

function encodeList(answer: ListAnswer, { accepted, kind, query, nowMs }: EncodeContext): Uint8Array | Unjoined {
  const { format, as, metaVersion } = accepted;
  if (as === 'object' || kind === undefined) {
    if (format === 'protobuf' && kind !== undefined) return listInProtobuf(answer, kind.schema);
    return format === 'json' && !accepted.pretty ? listBytes(answer) : encodeValue(wholeList(answer), accepted);
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
