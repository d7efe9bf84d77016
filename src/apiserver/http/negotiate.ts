/**
 * Content negotiation: which of the forms the server can write the `Accept` header asks for. Upstream's forms are `Table` and
 * `PartialObjectMetadata(List)` besides the object itself, in JSON, YAML or protobuf. Tables are never protobuf, and custom resources have only their metadata in
 * it: such clauses are passed over in favour of what else the client takes.
 * See https://kubernetes.io/docs/reference/using-api/api-concepts/#alternate-representations-of-resources
 */
import { notAcceptable } from '../../machinery/errors.ts';

export type Format = 'json' | 'yaml' | 'protobuf';

export interface Accepted {
  readonly format: Format;
  readonly as: 'object' | 'table' | 'metadata' | 'metadata-list';
  /** Of `meta.k8s.io`, for tables and metadata. */
  readonly metaVersion: 'v1' | 'v1beta1';
  readonly pretty: boolean;
}

/** One clause of an Accept header, parsed. */
export interface MediaRange {
  readonly type: string;
  readonly parameters: Readonly<Record<string, string>>;
  readonly quality: number;
}

const plainJson: Accepted = { format: 'json', as: 'object', metaVersion: 'v1', pretty: false };
const prettyJson: Accepted = { ...plainJson, pretty: true };

/** What is to be written. */
export interface Writable {
  /** Whether the object itself may be written in protobuf. */
  readonly protobuf: boolean;
  /** A stream of events, for which YAML has no form. */
  readonly stream: boolean;
}

const json = 'application/json';
const yaml = 'application/yaml';
export const protobufMediaType = 'application/vnd.kubernetes.protobuf';

const cacheBound = 256;
/** By what can be written. */
const seen = [0, 1, 2, 3].map(() => new Map<string, Accepted | undefined>());

/** Throws a 406 when nothing the client takes can be written. */
export function negotiate(accept: string | undefined, writable: Writable): Accepted {
  if (accept === undefined || accept === '*/*' || accept === json || accept === '') return plainJson;
  const known = seen[(writable.protobuf ? 1 : 0) + (writable.stream ? 2 : 0)] ?? new Map<string, Accepted | undefined>();
  if (!known.has(accept)) {
    if (known.size >= cacheBound) known.clear();
    known.set(accept, choose(parseAccept(accept), writable));
  }
  const accepted = known.get(accept);
  if (accepted === undefined) throw notAcceptable(mediaTypes(writable));
  return accepted;
}

function mediaTypes({ protobuf, stream }: Writable): string[] {
  return [json, ...(stream ? [] : [yaml]), ...(protobuf ? [protobufMediaType] : [])];
}

export function contentTypeOf(format: Format): string {
  return format === 'json' ? json : format === 'yaml' ? yaml : protobufMediaType;
}

/** The same form, indented for people: `?pretty=true`, or a terminal tool or browser asking without saying. */
export function prettyFor(accepted: Accepted, queryText: string, userAgent: string): Accepted {
  if (accepted.format !== 'json') return accepted;
  if (queryText.includes('pretty')) {
    const value = new URLSearchParams(queryText).get('pretty');
    if (value !== null && value !== '') return value === 'false' || value === '0' ? { ...accepted, pretty: false } : { ...accepted, pretty: true };
  }
  const forPeople = userAgent.startsWith('curl') || userAgent.startsWith('Wget') || userAgent.startsWith('Mozilla/5.0');
  if (!forPeople) return accepted;
  return accepted === plainJson ? prettyJson : { ...accepted, pretty: true };
}

/** The clauses of an Accept header, best first. */
export function parseAccept(accept: string): MediaRange[] {
  const ranges: MediaRange[] = [];
  for (const clause of accept.split(',')) {
    const [type = '', ...rest] = clause.split(';');
    const parameters: Record<string, string> = {};
    for (const parameter of rest) {
      const equals = parameter.indexOf('=');
      if (equals > 0) parameters[parameter.slice(0, equals).trim().toLowerCase()] = parameter.slice(equals + 1).trim();
    }
    const quality = parameters['q'] === undefined ? 1 : Number(parameters['q']);
    if (type.trim() !== '' && quality > 0) ranges.push({ type: type.trim().toLowerCase(), parameters, quality });
  }
  return ranges.sort((a, b) => b.quality - a.quality || generality(a.type) - generality(b.type));
}

/** What is named precisely is wanted more than what a `*` allows. */
function generality(type: string): number {
  return type.startsWith('*') ? 2 : type.endsWith('*') ? 1 : 0;
}

function choose(ranges: readonly MediaRange[], writable: Writable): Accepted | undefined {
  for (const { type, parameters } of ranges) {
    const format = formatOf(type);
    if (format === undefined || (format === 'yaml' && writable.stream)) continue;
    const pretty = parameters['pretty'] === '1' || parameters['pretty'] === 'true';
    const asked = parameters['as'];
    if (asked === undefined) {
      if (format === 'protobuf' && !writable.protobuf) continue;
      return { format, as: 'object', metaVersion: 'v1', pretty };
    }
    const as = forms[asked];
    const version = parameters['v'];
    if (as === undefined || parameters['g'] !== 'meta.k8s.io' || (version !== 'v1' && version !== 'v1beta1')) continue;
    if (as === 'table' && format === 'protobuf') continue;
    return { format, as, metaVersion: version, pretty };
  }
  return undefined;
}

const forms: Readonly<Record<string, Accepted['as'] | undefined>> = {
  Table: 'table',
  PartialObjectMetadata: 'metadata',
  PartialObjectMetadataList: 'metadata-list',
};

function formatOf(type: string): Format | undefined {
  if (type === json || type === '*/*' || type === 'application/*') return 'json';
  return type === yaml ? 'yaml' : type === protobufMediaType ? 'protobuf' : undefined;
}
