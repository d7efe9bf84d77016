/**
 * Content negotiation: which of the forms the server can write the `Accept` header asks for. Upstream's forms are `Table` and
 * `PartialObjectMetadata(List)` besides the object itself, in JSON or YAML. Protobuf is passed over in favour of what else the client takes.
 * See https://kubernetes.io/docs/reference/using-api/api-concepts/#alternate-representations-of-resources
 */
import { notAcceptable } from '../../machinery/errors.ts';

export interface Accepted {
  readonly format: 'json' | 'yaml';
  readonly as: 'object' | 'table' | 'metadata';
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

export const supportedMediaTypes: readonly string[] = ['application/json', 'application/yaml'];

const cacheBound = 256;
const seen = new Map<string, Accepted | undefined>();

/** Throws a 406 when nothing the client takes can be written. */
export function negotiate(accept: string | undefined): Accepted {
  if (accept === undefined || accept === '*/*' || accept === 'application/json' || accept === '') return plainJson;
  if (!seen.has(accept)) {
    if (seen.size >= cacheBound) seen.clear();
    seen.set(accept, choose(parseAccept(accept)));
  }
  const accepted = seen.get(accept);
  if (accepted === undefined) throw notAcceptable(supportedMediaTypes);
  return accepted;
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
  return ranges.sort((a, b) => b.quality - a.quality);
}

function choose(ranges: readonly MediaRange[]): Accepted | undefined {
  for (const { type, parameters } of ranges) {
    const format = formatOf(type);
    if (format === undefined) continue;
    const pretty = parameters['pretty'] === '1' || parameters['pretty'] === 'true';
    const as = parameters['as'];
    if (as === undefined) return { format, as: 'object', metaVersion: 'v1', pretty };
    const version = parameters['v'];
    if (parameters['g'] !== 'meta.k8s.io' || (version !== 'v1' && version !== 'v1beta1')) continue;
    if (as === 'Table') return { format, as: 'table', metaVersion: version, pretty };
    if (as === 'PartialObjectMetadata' || as === 'PartialObjectMetadataList') return { format, as: 'metadata', metaVersion: version, pretty };
  }
  return undefined;
}

function formatOf(type: string): 'json' | 'yaml' | undefined {
  if (type === 'application/json' || type === '*/*' || type === 'application/*') return 'json';
  return type === 'application/yaml' ? 'yaml' : undefined;
}
