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
import { apiServerOnly, attributesOf, type AuthorizeCaller, callerOf } from './caller.ts';
import { containerChanges, type ContainerChanges } from './container-changes.ts';
import { serveContainerLogs } from './container-logs.ts';
import { servePortForward } from './port-forward.ts';
import { remoteCommandOptions, serveRemoteCommand } from './remote-command.ts';
import { HttpError, refuseUpgrade, sendJson, sendText } from './responses.ts';
import { containerPath, findContainer, findPod, podPath } from './routes.ts';
import type { ServedPods } from './served-pods.ts';
import { type NodeStats, nodeStats } from './stats.ts';
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
  /** The host's name when absent. */
  readonly nodeName?: string;
  /** Asked for every request; the API server and `system:masters` alone when absent. */
  readonly authorize?: AuthorizeCaller;
}

export interface KubeletServer {
  readonly port: number;
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
  readonly #stats: NodeStats;

  constructor(options: KubeletServerOptions, changes: ContainerChanges) {
    this.#options = options;
    this.#changes = changes;
    this.#stats = nodeStats(options.runtime, options.world, options.nodeName ?? hostname());
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
    const caller = callerOf(request);
    if (caller === undefined) throw new HttpError(401, 'Unauthorized');
    const attributes = attributesOf(request.method ?? 'GET', url.pathname);
    if (await (this.#options.authorize ?? apiServerOnly)(caller, attributes)) return;
    throw new HttpError(403, `Forbidden (user=${caller.name}, verb=${attributes.verb}, resource=nodes, subresource(s)=[${attributes.subresource}])`);
  }

  async #route(request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> {
    const { pods, runtime, world } = this.#options;
    const [first, ...parts] = partsOf(url);
    switch (first) {
      case 'healthz':
        sendText(response, 200, 'ok');
        break;
      case 'pods':
        sendJson(response, { kind: 'PodList', apiVersion: 'v1', metadata: {}, items: pods.pods() });
        break;
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
        if (parts[0] !== 'summary') throw new HttpError(404, '404 page not found');
        sendJson(response, await this.#stats.summary());
        break;
      case 'metrics':
        if (parts.length > 0 && parts[0] !== 'resource') throw new HttpError(404, '404 page not found');
        sendText(response, 200, await (parts.length > 0 ? this.#stats.resourceMetrics() : this.#stats.ownMetrics()), 'text/plain; version=0.0.4');
        break;
      case 'exec':
      case 'attach':
      case 'portForward':
        throw new HttpError(400, 'unable to upgrade: missing upgrade headers in request');
      default:
        throw new HttpError(404, '404 page not found');
    }
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
