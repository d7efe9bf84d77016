/** Asks webhooks over HTTPS: at a URL, or at a Service, by the address of one of its endpoints but under its name. */
import { EndpointSlice, Service } from '../../../api/kinds.ts';
import type { V1ServicePort } from '../../../api/types.ts';
import { badRequest, internalError } from '../../../machinery/errors.ts';
import type { World } from '../../../world/world.ts';
import type { Registry } from '../../registry/registry.ts';
import { WebhookConnection, WebhookError } from '../../webhook-connection.ts';
import type { AdmissionRequest } from '../admission.ts';
import type { AdmissionMetrics, AdmissionStep, WebhookOutcome } from '../admission-metrics.ts';
import { answerOf, denial, type ReviewAnswer, reviewOf } from './review.ts';
import type { Webhook } from './webhook.ts';

/** More servers than anyone has webhooks; beyond it connections begin anew. */
const maxConnections = 256;

interface Place {
  /** What is connected to. */
  readonly server: string;
  /** What its certificate must say; undefined for the server's own name. */
  readonly serverName: string | undefined;
  /** As errors show it. */
  readonly shown: string;
}

export class WebhookCaller {
  readonly #registry: Registry;
  readonly #world: World;
  readonly #connections = new Map<string, WebhookConnection>();

  readonly #metrics: AdmissionMetrics;

  constructor(registry: Registry, world: World, metrics: AdmissionMetrics) {
    this.#metrics = metrics;
    this.#registry = registry;
    this.#world = world;
  }

  /** The webhook's answer; undefined when it could not be asked and that does not matter. Throws an `ApiError` when it does. */
  async ask(webhook: Webhook, request: AdmissionRequest, step: AdmissionStep): Promise<ReviewAnswer | undefined> {
    if (request.dryRun && webhook.hasSideEffects) throw badRequest(`admission webhook ${JSON.stringify(webhook.name)} does not support dry run`);
    const sinceMs = this.#world.clock.now();
    const count = (code: number, rejection: WebhookOutcome['rejection'], failedOpen = false): void => {
      const seconds = (this.#world.clock.now() - sinceMs) / 1000;
      this.#metrics.webhook({ name: webhook.name, step, operation: request.operation, seconds, code, rejection, failedOpen });
    };
    try {
      const answer = await this.#post(webhook, request);
      count(200, answer.allowed ? undefined : { code: denial(webhook, answer).code, type: 'no_error' });
      return answer;
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      const code = error instanceof Error && error.cause instanceof WebhookError ? error.cause.code : 0;
      count(code, webhook.failsOpen ? undefined : { code: 500, type: 'calling_webhook_error' }, webhook.failsOpen);
      if (!webhook.failsOpen) throw internalError(`failed calling webhook ${JSON.stringify(webhook.name)}: ${why}`);
      this.#world.log.warn('a webhook could not be asked, going on without', { webhook: webhook.name, error: why });
      return undefined;
    }
  }

  async #post(webhook: Webhook, request: AdmissionRequest): Promise<ReviewAnswer> {
    const uid = this.#world.random.uid();
    if (!webhook.reviewVersions.includes('v1')) throw new Error('webhook does not accept known AdmissionReview versions (v1)');
    const shown = shownUrl(webhook);
    let body: unknown;
    try {
      const place = this.#placeOf(webhook, shown);
      body = await this.#connection(webhook, place).post(reviewOf(request, uid), webhook.timeoutSeconds * 1000);
    } catch (error) {
      throw new Error(`failed to call webhook: Post ${JSON.stringify(shown)}: ${error instanceof Error ? error.message : String(error)}`, {
        cause: error,
      });
    }
    return answerOf(body, uid);
  }

  #placeOf({ client, timeoutSeconds }: Webhook, shown: string): Place {
    if (client.service === undefined) return { server: shown, serverName: undefined, shown };
    const { name, namespace, path = '', port = 443 } = client.service;
    const { host, number } = this.#endpointOf(namespace, name, port);
    const address = host.includes(':') ? `[${host}]` : host;
    const server = `https://${address}:${number}${path.startsWith('/') || path === '' ? path : `/${path}`}?timeout=${timeoutSeconds}s`;
    return { server, serverName: `${name}.${namespace}.svc`, shown };
  }

  #endpointOf(namespace: string, name: string, port: number): { readonly host: string; readonly number: number } {
    const service = this.#registry.get(Service, namespace, name);
    if (!service) throw new Error(`service ${JSON.stringify(name)} not found`);
    const servicePort = (service.spec.ports ?? []).find((candidate) => candidate.port === port);
    if (!servicePort) throw new Error(`no service port ${port} found for service ${JSON.stringify(name)}`);
    if (service.spec.type === 'ExternalName' && service.spec.externalName) return { host: service.spec.externalName, number: port };
    const ready = this.#registry
      .list(EndpointSlice, namespace)
      .filter(({ metadata }) => metadata.labels?.['kubernetes.io/service-name'] === name)
      .flatMap((slice) => readyAddresses(slice, servicePort));
    const chosen = ready[this.#world.random.int(Math.max(1, ready.length))];
    if (!chosen) throw new Error(`no endpoints available for service ${JSON.stringify(name)}`);
    return chosen;
  }

  #connection({ client }: Webhook, { server, serverName }: Place): WebhookConnection {
    const ca = client.caBundle ?? '';
    const key = `${server} ${serverName ?? ''} ${ca}`;
    let connection = this.#connections.get(key);
    if (!connection) {
      if (this.#connections.size >= maxConnections) this.close();
      connection = new WebhookConnection(this.#world, {
        server,
        ...(ca !== '' && { ca: Buffer.from(ca, 'base64').toString('utf8') }),
        ...(serverName !== undefined && { serverName }),
      });
      this.#connections.set(key, connection);
    }
    return connection;
  }

  close(): void {
    for (const connection of this.#connections.values()) connection.close();
    this.#connections.clear();
  }
}

function shownUrl({ client, timeoutSeconds }: Webhook): string {
  if (client.service === undefined) {
    const url = new URL(client.url ?? '');
    url.searchParams.set('timeout', `${timeoutSeconds}s`);
    return url.href;
  }
  const { name, namespace, path = '', port = 443 } = client.service;
  return `https://${name}.${namespace}.svc:${port}${path.startsWith('/') || path === '' ? path : `/${path}`}?timeout=${timeoutSeconds}s`;
}

function readyAddresses(slice: EndpointSlice, servicePort: V1ServicePort): { host: string; number: number }[] {
  const number = slice.ports?.find((candidate) => (candidate.name ?? '') === (servicePort.name ?? ''))?.port;
  if (number === undefined) return [];
  return (slice.endpoints ?? [])
    .filter(({ conditions }) => conditions?.ready !== false)
    .flatMap(({ addresses }) => addresses.map((host) => ({ host, number })));
}
