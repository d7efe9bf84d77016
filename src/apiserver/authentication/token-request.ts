/** `serviceaccounts/token`: a new token for an account, bound to a pod, secret or node if asked (TokenRequest API). */
import { Node, Pod, Secret, ServiceAccount } from '../../api/kinds.ts';
import { schemaOf } from '../../api/schemas.ts';
import type { AuthenticationV1TokenRequest, V1BoundObjectReference } from '../../api/types.ts';
import { badRequest, conflict, invalid, notFound } from '../../machinery/errors.ts';
import { type FieldError, invalidValue } from '../../machinery/field-error.ts';
import type { KubeObject } from '../../machinery/object.ts';
import { timestamp, type World } from '../../world/world.ts';
import { checkNodeToken } from '../admission/node-restriction.ts';
import type { Answer, Call } from '../request.ts';
import type { ObjectReader } from '../verbs.ts';
import { type BodyKind, decodeBody, type VirtualResources } from '../virtual.ts';
import type { BoundObject, ServiceAccountTokens, TokenSubject } from './service-account-token.ts';

type TokenRequest = AuthenticationV1TokenRequest & KubeObject;

const tokenRequestKind: BodyKind<TokenRequest> = {
  group: 'authentication.k8s.io',
  version: 'v1',
  kind: 'TokenRequest',
  get schema() {
    return schemaOf('AuthenticationV1TokenRequest');
  },
};

const defaultSeconds = 3600;
const shortestSeconds = 600;
const longestSeconds = 2 ** 32;

export function tokenRequests(world: World, objects: ObjectReader, tokens: ServiceAccountTokens): VirtualResources {
  return new Map([['/serviceaccounts/token', (call: Call) => requestToken(call, world, objects, tokens)]]);
}

function requestToken(call: Call, world: World, objects: ObjectReader, tokens: ServiceAccountTokens): Answer {
  const { namespace = '', name = '' } = call.target;
  const account = objects.get(ServiceAccount, namespace, name);
  if (account === undefined) throw notFound({ group: '', resource: 'serviceaccounts' }, name);
  const request = decodeBody(call, tokenRequestKind);
  if (request.metadata.name !== undefined && request.metadata.name !== '' && request.metadata.name !== name) {
    throw badRequest(`metadata.name must match the service account's name: got "${request.metadata.name}", expected "${name}"`);
  }
  const asking = request.spec?.expirationSeconds ?? defaultSeconds;
  const errors = lifetimeErrors(asking);
  if (errors.length > 0) throw invalid({ group: 'authentication.k8s.io', kind: 'TokenRequest' }, '', errors);
  const seconds = Math.min(asking, tokens.maxExpirationSeconds ?? Infinity);
  if (seconds < asking) call.warnings.push(`requested expiration of ${asking} seconds shortened to ${seconds} seconds`);
  const asked = request.spec?.audiences ?? [];
  const audiences = asked.length > 0 ? asked : [...tokens.defaultAudiences];
  const reference = request.spec?.boundObjectRef;
  checkNodeToken(call.user, { namespace, name }, reference, objects);
  const subject: TokenSubject = {
    namespace,
    ...(reference && boundTo(reference, account, objects)),
    serviceaccount: { name, uid: account.metadata.uid },
  };
  const { token, expiresAtMs } = tokens.issue(subject, audiences, seconds);
  const now = timestamp(world.clock.now());
  const answered: TokenRequest = {
    kind: 'TokenRequest',
    apiVersion: 'authentication.k8s.io/v1',
    metadata: { ...request.metadata, name, namespace, creationTimestamp: now },
    spec: { audiences, expirationSeconds: seconds, ...(reference && { boundObjectRef: reference }) },
    status: { token, expirationTimestamp: timestamp(expiresAtMs) },
  };
  return { type: 'object', code: 201, object: answered };
}

function lifetimeErrors(seconds: number): FieldError[] {
  if (seconds < shortestSeconds) return [invalidValue('spec.expirationSeconds', seconds, 'may not specify a duration less than 10 minutes')];
  if (seconds > longestSeconds) return [invalidValue('spec.expirationSeconds', seconds, 'may not specify a duration larger than 2^32 seconds')];
  return [];
}

/** What the token says it is bound to. The reference must be of the right kind, present, and of the uid named. */
function boundTo(reference: V1BoundObjectReference, account: ServiceAccount, objects: ObjectReader): Partial<TokenSubject> {
  const { kind = '', apiVersion = '', name = '', uid = '' } = reference;
  const { namespace } = account.metadata;
  const found = <T extends KubeObject>(object: T | undefined, resource: string): { object: T; bound: BoundObject } => {
    if (object === undefined) throw notFound({ group: '', resource }, name);
    if (uid !== '' && uid !== object.metadata.uid) {
      throw conflict(
        { group: '', resource },
        name,
        `the UID in the bound object reference (${uid}) does not match the UID in record. The object might have been deleted and then recreated`,
      );
    }
    return { object, bound: { name, uid: object.metadata.uid } };
  };
  if (apiVersion === 'v1' && kind === 'Pod') {
    const { object: pod, bound } = found(objects.get(Pod, namespace, name), 'pods');
    if ((pod.spec.serviceAccountName ?? '') !== account.metadata.name) {
      throw badRequest(`cannot bind token for serviceaccount "${account.metadata.name}" to pod running with different serviceaccount name.`);
    }
    const node = pod.spec.nodeName === undefined ? undefined : objects.get(Node, undefined, pod.spec.nodeName);
    return { pod: bound, ...(node && { node: { name: node.metadata.name, uid: node.metadata.uid } }) };
  }
  if (apiVersion === 'v1' && kind === 'Secret') return { secret: found(objects.get(Secret, namespace, name), 'secrets').bound };
  if (apiVersion === 'v1' && kind === 'Node') return { node: found(objects.get(Node, undefined, name), 'nodes').bound };
  throw badRequest(`cannot bind token to object of type ${apiVersion}, Kind=${kind}`);
}
