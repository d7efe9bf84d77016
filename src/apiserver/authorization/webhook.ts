/**
 * An authorizer that is another server: asked with a SubjectAccessReview, its answers remembered for a while.
 * See https://kubernetes.io/docs/reference/access-authn-authz/webhook/
 */
import type { V1SubjectAccessReviewSpec } from '../../api/types.ts';
import { parseFieldSelector, parseLabelSelector, SelectorError } from '../../machinery/selector.ts';
import type { World } from '../../world/world.ts';
import { askWithRetries } from '../authentication/webhook-token.ts';
import { ExpiringCache } from '../expiring-cache.ts';
import type { NowOrLater } from '../now-or-later.ts';
import { WebhookConnection, type WebhookOptions } from '../webhook-connection.ts';
import { doesMatch, type MatchCondition } from './match-conditions.ts';
import { allowed, type Attributes, type Authorizer, type Decision, noOpinion } from './authorizer.ts';

export interface AuthorizationWebhookOptions extends WebhookOptions {
  /** How long a yes holds; five minutes when absent. */
  readonly authorizedTtlMs?: number;
  /** How long a no holds; half a minute when absent. */
  readonly unauthorizedTtlMs?: number;
  readonly timeoutMs?: number;
  /** What it means when it cannot be asked: no opinion unless said otherwise. */
  readonly failurePolicy?: 'NoOpinion' | 'Deny';
  /** For logs; absent for the one of the flags. */
  readonly name?: string;
  /** Only requests for which all of these hold are asked about. */
  readonly matchConditions?: readonly MatchCondition[];
}

const cacheBound = 10_000;
/** A client chooses names and selectors: longer questions are not worth remembering. */
const keyBound = 10_000;

export class WebhookAuthorizer implements Authorizer {
  private readonly world: World;
  private readonly options: AuthorizationWebhookOptions;
  private readonly webhook: WebhookConnection;
  private readonly known: ExpiringCache<Decision>;
  private readonly asking = new Map<string, Promise<Decision>>();

  constructor(world: World, options: AuthorizationWebhookOptions) {
    this.world = world;
    this.options = options;
    this.webhook = new WebhookConnection(world, options);
    this.known = new ExpiringCache(world, cacheBound);
  }

  authorize(attributes: Attributes): Decision {
    const spec = specOf(attributes);
    return this.unasked(spec) ?? this.known.get(JSON.stringify(spec)) ?? noOpinion;
  }

  decide(attributes: Attributes): NowOrLater<Decision> {
    const spec = specOf(attributes);
    const settled = this.unasked(spec);
    if (settled !== undefined) return settled;
    const key = JSON.stringify(spec);
    const known = this.known.get(key);
    if (known !== undefined) return known;
    let asking = this.asking.get(key);
    if (asking === undefined) {
      asking = this.ask(spec, key).finally(() => this.asking.delete(key));
      this.asking.set(key, asking);
    }
    return asking;
  }

  rulesFor(): ReturnType<Authorizer['rulesFor']> {
    return { resourceRules: [], pathRules: [], incomplete: true, error: 'webhook authorizer does not support user rule resolution' };
  }

  close(): void {
    this.webhook.close();
  }

  /** The answer for a request that its conditions leave out, or that they cannot say about. */
  private unasked(spec: V1SubjectAccessReviewSpec): Decision | undefined {
    const { matchConditions = [] } = this.options;
    if (matchConditions.length === 0) return undefined;
    const match = doesMatch(matchConditions, spec);
    if (typeof match === 'boolean') return match ? undefined : noOpinion;
    this.world.log.warn('the match conditions of an authorization webhook failed', { webhook: this.options.name, error: match.message });
    return this.failed();
  }

  private failed(): Decision {
    return this.options.failurePolicy === 'Deny' ? { verdict: 'denied', reason: 'the authorization webhook failed' } : noOpinion;
  }

  private async ask(spec: V1SubjectAccessReviewSpec, key: string): Promise<Decision> {
    const { authorizedTtlMs = 300_000, unauthorizedTtlMs = 30_000, timeoutMs = 30_000 } = this.options;
    const review = { apiVersion: 'authorization.k8s.io/v1', kind: 'SubjectAccessReview', metadata: {}, spec };
    try {
      const answer = decisionOf(await askWithRetries(this.world, () => this.webhook.post(review, timeoutMs)));
      if (key.length <= keyBound) this.known.set(key, answer, answer.verdict === 'allowed' ? authorizedTtlMs : unauthorizedTtlMs);
      return answer;
    } catch (error) {
      this.world.log.warn('the authorization webhook failed', { webhook: this.options.name, error: String(error) });
      return this.failed();
    }
  }
}

function decisionOf(value: unknown): Decision {
  const { status } = (typeof value === 'object' && value !== null ? value : {}) as {
    status?: { allowed?: unknown; denied?: unknown; reason?: unknown };
  };
  const reason = typeof status?.reason === 'string' ? status.reason : '';
  // One that says both contradicts itself: it is no yes.
  if (status?.denied === true) return { verdict: 'denied', reason };
  if (status?.allowed === true) return reason === '' ? allowed : { verdict: 'allowed', reason };
  return reason === '' ? noOpinion : { verdict: 'no opinion', reason };
}

function specOf({ user, path, verb, ...about }: Attributes): V1SubjectAccessReviewSpec {
  const { name, uid, groups, extra } = user;
  const { group, version, resource, subresource, namespace, name: objectName } = about;
  const present = Object.entries({ namespace, verb, group, version, resource, subresource, name: objectName }).filter(([, value]) => value !== '');
  const selectors = selectorsOf(about);
  return {
    ...(path === '' ? { resourceAttributes: { ...Object.fromEntries(present), ...selectors } } : { nonResourceAttributes: { path, verb } }),
    user: name,
    ...(groups.length > 0 && { groups: [...groups] }),
    ...(uid !== '' && { uid }),
    ...(Object.keys(extra).length > 0 && { extra: Object.fromEntries(Object.entries(extra).map(([key, values]) => [key, [...values]])) }),
  };
}

/** As requirements; as the client wrote them when they cannot be read. */
function selectorsOf({ fieldSelector = '', labelSelector = '' }: Pick<Attributes, 'fieldSelector' | 'labelSelector'>): object {
  return {
    ...(fieldSelector !== '' && { fieldSelector: requirementsOf(fieldSelector, fieldRequirements) }),
    ...(labelSelector !== '' && { labelSelector: requirementsOf(labelSelector, labelRequirements) }),
  };
}

function requirementsOf(text: string, read: (text: string) => object[]): object {
  try {
    return { requirements: read(text) };
  } catch {
    return { rawSelector: text };
  }
}

function fieldRequirements(text: string): object[] {
  return parseFieldSelector(text).requirements.map(({ field, value, negated }) => ({
    key: field,
    operator: negated ? 'NotIn' : 'In',
    values: [value],
  }));
}

const operatorNames: Readonly<Record<string, string>> = {
  '=': 'In',
  '==': 'In',
  in: 'In',
  '!=': 'NotIn',
  notin: 'NotIn',
  exists: 'Exists',
  '!': 'DoesNotExist',
};

function labelRequirements(text: string): object[] {
  return parseLabelSelector(text).requirements.map(({ key, operator, values }) => {
    const name = operatorNames[operator];
    if (name === undefined) throw new SelectorError(`a review has no operator "${operator}"`);
    return { key, operator: name, ...(values.length > 0 && { values: [...values] }) };
  });
}
