/** Asks a definition's webhook to convert objects between its versions, all that are needed in one call, at a URL or at a Service. */
import type { CustomResourceDefinition } from '../../api/kinds.ts';
import { ApiError } from '../../machinery/errors.ts';
import type { KubeObject } from '../../machinery/object.ts';
import type { World } from '../../world/world.ts';
import { hostInUrl, someEndpointOf } from '../service-endpoint.ts';
import type { ObjectReader } from '../verbs.ts';
import { WebhookConnection } from '../webhook-connection.ts';
import { convertedObjects, RefusedConversion, reviewOf, reviewVersion, shownType } from './conversion-review.ts';

/** As upstream. */
const timeoutSeconds = 30;

/** Endpoints come and go; beyond this many connections begin anew. */
const maxConnections = 16;

export type WebhookConversion = NonNullable<NonNullable<CustomResourceDefinition['spec']['conversion']>['webhook']>;

export class ConversionWebhook {
  readonly #world: World;
  readonly #objects: ObjectReader;
  readonly #webhook: WebhookConversion;
  readonly #shownUrl: string;
  readonly #connections = new Map<string, WebhookConnection>();

  constructor(world: World, objects: ObjectReader, webhook: WebhookConversion) {
    this.#world = world;
    this.#objects = objects;
    this.#webhook = webhook;
    this.#shownUrl = shownUrl(webhook);
  }

  /**
   * Each object in the version asked for, or the error that it cannot be had. Objects the webhook refuses take no others with them: the rest is asked for
   * again without.
   */
  async convert(objects: readonly KubeObject[], desiredApiVersion: string): Promise<(KubeObject | ApiError)[]> {
    try {
      return await this.#ask(objects, desiredApiVersion);
    } catch (error) {
      if (!(error instanceof RefusedConversion) || objects.length === 1) return objects.map(() => conversionError(error));
      const middle = objects.length >>> 1;
      const first = await this.convert(objects.slice(0, middle), desiredApiVersion);
      return [...first, ...(await this.convert(objects.slice(middle), desiredApiVersion))];
    }
  }

  close(): void {
    for (const connection of this.#connections.values()) connection.close();
    this.#connections.clear();
  }

  async #ask(objects: readonly KubeObject[], desiredApiVersion: string): Promise<KubeObject[]> {
    const asked = { uid: this.#world.random.uid(), desiredApiVersion, objects };
    const [first] = objects;
    if (first === undefined) return [];
    const failed = (why: string): Error => new Error(`conversion webhook for ${shownType(first)} failed: ${why}`);
    if (!this.#webhook.conversionReviewVersions.includes(reviewVersion)) {
      throw failed('no supported conversion review versions');
    }
    let answer: unknown;
    try {
      answer = await this.#connection().post(reviewOf(asked), timeoutSeconds * 1000);
    } catch (error) {
      throw failed(`Post ${JSON.stringify(this.#shownUrl)}: ${error instanceof Error ? error.message : String(error)}`);
    }
    return convertedObjects(answer, asked);
  }

  #connection(): WebhookConnection {
    const { caBundle = '', service } = this.#webhook.clientConfig ?? {};
    const place = this.#place();
    let connection = this.#connections.get(place);
    if (connection === undefined) {
      if (this.#connections.size >= maxConnections) this.close();
      connection = new WebhookConnection(this.#world, {
        server: place,
        ...(caBundle !== '' && { ca: Buffer.from(caBundle, 'base64').toString('utf8') }),
        ...(service !== undefined && { serverName: `${service.name}.${service.namespace}.svc` }),
      });
      this.#connections.set(place, connection);
    }
    return connection;
  }

  #place(): string {
    const { service } = this.#webhook.clientConfig ?? {};
    if (service === undefined) return this.#shownUrl;
    const { namespace, name, port = 443 } = service;
    const endpoint = someEndpointOf(this.#objects, this.#world.random, { namespace, name, port });
    return `https://${hostInUrl(endpoint)}:${endpoint.port}${pathOf(service.path)}?timeout=${timeoutSeconds}s`;
  }
}

/** Upstream answers 500 with the plain words. */
function conversionError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  return new ApiError('InternalError', error instanceof Error ? error.message : String(error), {});
}

function shownUrl({ clientConfig = {} }: WebhookConversion): string {
  const { service, url = '' } = clientConfig;
  if (service === undefined) return `${url}${url.includes('?') ? '&' : '?'}timeout=${timeoutSeconds}s`;
  return `https://${service.name}.${service.namespace}.svc:${service.port ?? 443}${pathOf(service.path)}?timeout=${timeoutSeconds}s`;
}

function pathOf(path = ''): string {
  return path === '' || path.startsWith('/') ? path : `/${path}`;
}
