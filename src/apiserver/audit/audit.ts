/**
 * Audit events: who did what, when, and what came of it, at the stages of a request's life (`audit.k8s.io/v1` Event). A server without a policy makes no
 * record at all. See https://kubernetes.io/docs/tasks/debug/debug-cluster/audit/
 */
import { parse as parseYaml } from 'yaml';
import type { ApiError } from '../../machinery/errors.ts';
import { microTimestamp, type World } from '../../world/world.ts';
import type { Decision } from '../authorization/authorizer.ts';
import type { ResourceTarget, User } from '../request.ts';
import type { AuditedAction, AuditPolicy, AuditStage, AuditTreatment } from './policy.ts';

/** Where events go: a line of JSON each. */
export interface AuditBackend {
  write(line: string): void;
  /** Writes what is still to be written. */
  close(): Promise<void>;
}

export interface AuditedRequest {
  readonly id: string;
  /** With its query. */
  readonly uri: string;
  readonly verb: string;
  readonly user: User;
  /** Undefined for a path. */
  readonly target: ResourceTarget | undefined;
  readonly path: string;
  readonly sourceIps: readonly string[];
  readonly userAgent: string;
}

export class Auditor {
  readonly world: World;
  private readonly policy: AuditPolicy;
  private readonly backend: AuditBackend;
  /** How many events were handed to the backend. */
  emitted = 0;

  constructor(options: { world: World; policy: AuditPolicy; backend: AuditBackend }) {
    this.world = options.world;
    this.policy = options.policy;
    this.backend = options.backend;
  }

  /** A record for the request, its first stage written; undefined for one the policy does not care for. */
  begin(request: AuditedRequest): AuditRecord | undefined {
    const treatment = this.policy.treatmentOf(actionOf(request));
    return treatment.level === 'None' ? undefined : new AuditRecord(this, request, treatment);
  }

  emit(event: object): void {
    this.emitted++;
    this.backend.write(JSON.stringify(event));
  }

  close(): Promise<void> {
    return this.backend.close();
  }
}

/** What is known about one request so far. */
export class AuditRecord {
  private readonly auditor: Auditor;
  private readonly request: AuditedRequest;
  private readonly treatment: AuditTreatment;
  private readonly received: string;
  private impersonatedUser: object | undefined;
  private requestObject: unknown;
  private responseObject: unknown;
  private failure: ApiError | undefined;
  private annotations: Record<string, string> | undefined;

  constructor(auditor: Auditor, request: AuditedRequest, treatment: AuditTreatment) {
    this.auditor = auditor;
    this.request = request;
    this.treatment = treatment;
    this.received = this.now();
    this.write('RequestReceived', undefined);
  }

  get wantsRequest(): boolean {
    return this.treatment.level === 'Request' || this.treatment.level === 'RequestResponse';
  }

  get wantsResponse(): boolean {
    return this.treatment.level === 'RequestResponse';
  }

  actsAs(user: User): void {
    this.impersonatedUser = userInfo(user);
  }

  decided({ verdict, reason }: Decision): void {
    this.annotate('authorization.k8s.io/decision', verdict === 'allowed' ? 'allow' : 'forbid');
    this.annotate('authorization.k8s.io/reason', reason);
  }

  annotate(key: string, value: string): void {
    (this.annotations ??= {})[key] = value;
  }

  /** The body: as it came, or the object itself from this process. */
  body(body: Uint8Array | object | undefined): void {
    if (!this.wantsRequest || body === undefined) return;
    this.requestObject = body instanceof Uint8Array ? readable(body) : body;
  }

  answer(object: unknown): void {
    if (this.wantsResponse) this.responseObject = object;
  }

  failed(error: ApiError): void {
    this.failure = error;
    if (error.reason === 'Forbidden' && this.annotations?.['authorization.k8s.io/decision'] === undefined) {
      this.annotate('authorization.k8s.io/decision', 'forbid');
      this.annotate('authorization.k8s.io/reason', '');
    }
    this.answer(error.toStatus());
  }

  /** The answer of something long has begun. */
  started(code: number): void {
    this.write('ResponseStarted', code);
  }

  completed(code: number): void {
    this.write('ResponseComplete', code);
  }

  private write(stage: AuditStage, code: number | undefined): void {
    const { request, treatment } = this;
    if (treatment.omitStages.has(stage)) return;
    const { requestObject, responseObject } = this;
    const shown = (object: unknown): unknown => (treatment.omitManagedFields ? withoutManagedFields(object) : object);
    this.auditor.emit({
      kind: 'Event',
      apiVersion: 'audit.k8s.io/v1',
      level: treatment.level,
      auditID: request.id,
      stage,
      requestURI: request.uri,
      verb: request.verb,
      user: userInfo(request.user),
      ...(this.impersonatedUser && { impersonatedUser: this.impersonatedUser }),
      sourceIPs: request.sourceIps,
      ...(request.userAgent !== '' && { userAgent: request.userAgent }),
      ...(request.target && { objectRef: referenceOf(request.target) }),
      ...(code !== undefined && { responseStatus: this.status(code) }),
      ...(requestObject !== undefined && { requestObject: shown(requestObject) }),
      ...(responseObject !== undefined && stage === 'ResponseComplete' && { responseObject: shown(responseObject) }),
      requestReceivedTimestamp: this.received,
      stageTimestamp: stage === 'RequestReceived' ? this.received : this.now(),
      ...(this.annotations && { annotations: this.annotations }),
    });
  }

  private status(code: number): object {
    const { failure } = this;
    if (failure === undefined) return { metadata: {}, code };
    const { message, reason, details } = failure;
    return { metadata: {}, status: 'Failure', message, reason, ...(details && { details }), code };
  }

  private now(): string {
    return microTimestamp(this.auditor.world.clock.now());
  }
}

function actionOf({ user, verb, target, path }: AuditedRequest): AuditedAction {
  if (target === undefined) return { user, verb, resource: '', group: '', subresource: '', namespace: '', name: '', path };
  const { resource, group, subresource = '', namespace = '', name = '' } = target;
  return { user, verb, resource, group, subresource, namespace, name, path: '' };
}

function referenceOf({ resource, namespace, name, group, version, subresource }: ResourceTarget): object {
  return {
    resource,
    ...(namespace !== undefined && { namespace }),
    ...(name !== undefined && { name }),
    ...(group !== '' && { apiGroup: group }),
    apiVersion: version,
    ...(subresource !== undefined && { subresource }),
  };
}

function userInfo({ name, uid, groups, extra }: User): object {
  return {
    ...(name !== '' && { username: name }),
    ...(uid !== '' && { uid }),
    ...(groups.length > 0 && { groups }),
    ...(Object.keys(extra).length > 0 && { extra }),
  };
}

/** JSON or YAML as an object; anything else is not shown. */
function readable(body: Uint8Array): unknown {
  const text = Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8');
  try {
    return JSON.parse(text);
  } catch {
    try {
      return parseYaml(text, { maxAliasCount: 100 });
    } catch {
      return undefined;
    }
  }
}

function withoutManagedFields(object: unknown): unknown {
  if (typeof object !== 'object' || object === null) return object;
  if ('items' in object && Array.isArray(object.items)) return { ...object, items: object.items.map(withoutManagedFields) };
  if (!('metadata' in object) || typeof object.metadata !== 'object' || object.metadata === null || !('managedFields' in object.metadata))
    return object;
  const { managedFields: _, ...metadata } = object.metadata;
  return { ...object, metadata };
}
