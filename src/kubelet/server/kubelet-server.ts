/**
 * The kubelet's own HTTPS server, which the API server calls for logs, exec, attach and port-forward, and metrics collectors for numbers. Paths and
 * parameters are upstream's; see https://kubernetes.io/docs/reference/access-authn-authz/kubelet-authn-authz/.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { hostname } from 'node:os';
import type { Duplex } from 'node:stream';
import type { World } from '../../world/world.ts';
import type { ContainerRuntime } from '../runtime/runtime.ts';
import type { NodeStats, StatsSubject } from '../stats/node-stats.ts';
import { apiServerOnly, attributesOf, bearerTokenOf, type Caller, callerOf } from './caller.ts';
import { containerChanges, type ContainerChanges } from './container-changes.ts';
import { serveContainerLogs } from './container-logs.ts';
import type { DelegatedAccess } from './delegated-access.ts';
import { servePortForward } from './port-forward.ts';
import { remoteCommandOptions, serveRemoteCommand } from './remote-command.ts';
import { HttpError, refuseUpgrade, sendJson, sendText } from './responses.ts';
import { containerPath, findContainer, findPod, podPath } from './routes.ts';
import type { ServedPods } from './served-pods.ts';
import { upgradeKind } from './upgrade.ts';

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
  const handler = new Handler(options, containerChanges(options.runtime, closing.signal));
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

const runTimeoutSeconds = 120;

class Handler {
  readonly #options: KubeletServerOptions;
  readonly #changes: ContainerChanges;
  #stats: NodeStats | undefined;

  constructor(options: KubeletServerOptions, changes: ContainerChanges) {
    this.#options = options;
    this.#changes = changes;
  }

  async request(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const url = urlOf(request);
      await this.#admit(request, url);
      request.resume();
      await this.#route(request, response, url);
    } catch (error) {
      const failure = this.#failureOf(error, request);
      if (response.headersSent) response.destroy();
      else sendText(response, failure.statusCode, `${failure.message}\n`);
    }
  }

  async upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    try {
      const url = urlOf(request);
      await this.#admit(request, url);
      await this.#upgrade(request, socket, head, url);
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

  async #route(request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> {
    const { pods, runtime, world } = this.#options;
    const [first, ...parts] = partsOf(url);
    switch (first) {
      case 'healthz':
        sendText(response, 200, 'ok');
        break;
      case 'pods':
      case 'runningpods':
        sendJson(response, { kind: 'PodList', apiVersion: 'v1', metadata: {}, items: pods.pods() });
        break;
      case 'configz':
        sendJson(response, { kubeletconfig: this.#options.configz?.() ?? {} });
        break;
      case 'checkpoint':
        findContainer(pods, containerPath(parts));
        throw new HttpError(404, 'checkpointing a container is not supported by the container runtime');
      case 'containerLogs': {
        const [path, query, changes] = [containerPath(parts), url.searchParams, this.#changes];
        await serveContainerLogs({ pods, runtime, world, changes, path, query, response, request });
        break;
      }
      case 'run': {
        const container = findContainer(pods, containerPath(parts));
        const command = (url.searchParams.get('cmd') ?? '').split(' ').filter((word) => word !== '');
        const { stdout, stderr } = await runtime.execSync(container.id, command, runTimeoutSeconds);
        sendText(response, 200, Buffer.concat([stdout, stderr]).toString());
        break;
      }
      case 'stats':
      case 'metrics':
        await this.#answerStats(response, [first, ...parts].join('/'), url.searchParams);
        break;
      case 'exec':
      case 'attach':
      case 'portForward':
        throw new HttpError(400, 'unable to upgrade: missing upgrade headers in request');
      default:
        throw new HttpError(404, '404 page not found');
    }
  }

  async #answerStats(response: ServerResponse, page: string, query: URLSearchParams): Promise<void> {
    const stats = await this.#loadStats();
    if (page === 'stats/summary') {
      sendJson(response, await stats.summary(query.get('only_cpu_and_memory') === 'true'));
      return;
    }
    const text = await metricsPage(stats, page);
    if (text === undefined) throw new HttpError(404, '404 page not found');
    sendText(response, 200, text, metricsContentType);
  }

  async #loadStats(): Promise<NodeStats> {
    const { stats: subject, pods, runtime, world, nodeName = hostname() } = this.#options;
    if (subject === undefined) throw new HttpError(404, '404 page not found');
    const { NodeStats } = await import('../stats/node-stats.ts');
    this.#stats ??= new NodeStats({ world, runtime, nodeName, pods: () => pods.pods(), subject });
    return this.#stats;
  }

  async #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer, url: URL): Promise<void> {
    const { pods, runtime } = this.#options;
    const [first, ...parts] = partsOf(url);
    if (upgradeKind(request) === undefined) throw new HttpError(400, `unable to upgrade to ${JSON.stringify(request.headers.upgrade)}`);
    const upgrade = { request, socket, head, query: url.searchParams };
    switch (first) {
      case 'exec': {
        const { id: containerId } = findContainer(pods, containerPath(parts));
        const streams = remoteCommandOptions(url.searchParams);
        const streamingUrl = await runtime.exec({ containerId, command: url.searchParams.getAll('command'), ...streams });
        await serveRemoteCommand(upgrade, streamingUrl, streams);
        break;
      }
      case 'attach': {
        const { id: containerId, tty } = findContainer(pods, containerPath(parts));
        // A terminal is the container's own property, whatever the client asks for.
        const streams = { ...remoteCommandOptions(url.searchParams), tty };
        await serveRemoteCommand(upgrade, await runtime.attach({ containerId, ...streams }), streams);
        break;
      }
      case 'portForward': {
        const path = podPath(parts);
        findPod(pods, path);
        const sandboxId = pods.sandboxId(path.namespace, path.pod);
        if (sandboxId === undefined) throw new HttpError(404, `pod "${path.pod}" is not running`);
        await servePortForward(upgrade, path.pod, (port) => runtime.portForward(sandboxId, port));
        break;
      }
      default:
        throw new HttpError(404, '404 page not found');
    }
  }

  #failureOf(error: unknown, request: IncomingMessage): HttpError {
    if (error instanceof HttpError) return error;
    const message = error instanceof Error ? error.message : String(error);
    this.#options.world.log.child('kubelet-server').warn('a request failed', { path: request.url, error: message });
    return new HttpError(500, message);
  }
}

const metricsContentType = 'text/plain; version=0.0.4; charset=utf-8';

/** Undefined for a page that is not there. */
function metricsPage(stats: NodeStats, page: string): string | Promise<string> | undefined {
  switch (page) {
    case 'metrics':
      return stats.kubeletMetrics();
    case 'metrics/resource':
      return stats.resourceMetrics();
    case 'metrics/cadvisor':
      return stats.cadvisorMetrics();
    case 'metrics/probes':
      return stats.probeMetrics();
    default:
      return undefined;
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
