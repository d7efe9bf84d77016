/** The chain of authorizers a server is told to have: superusers first, then the modes in their order. */
import type { World } from '../../world/world.ts';
import type { Verbs } from '../verbs.ts';
import { allowed, type Authorizer, superusers, unionAuthorizer } from './authorizer.ts';
import { NodeGraph } from './node-graph.ts';
import { nodeAuthorizer } from './node.ts';
import { rbacAuthorizer } from './rbac.ts';
import { type AuthorizationWebhookOptions, WebhookAuthorizer } from './webhook.ts';

export const authorizationModes = ['Node', 'RBAC', 'Webhook', 'AlwaysAllow', 'AlwaysDeny'] as const;

export type AuthorizationMode = (typeof authorizationModes)[number];

export interface ModeOptions {
  readonly world: World;
  readonly verbs: Verbs;
  readonly modes?: readonly AuthorizationMode[];
  readonly webhook?: AuthorizationWebhookOptions;
}

export interface AuthorizerChain {
  readonly authorizer: Authorizer;
  close(): void;
}

export function authorizerChain({ world, verbs, modes = ['Node', 'RBAC'], webhook }: ModeOptions): AuthorizerChain {
  const webhooks: WebhookAuthorizer[] = [];
  const members = modes.map((mode): Authorizer => {
    switch (mode) {
      case 'Node': {
        const graph = new NodeGraph(verbs);
        return nodeAuthorizer((nodeName, attributes) => graph.isRelated(nodeName, attributes));
      }
      case 'RBAC':
        return rbacAuthorizer(verbs.objects);
      case 'Webhook': {
        if (webhook === undefined) throw new Error('authorization mode Webhook needs a webhook to ask');
        const authorizer = new WebhookAuthorizer(world, webhook);
        webhooks.push(authorizer);
        return authorizer;
      }
      case 'AlwaysAllow':
        return alwaysAllow;
      case 'AlwaysDeny':
        return alwaysDeny;
    }
  });
  return {
    authorizer: unionAuthorizer([superusers, ...members]),
    close() {
      for (const member of webhooks) member.close();
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
