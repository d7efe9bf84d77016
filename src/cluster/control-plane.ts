/**
 * The control plane in one process: store, API server, controllers and scheduler. Controllers and scheduler call the API server in memory, each as
 * itself, and are authorized and admitted like anyone else.
 */
import { mkdirSync } from 'node:fs';
import { hostname } from 'node:os';
import { identityHeaders } from '../apiserver/aggregation/identity-headers.ts';
import type { ApiServer } from '../apiserver/api-server.ts';
import type { RequestHeaderOptions } from '../apiserver/authentication/request-header.ts';
import { createApiServer } from '../apiserver/create-api-server.ts';
import { Exposition } from '../machinery/exposition.ts';
import type { User } from '../apiserver/request.ts';
import type { Client } from '../client/client.ts';
import { createClient } from '../client/typed-client.ts';
import { splitCidrs } from '../machinery/ip.ts';
import type { Scheduler } from '../scheduler/scheduler.ts';
import { openLmdbStore } from '../store/lmdb.ts';
import { memoryStore } from '../store/memory.ts';
import type { Store } from '../store/store.ts';
import type { World } from '../world/world.ts';
import { installAddons } from './addons.ts';
import { SchedulerMetrics } from './components/scheduler-metrics.ts';
import { advertiseAddress, type ClusterConfig, ClusterError } from './config.ts';
import { runControllerManager, runScheduler } from './control-loops.ts';
import { masters, named } from './identity.ts';
import { layoutOf } from './layout.ts';
import { installIngress } from './ingress-addon.ts';
import { plainListenError } from './listen-error.ts';
import { installMetricsRoles, metricsApi, metricsUser } from './metrics-api.ts';
import { frontProxyName, type Pki } from './pki.ts';
import { podScheduling } from './pod-scheduling.ts';
import { emptyTree, removeTree } from './remove-tree.ts';
import { readTokens } from './token-file.ts';

export interface ControlPlane {
  readonly apiServer: ApiServer;
  readonly port: number;
  close(): Promise<void>;
}

export async function startControlPlane(config: ClusterConfig, pki: Pki, world: World): Promise<ControlPlane> {
  const store = await openStore(config, world);
  // The scheduler is a client of the server, and the server shows what the scheduler thinks.
  const late: { scheduler?: Scheduler } = {};
  const schedulerMetrics = new SchedulerMetrics();
  const metrics = metricsApi({
    world,
    client: () => clientFor(named(metricsUser)),
    source: async () => (await import('../metrics/kubelet-source.ts')).kubeletSource({ world, ...pki.kubeletClient, ca: pki.ca.certificate }),
  });
  const apiServer = await createApiServer({
    world,
    store,
    serviceCidr: config.serviceCidr,
    nodePortRange: { from: 30_000, to: 32_767 },
    advertise: { address: advertiseAddress(config), port: config.port },
    hostname: hostname().toLowerCase(),
    serviceAccountKey: pki.serviceAccountKey,
    serviceAccountIssuer: `https://kubernetes.default.svc.${config.clusterDomain}`,
    staticTokens: config.tokenAuthFile === undefined ? new Map() : readTokens(config.tokenAuthFile),
    clientCa: pki.ca.certificate,
    kubeletClient: { ...pki.kubeletClient, ca: pki.ca.certificate },
    proxyClient: pki.frontProxyClient,
    requestHeader: frontProxy(pki),
    computed: podScheduling(() => late.scheduler),
    computedKinds: metrics.kinds,
    otherMetrics() {
      const out = new Exposition();
      schedulerMetrics.render(out, late.scheduler);
      return out.all();
    },
  });
  const port = await apiServer
    .listen({ host: config.bindAddress, port: config.port, ...pki.apiServer })
    .catch((error: unknown) => fail(error, apiServer, store, config));

  const clientFor = (user: User): Client => createClient(apiServer.connect(user));
  const admin = clientFor(masters('kubernetes-admin'));
  await Promise.all([installAddons(admin, config), installMetricsRoles(admin), installIngress(admin)]);
  const context = { world, clientFor };
  const controllerManager = runControllerManager(context, {
    options: {
      clusterCidrs: splitCidrs(config.clusterCidr),
      rootCa: pki.ca.certificate,
      serviceAccountKey: pki.serviceAccountKey,
      loadBalancerPool: config.loadBalancerPool ?? [],
      signingAuthority: pki.ca,
      // Simulated pods write to no disk: nothing of this machine is a volume of theirs.
      ...(config.runtime !== 'simulated' && { removePath: removeTree, emptyPath: emptyTree }),
    },
  });
  const scheduler = runScheduler(context, { observer: schedulerMetrics });
  late.scheduler = scheduler.scheduler;

  return {
    apiServer,
    port,
    async close() {
      await scheduler.close();
      metrics.close();
      await controllerManager.close();
      await apiServer.close();
      await store.close();
    },
  };
}

/** Requests that come with the front proxy's certificate are from whom they say. */
function frontProxy({ frontProxyCa }: Pki): RequestHeaderOptions {
  return {
    clientCa: frontProxyCa.certificate,
    allowedNames: [frontProxyName],
    usernameHeaders: [identityHeaders.username],
    uidHeaders: [identityHeaders.uid],
    groupHeaders: [identityHeaders.group],
    extraHeaderPrefixes: [identityHeaders.extraPrefix],
  };
}

async function openStore(config: ClusterConfig, world: World): Promise<Store> {
  const { historyRevisions: revisions } = config;
  const history = revisions === undefined ? {} : { history: { revisions } };
  if (config.store === 'memory') return memoryStore({ clock: world.clock, ...history });
  if (config.store !== 'lmdb') throw new ClusterError(`--store ${config.store} is not there yet: lmdb (the default) and memory are`);
  const { store: directory } = layoutOf(config.dataDir);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  return openLmdbStore({ path: directory, world, ...history });
}

async function fail(error: unknown, apiServer: ApiServer, store: Store, config: ClusterConfig): Promise<never> {
  await apiServer.close();
  await store.close();
  throw plainListenError(error, { host: config.bindAddress, port: config.port, portFlag: '--port', hostFlag: '--bind-address' });
}
