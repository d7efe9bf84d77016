/** Puts the API server together: verbs below, authentication, authorization and the fixed paths around them, HTTP and in-process connections on top. */
import { metricsContentType } from '../machinery/exposition.ts';
import { Aggregator } from './aggregation/aggregator.ts';
import { authenticationConfigData } from './aggregation/authentication-config.ts';
import type { ApiServer, ApiServerOptions, ListenOptions } from './api-server.ts';
import { Auditor } from './audit/audit.ts';
import { Authenticator } from './authentication/authenticator.ts';
import { authenticationReviews } from './authentication/reviews.ts';
import { LegacyTokenUse } from './authentication/legacy-token-use.ts';
import { ServiceAccountTokens } from './authentication/service-account-token.ts';
import { tokenRequests } from './authentication/token-request.ts';
import { withAuthenticatedGroup } from './authentication/users.ts';
import type { Authorizer } from './authorization/authorizer.ts';
import { authorizerChain } from './authorization/modes.ts';
import { accessReviews } from './authorization/reviews.ts';
import { bootstrap, bootstrapFlowControl, type BootstrapOptions, publishServer } from './bootstrap/bootstrap.ts';
import { addDiscoveryPaths } from './discovery/discovery.ts';
import { Dispatcher } from './dispatch.ts';
import { type EncryptedStore, encryptedStore } from './encryption/encrypted-store.ts';
import { FlowControl } from './flow-control/flow-control.ts';
import { addFlowControlDumps } from './flow-control/dump.ts';
import { flowControlMetrics } from './flow-control/metrics.ts';
import { Front } from './http/front.ts';
import { flowControlUpkeep, type FlowControlUpkeep } from './flow-control/upkeep.ts';
import { addHealthPaths, doneBefore } from './http/health.ts';
import type { Listener } from './http/listener.ts';
import { Metrics } from './http/metrics.ts';
import { jsonAnswer, Paths } from './http/paths.ts';
import { auditMetrics, buildMetrics, healthMetrics, storageMetrics } from './http/server-metrics.ts';
import { addVersionPath } from './http/version.ts';
import { keepIdentityLease } from './identity-lease.ts';
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
  const { world, serviceCidr, nodePortRange, encryption, computedKinds = [] } = options;
  const encrypted = encryption && (await encryptedStore(options.store, encryption));
  const store = encrypted ?? options.store;
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
    ...(options.sharesValues !== undefined && { sharesValues: options.sharesValues }),
    computedKinds: computedKinds.map(({ kind }) => kind),
  });
  const published: BootstrapOptions = {
    serviceCidr,
    nowMs: world.clock.now(),
    authentication: authenticationConfigData(options.clientCa, options.requestHeader),
    ...(options.advertise && { advertise: options.advertise }),
  };
  const aggregator = new Aggregator({ world, verbs, ...(options.proxyClient && { proxyClient: options.proxyClient }) });
  try {
    await bootstrap(verbs, published);
    await aggregator.start();
  } catch (error) {
    await aggregator.close();
    await verbs.close();
    encrypted?.closeKeys();
    throw error;
  }
  const upkeep = flowControlUpkeep(world, verbs, () => bootstrapFlowControl(verbs));
  await upkeep.settled();
  return assemble(options, { verbs, aggregator, published, late, encrypted, upkeep });
}

interface Parts {
  readonly verbs: Verbs;
  readonly aggregator: Aggregator;
  readonly published: BootstrapOptions;
  readonly late: { authorizer?: Authorizer };
  readonly encrypted: EncryptedStore | undefined;
  readonly upkeep: FlowControlUpkeep;
}

function assemble(options: ApiServerOptions, { verbs, aggregator, published, late, encrypted, upkeep }: Parts): ApiServer {
  const { world } = options;
  const { objects } = verbs;
  const log = world.log.child('apiserver');
  const legacyTokens = new LegacyTokenUse({ ...world, log }, verbs);
  const serviceAccountTokens = new ServiceAccountTokens({
    world,
    objects,
    legacyTokenUsed: (secret) => legacyTokens.used(secret),
    signingKey: options.serviceAccountKey,
    issuer: options.serviceAccountIssuer,
    ...(options.serviceAccountVerificationKeys && { verificationKeys: options.serviceAccountVerificationKeys }),
    ...(options.apiAudiences && { apiAudiences: options.apiAudiences }),
    ...(options.serviceAccountFormerIssuers && { formerIssuers: options.serviceAccountFormerIssuers }),
    ...(options.serviceAccountJwksUri !== undefined && { jwksUri: options.serviceAccountJwksUri }),
    ...(options.serviceAccountMaxExpirationMs !== undefined && { maxExpirationMs: options.serviceAccountMaxExpirationMs }),
  });
  const authenticator = new Authenticator({ ...options, objects, serviceAccountTokens });
  const authorization = authorizerChain(world, verbs, options.authorizers);
  const { authorizer } = authorization;
  late.authorizer = authorizer;
  const virtual = new Map([
    ...accessReviews(authorizer),
    ...authenticationReviews(world, authenticator),
    ...tokenRequests(world, objects, serviceAccountTokens),
  ]);
  const { computed, computedKinds } = options;
  const dispatcher = new Dispatcher({ verbs, authorizer, virtual, ...(computed && { computed }), ...(computedKinds && { computedKinds }) });
  const kubelets = new KubeletConnector(objects, options.kubeletClient);
  const streams = new Streams({ world, objects, kubelets });
  const metrics = new Metrics(world);
  const listeners: Listener[] = [];
  const state = { closing: false };
  const paths = createPaths({
    verbs,
    aggregator,
    metrics,
    serviceAccountTokens,
    encrypted,
    isClosing: () => state.closing,
    serverAddress: () => serverAddress(options, listeners),
  });
  const { maxRequestsInFlight: seats = defaultSeats } = options;
  const flowControl = seats === 0 ? undefined : new FlowControl({ world, objects, seats, counts: verbs });
  if (flowControl !== undefined) {
    metrics.addSource(() => flowControlMetrics(flowControl));
    addFlowControlDumps(paths, flowControl);
  }
  const audit = options.audit && new Auditor({ world, ...options.audit });
  metrics.addSource(() => verbs.admissionMetrics());
  metrics.addSource(auditMetrics(() => audit?.emitted ?? 0));
  metrics.addSource(() => legacyTokens.metrics(serviceAccountTokens.boundTokensUsed));
  if (options.otherMetrics) metrics.addSource(options.otherMetrics);
  const front = new Front({
    world: { ...world, log },
    authenticator,
    dispatcher,
    paths,
    aggregator,
    streams,
    metrics,
    ...(flowControl && { flowControl }),
    ...(audit && { audit }),
  });
  const upgrades = {
    world: { ...world, log },
    authenticator,
    dispatcher,
    streams,
    aggregator,
    ...(flowControl && { flowControl }),
    ...(audit && { audit }),
  };
  const publishing = world.clock.every(publishEveryMs, () => {
    publishServer(verbs, published).catch((error: unknown) => log.warn('the kubernetes service could not be written', { error: String(error) }));
  });
  const { hostname } = options;
  const identity = hostname === undefined ? undefined : keepIdentityLease({ ...world, log }, verbs, hostname);
  return {
    async listen(listen: ListenOptions) {
      // What speaks TLS, HTTP/2 and WebSocket is half of what there is to load, and a server without a port needs none of it.
      const [{ listenTls }, { handleUpgrade }] = await Promise.all([import('./http/listener.ts'), import('./http/upgrade.ts')]);
      const listener = await listenTls(world, listen, options.clientCa, {
        handshakeFailed: () => metrics.tlsHandshakeErrors++,
        request: (request, response) => front.handle(request, response),
        upgrade: (request, socket, head) => handleUpgrade(upgrades, request, socket, head),
      });
      listeners.push(listener);
      return listener.port;
    },
    replaceCertificates(certificates) {
      for (const listener of listeners) listener.replaceCertificates(certificates);
    },
    replaceAuthentication: (configuration) => authenticator.replace(configuration),
    replaceAuthorizers: (authorizers) => authorization.replace(authorizers),
    async replaceEncryption(rules) {
      if (encrypted === undefined) throw new Error('the server began without an encryption configuration');
      await encrypted.replace(rules);
    },
    connect: (user) => inProcessConnection({ dispatcher, paths, streams, aggregator, ...(audit && { audit }) }, withAuthenticatedGroup(user)),
    async close() {
      state.closing = true;
      flowControl?.close();
      upkeep.close();
      publishing.cancel();
      identity?.close();
      const closed = listeners.map((listener) => listener.close(closeGraceMs));
      await aggregator.close();
      await verbs.close();
      await Promise.all(closed);
      kubelets.close();
      authenticator.close();
      authorization.close();
      encrypted?.closeKeys();
      await audit?.close();
    },
  };
}

interface PathSources {
  readonly verbs: Verbs;
  readonly aggregator: Aggregator;
  readonly metrics: Metrics;
  readonly serviceAccountTokens: ServiceAccountTokens;
  readonly encrypted: EncryptedStore | undefined;
  readonly isClosing: () => boolean;
  readonly serverAddress: () => string;
}

function createPaths({ verbs, aggregator, metrics, serviceAccountTokens, encrypted, isClosing, serverAddress: address }: PathSources): Paths {
  const paths = new Paths();
  const basic = ['ping', 'log', 'etcd'].map((name) => doneBefore(name));
  const started = [
    'poststarthook/start-apiextensions-controllers',
    'poststarthook/crd-informer-synced',
    'poststarthook/rbac/bootstrap-roles',
    'poststarthook/scheduling/bootstrap-system-priority-classes',
    'poststarthook/priority-and-fairness-config-producer',
    'poststarthook/bootstrap-controller',
    'poststarthook/apiservice-registration-controller',
  ].map((name) => doneBefore(name));
  const shutdown = { name: 'shutdown', failure: () => (isClosing() ? 'the server is closing' : undefined) };
  const keys = (encrypted?.providers() ?? []).map((_, index) => ({
    name: `kms-provider-${index}`,
    failure: (): string | undefined => encrypted?.providers()[index]?.failure,
  }));
  const live = [...basic, ...started];
  const ready = [...basic, ...['etcd-readiness', 'informer-sync'].map((name) => doneBefore(name)), ...keys, ...started, shutdown];
  const checks = { healthz: live, livez: live, readyz: ready };
  addHealthPaths(paths, checks);
  metrics.addSource(buildMetrics);
  metrics.addSource(healthMetrics(checks));
  metrics.addSource(storageMetrics(verbs));
  addVersionPath(paths);
  paths.add('/metrics', () => ({ code: 200, contentType: metricsContentType, body: metrics.render() }));
  paths.add('/openid/v1/jwks', () => ({ ...jsonAnswer(serviceAccountTokens.jwks()), contentType: 'application/jwk-set+json' }));
  paths.add('/.well-known/openid-configuration', () => jsonAnswer(serviceAccountTokens.discoveryDocument()));
  addDiscoveryPaths(paths, verbs, aggregator, address);
  addOpenApiPaths(paths, verbs, aggregator);
  paths.add('/', () => jsonAnswer({ paths: paths.all() }));
  return paths;
}

function serverAddress({ advertise }: ApiServerOptions, listeners: readonly Listener[]): string {
  return advertise === undefined ? `127.0.0.1:${listeners[0]?.port ?? 0}` : `${advertise.address}:${advertise.port}`;
}
