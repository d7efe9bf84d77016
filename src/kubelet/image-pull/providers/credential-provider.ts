/**
 * One program that knows the credentials of some registries: asked for an image when what it said before does not hold any more. What goes wrong with it is
 * logged, and the image pulled without. Upstream: the credential provider plugins.
 */
import { createHash } from 'node:crypto';
import { type Pod, ServiceAccount } from '../../../api/node-kinds.ts';
import type { Client } from '../../../client/client.ts';
import { parseDuration } from '../../../machinery/duration.ts';
import type { World } from '../../../world/world.ts';
import { messageOf } from '../../handler.ts';
import { type ImageName, fullImageName } from '../../image-name.ts';
import { type CredentialOwner, type CredentialSource, coversRepository, ofNode } from '../credentials.ts';
import type { PluginProgram } from './plugin-program.ts';
import type { ProviderSettings, TokenSettings } from './provider-configuration.ts';

export interface CredentialProviderOptions {
  readonly world: World;
  readonly client: Client;
  readonly settings: ProviderSettings;
  /** Path of the program. */
  readonly program: string;
  readonly run: PluginProgram;
}

/** For whose pod it is asked, where it wants to know. */
interface Asker {
  readonly owner: CredentialOwner;
  readonly token: string;
  readonly annotations: Readonly<Record<string, string>>;
  /** Answers for one asker are not those for another. */
  readonly key: string;
}

interface Answer {
  readonly cacheKeyType: 'Image' | 'Registry' | 'Global';
  readonly cacheMs: number;
  readonly entries: Readonly<Record<string, unknown>>;
}

interface TokenAnswer {
  readonly status?: { readonly token?: string };
}

const nobody: Asker = { owner: ofNode, token: '', annotations: {}, key: '' };
const everywhere = '<global>';
/** Answers that are kept; the oldest goes first. */
const mostKept = 1000;

export class CredentialProvider {
  readonly #options: CredentialProviderOptions;
  readonly #kept = new Map<string, { readonly source: CredentialSource; readonly untilMs: number }>();
  readonly #asked = new Map<string, Promise<Answer>>();

  constructor(options: CredentialProviderOptions) {
    this.#options = options;
  }

  /** Undefined when it has none. */
  async provide(image: ImageName, pod: Pod): Promise<CredentialSource | undefined> {
    const { settings, world } = this.#options;
    if (!settings.matchImages.some((pattern) => coversRepository(pattern.replace(/^https?:\/\//, ''), image.registry, image.repository)))
      return undefined;
    try {
      const asker = settings.token ? await this.#asker(settings.token, pod) : nobody;
      return asker && (this.#keptFor(image, asker) ?? (await this.#ask(image, asker)));
    } catch (error) {
      world.log.child('credential-provider').warn('no credentials of a provider', { provider: settings.name, error: messageOf(error) });
      return undefined;
    }
  }

  #keptFor({ registry, repository }: ImageName, { key }: Asker): CredentialSource | undefined {
    for (const scope of [`${registry}/${repository}`, registry, everywhere]) {
      const kept = this.#kept.get(`${scope} ${key}`);
      if (!kept) continue;
      if (this.#options.world.clock.now() < kept.untilMs) return kept.source;
      this.#kept.delete(`${scope} ${key}`);
    }
    return undefined;
  }

  async #ask(image: ImageName, asker: Asker): Promise<CredentialSource> {
    const { registry, repository } = image;
    const once = `${registry}/${repository} ${asker.key} ${asker.token}`;
    let asked = this.#asked.get(once);
    if (!asked) {
      asked = this.#run(image, asker).finally(() => this.#asked.delete(once));
      this.#asked.set(once, asked);
    }
    const { cacheKeyType, cacheMs, entries } = await asked;
    const source: CredentialSource = { owner: asker.owner, entries };
    if (cacheMs > 0) {
      const scope = { Image: `${registry}/${repository}`, Registry: registry, Global: everywhere }[cacheKeyType];
      this.#kept.set(`${scope} ${asker.key}`, { source, untilMs: this.#options.world.clock.now() + cacheMs });
      for (const oldest of this.#kept.keys()) if (this.#kept.size > mostKept) this.#kept.delete(oldest);
    }
    return source;
  }

  async #run(image: ImageName, { token, annotations }: Asker): Promise<Answer> {
    const { settings, program, run } = this.#options;
    const request = {
      kind: 'CredentialProviderRequest',
      apiVersion: settings.apiVersion,
      // As upstream asks: by the repository alone.
      image: fullImageName({ ...image, tag: undefined, digest: undefined }),
      ...(token !== '' && { serviceAccountToken: token, serviceAccountAnnotations: annotations }),
    };
    const env = Object.fromEntries(settings.env.map(({ name, value }) => [name, value]));
    return readAnswer(await run({ program, args: settings.args, env, input: JSON.stringify(request) }), settings);
  }

  /** Undefined for a pod that it is not to be asked about. */
  async #asker(wanted: TokenSettings, { metadata, spec }: Pod): Promise<Asker | undefined> {
    const name = spec.serviceAccountName ?? '';
    if (name === '') return wanted.required ? undefined : nobody;
    const accounts = this.#options.client.resource(ServiceAccount).namespace(metadata.namespace);
    const account = await accounts.get(name);
    const { uid, namespace, annotations: all = {} } = account.metadata;
    if (wanted.requiredAnnotations.some((key) => all[key] === undefined)) return undefined;
    const told = [...wanted.requiredAnnotations, ...wanted.optionalAnnotations].filter((key) => all[key] !== undefined).sort();
    const annotations = Object.fromEntries(told.map((key) => [key, all[key] ?? '']));
    const answer = await accounts.createSubresource<TokenAnswer>(name, 'token', {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: { audiences: [wanted.audience], boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name: metadata.name, uid: metadata.uid } },
    });
    const token = answer.status?.token ?? '';
    const cachedBy = wanted.cachedBy === 'Token' ? createHash('sha256').update(token).digest('hex') : '';
    const owner: CredentialOwner = { kind: 'service-account', uid, namespace, name };
    return { owner, token, annotations, key: JSON.stringify([namespace, name, uid, annotations, cachedBy]) };
  }
}

function readAnswer(text: string, { apiVersion, defaultCacheMs }: ProviderSettings): Answer {
  const answer: unknown = JSON.parse(text);
  if (typeof answer !== 'object' || answer === null) throw new Error('the answer is no object');
  const { kind, apiVersion: version, cacheKeyType, cacheDuration, auth } = Object.fromEntries(Object.entries(answer));
  if (kind !== 'CredentialProviderResponse' || version !== apiVersion) {
    throw new Error(`the answer is of ${String(version)}, kind ${String(kind)}; expected ${apiVersion}, CredentialProviderResponse`);
  }
  if (cacheKeyType !== 'Image' && cacheKeyType !== 'Registry' && cacheKeyType !== 'Global') {
    throw new Error(`credential provider plugin did not return a valid cacheKeyType: ${JSON.stringify(cacheKeyType)}`);
  }
  const cacheMs = typeof cacheDuration === 'string' ? parseDuration(cacheDuration) : defaultCacheMs;
  return { cacheKeyType, cacheMs, entries: typeof auth === 'object' && auth !== null ? Object.fromEntries(Object.entries(auth)) : {} };
}
