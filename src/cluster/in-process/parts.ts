/** The parts of an in-process cluster and how they are put together: started and stopped in order, and all at once from a snapshot. */
import { ServiceAccount } from '../../api/kinds.ts';
import type { Client } from '../../client/client.ts';
import { createInformers } from '../../client/informers.ts';
import { allControllers } from '../../controllers/all-controllers.ts';
import type { ControllerOptions } from '../../controllers/controller.ts';
import { selectControllers } from '../../controllers/manager.ts';
import type { Scheduler } from '../../scheduler/scheduler.ts';
import type { Moment } from '../../world/simulated.ts';
import type { World } from '../../world/world.ts';
import { runControllerManager, runScheduler } from '../control-loops.ts';
import { masters } from '../identity.ts';
import { metricsApi } from '../metrics-api.ts';
import { podScheduling } from '../pod-scheduling.ts';
import { installStorage } from '../storage-addon.ts';
import type { ClusterOptions } from './cluster.ts';
import { KubeletServers } from './kubelet-servers.ts';
import { MachineRoom } from './machine-room.ts';
import { type NodeCaches, sharedNodeCaches } from './node-caches.ts';
import { ClusterProcess, type Decorate, type Running, type Surroundings } from './process.ts';
import { clusterCidr } from './ranges.ts';
import { Server } from './server.ts';
import { simulatedReadings } from './simulated-readings.ts';
import { runSimulatedStorage } from './simulated-storage.ts';
import type { Snapshot } from './snapshot.ts';

/** Every namespace shows an authority, and pods wait for it; a cluster without a port has none to show. */
const noAuthority = 'This cluster has no port, and so no certificate authority.\n';

export interface PartsOptions extends ClusterOptions {
  /** Stands between every process of the cluster and the API server. */
  readonly decorate?: Decorate;
  /** How wrong the clock of a node added under this number is; right when absent. */
  readonly skewMs?: (number: number) => number;
  /** Over what the cluster sets. */
  readonly controllerOptions?: Partial<ControllerOptions>;
  /** Whether the metrics API is served; absent, it is. A test may stand in for it. */
  readonly metrics?: boolean;
  /** Whether every kubelet watches for itself, as it must to be cut off alone; absent, they share caches. */
  readonly ownCaches?: boolean;
}

export class Parts {
  readonly world: World;
  readonly server: Server;
  readonly nodes: MachineRoom;
  readonly controllerManager: ClusterProcess;
  readonly #scheduler: ClusterProcess;
  readonly #storage: ClusterProcess;
  /** The caches that simulated nodes share; a process of its own. */
  readonly #nodeWatch: ClusterProcess;
  readonly #options: PartsOptions;
  readonly #moment: (() => Moment) | undefined;
  #caches: NodeCaches | undefined;
  /** Who says why a pod is where it is. */
  #explaining: Scheduler | undefined;
  #kubeletServers: KubeletServers | undefined;
  #closed = false;

  constructor(world: World, options: PartsOptions, moment?: () => Moment) {
    this.world = world;
    this.#options = options;
    this.#moment = moment;
    const { port, onCommit, metrics, decorate } = options;
    this.server = new Server(world, {
      ...(port !== undefined && { port }),
      ...(onCommit && { onCommit }),
      locateKubelet: (name) => this.#kubeletServers?.locate(name),
      computed: podScheduling(() => this.#explaining),
      ...(metrics !== false && { computedKinds: this.#metricsKinds() }),
    });
    this.nodes = new MachineRoom(world, this.server, {
      ...options,
      needsPodCidr: this.runsController('node-ipam-controller'),
      cachesOf: (name) => this.#caches?.of(name),
      kubeletServers: () => this.#kubeletServers,
    });
    const process = (name: string, begin: (surroundings: Surroundings) => Running): ClusterProcess =>
      new ClusterProcess(name, this.server.switchboard, decorate, begin);
    this.controllerManager = process('controller-manager', (surroundings) => this.#runControllerManager(surroundings));
    this.#scheduler = process('scheduler', (surroundings) => this.#runScheduler(surroundings));
    this.#storage = process('storage-provisioner', (surroundings) =>
      runSimulatedStorage(world, surroundings, { freeze: options.freeze === true, serves: (name) => this.nodes.machines.has(name) }),
    );
    this.#nodeWatch = new ClusterProcess('simulated-nodes', this.server.switchboard, undefined, (surroundings) => this.#runNodeWatch(surroundings));
  }

  /** What can crash between any two writes, besides kubelets. */
  get loops(): readonly ClusterProcess[] {
    return [this.controllerManager, this.#scheduler, this.#storage];
  }

  /** Resolves when the cluster works: its controllers do, and its nodes are ready. */
  async start(from?: Snapshot): Promise<void> {
    await this.open(from);
    await this.run(from);
    await this.serving();
  }

  /** The API server and its port. With a port that takes real time, whatever the clock. */
  async open(from?: Snapshot): Promise<void> {
    await this.server.prepare();
    const { credentials } = this.server;
    if (credentials) this.#kubeletServers = new KubeletServers(credentials);
    await this.server.open(from?.store);
  }

  /** All that works by the cluster's clock. */
  async run(from?: Snapshot): Promise<void> {
    const { nodes = 1, scheduler, storage, ownCaches } = this.#options;
    this.controllerManager.start();
    if (scheduler !== false) this.#scheduler.start();
    if (ownCaches !== true) this.#nodeWatch.start();
    await Promise.all([
      this.controllerManager.ready(),
      this.#scheduler.ready(),
      ...(this.runsController('serviceaccount-controller') ? [this.#defaultAccount()] : []),
      ...(storage === false ? [] : [this.#startStorage(from === undefined)]),
      from ? this.nodes.resume(from.machines, from.lastNode) : this.nodes.addFirst(nodes),
    ]);
  }

  /** Resolves when the kubelets' servers listen, if they have any. In real time. */
  async serving(): Promise<void> {
    await this.#kubeletServers?.listening();
  }

  /** Ends everything but the world and the options: {@link start} may follow. */
  async stop(): Promise<void> {
    await this.halt();
    await this.shut();
  }

  /** Undoes {@link run}. */
  async halt(): Promise<void> {
    await Promise.all([this.nodes.clear(), this.#nodeWatch.close(), ...this.loops.map((loop) => loop.close())]);
  }

  /** Undoes {@link open}. */
  async shut(): Promise<void> {
    await this.#kubeletServers?.close();
    await this.server.shut();
  }

  async restore(snapshot: Snapshot): Promise<void> {
    await this.stop();
    await this.start(snapshot);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.server.end();
    await this.stop();
  }

  async snapshot(): Promise<Snapshot> {
    const { store } = this.server;
    return {
      revision: store.revision(),
      store: store.image(),
      machines: this.nodes.states(),
      lastNode: this.nodes.lastNode,
      moment: this.#moment?.(),
    };
  }

  clientAs(user: string, groups?: readonly string[]): Client {
    return this.server.clientAs(user, groups);
  }

  runsController(name: string): boolean {
    return selectControllers(this.#options.controllers ?? '*', allControllers).some((controller) => controller.name === name);
  }

  /** What a snapshot has of it, or has no more, stays so. */
  async #startStorage(isNew: boolean): Promise<void> {
    if (isNew) await installStorage(this.#admin());
    this.#storage.start();
    await this.#storage.ready();
  }

  #admin(): Client {
    return this.clientAs('kubernetes-admin', ['system:masters']);
  }

  async #defaultAccount(): Promise<void> {
    const accounts = this.#admin().resource(ServiceAccount).namespace('default');
    for await (const { type, object } of accounts.watch({ fieldSelector: 'metadata.name=default' })) {
      if (type === 'ADDED' && object.metadata.name === 'default') return;
    }
  }

  // ---- what runs in its processes

  #runControllerManager({ clientFor }: Surroundings): Running {
    const { controllers, controllerOptions, freeze = false } = this.#options;
    const { credentials, serviceAccountKey } = this.server;
    return runControllerManager(
      { world: this.world, clientFor, freeze },
      {
        ...(controllers !== undefined && { controllers }),
        options: {
          clusterCidrs: [clusterCidr],
          rootCa: credentials?.ca.certificate ?? noAuthority,
          ...(credentials && { signingAuthority: credentials.ca }),
          ...(serviceAccountKey !== undefined && { serviceAccountKey }),
          ...controllerOptions,
        },
      },
    );
  }

  #runScheduler({ clientFor }: Surroundings): Running {
    const { freeze = false, podEvents } = this.#options;
    const loop = runScheduler({ world: this.world, clientFor, freeze }, { normalEvents: podEvents !== 'warnings' });
    this.#explaining = loop.scheduler;
    return {
      ready: loop.ready,
      close: () => {
        this.#explaining = undefined;
        return loop.close();
      },
    };
  }

  #runNodeWatch({ clientFor }: Surroundings): Running {
    const informers = createInformers(clientFor(masters('system:simulated-nodes')), this.world, { freeze: this.#options.freeze === true });
    const caches = sharedNodeCaches(informers);
    this.#caches = caches;
    return {
      ready: informers.synced(),
      close() {
        caches.close();
        informers.close();
      },
    };
  }

  /** The metrics API, over what the machines use, without a wire between. */
  #metricsKinds(): ReturnType<typeof metricsApi>['kinds'] {
    const { kinds } = metricsApi({
      world: this.world,
      client: () => this.clientAs('system:metrics-server', ['system:masters']),
      source: async () => simulatedReadings((name) => (this.nodes.kubelet(name) ? this.nodes.machines.get(name) : undefined)),
    });
    return kinds;
  }
}
