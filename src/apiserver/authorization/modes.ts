/** The chain of authorizers a server is told to have: superusers first, then the modes in their order. */
import type { World } from '../../world/world.ts';
import type { Verbs } from '../verbs.ts';
import { allowed, type Authorizer, decision, superusers, unionAuthorizer } from './authorizer.ts';
import { NodeGraph } from './node-graph.ts';
import { nodeAuthorizer } from './node.ts';
import { rbacAuthorizer } from './rbac.ts';
import { type AuthorizationWebhookOptions, WebhookAuthorizer } from './webhook.ts';

export const authorizationModes = ['Node', 'RBAC', 'Webhook', 'AlwaysAllow', 'AlwaysDeny'] as const;

export type AuthorizationMode = (typeof authorizationModes)[number];

/** One authorizer of the chain. */
export type AuthorizerChoice =
  | { readonly mode: Exclude<AuthorizationMode, 'Webhook'> }
  | { readonly mode: 'Webhook'; readonly webhook: AuthorizationWebhookOptions };

export interface AuthorizerChain {
  readonly authorizer: Authorizer;
  /** Goes on with these instead. */
  replace(choices: readonly AuthorizerChoice[]): void;
  close(): void;
}

/** Superusers first, then those chosen; Node and RBAC when nothing is. */
export function authorizerChain(
  world: World,
  verbs: Verbs,
  choices: readonly AuthorizerChoice[] = [{ mode: 'Node' }, { mode: 'RBAC' }],
): AuthorizerChain {
  // These follow the cache for as long as the server lives: one of each, however often the chain is replaced.
  const lasting = new Map<AuthorizationMode, Authorizer>();
  let webhooks: WebhookAuthorizer[] = [];
  const closeWebhooks = (): void => {
    for (const webhook of webhooks) webhook.close();
  };
  const memberOf = (choice: AuthorizerChoice, asked: WebhookAuthorizer[]): Authorizer => {
    if (choice.mode === 'Webhook') {
      const webhook = new WebhookAuthorizer(world, choice.webhook);
      asked.push(webhook);
      return webhook;
    }
    const known = lasting.get(choice.mode) ?? authorizerOf(choice.mode, verbs);
    lasting.set(choice.mode, known);
    return known;
  };
  const unionOf = (chosen: readonly AuthorizerChoice[]): Authorizer => {
    const asked: WebhookAuthorizer[] = [];
    const union = unionAuthorizer([superusers, ...chosen.map((choice) => memberOf(choice, asked))]);
    closeWebhooks();
    webhooks = asked;
    return union;
  };
  const late = lateAuthorizer(unionOf(choices));
  return {
    authorizer: late.authorizer,
    replace(chosen) {
      late.become(unionOf(chosen));
    },
    close: closeWebhooks,
  };
}

function authorizerOf(mode: Exclude<AuthorizationMode, 'Webhook'>, verbs: Verbs): Authorizer {
  switch (mode) {
    case 'Node': {
      const graph = new NodeGraph(verbs);
      return nodeAuthorizer((nodeName, attributes) => graph.isRelated(nodeName, attributes));
    }
    case 'RBAC':
      return rbacAuthorizer(verbs.objects);
    case 'AlwaysAllow':
      return alwaysAllow;
    case 'AlwaysDeny':
      return alwaysDeny;
  }
}

/** Stands for an authorizer that may become another. */
function lateAuthorizer(first: Authorizer): { readonly authorizer: Authorizer; become(next: Authorizer): void } {
  let current = first;
  return {
    authorizer: {
      authorize: (attributes) => current.authorize(attributes),
      decide: (attributes) => decision(current, attributes),
      rulesFor: (user, namespace) => current.rulesFor(user, namespace),
    },
    become(next) {
      current = next;
    },
  };
}

const alwaysAllow: Authorizer = {
  authorize: () => allowed,
  rulesFor: () => ({
    resourceRules: [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'], resourceNames: [] }],
    pathRules: [{ verbs: ['*'], nonResourceURLs: ['*'] }],
    incomplete: false,
  }),
};

const alwaysDeny: Authorizer = {
  authorize: () => ({ verdict: 'no opinion', reason: 'Everything is forbidden.' }),
  rulesFor: () => ({ resourceRules: [], pathRules: [], incomplete: false }),
};
