/** Tokens another server knows: asked with a TokenReview, its answers remembered for a while. See https://kubernetes.io/docs/reference/access-authn-authz/authentication/#webhook-token-authentication */
import { createHash } from 'node:crypto';
import type { World } from '../../world/world.ts';
import { ExpiringCache } from '../expiring-cache.ts';
import type { NowOrLater } from '../now-or-later.ts';
import type { User } from '../request.ts';
import { WebhookConnection, WebhookError, type WebhookOptions } from '../webhook-connection.ts';
import { textsOf } from './jwt.ts';
import type { TokenAnswer } from './service-account-token.ts';
import { withAuthenticatedGroup } from './users.ts';

export interface TokenWebhookOptions extends WebhookOptions {
  /** How long an answer holds; two minutes when absent. */
  readonly cacheTtlMs?: number;
}

const timeoutMs = 30_000;
const attempts = 5;
const firstPauseMs = 500;
const cacheBound = 10_000;

export class WebhookTokens {
  private readonly world: World;
  private readonly webhook: WebhookConnection;
  private readonly cacheTtlMs: number;
  private readonly known: ExpiringCache<{ readonly answer: TokenAnswer | undefined }>;
  private readonly asking = new Map<string, Promise<TokenAnswer | undefined>>();

  constructor(world: World, options: TokenWebhookOptions) {
    this.world = world;
    this.webhook = new WebhookConnection(world, options);
    this.cacheTtlMs = options.cacheTtlMs ?? 120_000;
    this.known = new ExpiringCache(world, cacheBound);
  }

  /** Undefined for a token it does not know, or when it cannot be asked. */
  authenticate(token: string, audiences: readonly string[]): NowOrLater<TokenAnswer | undefined> {
    // Tokens are not kept: a dump of memory should not show more of them than it must.
    const key = createHash('sha256')
      .update(`${audiences.join('\0')}\0\0${token}`)
      .digest('base64');
    const known = this.known.get(key);
    if (known !== undefined) return known.answer;
    let asking = this.asking.get(key);
    if (asking === undefined) {
      asking = this.ask(token, audiences, key).finally(() => this.asking.delete(key));
      this.asking.set(key, asking);
    }
    return asking;
  }

  close(): void {
    this.webhook.close();
  }

  private async ask(token: string, audiences: readonly string[], key: string): Promise<TokenAnswer | undefined> {
    const review = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', metadata: {}, spec: { token, audiences } };
    try {
      const answer = answerOf(await askWithRetries(this.world, () => this.webhook.post(review, timeoutMs)), audiences);
      this.known.set(key, { answer }, this.cacheTtlMs);
      return answer;
    } catch (error) {
      this.world.log.warn('the token webhook failed', { error: String(error) });
      return undefined;
    }
  }
}

/** A question has no effect, so asking again is safe; it is worth it when there was no answer. */
export async function askWithRetries(world: World, ask: () => Promise<unknown>): Promise<unknown> {
  for (let attempt = 1, pauseMs = firstPauseMs; ; attempt++, pauseMs *= 1.5) {
    try {
      return await ask();
    } catch (error) {
      if (attempt >= attempts || !(error instanceof WebhookError) || !error.transient) throw error;
      await world.clock.sleep(pauseMs);
    }
  }
}

interface Review {
  readonly status?: {
    readonly authenticated?: unknown;
    readonly audiences?: unknown;
    readonly user?: { readonly username?: unknown; readonly uid?: unknown; readonly groups?: unknown; readonly extra?: unknown };
  };
}

function answerOf(value: unknown, audiences: readonly string[]): TokenAnswer | undefined {
  const { status } = (typeof value === 'object' && value !== null ? value : {}) as Review;
  if (status?.authenticated !== true) return undefined;
  const { username, uid, groups, extra } = status.user ?? {};
  const named = typeof extra === 'object' && extra !== null ? Object.entries(extra) : [];
  const user: User = {
    name: typeof username === 'string' ? username : '',
    uid: typeof uid === 'string' ? uid : '',
    groups: textsOf(groups),
    extra: Object.fromEntries(named.map(([name, values]) => [name, textsOf(values)])),
  };
  const meant = textsOf(status.audiences);
  // One that says nothing about audiences knows nothing about them: the token is for this server.
  const shared = meant.length === 0 ? audiences : audiences.filter((audience) => meant.includes(audience));
  return shared.length === 0 ? undefined : { user: withAuthenticatedGroup(user), audiences: shared };
}
