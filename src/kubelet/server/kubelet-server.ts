/**
 * The kubelet's own HTTPS server, which the API server calls for logs, exec, attach and port-forward, and metrics collectors for numbers. Paths and
 * parameters are upstream's; see https://kubernetes.io/docs/reference/access-authn-authz/kubelet-authn-authz/.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { World } from '../../world/world.ts';
import type { ContainerRuntime } from '../runtime/runtime.ts';
import type { StatsSubject } from '../stats/node-stats.ts';
import { apiServerOnly, attributesOf, bearerTokenOf, type Caller, callerOf } from './caller.ts';
import { containerChanges } from './container-changes.ts';
import type { DelegatedAccess } from './delegated-access.ts';
import { Pages } from './pages.ts';
import { HttpError, refuseUpgrade, sendError } from './responses.ts';
import { assertServed, defaultPages, type ServedPages } from './served-pages.ts';
import type { ServedPods } from './served-pods.ts';
import { serveUpgrade } from './upgrades.ts';

export interface KubeletServerOptions {
  readonly world: World;
  readonly pods: ServedPods;
  readonly runtime: ContainerRuntime;
  readonly host: string;
  /** 0 for any that is free. */
  readonly port: number;
  /** PEM. */
  readonly certificate: string;
  readonly key: string;
  /** PEM; who may call shows a certificate of this CA. */
  readonly clientCa: string;
  /** What is set on the kubelet, for `/configz`. */
  readonly configz?: () => Readonly<Record<string, unknown>>;
  /** The host's name when absent. */
  readonly nodeName?: string;
  /** Whom tokens stand for and what others than the API server may; without it nobody else may anything. */
  readonly access?: DelegatedAccess;
  /** What the pages about use tell of; without it there are none. */
  readonly stats?: StatsSubject;
  /** Which pages there are; upstream's by default. */
  readonly pages?: ServedPages | undefined;
  /** The machine's `/var/log` when absent; a simulated node has no logs. */
  readonly nodeLogs?: string;
}

export interface KubeletServer {
  readonly port: number;
  /** Serves new connections with another certificate. */
  present(identity: { readonly certificate: string; readonly key: string }): void;
  /** Ends what is open, too. */
  close(): Promise<void>;
}

export async function startKubeletServer(options: KubeletServerOptions): Promise<KubeletServer> {
  const closing = new AbortController();
  const handler = new Handler(options, closing.signal);
  const server = createServer({ cert: options.certificate, key: options.key, ca: options.clientCa, requestCert: true, rejectUnauthorized: false });
  const sockets = new Set<Duplex>();
  server.on('secureConnection', (socket) => {
    sockets.add(socket);
    socket.setNoDelay(true);
    socket.on('error', () => socket.destroy());
    socket.once('close', () => sockets.delete(socket));
  });
  server.on('request', (request, response) => void handler.request(request, response));
  server.on('upgrade', (request, socket, head) => void handler.upgrade(request, socket, head));
  const port = await listen(server, options.host, options.port);
  return {
    port,
    present: ({ certificate, key }) => server.setSecureContext({ cert: certificate, key, ca: options.clientCa }),
    async close() {
      closing.abort();
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

const nodeLogRoot = '/var/log';

class Handler {
  readonly #options: KubeletServerOptions;
  readonly #chosen: ServedPages;
  readonly #pages: Pages;

  constructor(options: KubeletServerOptions, closing: AbortSignal) {
    const { world, pods, runtime, nodeName, stats, configz = () => ({}), pages = defaultPages } = options;
    const nodeLogs = options.nodeLogs ?? (stats?.places === undefined ? undefined : nodeLogRoot);
    this.#options = options;
    this.#chosen = pages;
    const changes = containerChanges(runtime, closing);
    this.#pages = new Pages({ world, pods, runtime, nodeName, stats, configz, pages, nodeLogs, changes });
  }

  async request(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const url = urlOf(request);
      await this.#admit(request, url);
      request.resume();
      await this.#pages.answer(request, response, partsOf(url), url.searchParams);
    } catch (error) {
      if (response.headersSent) response.destroy();
      else sendError(response, this.#failureOf(error, request));
    }
  }

  async upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    try {
      const { pods, runtime } = this.#options;
      const url = urlOf(request);
      await this.#admit(request, url);
      const parts = partsOf(url);
      assertServed(parts[0] ?? '', request.method ?? 'GET', this.#chosen);
      await serveUpgrade({ request, socket, head, query: url.searchParams }, parts, pods, runtime);
    } catch (error) {
      // Thrown only before the connection was upgraded.
      refuseUpgrade(socket, this.#failureOf(error, request));
    }
  }

  async #admit(request: IncomingMessage, url: URL): Promise<void> {
    const { access } = this.#options;
    const caller = await this.#callerOf(request);
    if (caller === undefined) throw new HttpError(401, 'Unauthorized');
    if (apiServerOnly(caller)) return;
    const attributes = attributesOf(request.method ?? 'GET', url.pathname);
    if ((await access?.authorize(caller, attributes)) === true) return;
    const { verb, subresources } = attributes;
    throw new HttpError(403, `Forbidden (user=${caller.name}, verb=${verb}, resource=nodes, subresource(s)=[${subresources.join(' ')}])`);
  }

  async #callerOf(request: IncomingMessage): Promise<Caller | undefined> {
    const known = callerOf(request);
    if (known !== undefined) return known;
    const token = bearerTokenOf(request);
    return token === undefined ? undefined : this.#options.access?.callerOfToken(token);
  }

  #failureOf(error: unknown, request: IncomingMessage): HttpError {
    if (error instanceof HttpError) return error;
    const message = error instanceof Error ? error.message : String(error);
    this.#options.world.log.child('kubelet-server').warn('a request failed', { path: request.url, error: message });
    return new HttpError(500, message);
  }
}

function urlOf(request: IncomingMessage): URL {
  const url = URL.parse(request.url ?? '/', 'https://kubelet');
  if (url === null) throw new HttpError(400, `${request.url} is not a path`);
  return url;
}

function partsOf(url: URL): string[] {
  try {
    return url.pathname.split('/').slice(1).map(decodeURIComponent);
  } catch {
    throw new HttpError(400, `${url.pathname} is not a path`);
  }
}

function listen(server: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve((server.address() as AddressInfo).port);
    });
  });
}
