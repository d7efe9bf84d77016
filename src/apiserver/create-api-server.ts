/** Puts the API server together: verbs below, authentication, authorization and the fixed paths around them, HTTP and in-process connections on top. */
import type { ApiServer, ApiServerOptions, ListenOptions } from './api-server.ts';
import { Auditor } from './audit/audit.ts';
import { Authenticator } from './authentication/authenticator.ts';
import { authenticationReviews } from './authentication/reviews.ts';
import { ServiceAccountTokens } from './authentication/service-account-token.ts';
import { tokenRequests } from './authentication/token-request.ts';
import { withAuthenticatedGroup } from './authentication/users.ts';
import type { Authorizer } from './authorization/authorizer.ts';
import { authorizerChain } from './authorization/modes.ts';
import { accessReviews } from './authorization/reviews.ts';
import { bootstrap, type BootstrapOptions, publishServer } from './bootstrap/bootstrap.ts';
import { addDiscoveryPaths } from './discovery/discovery.ts';
import { Dispatcher } from './dispatch.ts';
import { encryptedStore } from './encryption/encrypted-store.ts';
import { FlowControl } from './flow-control/flow-control.ts';
import { flowControlMetrics } from './flow-control/metrics.ts';
import { Front } from './http/front.ts';
import { addHealthPaths } from './http/health.ts';
import { type Listener, listenTls } from './http/listener.ts';
import { Metrics } from './http/metrics.ts';
import { jsonAnswer, Paths } from './http/paths.ts';
import { handleUpgrade } from './http/upgrade.ts';
import { addVersionPath } from './http/version.ts';
import { inProcessConnection } from './in-process.ts';
import { addOpenApiPaths } from './openapi/openapi.ts';
import { KubeletConnector } from './proxy/kubelet-connector.ts';
import { Streams } from './proxy/streams.ts';
import type { Verbs } from './verbs.ts';
import { createVerbs } from './verbs/create-verbs.ts';

/** How long requests under way may take to end when the server closes. */
const closeGraceMs = 2_000;

/** As upstream: 400 that read and 200 that write. */
const defaultSeats = 600;

/** As upstream: a deleted `kubernetes` Service is back after at most so long. */
const publishEveryMs = 10_000;

/** Resolves when what every cluster starts with is written, and the server may be called. */
export async function createApiServer(options: ApiServerOptions): Promise<ApiServer> {
  const { world, serviceCidr, nodePortRange, encryption } = options;
  const store = encryption === undefined ? options.store : encryptedStore(options.store, encryption);
  // The authorizer reads what the verbs keep, and admission asks it: it comes after the server's own first writes.
  const late: { authorizer?: Authorizer } = {};
  const { admissionPlugins } = options;
  const verbs = await createVerbs({
    world,
    store,
    serviceCidr,
    nodePortRange,
    authorizer: () => late.authorizer,
    ...(admissionPlugins && { admissionPlugins }),
  });
  const published: BootstrapOptions = { serviceCidr, ...(options.advertise && { advertise: options.advertise }) };
  try {
    await bootstrap(verbs, published);
  } catch (error) {
    await verbs.close();
    throw error;
  }
  return assemble(options, verbs, published, late);
}

function assemble(options: ApiServerOptions, verbs: Verbs, published: BootstrapOptions, late: { authorizer?: Authorizer }): ApiServer {
  const { world } = options;
  const { objects } = verbs;
  const log = world.log.child('apiserver');
  const serviceAccountTokens = new ServiceAccountTokens({
    world,
    objects,
    signingKey: options.serviceAccountKey,
    issuer: options.serviceAccountIssuer,
    ...(options.serviceAccountVerificationKeys && { verificationKeys: options.serviceAccountVerificationKeys }),
    ...(options.apiAudiences && { apiAudiences: options.apiAudiences }),
  });
  const authenticator = new Authenticator({ ...options, objects, serviceAccountTokens });
  const authorization = authorizerChain({
    world,
    verbs,
    ...(options.authorizationModes && { modes: options.authorizationModes }),
    ...(options.authorizationWebhook && { webhook: options.authorizationWebhook }),
  });
  const { authorizer } = authorization;
  late.authorizer = authorizer;
  const virtual = new Map([
    ...accessReviews(authorizer),
    ...authenticationReviews(world, authenticator),
    ...tokenRequests(world, objects, serviceAccountTokens),
  ]);
  const dispatcher = new Dispatcher({ verbs, authorizer, virtual });
  const kubelets = new KubeletConnector(objects, options.kubeletClient);
  const streams = new Streams({ world, objects, kubelets });
  const metrics = new Metrics(world);
  const listeners: Listener[] = [];
  const state = { closing: false };
  const paths = createPaths({
    verbs,
    metrics,
    serviceAccountTokens,
    isClosing: () => state.closing,
    serverAddress: () => serverAddress(options, listeners),
  });
  const { maxRequestsInFlight: seats = defaultSeats } = options;
  const flowControl = seats === 0 ? undefined : new FlowControl({ world, objects, seats });
  if (flowControl !== undefined) metrics.addSource(() => flowControlMetrics(flowControl));
  const audit = options.audit && new Auditor({ world, ...options.audit });
  const front = new Front({
    world: { ...world, log },
    authenticator,
    dispatcher,
    paths,
    streams,
    metrics,
    ...(flowControl && { flowControl }),
    ...(audit && { audit }),
  });
  const publishing = world.clock.every(publishEveryMs, () => {
    publishServer(verbs, published).catch((error: unknown) => log.warn('the kubernetes service could not be written', { error: String(error) }));
  });
  return {
    async listen(listen: ListenOptions) {
      const listener = await listenTls(world, listen, options.clientCa, {
        request: (request, response) => front.handle(request, response),
        upgrade: (request, socket, head) => handleUpgrade({ world: { ...world, log }, authenticator, dispatcher, streams }, request, socket, head),
      });
      listeners.push(listener);
      return listener.port;
    },
    replaceCertificates(certificates) {
      for (const listener of listeners) listener.replaceCertificates(certificates);
    },
    connect: (user) => inProcessConnection({ dispatcher, paths, streams, ...(audit && { audit }) }, withAuthenticatedGroup(user)),
    async close() {
      state.closing = true;
      flowControl?.close();
      publishing.cancel();
      const closed = listeners.map((listener) => listener.close(closeGraceMs));
      await verbs.close();
      await Promise.all(closed);
      kubelets.close();
      authenticator.close();
      authorization.close();
      await audit?.close();
    },
  };
}

interface PathSources {
  readonly verbs: Verbs;
  readonly metrics: Metrics;
  readonly serviceAccountTokens: ServiceAccountTokens;
  readonly isClosing: () => boolean;
  readonly serverAddress: () => string;
}

function createPaths({ verbs, metrics, serviceAccountTokens, isClosing, serverAddress: address }: PathSources): Paths {
  const paths = new Paths();
  const ping = { name: 'ping', failure: () => undefined };
  const storage = { name: 'etcd', failure: () => undefined };
  const bootstrapped = { name: 'poststarthook/rbac/bootstrap-roles', failure: () => undefined };
  const shutdown = { name: 'shutdown', failure: () => (isClosing() ? 'the server is closing' : undefined) };
  addHealthPaths(paths, { live: [ping, storage, bootstrapped], ready: [ping, storage, bootstrapped, shutdown] });
  addVersionPath(paths);
  paths.add('/metrics', () => ({ code: 200, contentType: 'text/plain; version=0.0.4; charset=utf-8', body: metrics.render() }));
  paths.add('/openid/v1/jwks', () => ({ ...jsonAnswer(serviceAccountTokens.jwks()), contentType: 'application/jwk-set+json' }));
  paths.add('/.well-known/openid-configuration', () => jsonAnswer(serviceAccountTokens.discoveryDocument()));
  addDiscoveryPaths(paths, verbs, address);
  addOpenApiPaths(paths, verbs);
  paths.add('/', () => jsonAnswer({ paths: paths.all() }));
  return paths;
}

function serverAddress({ advertise }: ApiServerOptions, listeners: readonly Listener[]): string {
  return advertise === undefined ? `127.0.0.1:${listeners[0]?.port ?? 0}` : `${advertise.address}:${advertise.port}`;
}
