/**
 * May this user do that? The question (attributes), the answer (a decision), and the union that asks several authorizers in turn: the first that
 * allows or denies wins, and the reasons of those without an opinion are shown. See https://kubernetes.io/docs/reference/access-authn-authz/authorization/
 */
import { ApiError, forbidden } from '../../machinery/errors.ts';
import { andThen, isLater, type NowOrLater } from '../now-or-later.ts';
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
  /** The selectors of a list, watch or deletecollection as the client wrote them; absent for none. */
  readonly fieldSelector?: string;
  readonly labelSelector?: string;
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
  /** What can be said at once. One that has to ask elsewhere answers what it remembers, and otherwise has no opinion. */
  authorize(attributes: Attributes): Decision;
  /** For one that may have to ask elsewhere: the whole answer. Requests are decided by this where it is there. */
  decide?(attributes: Attributes): NowOrLater<Decision>;
  /** What the user may do in a namespace, as far as it can be listed. */
  rulesFor(user: User, namespace: string): HeldRules;
}

export interface HeldRules {
  readonly resourceRules: ResourceRule[];
  readonly pathRules: PathRule[];
  /** There may be more than is listed. */
  readonly incomplete: boolean;
  /** Why. */
  readonly error?: string;
}

export const allowed: Decision = { verdict: 'allowed', reason: '' };
export const noOpinion: Decision = { verdict: 'no opinion', reason: '' };

/** Asks one after the other. */
export function unionAuthorizer(members: readonly Authorizer[]): Authorizer {
  const asksElsewhere = members.some((member) => member.decide !== undefined);
  const decideFrom = (attributes: Attributes, from: number, reasons: readonly string[]): NowOrLater<Decision> => {
    const member = members[from];
    if (member === undefined) return withoutOpinion(reasons);
    return andThen(decision(member, attributes), (answer) => {
      if (answer.verdict !== 'no opinion') return answer;
      return decideFrom(attributes, from + 1, answer.reason === '' ? reasons : [...reasons, answer.reason]);
    });
  };
  return {
    authorize(attributes) {
      let reasons: string[] | undefined;
      for (const member of members) {
        const answer = member.authorize(attributes);
        if (answer.verdict !== 'no opinion') return answer;
        if (answer.reason !== '') (reasons ??= []).push(answer.reason);
      }
      return reasons === undefined ? noOpinion : withoutOpinion(reasons);
    },
    ...(asksElsewhere && { decide: (attributes: Attributes) => decideFrom(attributes, 0, []) }),
    rulesFor(user, namespace) {
      const answers = members.map((member) => member.rulesFor(user, namespace));
      const errors = [...new Set(answers.flatMap(({ error }) => error ?? []))];
      return {
        ...(errors.length > 0 && { error: errors.join(', ') }),
        resourceRules: answers.flatMap((answer) => answer.resourceRules),
        pathRules: answers.flatMap((answer) => answer.pathRules),
        incomplete: answers.some((answer) => answer.incomplete),
      };
    },
  };
}

function withoutOpinion(reasons: readonly string[]): Decision {
  return { verdict: 'no opinion', reason: reasons.join('\n') };
}

/** The whole answer, now or later. */
export function decision(authorizer: Authorizer, attributes: Attributes): NowOrLater<Decision> {
  return authorizer.decide === undefined ? authorizer.authorize(attributes) : authorizer.decide(attributes);
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
  allowedOrThrow(attributes, authorizer.authorize(attributes));
}

/** As {@link check}, of who may have to ask elsewhere: throws now, or rejects later. Answers the decision. */
export function checkNowOrLater(authorizer: Authorizer, attributes: Attributes): NowOrLater<Decision> {
  const answer = decision(authorizer, attributes);
  if (isLater(answer)) return answer.then((later) => allowedOrThrow(attributes, later));
  return allowedOrThrow(attributes, answer);
}

function allowedOrThrow(attributes: Attributes, answer: Decision): Decision {
  if (answer.verdict !== 'allowed') throw denial(attributes, answer);
  return answer;
}

function denial(attributes: Attributes, { reason }: Decision): ApiError {
  const words = `User "${attributes.user.name}" cannot ${attributes.verb} ${objectWords(attributes)}${reason === '' ? '' : `: ${reason}`}`;
  if (attributes.path !== '') return new ApiError('Forbidden', `forbidden: ${words}`, {});
  return forbidden({ group: attributes.group, resource: attributes.resource }, attributes.name, words);
}

function objectWords({ path, resource, subresource, group, namespace }: Attributes): string {
  if (path !== '') return `path "${path}"`;
  const scope = namespace === '' ? 'at the cluster scope' : `in the namespace "${namespace}"`;
  return `resource "${subresource === '' ? resource : `${resource}/${subresource}`}" in API group "${group}" ${scope}`;
}
