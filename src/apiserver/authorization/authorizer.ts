/**
 * May this user do that? The question (attributes), the answer (a decision), and the union that asks several authorizers in turn: the first that
 * allows or denies wins, and the reasons of those without an opinion are shown. See https://kubernetes.io/docs/reference/access-authn-authz/authorization/
 */
import { ApiError, forbidden } from '../../machinery/errors.ts';
import type { User } from '../request.ts';

export interface Attributes {
  readonly user: User;
  /** `get`, `list`, `watch`, `create`, … for resources; the lower-case HTTP method for paths. */
  readonly verb: string;
  readonly group: string;
  readonly version: string;
  /** Empty for a path. */
  readonly resource: string;
  readonly subresource: string;
  /** Empty at the cluster scope. */
  readonly namespace: string;
  readonly name: string;
  /** Empty for a resource. */
  readonly path: string;
}

export interface Decision {
  readonly verdict: 'allowed' | 'denied' | 'no opinion';
  readonly reason: string;
}

export interface ResourceRule {
  readonly verbs: readonly string[];
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames: readonly string[];
}

export interface PathRule {
  readonly verbs: readonly string[];
  readonly nonResourceURLs: readonly string[];
}

export interface Authorizer {
  authorize(attributes: Attributes): Decision;
  /** What the user may do in a namespace, as far as it can be listed. */
  rulesFor(user: User, namespace: string): { resourceRules: ResourceRule[]; pathRules: PathRule[]; incomplete: boolean };
}

export const allowed: Decision = { verdict: 'allowed', reason: '' };
export const noOpinion: Decision = { verdict: 'no opinion', reason: '' };

/** Asks one after the other. */
export function unionAuthorizer(members: readonly Authorizer[]): Authorizer {
  return {
    authorize(attributes) {
      let reasons: string[] | undefined;
      for (const member of members) {
        const decision = member.authorize(attributes);
        if (decision.verdict !== 'no opinion') return decision;
        if (decision.reason !== '') (reasons ??= []).push(decision.reason);
      }
      return reasons === undefined ? noOpinion : { verdict: 'no opinion', reason: reasons.join('\n') };
    },
    rulesFor(user, namespace) {
      const answers = members.map((member) => member.rulesFor(user, namespace));
      return {
        resourceRules: answers.flatMap((answer) => answer.resourceRules),
        pathRules: answers.flatMap((answer) => answer.pathRules),
        incomplete: answers.some((answer) => answer.incomplete),
      };
    },
  };
}

/** The superusers' group: allowed everything, before any rule is read. */
export const superusers: Authorizer = {
  authorize: ({ user }) => (user.groups.includes('system:masters') ? allowed : noOpinion),
  rulesFor(user) {
    if (!user.groups.includes('system:masters')) return { resourceRules: [], pathRules: [], incomplete: false };
    return {
      resourceRules: [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'], resourceNames: [] }],
      pathRules: [{ verbs: ['*'], nonResourceURLs: ['*'] }],
      incomplete: false,
    };
  },
};

/** Throws the 403 clients know unless allowed. */
export function check(authorizer: Authorizer, attributes: Attributes): void {
  const decision = authorizer.authorize(attributes);
  if (decision.verdict !== 'allowed') throw denial(attributes, decision);
}

function denial(attributes: Attributes, decision: Decision): ApiError {
  const words = `User "${attributes.user.name}" cannot ${attributes.verb} ${objectWords(attributes)}${decision.reason === '' ? '' : `: ${decision.reason}`}`;
  if (attributes.path !== '') return new ApiError('Forbidden', `forbidden: ${words}`, {});
  return forbidden({ group: attributes.group, resource: attributes.resource }, attributes.name, words);
}

function objectWords({ path, resource, subresource, group, namespace }: Attributes): string {
  if (path !== '') return `path "${path}"`;
  const scope = namespace === '' ? 'at the cluster scope' : `in the namespace "${namespace}"`;
  return `resource "${subresource === '' ? resource : `${resource}/${subresource}`}" in API group "${group}" ${scope}`;
}
