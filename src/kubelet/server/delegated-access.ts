/**
 * Who calls the kubelet, and whether they may, as the API server sees it: a bearer token is reviewed by it (TokenReview), and so is every access
 * (SubjectAccessReview). Answers are remembered for a while, as upstream's webhook authentication and authorization do.
 * See https://kubernetes.io/docs/reference/access-authn-authz/kubelet-authn-authz/
 */
import { SubjectAccessReview, TokenReview } from '../../api/node-kinds.ts';
import type { Client } from '../../client/client.ts';
import type { World } from '../../world/world.ts';
import type { Caller, KubeletAttributes } from './caller.ts';

export interface DelegatedAccess {
  /** Undefined for a token that proves nothing. */
  callerOfToken(token: string): Promise<Caller | undefined>;
  authorize(caller: Caller, attributes: KubeletAttributes): Promise<boolean>;
}

interface Remembered<T> {
  readonly value: Promise<T>;
  untilMs: number;
}

const rememberTokenMs = 120_000;
const rememberAllowedMs = 300_000;
const rememberDeniedMs = 30_000;
const rememberedBound = 1_000;

export function delegatedAccess(client: Client, world: World, nodeName: string): DelegatedAccess {
  const callers = new Map<string, Remembered<Caller | undefined>>();
  const verdicts = new Map<string, Remembered<boolean>>();

  async function review(token: string): Promise<Caller | undefined> {
    const { status } = await client.resource(TokenReview).create({ metadata: {}, spec: { token } });
    if (status?.authenticated !== true) return undefined;
    const { username = '', uid, groups = [], extra } = status.user ?? {};
    return { name: username, groups, ...(uid !== undefined && { uid }), ...(extra && { extra }) };
  }

  async function mayUse({ name, uid, groups, extra }: Caller, verb: string, subresource: string): Promise<boolean> {
    const { status } = await client.resource(SubjectAccessReview).create({
      metadata: {},
      spec: {
        user: name,
        groups: [...groups],
        ...(uid !== undefined && { uid }),
        ...(extra && { extra }),
        resourceAttributes: { verb, version: 'v1', resource: 'nodes', subresource, name: nodeName },
      },
    });
    return status?.allowed ?? false;
  }

  /** Asked once, and again after a while; what failed is asked again at once. */
  async function remember<T>(known: Map<string, Remembered<T>>, key: string, forMs: (value: T) => number, ask: () => Promise<T>): Promise<T> {
    const before = known.get(key);
    if (before && world.clock.now() < before.untilMs) return before.value;
    if (known.size >= rememberedBound) known.clear();
    const entry: Remembered<T> = { value: ask(), untilMs: Number.POSITIVE_INFINITY };
    known.set(key, entry);
    try {
      const value = await entry.value;
      entry.untilMs = world.clock.now() + forMs(value);
      return value;
    } catch (error) {
      known.delete(key);
      throw error;
    }
  }

  return {
    callerOfToken: (token) =>
      remember(
        callers,
        token,
        () => rememberTokenMs,
        () => review(token),
      ),
    async authorize(caller, { verb, subresources }) {
      if (caller.groups.includes('system:masters')) return true;
      for (const subresource of subresources) {
        const key = JSON.stringify([caller, verb, subresource]);
        const forMs = (allowed: boolean): number => (allowed ? rememberAllowedMs : rememberDeniedMs);
        if (await remember(verdicts, key, forMs, () => mayUse(caller, verb, subresource))) return true;
      }
      return false;
    },
  };
}
