/**
 * The control plane in one process: store, API server, controllers and scheduler. Controllers and scheduler call the API server in memory, each as
 * itself, and are authorized and admitted like anyone else.
 */
import { mkdirSync } from 'node:fs';
import type { ApiServer } from '../apiserver/api-server.ts';
import { createApiServer } from '../apiserver/create-api-server.ts';
import type { User } from '../apiserver/request.ts';
import type { Client } from '../client/client.ts';
import { createEventRecorder } from '../client/events.ts';
import { createInformers } from '../client/informers.ts';
import { createClient } from '../client/typed-client.ts';
import { startControllers } from '../controllers/manager.ts';
import { startScheduler } from '../scheduler/scheduler.ts';
import { openLmdbStore } from '../store/lmdb.ts';
import { memoryStore } from '../store/memory.ts';
import type { Store } from '../store/store.ts';
import type { World } from '../world/world.ts';
import { installAddons } from './addons.ts';
import { type ClusterConfig, ClusterError } from './config.ts';
import { layoutOf } from './layout.ts';
import { plainListenError } from './listen-error.ts';
import type { Pki } from './pki.ts';
import { readTokens } from './token-file.ts';

export interface ControlPlane {
  readonly apiServer: ApiServer;
  readonly port: number;
  close(): Promise<void>;
}

export async function startControlPlane(config: ClusterConfig, pki: Pki, world: World): Promise<ControlPlane> {
  const store = await openStore(config, world);
  const apiServer = await createApiServer({
    world,
    store,
    serviceCidr: config.serviceCidr,
    nodePortRange: { from: 30_000, to: 32_767 },
    advertise: { address: config.nodeIp, port: config.port },
    serviceAccountKey: pki.serviceAccountKey,
    serviceAccountIssuer: `https://kubernetes.default.svc.${config.clusterDomain}`,
    staticTokens: config.tokenAuthFile === undefined ? new Map() : readTokens(config.tokenAuthFile),
    clientCa: pki.ca.certificate,
    kubeletClient: { ...pki.kubeletClient, ca: pki.ca.certificate },
  });
  const port = await apiServer
    .listen({ host: config.bindAddress, port: config.port, ...pki.apiServer })
    .catch((error: unknown) => fail(error, apiServer, store, config));

  const clientFor = (user: User): Client => createClient(apiServer.connect(user));
  await installAddons(clientFor(masters('kubernetes-admin')), config);
  const managerInformers = createInformers(clientFor(named('system:kube-controller-manager')), world);
  const controllers = startControllers({
    world,
    informers: managerInformers,
    clientFor: (name) => clientFor(named(name)),
    options: { clusterCidrs: [config.clusterCidr], rootCa: pki.ca.certificate },
  });
  const schedulerClient = clientFor(named('system:kube-scheduler'));
  const schedulerInformers = createInformers(schedulerClient, world);
  const events = createEventRecorder(schedulerClient, world, { component: 'default-scheduler' });
  const scheduler = startScheduler({ world, client: schedulerClient, informers: schedulerInformers, events });

  return {
    apiServer,
    port,
    async close() {
      scheduler.close();
      await controllers.close();
      schedulerInformers.close();
      managerInformers.close();
      await apiServer.close();
      await store.close();
    },
  };
}

async function openStore(config: ClusterConfig, world: World): Promise<Store> {
  if (config.store === 'memory') return memoryStore({ clock: world.clock });
  if (config.store !== 'lmdb') throw new ClusterError(`--store ${config.store} is not there yet: lmdb (the default) and memory are`);
  const { store: directory } = layoutOf(config.dataDir);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  return openLmdbStore({ path: directory, world });
}

async function fail(error: unknown, apiServer: ApiServer, store: Store, config: ClusterConfig): Promise<never> {
  await apiServer.close();
  await store.close();
  throw plainListenError(error, { host: config.bindAddress, port: config.port, portFlag: '--port', hostFlag: '--bind-address' });
}

/** A user as authentication would have made it: everyone is authenticated, service accounts have their groups. */
export function named(name: string): User {
  const account = /^system:serviceaccount:([^:]+):/.exec(name);
  const groups = account ? ['system:serviceaccounts', `system:serviceaccounts:${account[1] ?? ''}`] : [];
  return { name, uid: '', groups: [...groups, 'system:authenticated'], extra: {} };
}

function masters(name: string): User {
  return { name, uid: '', groups: ['system:masters', 'system:authenticated'], extra: {} };
}
