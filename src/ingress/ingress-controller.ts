/**
 * The ingress controller of a node: watches Ingresses and what they lead to, serves them on the node's ports, and says where. Routes are made anew when an
 * Ingress changes; a request looks up who is ready behind its Service at that moment.
 */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { EndpointSlice, type Ingress, type IngressClass, Secret, Service } from '../api/kinds.ts';
import type { Client } from '../client/client.ts';
import { createEventRecorder } from '../client/events.ts';
import type { Informer, Informers } from '../client/informer.ts';
import { isReason } from '../machinery/errors.ts';
import { isV6 } from '../machinery/ip.ts';
import type { Timer, World } from '../world/world.ts';
import { type Endpoint, endpointsOf } from './backends.ts';
import { Certificates } from './certificates.ts';
import { Forwarder, ProxyError, type ProxyRequest, type ProxyResponse } from './forward.ts';
import { type Front, type FrontHandlers, openFront } from './front.ts';
import type { ClientFacts } from './headers.ts';
import { ingressNamespace } from './names.ts';
import { type BackendReference, hostOf, match, type Routes, routesOf, servedIngresses } from './routes.ts';
import { servingSlice, servingSliceName } from './serving-slice.ts';
import { startStatusWriter } from './status-writer.ts';

export interface IngressControllerOptions {
  readonly world: World;
  readonly client: Client;
  readonly informers: Informers;
  readonly ingresses: Informer<Ingress>;
  readonly classes: Informer<IngressClass>;
  readonly nodeName: string;
  /** The node's addresses: one, or one of each family. */
  readonly nodeIps: readonly string[];
  /** Where it listens, on all the node's addresses. */
  readonly httpPort: number;
  readonly httpsPort: number;
  /** PEM of a certificate that nobody need trust, for names without one. */
  readonly defaultCertificate: () => Promise<{ readonly certificate: string; readonly key: string }>;
}

export interface IngressController {
  close(): Promise<void>;
}

/** How soon a port that somebody else has is tried again. */
const retryMs = 10_000;
const sliceIndex = 'service';

export function startIngressController(options: IngressControllerOptions): IngressController {
  const { world, client, informers, ingresses, classes, nodeName, nodeIps } = options;
  const v6 = nodeIps.some(isV6);
  const log = world.log.child('ingress');
  const services = informers.of(Service);
  const slices = informers.of(EndpointSlice);
  slices.addIndex(sliceIndex, ({ metadata }) => [`${metadata.namespace}/${metadata.labels?.['kubernetes.io/service-name'] ?? ''}`]);
  const secrets = informers.of(Secret, { fieldSelector: 'type=kubernetes.io/tls' });
  const certificates = new Certificates(log, (namespace, name) => secrets.get(name, namespace));
  const sliceNames = nodeIps.map((address) => servingSliceName(nodeName, address));
  const forwarder = new Forwarder(world);
  const events = createEventRecorder(client, world, { component: 'k8ts-ingress', host: nodeName });
  const fronts: { http?: Front; https?: Front } = {};
  const closed = new AbortController();
  let routes: Routes = { hosts: new Map(), fallback: undefined, tls: [] };
  let stale = true;
  let own: Awaited<ReturnType<IngressControllerOptions['defaultCertificate']>> | undefined;
  let complaint = '';
  let timer: Timer | undefined;
  let stopStatus: (() => Promise<void>) | undefined;

  // ---- routes

  /** Made when a request comes and something changed since the last one. */
  function currentRoutes(): Routes {
    if (!stale) return routes;
    stale = false;
    routes = routesOf(servedIngresses(ingresses.list(), classes.list()));
    certificates.use(routes.tls);
    return routes;
  }

  function endpointsFor(from: ClientFacts, path: string): readonly Endpoint[] {
    const found = match(currentRoutes(), hostOf(from.host), path);
    if (found === undefined) throw new ProxyError(404, 'no rule');
    const endpoints = found.backend && resolve(found.backend);
    if (endpoints === undefined || endpoints.length === 0) throw new ProxyError(503, 'no endpoint is ready');
    return endpoints;
  }

  function resolve(backend: BackendReference): readonly Endpoint[] | undefined {
    const { namespace, service } = backend;
    return endpointsOf(backend, services.get(service, namespace), slices.byIndex(sliceIndex, `${namespace}/${service}`));
  }

  const handlers: FrontHandlers = {
    async request(request: ProxyRequest, response: ProxyResponse, from: ClientFacts) {
      await forwarder.forward(request, response, endpointsFor(from, pathOf(request)), from);
    },
    async upgrade(request: IncomingMessage, socket: Duplex, head: Buffer, from: ClientFacts) {
      await forwarder.upgrade(request, socket, head, endpointsFor(from, pathOf(request)), from);
    },
  };

  // ---- ports

  async function open(): Promise<void> {
    const problems: string[] = [];
    const attempt = async (name: 'http' | 'https', port: number, listen: () => Promise<Front>): Promise<void> => {
      if (fronts[name] !== undefined) return;
      try {
        fronts[name] = await listen();
      } catch (error) {
        problems.push(`port ${port} of node ${nodeName} cannot be had (${codeOf(error)})`);
      }
    };
    const { httpPort, httpsPort } = options;
    await attempt('http', httpPort, () => openFront(v6, httpPort, handlers));
    own ??= await options.defaultCertificate();
    const served = own;
    const contextFor = (host: string): ReturnType<Certificates['for']> => {
      currentRoutes();
      return certificates.for(host);
    };
    await attempt('https', httpsPort, () => openFront(v6, httpsPort, handlers, { ...served, contextFor }));
    if (closed.signal.aborted) return closeFronts();
    complain(problems.join(' and '));
    if (fronts.http !== undefined || fronts.https !== undefined) await announce();
    // Another program may give it up.
    if (problems.length > 0) openLater();
  }

  /** Once in the log, and in the events of every Ingress there is by now; those are folded into one. */
  function complain(problem: string): void {
    if (problem !== complaint && problem !== '') log.warn('Ingresses are not served as they should be', { problem });
    complaint = problem;
    if (problem === '') return;
    const advice = `${problem}; it is tried again every ${retryMs / 1000} s. Stop what listens there, or choose others with k8ts up --ingress-http-port and --ingress-https-port`;
    for (const ingress of servedIngresses(ingresses.list(), classes.list())) events.event(ingress, 'Warning', 'PortUnavailable', advice);
  }

  async function announce(): Promise<void> {
    for (const address of nodeIps) {
      const portOf = (front: Front | undefined): number | undefined => (isV6(address) && front?.v6 !== true ? undefined : front?.port);
      const slice = servingSlice(nodeName, address, { http: portOf(fronts.http), https: portOf(fronts.https) });
      await client
        .resource(EndpointSlice)
        .namespace(ingressNamespace)
        .patch(servingSliceName(nodeName, address), slice, { type: 'apply', fieldManager: 'k8ts-ingress', force: true, signal: closed.signal });
    }
    stopStatus ??= startStatusWriter({ world, client, informers, ingresses, classes, nodeName });
  }

  function failed(error: unknown): void {
    if (closed.signal.aborted) return;
    log.warn('Ingresses are not served yet', { error: error instanceof Error ? error.message : String(error) });
    openLater();
  }

  function openLater(): void {
    timer?.cancel();
    timer = world.clock.after(retryMs, () => {
      timer = undefined;
      void open().catch(failed);
    });
  }

  async function closeFronts(): Promise<void> {
    await Promise.all([fronts.http?.close(), fronts.https?.close()]);
    delete fronts.http;
    delete fronts.https;
  }

  async function withdraw(): Promise<void> {
    try {
      for (const name of sliceNames) await client.resource(EndpointSlice).namespace(ingressNamespace).delete(name);
    } catch (error) {
      // With the API server gone there is nobody to tell.
      if (!isReason(error, 'NotFound')) log.debug('could not say that Ingresses are no longer served', { error: String(error) });
    }
  }

  const changed = (): void => void (stale = true);
  const handler = { added: changed, updated: changed, deleted: changed };
  const stops = [
    ingresses.subscribe(handler),
    classes.subscribe(handler),
    slices.subscribe({
      // A Node that was deleted takes its slice along; when the node is back, it says again that it serves.
      deleted({ metadata: { namespace, name } }) {
        if (namespace === ingressNamespace && sliceNames.includes(name) && timer === undefined) openLater();
      },
    }),
  ];
  // Before everything is known, requests would be told that there is nothing.
  const starting = Promise.all([ingresses.synced, classes.synced, services.synced, slices.synced, secrets.synced]).then(open).catch(failed);

  return {
    async close() {
      closed.abort(new Error('the ingress controller was closed'));
      timer?.cancel();
      for (const stop of stops) stop();
      await closeFronts();
      await Promise.race([starting, world.clock.sleep(1000)]);
      await closeFronts();
      await Promise.race([Promise.all([stopStatus?.(), withdraw()]), world.clock.sleep(1000)]);
      forwarder.close();
      events.close();
    },
  };
}

function pathOf({ url = '/' }: ProxyRequest): string {
  const question = url.indexOf('?');
  const path = question < 0 ? url : url.slice(0, question);
  // A proxy's own form of request names the whole address.
  return path.startsWith('/') ? path : (URL.parse(path)?.pathname ?? '/');
}

function codeOf(error: unknown): string {
  if (error instanceof Error && 'code' in error && error.code === 'EADDRINUSE') return 'another program listens there';
  if (error instanceof Error && 'code' in error && error.code === 'EACCES') return 'it takes root';
  return error instanceof Error ? error.message : String(error);
}
