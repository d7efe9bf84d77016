/** The pages of a kubelet's server: everything that is answered at once or streamed one way. What upgrades a connection is in `upgrades.ts`. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { hostname } from 'node:os';
import { metricsContentType } from '../../machinery/exposition.ts';
import type { World } from '../../world/world.ts';
import type { ContainerRuntime } from '../runtime/runtime.ts';
import type { NodeStats, StatsSubject } from '../stats/node-stats.ts';
import { checkpointContainer } from './checkpoint.ts';
import type { ContainerChanges } from './container-changes.ts';
import { serveContainerLogs } from './container-logs.ts';
import { HealthMetrics, healthPage } from './health.ts';
import { HttpError, sendJson, sendText } from './responses.ts';
import { containerPath, findContainer } from './routes.ts';
import { runningPods } from './running-pods.ts';
import { assertServed, type ServedPages } from './served-pages.ts';
import type { ServedPods } from './served-pods.ts';

export interface PagesOptions {
  readonly world: World;
  readonly pods: ServedPods;
  readonly runtime: ContainerRuntime;
  readonly pages: ServedPages;
  /** What is set on the kubelet, for `/configz`. */
  readonly configz: () => Readonly<Record<string, unknown>>;
  readonly nodeName: string | undefined;
  /** What the pages about use tell of; without it there are none. */
  readonly stats: StatsSubject | undefined;
  /** The directory of the node's logs; undefined for a simulated node. */
  readonly nodeLogs: string | undefined;
  readonly changes: ContainerChanges;
}

const runTimeoutSeconds = 120;
export class Pages {
  readonly #options: PagesOptions;
  readonly #health = new HealthMetrics();
  #stats: NodeStats | undefined;

  constructor(options: PagesOptions) {
    this.#options = options;
  }

  /** `parts` are the path's, decoded. */
  async answer(request: IncomingMessage, response: ServerResponse, parts: readonly string[], query: URLSearchParams): Promise<void> {
    const { pods, runtime, world, changes, configz, pages } = this.#options;
    const [first = '', ...rest] = parts;
    assertServed(first, request.method ?? 'GET', pages);
    switch (first) {
      case 'healthz':
        sendText(response, 200, found(healthPage(rest.join('/'), query)));
        break;
      case 'pods':
        sendPods(response, pods.pods());
        break;
      case 'runningpods':
        sendPods(response, await runningPods(runtime));
        break;
      case 'configz':
        sendJson(response, { kubeletconfig: configz() });
        break;
      case 'checkpoint': {
        const subject = this.#options.stats;
        sendJson(response, await checkpointContainer({ pods, runtime, world, subject, path: containerPath(rest), query }));
        break;
      }
      case 'containerLogs':
        await serveContainerLogs({ pods, runtime, world, changes, path: containerPath(rest), query, response, request });
        break;
      case 'logs':
        await this.#answerNodeLogs(request, response, rest.join('/'), query);
        break;
      case 'run': {
        const container = findContainer(pods, containerPath(rest));
        const command = (query.get('cmd') ?? '').split(' ').filter((word) => word !== '');
        const { stdout, stderr } = await runtime.execSync(container.id, command, runTimeoutSeconds);
        sendText(response, 200, Buffer.concat([stdout, stderr]).toString());
        break;
      }
      case 'stats':
      case 'metrics':
        await this.#answerStats(response, parts.join('/'), query);
        break;
      case 'exec':
      case 'attach':
      case 'portForward':
        throw new HttpError(400, 'unable to upgrade: missing upgrade headers in request');
      default:
        throw notFound();
    }
  }

  async #answerNodeLogs(request: IncomingMessage, response: ServerResponse, path: string, query: URLSearchParams): Promise<void> {
    const { pages, nodeLogs } = this.#options;
    if (nodeLogs === undefined) throw notFound();
    const { serveNodeLogs } = await import('./node-logs.ts');
    if (!pages.systemLogQuery) return serveNodeLogs(nodeLogs, path, request, response);
    const { nodeLogQueryOf, sendServiceLogs, validateNodeLogQuery } = await import('./node-log-query.ts');
    const asked = nodeLogQueryOf(query);
    if (asked === undefined) return serveNodeLogs(nodeLogs, path, request, response);
    if (path !== '') throw new HttpError(406, 'path not allowed in query mode');
    const errors = validateNodeLogQuery(asked);
    if (errors.length > 0) throw new HttpError(406, errors.length === 1 ? String(errors[0]) : `[${errors.join(', ')}]`);
    const [file] = asked.files;
    return file === undefined ? sendServiceLogs(nodeLogs, asked, response) : serveNodeLogs(nodeLogs, file.replaceAll('\\', '/'), request, response);
  }

  async #answerStats(response: ServerResponse, page: string, query: URLSearchParams): Promise<void> {
    if (page === 'metrics/slis') return sendText(response, 200, this.#health.page(), metricsContentType);
    const stats = await this.#loadStats();
    if (page === 'stats/summary') return sendJson(response, await stats.summary(query.get('only_cpu_and_memory') === 'true'));
    sendText(response, 200, found(await metricsPage(stats, page)), metricsContentType);
  }

  async #loadStats(): Promise<NodeStats> {
    const { stats: subject, pods, runtime, world, nodeName = hostname() } = this.#options;
    if (subject === undefined) throw notFound();
    const { NodeStats } = await import('../stats/node-stats.ts');
    this.#stats ??= new NodeStats({ world, runtime, nodeName, pods: () => pods.pods(), subject });
    return this.#stats;
  }
}

function sendPods(response: ServerResponse, items: readonly object[]): void {
  sendJson(response, { kind: 'PodList', apiVersion: 'v1', metadata: {}, items });
}

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

function found<T>(page: T | undefined): T {
  if (page === undefined) throw notFound();
  return page;
}

function notFound(): HttpError {
  return new HttpError(404, '404 page not found');
}
