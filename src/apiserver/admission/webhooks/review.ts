/** AdmissionReview (admission.k8s.io/v1): the question as a webhook is asked, and its answer, checked. */
import { ApiError, type Reason, type Status } from '../../../machinery/errors.ts';
import type { AdmissionRequest } from '../admission.ts';
import type { Webhook } from './webhook.ts';

export interface ReviewAnswer {
  readonly allowed: boolean;
  readonly status: Partial<Status> | undefined;
  /** A JSON patch; undefined for none. */
  readonly patch: unknown;
  readonly warnings: readonly string[];
  readonly auditAnnotations: Readonly<Record<string, string>>;
}

const optionKinds: Readonly<Record<string, string>> = { CREATE: 'CreateOptions', UPDATE: 'UpdateOptions', DELETE: 'DeleteOptions' };

export function reviewOf(request: AdmissionRequest, uid: string): object {
  return { kind: 'AdmissionReview', apiVersion: 'admission.k8s.io/v1', request: reviewRequestOf(request, uid) };
}

/** The write as a webhook is told of it. */
export function reviewRequestOf(request: AdmissionRequest, uid: string): object {
  const { kind, subresource, name, namespace, operation, user, oldObject, dryRun } = request;
  const object: Partial<Record<'apiVersion' | 'kind', unknown>> | undefined = request.connection ?? request.object;
  const typed = object ?? oldObject;
  const [version = '', group = ''] = text(typed?.apiVersion).split('/').toReversed();
  const objectKind = { group, version, kind: text(typed?.kind ?? kind.kind) };
  const resource = { group, version, resource: kind.resource };
  const optionsKind = optionKinds[operation];
  return {
    uid,
    kind: objectKind,
    resource,
    ...(subresource !== '' && { subResource: subresource, requestSubResource: subresource }),
    requestKind: request.connection === undefined ? { group: kind.group, version: kind.version, kind: kind.kind } : objectKind,
    requestResource: { group: kind.group, version: kind.version, resource: kind.resource },
    ...(name !== '' && { name }),
    ...(namespace !== undefined && { namespace }),
    operation,
    userInfo: {
      username: user.name,
      ...(user.uid !== '' && { uid: user.uid }),
      groups: user.groups,
      ...(Object.keys(user.extra).length > 0 && { extra: user.extra }),
    },
    object: object ?? null,
    oldObject: oldObject ?? null,
    dryRun,
    options: optionsKind === undefined ? null : { kind: optionsKind, apiVersion: 'meta.k8s.io/v1', ...(dryRun && { dryRun: ['All'] }) },
  };
}

/** Throws an `Error` saying what is wrong with an answer that is none. */
export function answerOf(body: unknown, uid: string): ReviewAnswer {
  const review = fieldsOf(body);
  if (review === undefined) throw new Error('the answer is not an object');
  if (review['kind'] !== 'AdmissionReview' || review['apiVersion'] !== 'admission.k8s.io/v1') {
    const found = `${text(review['apiVersion'])}, Kind=${text(review['kind'])}`;
    throw new Error(`expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got ${found}`);
  }
  const response = fieldsOf(review['response']);
  if (response === undefined) throw new Error('webhook response was absent');
  if (response['uid'] !== uid) throw new Error(`expected response.uid=${JSON.stringify(uid)}, got ${JSON.stringify(response['uid'] ?? '')}`);
  const { allowed, status, patch, patchType, warnings, auditAnnotations } = response;
  return {
    allowed: allowed === true,
    status: fieldsOf(status),
    patch: decodePatch(patch, patchType),
    warnings: Array.isArray(warnings) ? warnings.map(text) : [],
    auditAnnotations: Object.fromEntries(Object.entries(fieldsOf(auditAnnotations) ?? {}).map(([key, value]) => [key, text(value)])),
  };
}

function decodePatch(patch: unknown, patchType: unknown): unknown {
  if (patch === undefined || patch === null || patch === '') {
    if (patchType !== undefined && patchType !== null) throw new Error('webhook returned response.patchType but not response.patch');
    return undefined;
  }
  if (patchType === undefined || patchType === null) throw new Error('webhook returned response.patch but not response.patchType');
  if (patchType !== 'JSONPatch') throw new Error(`webhook returned invalid response.patchType of ${JSON.stringify(patchType)}`);
  if (typeof patch !== 'string') throw new Error('webhook returned response.patch that is not base64');
  return JSON.parse(Buffer.from(patch, 'base64').toString('utf8'));
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Readonly<Record<string, unknown>>) : undefined;
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** A refusal, with the reason the webhook gave: often none at all, which the client is to see, too. */
class Denial extends ApiError {
  readonly #given: Reason | '';

  constructor(message: string, given: Reason | '', code: number, details: Status['details']) {
    super(code === 403 ? 'Forbidden' : 'BadRequest', message, details, code);
    this.#given = given;
  }

  override toStatus(): Status {
    return { ...super.toStatus(), reason: this.#given };
  }
}

export function denial({ name }: Webhook, { status }: ReviewAnswer): ApiError {
  const { message = '', reason = '', code = 0, details } = status ?? {};
  const words = `admission webhook ${JSON.stringify(name)} denied the request`;
  const why = message !== '' ? `: ${message}` : reason !== '' ? `: ${reason}` : ' without explanation';
  return new Denial(words + why, reason, code < 400 ? 400 : code, details);
}
