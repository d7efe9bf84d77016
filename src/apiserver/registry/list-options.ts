/** The query of list and watch requests, checked: upstream's `ListOptions`. */
import { badRequest, invalid } from '../../machinery/errors.ts';
import { type FieldError, forbiddenField, notSupported } from '../../machinery/field-error.ts';

export interface ListOptions {
  /** Undefined for "the newest" (absent or empty). */
  readonly revision: number | undefined;
  readonly match: 'Exact' | 'NotOlderThan' | undefined;
  /** 0 for no limit. */
  readonly limit: number;
  readonly continueToken: string;
  readonly bookmarks: boolean;
  readonly sendInitialEvents: boolean | undefined;
  readonly timeoutSeconds: number | undefined;
}

export function listOptionsOf(query: URLSearchParams, forWatch: boolean): ListOptions {
  const options: ListOptions = {
    revision: parseRevision(query.get('resourceVersion') ?? ''),
    match: parseMatch(query.get('resourceVersionMatch') ?? ''),
    limit: parseInteger(query.get('limit')) ?? 0,
    continueToken: query.get('continue') ?? '',
    bookmarks: parseBoolean(query.get('allowWatchBookmarks')) ?? false,
    sendInitialEvents: parseBoolean(query.get('sendInitialEvents')),
    timeoutSeconds: parseInteger(query.get('timeoutSeconds')),
  };
  const errors = forWatch ? watchErrors(options) : listErrors(options);
  if (errors.length > 0) throw listOptionsError(errors);
  // The token says the version.
  if (!forWatch && options.continueToken !== '' && (options.revision ?? 0) !== 0)
    throw badRequest('specifying resource version is not allowed when using continue');
  return options;
}

function listErrors({ match, revision, continueToken, sendInitialEvents }: ListOptions): FieldError[] {
  const errors: FieldError[] = [];
  if (sendInitialEvents !== undefined) errors.push(forbiddenField('sendInitialEvents', 'sendInitialEvents is forbidden for list'));
  if (match === undefined) return errors;
  if (continueToken !== '') errors.push(forbiddenField('resourceVersionMatch', 'resourceVersionMatch is forbidden when continue is provided'));
  else if (revision === undefined)
    errors.push(forbiddenField('resourceVersionMatch', 'resourceVersionMatch is forbidden unless resourceVersion is provided'));
  else if (match === 'Exact' && revision === 0)
    errors.push(forbiddenField('resourceVersionMatch', 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'));
  return errors;
}

function watchErrors({ match, sendInitialEvents }: ListOptions): FieldError[] {
  const errors: FieldError[] = [];
  if (sendInitialEvents === undefined) {
    if (match !== undefined)
      errors.push(forbiddenField('resourceVersionMatch', 'resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided'));
  } else if (match === undefined) {
    errors.push(forbiddenField('resourceVersionMatch', 'sendInitialEvents requires setting resourceVersionMatch to NotOlderThan'));
  } else if (match !== 'NotOlderThan') errors.push(notSupported('resourceVersionMatch', match, ['NotOlderThan']));
  return errors;
}

function listOptionsError(errors: readonly FieldError[]): Error {
  return invalid({ group: 'meta.k8s.io', kind: 'ListOptions' }, '', errors);
}

/** A resource version as a revision; `''` is undefined. */
export function parseRevision(text: string): number | undefined {
  if (text === '') return undefined;
  const value = wholeNumber(text);
  if (value === undefined)
    throw badRequest(`resourceVersion: Invalid value: ${JSON.stringify(text)}: strconv.ParseUint: parsing ${JSON.stringify(text)}: invalid syntax`);
  return value;
}

function parseMatch(text: string): ListOptions['match'] {
  if (text === '' || text === 'Exact' || text === 'NotOlderThan') return text === '' ? undefined : text;
  throw listOptionsError([notSupported('resourceVersionMatch', text, ['Exact', 'NotOlderThan', ''])]);
}

export function parseInteger(text: string | null): number | undefined {
  if (text === null || text === '') return undefined;
  const negative = text.startsWith('-');
  const value = wholeNumber(negative ? text.slice(1) : text);
  if (value === undefined) throw badRequest(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
  return negative ? -value : value;
}

/** As upstream's query conversion: anything but `false` and `0` is true, an empty value too. */
export function parseBoolean(text: string | null): boolean | undefined {
  if (text === null) return undefined;
  return text !== 'false' && text !== '0';
}

function wholeNumber(text: string): number | undefined {
  if (text.length === 0 || text.length > 15) return undefined;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 48 || code > 57) return undefined;
  }
  return Number(text);
}
