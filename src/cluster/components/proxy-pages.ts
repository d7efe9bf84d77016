/**
 * What `k8ts kube-proxy` shows over plain HTTP, as upstream: health, for load balancers that ask whether this node takes traffic, on one port; metrics and the
 * proxy's mode on another.
 */
import type { Server } from 'node:http';
import { isIPv6 } from 'node:net';
import { Exposition, metricsContentType } from '../../machinery/exposition.ts';
import { Node } from '../../api/kinds.ts';
import type { Informers } from '../../client/informer.ts';
import type { Proxy } from '../../proxy/proxy.ts';
import { createServer } from '../../world/node-http.ts';
import { timestamp, type World } from '../../world/world.ts';
import { ClusterError } from '../config.ts';
import { plainListenError } from '../listen-error.ts';
import type { Closers } from './component.ts';

interface Page {
  readonly code: number;
  readonly type: string;
  readonly body: string;
}

export interface ProxyPagesOptions {
  readonly world: World;
  readonly proxy: Proxy;
  readonly informers: Informers;
  readonly nodeName: string;
  /** `address:port`; a port of 0, or nothing, is nowhere. */
  readonly healthzBindAddress: string;
  readonly metricsBindAddress: string;
}

/** The autoscaler taints a node so before it takes it away. */
const leavingTaint = 'ToBeDeletedByClusterAutoscaler';

export async function serveProxyPages(options: ProxyPagesOptions, closers: Closers): Promise<void> {
  const { healthzBindAddress, metricsBindAddress } = options;
  const health = healthPages(options);
  await serve('--healthz-bind-address', healthzBindAddress, health, closers);
  const metrics: Record<string, () => Page> = {
    '/metrics': () => ({ code: 200, type: metricsContentType, body: metricsText(options.proxy) }),
    '/proxyMode': () => text(200, 'nftables'),
    '/healthz': () => text(200, 'ok'),
  };
  await serve('--metrics-bind-address', metricsBindAddress, metrics, closers);
}

function healthPages({ world, proxy, informers, nodeName }: ProxyPagesOptions): Record<string, () => Page> {
  const nodes = informers.of(Node);
  const isEligible = (): boolean => {
    const node = nodes.get(nodeName);
    return node?.metadata.deletionTimestamp === undefined && node?.spec.taints?.some(({ key }) => key === leavingTaint) !== true;
  };
  const answer = (code: number, nodeEligible?: boolean): Page => {
    const currentTime = timestamp(world.clock.now());
    const lastUpdated = proxy.isHealthy() ? currentTime : timestamp(proxy.metrics.lastSyncMs);
    const body = JSON.stringify({ lastUpdated, currentTime, ...(nodeEligible !== undefined && { nodeEligible }) });
    return { code, type: 'application/json', body };
  };
  return {
    '/healthz': () => answer(proxy.isHealthy() && isEligible() ? 200 : 503, isEligible()),
    // Says nothing of whether the node takes traffic: a node that leaves need not be started anew.
    '/livez': () => answer(proxy.isHealthy() ? 200 : 503),
  };
}

function metricsText({ metrics }: Proxy): string {
  const out = new Exposition();
  const histogram = (name: string, help: string, values: typeof metrics.syncs): void => {
    out.family(name, 'histogram', help);
    out.histogram(name, '', values);
  };
  histogram('kubeproxy_sync_proxy_rules_duration_seconds', 'How long it took to bring the rules up to date.', metrics.syncs);
  histogram('kubeproxy_network_programming_duration_seconds', 'From a change that was heard of to rules that follow it.', metrics.programming);
  out.single('kubeproxy_sync_proxy_rules_service_changes_total', 'counter', 'Changes of Services heard of.', metrics.serviceChanges);
  out.single('kubeproxy_sync_proxy_rules_endpoint_changes_total', 'counter', 'Changes of endpoint slices heard of.', metrics.endpointChanges);
  out.single('kubeproxy_sync_proxy_rules_nftables_sync_failures_total', 'counter', 'Transactions that nftables refused.', metrics.failures);
  out.single('kubeproxy_sync_proxy_rules_last_timestamp_seconds', 'gauge', 'When the rules were last brought up to date.', metrics.lastSyncMs / 1000);
  const queued = 'kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds';
  out.single(queued, 'gauge', 'When a change was last heard of.', metrics.lastQueuedMs / 1000);
  return out.text();
}

function text(code: number, body: string): Page {
  return { code, type: 'text/plain; charset=utf-8', body };
}

async function serve(flag: string, bindAddress: string, pages: Readonly<Record<string, () => Page>>, closers: Closers): Promise<void> {
  const place = placeOf(flag, bindAddress);
  if (place === undefined) return;
  const server = createServer((request, response) => {
    request.resume();
    const path = (request.url ?? '/').split('?')[0] ?? '/';
    const page = (Object.hasOwn(pages, path) ? pages[path] : undefined)?.() ?? text(404, '404 page not found\n');
    response.writeHead(page.code, { 'Content-Type': page.type, 'X-Content-Type-Options': 'nosniff' });
    response.end(page.body);
  });
  await listen(server, place).catch((error: unknown) => {
    throw plainListenError(error, { ...place, portFlag: flag, hostFlag: flag });
  });
  closers.push(async () => {
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
  });
}

/** Throws {@link ClusterError} for what is no address and port. */
function placeOf(flag: string, given: string): { readonly host: string; readonly port: number } | undefined {
  if (given === '') return undefined;
  const [, bracketed, plain, number] = /^(?:\[([^\]]+)\]|([^:]*)):(\d{1,5})$/.exec(given) ?? [];
  const port = Number(number);
  if (number === undefined || port > 65_535 || (bracketed !== undefined && !isIPv6(bracketed))) {
    throw new ClusterError(`${flag} ${given}: is no address and port, such as 127.0.0.1:10249`);
  }
  return port === 0 ? undefined : { host: bracketed ?? (plain === '' ? '0.0.0.0' : (plain ?? '0.0.0.0')), port };
}

function listen(server: Server, { host, port }: { readonly host: string; readonly port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
}
