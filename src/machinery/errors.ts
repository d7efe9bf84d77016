/**
 * The closed list of errors that cross the API: one constructor for each reason, each a `Status` on the wire. Messages read as upstream words
 * them, because clients match on them. See https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/
 */
import type { FieldError } from './field-error.ts';

export type Reason =
  | 'BadRequest'
  | 'Unauthorized'
  | 'Forbidden'
  | 'NotFound'
  | 'AlreadyExists'
  | 'Conflict'
  | 'Gone'
  | 'Expired'
  | 'Invalid'
  | 'ServerTimeout'
  | 'Timeout'
  | 'TooManyRequests'
  | 'MethodNotAllowed'
  | 'NotAcceptable'
  | 'RequestEntityTooLarge'
  | 'UnsupportedMediaType'
  | 'InternalError'
  | 'ServiceUnavailable';

const codes: Readonly<Record<Reason, number>> = {
  BadRequest: 400,
  Unauthorized: 401,
  Forbidden: 403,
  NotFound: 404,
  AlreadyExists: 409,
  Conflict: 409,
  Gone: 410,
  Expired: 410,
  Invalid: 422,
  ServerTimeout: 500,
  Timeout: 504,
  TooManyRequests: 429,
  MethodNotAllowed: 405,
  NotAcceptable: 406,
  RequestEntityTooLarge: 413,
  UnsupportedMediaType: 415,
  InternalError: 500,
  ServiceUnavailable: 503,
};

export interface StatusCause {
  reason?: string;
  message?: string;
  field?: string;
}

export interface StatusDetails {
  name?: string;
  group?: string;
  kind?: string;
  uid?: string;
  causes?: StatusCause[];
  retryAfterSeconds?: number;
}

/** `kind: Status`, the body of every error answer and of a delete that left nothing. */
export interface Status {
  kind: 'Status';
  apiVersion: 'v1';
  /** Of a list that cannot be continued as it was: how to go on nevertheless. */
  metadata: { continue?: string };
  status: 'Success' | 'Failure';
  message?: string;
  reason?: Reason | '';
  details?: StatusDetails;
  code?: number;
}

/** What an error is about: a resource of a group, as in `deployments.apps`. */
export interface GroupResource {
  readonly group: string;
  readonly resource: string;
}

/** What a validation error is about: a kind of a group, as in `Deployment.apps`. */
export interface GroupKind {
  readonly group: string;
  readonly kind: string;
}

export class ApiError extends Error {
  readonly reason: Reason;
  readonly code: number;
  readonly details: StatusDetails | undefined;

  constructor(reason: Reason, message: string, details?: StatusDetails, code?: number) {
    super(message);
    this.name = 'ApiError';
    this.reason = reason;
    this.code = code ?? codes[reason];
    this.details = details;
  }

  toStatus(): Status {
    return {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message: this.message,
      reason: this.reason,
      ...(this.details && { details: this.details }),
      code: this.code,
    };
  }
}

/** The error a `Status` body stands for, on the client's side. */
export function errorFromStatus(status: Partial<Status>, httpCode: number): ApiError {
  const known = status.reason !== undefined && status.reason !== '' && status.reason in codes ? status.reason : reasonOfCode(httpCode);
  return new ApiError(known, status.message ?? `the server answered ${httpCode}`, status.details, status.code ?? httpCode);
}

function reasonOfCode(code: number): Reason {
  for (const [reason, value] of Object.entries(codes)) if (value === code && reason !== 'Gone' && reason !== 'ServerTimeout') return reason as Reason;
  return code >= 500 ? 'InternalError' : 'BadRequest';
}

/** True when `error` is an {@link ApiError} with one of these reasons. */
export function isReason(error: unknown, ...reasons: readonly Reason[]): error is ApiError {
  return error instanceof ApiError && reasons.includes(error.reason);
}

export function qualifiedResource({ group, resource }: GroupResource): string {
  return group === '' ? resource : `${resource}.${group}`;
}

function qualifiedKind({ group, kind }: GroupKind): string {
  return group === '' ? kind : `${kind}.${group}`;
}

function about({ group, resource }: GroupResource, name: string): StatusDetails {
  return { ...(name !== '' && { name }), ...(group !== '' && { group }), kind: resource };
}

export function badRequest(message: string): ApiError {
  return new ApiError('BadRequest', message);
}

export function unauthorized(message = 'Unauthorized'): ApiError {
  return new ApiError('Unauthorized', message);
}

export function forbidden(resource: GroupResource, name: string, why: string): ApiError {
  const subject =
    resource.resource === '' ? `forbidden: ${why}` : `${qualifiedResource(resource)}${name === '' ? '' : ` "${name}"`} is forbidden: ${why}`;
  return new ApiError('Forbidden', subject, about(resource, name));
}

export function notFound(resource: GroupResource, name: string): ApiError {
  return new ApiError('NotFound', `${qualifiedResource(resource)} "${name}" not found`, about(resource, name));
}

/** No such path or resource type at all. */
export function notFoundPath(): ApiError {
  return new ApiError('NotFound', 'the server could not find the requested resource', {});
}

export function alreadyExists(resource: GroupResource, name: string): ApiError {
  return new ApiError('AlreadyExists', `${qualifiedResource(resource)} "${name}" already exists`, about(resource, name));
}

export const staleObject = 'the object has been modified; please apply your changes to the latest version and try again';

export function conflict(resource: GroupResource, name: string, why: string = staleObject): ApiError {
  return new ApiError('Conflict', `Operation cannot be fulfilled on ${qualifiedResource(resource)} "${name}": ${why}`, about(resource, name));
}

/** Server-side apply found fields that other managers own. */
export function applyConflict(message: string, causes: StatusCause[]): ApiError {
  return new ApiError('Conflict', message, { causes });
}

/** The requested revision is no longer in the store: list again. */
export function expired(message: string): ApiError {
  return new ApiError('Expired', message);
}

/** A page of a list whose version is gone, with a token that goes on with what is there now. */
export class ExpiredPage extends ApiError {
  readonly #continueToken: string;

  constructor(message: string, continueToken: string) {
    super('Expired', message);
    this.#continueToken = continueToken;
  }

  override toStatus(): Status {
    return { ...super.toStatus(), metadata: { continue: this.#continueToken } };
  }
}

export function invalid(kind: GroupKind, name: string, errors: readonly FieldError[]): ApiError {
  const words = errors.map((error) => error.toString());
  const list = words.length === 1 ? words[0] : `[${words.join(', ')}]`;
  return new ApiError('Invalid', `${qualifiedKind(kind)} "${name}" is invalid: ${list}`, {
    ...(name !== '' && { name }),
    ...(kind.group !== '' && { group: kind.group }),
    kind: kind.kind,
    causes: errors.map((error) => ({ reason: error.reason, message: error.detail(), field: error.field })),
  });
}

export function methodNotAllowed(resource: GroupResource, verb: string): ApiError {
  return new ApiError('MethodNotAllowed', `${verb} is not supported on resources of kind "${qualifiedResource(resource)}"`, about(resource, ''));
}

export function notAcceptable(supported: readonly string[]): ApiError {
  return new ApiError('NotAcceptable', `only the following media types are accepted: ${supported.join(', ')}`);
}

export function unsupportedMediaType(supported: readonly string[]): ApiError {
  return new ApiError(
    'UnsupportedMediaType',
    `the body of the request was in an unknown format - accepted media types include: ${supported.join(', ')}`,
  );
}

export function entityTooLarge(limitBytes: number): ApiError {
  return new ApiError('RequestEntityTooLarge', `Request entity too large: limit is ${limitBytes}`);
}

export function tooManyRequests(message: string, retryAfterSeconds: number, causes?: StatusCause[]): ApiError {
  return new ApiError('TooManyRequests', message, { ...(causes && { causes }), retryAfterSeconds });
}

export function timeout(message: string): ApiError {
  return new ApiError('Timeout', message);
}

export function serviceUnavailable(message: string): ApiError {
  return new ApiError('ServiceUnavailable', message);
}

export function internalError(message: string): ApiError {
  return new ApiError('InternalError', `Internal error occurred: ${message}`, { causes: [{ message }] });
}
