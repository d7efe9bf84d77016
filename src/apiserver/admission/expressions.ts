/** Writes as expressions in CEL see them, and the sender's rights, which expressions may ask for. */
import { Namespace } from '../../api/kinds.ts';
import { CelPending } from '../../machinery/cel.ts';
import { type AskAuthorizer, type AuthorizerQuestion, authorizerValue, requestResourceValue } from '../../machinery/cel/authorizer-functions.ts';
import { parseTime } from '../../machinery/time.ts';
import { type Attributes, type Decision, decision } from '../authorization/authorizer.ts';
import { isLater, type NowOrLater } from '../now-or-later.ts';
import type { Registry } from '../registry/registry.ts';
import type { User } from '../request.ts';
import type { AdmissionRequest } from './admission.ts';
import type { AuthorizerSource } from './permission.ts';
import { reviewRequestOf } from './webhooks/review.ts';

export type Values = Readonly<Record<string, unknown>>;

/** Whole numbers are ints, which JavaScript's numbers cannot tell. */
export function celJson(value: unknown): unknown {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : value;
  if (Array.isArray(value)) return value.map(celJson);
  if (typeof value !== 'object' || value === null) return value;
  const fields = Object.create(null) as Record<string, unknown>;
  for (const [key, item] of Object.entries(value)) if (item !== undefined) fields[key] = celJson(item);
  return fields;
}

/** Answers the sender's rights are asked for once, and remembered while a write is judged. */
export class Rights {
  readonly #source: AuthorizerSource;
  readonly #user: User;
  readonly #known = new Map<string, Decision>();

  constructor(source: AuthorizerSource, user: User) {
    this.#source = source;
    this.#user = user;
  }

  readonly ask: AskAuthorizer = (question) => {
    const { verdict, reason } = this.#decide(question);
    return { allowed: verdict === 'allowed', reason };
  };

  #decide(question: AuthorizerQuestion): Decision {
    const key = JSON.stringify(question);
    const known = this.#known.get(key);
    if (known) return known;
    const authorizer = this.#source();
    if (!authorizer) return { verdict: 'allowed', reason: '' };
    const answer = decision(authorizer, this.#attributes(question));
    if (isLater(answer)) throw new CelPending(answer.then((later) => this.#known.set(key, later)));
    this.#known.set(key, answer);
    return answer;
  }

  #attributes({ serviceAccount, fieldSelector, labelSelector, ...rest }: AuthorizerQuestion): Attributes {
    return {
      ...rest,
      version: '*',
      user: serviceAccount ? serviceAccountUser(serviceAccount.namespace, serviceAccount.name) : this.#user,
      ...(fieldSelector !== '' && { fieldSelector }),
      ...(labelSelector !== '' && { labelSelector }),
    };
  }
}

function serviceAccountUser(namespace: string, name: string): User {
  const groups = ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated'];
  return { name: `system:serviceaccount:${namespace}:${name}`, uid: '', groups, extra: {} };
}

/** Judges, again and again while answers from elsewhere are awaited. What it does must have no effect until it ends. */
export function whenKnown<T>(judge: () => T): NowOrLater<T> {
  try {
    return judge();
  } catch (error) {
    if (!(error instanceof CelPending)) throw error;
    return error.settled.then(() => whenKnown(judge));
  }
}

/** `object`, `oldObject`, `request` and `authorizer`: what match conditions of webhooks may use. */
export function writeValues(request: AdmissionRequest, rights: Rights): Values {
  const { kind, subresource, namespace = '', name } = request;
  const about = { group: kind.group, resource: kind.resource, subresource, namespace, name };
  return {
    object: celJson(request.connection ?? request.object ?? null),
    oldObject: celJson(request.oldObject ?? null),
    request: celJson(reviewRequestOf(request, '')),
    authorizer: authorizerValue(rights.ask),
    'authorizer.requestResource': requestResourceValue(rights.ask, about),
  };
}

/** The namespace of what is written, as far as expressions may know it; null at the cluster scope. */
export function namespaceValue(registry: Registry, { namespace }: AdmissionRequest): unknown {
  const object = namespace === undefined ? undefined : registry.get(Namespace, undefined, namespace);
  if (!object) return null;
  const { metadata, spec, status } = object;
  const { uid, creationTimestamp, deletionTimestamp, managedFields: _managed, ownerReferences: _owners, ...rest } = metadata;
  return {
    metadata: {
      ...(celJson(rest) as object),
      UID: uid,
      ...timeValue('creationTimestamp', creationTimestamp),
      ...timeValue('deletionTimestamp', deletionTimestamp),
    },
    spec: celJson(spec ?? {}),
    status: celJson({ phase: status?.phase }),
  };
}

function timeValue(field: string, text: string | undefined): object {
  return text === undefined ? {} : { [field]: new Date(parseTime(text)) };
}
