/**
 * Who may see a component's own pages: callers are known by a client certificate, or by a token that the API server is asked about (TokenReview); what they
 * may is asked of it, too (SubjectAccessReview). Upstream's delegated authentication and authorization.
 */
import type { IncomingMessage } from 'node:http';
import { SubjectAccessReview, TokenReview } from '../../api/kinds.ts';
import type { Client } from '../../client/client.ts';
import { forbidden, unauthorized } from '../../machinery/errors.ts';
import { callerOf } from '../../kubelet/server/caller.ts';
import type { World } from '../../world/world.ts';

interface User {
  readonly name: string;
  readonly uid?: string;
  readonly groups: readonly string[];
  readonly extra?: Record<string, string[]>;
}

interface Remembered<T> {
  readonly value: Promise<T>;
  readonly untilMs: number;
}

const rememberMs = 10_000;
const rememberedBound = 1_000;
const anonymous: User = { name: 'system:anonymous', groups: ['system:unauthenticated'] };

export class DelegatedAccess {
  readonly #client: Client;
  readonly #world: World;
  readonly #isOpen: (path: string) => boolean;
  readonly #users = new Map<string, Remembered<User | undefined>>();
  readonly #verdicts = new Map<string, Remembered<boolean>>();

  /** `openPaths` are anybody's; one that ends in `*` stands for all that begin so. */
  constructor(client: Client, world: World, openPaths: readonly string[]) {
    this.#client = client;
    this.#world = world;
    this.#isOpen = (path) => openPaths.some((open) => (open.endsWith('*') ? path.startsWith(open.slice(0, -1)) : path === open));
  }

  /** Throws a 401 or 403 for who may not. */
  async admit(request: IncomingMessage, path: string): Promise<void> {
    const user = await this.#userOf(request);
    if (this.#isOpen(path) || user.groups.includes('system:masters')) return;
    const verb = (request.method ?? 'GET').toLowerCase();
    const allowed = await this.#remember(this.#verdicts, JSON.stringify([user, verb, path]), () => this.#mayGet(user, verb, path));
    if (!allowed) throw forbidden({ group: '', resource: '' }, '', `User "${user.name}" cannot ${verb} path "${path}"`);
  }

  async #userOf(request: IncomingMessage): Promise<User> {
    const [scheme, token = ''] = (request.headers.authorization ?? '').split(' ');
    if (scheme?.toLowerCase() === 'bearer' && token !== '') {
      const user = await this.#remember(this.#users, token, () => this.#review(token));
      if (user === undefined) throw unauthorized();
      return user;
    }
    const caller = callerOf(request);
    return caller === undefined ? anonymous : { ...caller, groups: [...caller.groups, 'system:authenticated'] };
  }

  async #review(token: string): Promise<User | undefined> {
    const { status } = await this.#client.resource(TokenReview).create({ metadata: {}, spec: { token } });
    if (status?.authenticated !== true) return undefined;
    const { username = '', uid, groups = [], extra } = status.user ?? {};
    return { name: username, groups, ...(uid !== undefined && { uid }), ...(extra && { extra }) };
  }

  async #mayGet(user: User, verb: string, path: string): Promise<boolean> {
    const { name, uid, groups, extra } = user;
    const { status } = await this.#client.resource(SubjectAccessReview).create({
      metadata: {},
      spec: {
        user: name,
        groups: [...groups],
        ...(uid !== undefined && { uid }),
        ...(extra && { extra }),
        nonResourceAttributes: { path, verb },
      },
    });
    return status?.allowed ?? false;
  }

  /** Asked once, and again after a while; what failed is asked again at once. */
  async #remember<T>(known: Map<string, Remembered<T>>, key: string, ask: () => Promise<T>): Promise<T> {
    const nowMs = this.#world.clock.now();
    const before = known.get(key);
    if (before && nowMs < before.untilMs) return before.value;
    if (known.size >= rememberedBound) known.clear();
    const value = ask();
    known.set(key, { value, untilMs: nowMs + rememberMs });
    try {
      return await value;
    } catch (error) {
      known.delete(key);
      throw error;
    }
  }
}
