/** Puts the API server together: verbs below, authentication, authorization and the fixed paths around them, HTTP and in-process connections on top. */
import type { ApiServer, ApiServerOptions, ListenOptions } from './api-server.ts';
import { Authenticator } from './authentication/authenticator.ts';
import { authenticationReviews } from './authentication/reviews.ts';
import { ServiceAccountTokens } from './authentication/service-account-token.ts';
import { tokenRequests } from './authentication/token-request.ts';
import { withAuthenticatedGroup } from './authentication/users.ts';
import { superusers, unionAuthorizer } from './authorization/authorizer.ts';
import { nodeAuthorizer } from './authorization/node.ts';
import { rbacAuthorizer } from './authorization/rbac.ts';
import { accessReviews } from './authorization/reviews.ts';
import { bootstrap, type BootstrapOptions, publishServer } from './bootstrap/bootstrap.ts';
import { addDiscoveryPaths } from './discovery/discovery.ts';
import { Dispatcher } from './dispatch.ts';
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

/** As upstream: a deleted `kubernetes` Service is back after at most so long. */
const publishEveryMs = 10_000;

/** Resolves when what every cluster starts with is written, and the server may be called. */
export async function createApiServer(options: ApiServerOptions): Promise<ApiServer> {
  const { world, store, serviceCidr, nodePortRange } = options;
  const verbs = await createVerbs({ world, store, serviceCidr, nodePortRange });
  const published: BootstrapOptions = { serviceCidr, ...(options.advertise && { advertise: options.advertise }) };
  try {
    await bootstrap(verbs, published);
  } catch (error) {
    await verbs.close();
    throw error;
  }
  return assemble(options, verbs, published);
}

function assemble(options: ApiServerOptions, verbs: Verbs, published: BootstrapOptions): ApiServer {
  const { world } = options;
  const { objects } = verbs;
  const log = world.log.child('apiserver');
  const serviceAccountTokens = new ServiceAccountTokens({
    world,
    objects,
    signingKey: options.serviceAccountKey,
    issuer: options.serviceAccountIssuer,
  });
  const authenticator = new Authenticator({ world, objects, serviceAccountTokens, staticTokens: options.staticTokens });
  // Every object may be related to a node until the graph of what its pods use is there to say.
  const authorizer = unionAuthorizer([superusers, nodeAuthorizer(() => true), rbacAuthorizer(objects)]);
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
  const front = new Front({ world: { ...world, log }, authenticator, dispatcher, paths, streams, metrics });
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
    connect: (user) => inProcessConnection({ dispatcher, paths, streams }, withAuthenticatedGroup(user)),
    async close() {
      state.closing = true;
      publishing.cancel();
      const closed = listeners.map((listener) => listener.close(closeGraceMs));
      await verbs.close();
      await Promise.all(closed);
      kubelets.close();
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
