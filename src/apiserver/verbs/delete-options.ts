/** How to delete: `DeleteOptions` in the body, or the same in the query when there is no body. */
import { badRequest, invalid } from '../../machinery/errors.ts';
import { type FieldError, forbiddenField, invalidValue, notSupported } from '../../machinery/field-error.ts';
import { parseYamlBody, textOf } from '../registry/decoding.ts';
import { parseBoolean, parseInteger } from '../registry/list-options.ts';
import type { Call } from '../request.ts';
import { dryRunErrors } from './write-options.ts';

export type PropagationPolicy = 'Orphan' | 'Background' | 'Foreground';

export interface DeleteOptions {
  readonly gracePeriodSeconds: number | undefined;
  readonly propagationPolicy: PropagationPolicy | undefined;
  /** The client said nothing of dependents. */
  readonly isPolicyOpen: boolean;
  /** The client asked, in the older way, for dependents to go, and is told when the object itself is not gone yet. */
  readonly isCascadeAsked: boolean;
  readonly dryRun: boolean;
  readonly preconditions: { readonly uid: string | undefined; readonly resourceVersion: string | undefined };
}

const policies: readonly PropagationPolicy[] = ['Foreground', 'Background', 'Orphan'];
const readErrorOption = 'ignoreStoreReadErrorWithClusterBreakingPotential';

export function deleteOptionsOf(call: Call): DeleteOptions {
  const body = parseOptionsBody(call);
  return checkDeleteOptions(body ?? queryOptions(call.query));
}

/** A `DeleteOptions` as a client wrote it. */
export function checkDeleteOptions(given: Readonly<Record<string, unknown>>): DeleteOptions {
  const { gracePeriodSeconds, orphanDependents, propagationPolicy, preconditions, dryRun = [] } = given;
  const policy = policies.find((known) => known === propagationPolicy);
  const errors: FieldError[] = [];
  if (propagationPolicy !== undefined && propagationPolicy !== null) {
    if (orphanDependents !== undefined && orphanDependents !== null)
      errors.push(invalidValue('propagationPolicy', propagationPolicy, 'orphanDependents and deletionPropagation cannot be both set'));
    if (!policy) errors.push(notSupported('propagationPolicy', propagationPolicy, [...policies, 'nil']));
  }
  const modes = Array.isArray(dryRun) ? dryRun.map(String) : [String(dryRun)];
  errors.push(...dryRunErrors(modes));
  if (preconditions !== undefined && preconditions !== null && typeof preconditions !== 'object')
    errors.push(forbiddenField('preconditions', 'must be an object'));
  errors.push(...readErrorErrors(given));
  if (errors.length > 0) throw invalid({ group: 'meta.k8s.io', kind: 'DeleteOptions' }, '', errors);
  if (gracePeriodSeconds !== undefined && gracePeriodSeconds !== null && typeof gracePeriodSeconds !== 'number') {
    throw badRequest(`json: cannot unmarshal ${typeof gracePeriodSeconds} into Go struct field DeleteOptions.gracePeriodSeconds of type int64`);
  }
  const { uid, resourceVersion } = (preconditions ?? {}) as { uid?: unknown; resourceVersion?: unknown };
  return {
    // A negative period is as good as none; upstream makes it the shortest.
    gracePeriodSeconds: typeof gracePeriodSeconds === 'number' ? (gracePeriodSeconds < 0 ? 1 : gracePeriodSeconds) : undefined,
    propagationPolicy: policy ?? (orphanDependents === true ? 'Orphan' : orphanDependents === false ? 'Background' : undefined),
    isPolicyOpen: (propagationPolicy ?? undefined) === undefined && (orphanDependents ?? undefined) === undefined,
    isCascadeAsked: orphanDependents === false,
    dryRun: modes.length > 0,
    preconditions: {
      uid: typeof uid === 'string' ? uid : undefined,
      resourceVersion: typeof resourceVersion === 'string' ? resourceVersion : undefined,
    },
  };
}

/**
 * Whoever wants an object deleted that cannot be read can say nothing else about how. Objects here can all be read, and so are deleted as always.
 */
function readErrorErrors(given: Readonly<Record<string, unknown>>): FieldError[] {
  if (given[readErrorOption] !== true) return [];
  const dryRun = given['dryRun'];
  const others = ['propagationPolicy', 'orphanDependents', 'gracePeriodSeconds', 'preconditions'].filter(
    (field) => (given[field] ?? undefined) !== undefined,
  );
  const set = [...(Array.isArray(dryRun) && dryRun.length > 0 ? ['dryRun'] : []), ...others];
  return set.map((field) => invalidValue(readErrorOption, true, `cannot be set together with .${field}`));
}

/** How to delete a collection. */
export function collectionDeleteOptionsOf(call: Call): DeleteOptions {
  const given = parseOptionsBody(call) ?? queryOptions(call.query);
  if (given[readErrorOption] === true) {
    const why = 'is not allowed with DELETECOLLECTION, try again after removing the option';
    throw invalid({ group: 'meta.k8s.io', kind: 'DeleteOptions' }, '', [invalidValue(readErrorOption, true, why)]);
  }
  return checkDeleteOptions(given);
}

function parseOptionsBody({ body, contentType }: Call): Readonly<Record<string, unknown>> | undefined {
  if (body === undefined || (body instanceof Uint8Array && body.length === 0)) return undefined;
  const value: unknown = body instanceof Uint8Array ? parseText(textOf(body), contentType) : body;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw badRequest('the body of a delete must be a DeleteOptions object');
  const { kind } = value as { kind?: unknown };
  if (kind !== undefined && kind !== 'DeleteOptions')
    throw badRequest(`decoded object cannot be converted to DeleteOptions: it is of kind ${JSON.stringify(kind)}`);
  return value as Readonly<Record<string, unknown>>;
}

function parseText(text: string, contentType: string): unknown {
  if (contentType === 'application/yaml') return parseYamlBody(text, 'DeleteOptions');
  try {
    return JSON.parse(text);
  } catch {
    throw badRequest("couldn't get version/kind; json parse error: the body is not a DeleteOptions object");
  }
}

function queryOptions(query: URLSearchParams): Readonly<Record<string, unknown>> {
  return {
    gracePeriodSeconds: parseInteger(query.get('gracePeriodSeconds')),
    propagationPolicy: query.get('propagationPolicy') || undefined,
    orphanDependents: parseBoolean(query.get('orphanDependents')),
    [readErrorOption]: parseBoolean(query.get(readErrorOption)),
    dryRun: query.getAll('dryRun').filter((value) => value !== ''),
  };
}
