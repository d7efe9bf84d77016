/**
 * The parts of an in-process cluster and how they are put together: started and stopped in order, singly when machines go on and off, and all at once
 * from a snapshot.
 */
import { generateKeyPairSync } from 'node:crypto';
import type { ApiServer, ApiServerOptions } from '../../apiserver/api-server.ts';
import { createApiServer } from '../../apiserver/create-api-server.ts';
import { Node, ServiceAccount } from '../../api/kinds.ts';
import type { Client } from '../../client/client.ts';
import { createInformers } from '../../client/informers.ts';
import { createClient } from '../../client/typed-client.ts';
import type { ControllerOptions } from '../../controllers/controller.ts';
import { allControllers } from '../../controllers/all-controllers.ts';
import { selectControllers } from '../../controllers/manager.ts';
import type { Scheduler } from '../../scheduler/scheduler.ts';
import { memoryStore, type MemoryStore, type StoreImage } from '../../store/memory.ts';
import type { StoreEvent } from '../../store/store.ts';
import type { Moment } from '../../world/simulated.ts';
import { systemClock, systemRandom } from '../../world/system.ts';
import type { World } from '../../world/world.ts';
import { fixedServiceAddresses } from '../address-ranges.ts';
import { masters, named } from '../identity.ts';
import { type MetricsApi, metricsApi } from '../metrics-api.ts';
import { podScheduling } from '../pod-scheduling.ts';
import type { ClusterOptions, RunningPod } from './cluster.ts';
import { runControllerManager, runScheduler } from './control-loops.ts';
import { KubeletServers } from './kubelet-servers.ts';
import { type NodeCaches, sharedNodeCaches } from './node-caches.ts';
import { ClusterProcess, type Decorate } from './process.ts';
import { createCredentials, type Credentials, kubeconfigOf, listen } from './serving.ts';
import { simulatedReadings } from './simulated-readings.ts';
import { createMachine, type Machine, type MachineState, type NodeShape, runKubelet } from './simulated-nodes.ts';
import type { Snapshot } from './snapshot.ts';
import { Switchboard } from './switchboard.ts';

const serviceCidr = '10.96.0.0/16';
/** Room for 32,768 nodes. */
const clusterCidr = '10.128.0.0/9';
const clusterDomain = 'cluster.local';
/** Every namespace shows an authority, and pods wait for it; a cluster without a port has none to show. */
const noAuthority = 'This cluster has no port, and so no certificate authority.\n';

/** Why a wait ended. */
const committed = new Error('something was written');

/** Enough for whoever was away for a moment; a test looks back through its own notes. */
const keptHistory = { revisions: 5_000 };

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
  readonly switchboard = new Switchboard();
  readonly machines = new Map<string, Machine>();
  readonly #options: PartsOptions;
  readonly #moment: (() => Moment) | undefined;
  readonly #kubelets = new Map<string, ClusterProcess>();
  readonly #commitListeners = new Set<(commit: StoreEvent) => void>();
  readonly controllerManager: ClusterProcess;
  readonly scheduler: ClusterProcess;
  /** The caches that simulated nodes share; a process of its own. */
  readonly #nodeWatch: ClusterProcess;
  #caches: NodeCaches | undefined;
  #store: MemoryStore | undefined;
  #watching = new AbortController();
  #apiServer: ApiServer | undefined;
  /** Who says why a pod is where it is. */
  #explaining: Scheduler | undefined;
  #credentials: Credentials | undefined;
  #kubeletServers: KubeletServers | undefined;
  #serviceAccountKey: string | undefined;
  /** What its nodes use, without a wire between. */
  readonly #metrics: MetricsApi;
  #port: number | undefined;
  #lastNode = 0;
  #closed = false;

  constructor(world: World, options: PartsOptions, moment?: () => Moment) {
    this.world = world;
    this.#options = options;
    this.#moment = moment;
    this.#metrics = metricsApi({
      world,
      client: () => createClient(this.switchboard.line().as(masters('system:metrics-server'))),
      source: async () => simulatedReadings((name) => (this.#kubelets.has(name) ? this.machines.get(name) : undefined)),
    });
    const { decorate, controllers, freeze = false } = options;
    this.controllerManager = new ClusterProcess('controller-manager', this.switchboard, decorate, (surroundings) =>
      runControllerManager(world, surroundings, {
        freeze,
        ...(controllers !== undefined && { controllers }),
        options: {
          clusterCidrs: [clusterCidr],
          rootCa: this.#credentials?.ca.certificate ?? noAuthority,
          ...(this.#credentials && { signingAuthority: this.#credentials.ca }),
          ...(this.#serviceAccountKey !== undefined && { serviceAccountKey: this.#serviceAccountKey }),
          ...options.controllerOptions,
        },
      }),
    );
    this.scheduler = new ClusterProcess('scheduler', this.switchboard, decorate, (surroundings) =>
      runScheduler(world, surroundings, freeze, (scheduler) => {
        this.#explaining = scheduler;
      }),
    );
    this.#nodeWatch = new ClusterProcess('simulated-nodes', this.switchboard, undefined, ({ clientFor }) => {
      const informers = createInformers(clientFor(masters('system:simulated-nodes')), world, { freeze });
      const caches = sharedNodeCaches(informers);
      this.#caches = caches;
      return {
        ready: informers.synced(),
        close() {
          caches.close();
          informers.close();
        },
      };
    });
    if (options.onCommit) this.#commitListeners.add(options.onCommit);
  }

  // ---- the whole

  /** Resolves when the cluster works: its controllers do, and its nodes are ready. */
  async start(from?: Snapshot): Promise<void> {
    await this.open(from);
    await this.run(from);
    await this.serving();
  }

  /** The API server and its port. With a port that takes real time, whatever the clock. */
  async open(from?: Snapshot): Promise<void> {
    const { port } = this.#options;
    if (port !== undefined)
      this.#credentials ??= await createCredentials({ clock: systemClock, random: systemRandom, log: this.world.log }, serviceCidr);
    if (this.#credentials) this.#kubeletServers = new KubeletServers(this.#credentials);
    await this.startApiServer(from?.store);
    if (port !== undefined && this.#apiServer && this.#credentials) this.#port = await listen(this.#apiServer, this.#port ?? port, this.#credentials);
  }

  /** All that works by the cluster's clock. */
  async run(from?: Snapshot): Promise<void> {
    const { nodes = 1 } = this.#options;
    this.controllerManager.start();
    if (this.#options.scheduler !== false) this.scheduler.start();
    if (this.#options.ownCaches !== true) this.#nodeWatch.start();
    this.#lastNode = from?.lastNode ?? 0;
    if (from) for (const state of from.machines) this.#addMachine(state);
    await Promise.all([
      this.controllerManager.ready(),
      this.scheduler.ready(),
      ...(this.runsController('serviceaccount-controller') ? [this.#defaultAccount()] : []),
      ...(from ? [...this.#kubelets.values()].map((kubelet) => kubelet.ready()) : this.#firstNodes(nodes)),
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
    const kubelets = [...this.#kubelets.values()];
    this.#kubelets.clear();
    await Promise.all([...kubelets, this.#nodeWatch, this.scheduler, this.controllerManager].map((process) => process.close()));
    for (const { runtime } of this.machines.values()) runtime.close();
    this.machines.clear();
  }

  /** Undoes {@link open}. */
  async shut(): Promise<void> {
    await this.#kubeletServers?.close();
    await this.stopApiServer();
    await this.#store?.close();
    this.#store = undefined;
  }

  async restore(snapshot: Snapshot): Promise<void> {
    await this.stop();
    await this.start(snapshot);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.stop();
  }

  async snapshot(): Promise<Snapshot> {
    const store = this.#openStore();
    const machines = [...this.machines.values()].map(({ name, number, shape, runtime }): MachineState => ({
      name,
      number,
      shape,
      runtime: runtime.state(),
      running: this.#kubelets.has(name),
    }));
    return { revision: store.revision(), store: store.image(), machines, lastNode: this.#lastNode, moment: this.#moment?.() };
  }

  // ---- the API server

  /** Over what the store holds, or over another store that begins with the image. */
  async startApiServer(image?: StoreImage): Promise<void> {
    if (this.#store === undefined || image !== undefined)
      this.#store = memoryStore({ clock: this.world.clock, log: this.world.log, history: keptHistory }, image);
    const store = this.#store;
    this.#watching = new AbortController();
    await store.watch('', store.revision(), (commit) => this.#tell(commit), this.#watching.signal);
    this.#serviceAccountKey ??= this.#credentials?.serviceAccountKey ?? signingKey();
    this.#apiServer = await createApiServer({
      world: this.world,
      store,
      sharesValues: true,
      serviceCidr,
      nodePortRange: { from: 30_000, to: 32_767 },
      serviceAccountKey: this.#serviceAccountKey,
      serviceAccountIssuer: `https://kubernetes.default.svc.${clusterDomain}`,
      staticTokens: new Map(),
      clientCa: this.#credentials?.ca.certificate ?? '',
      ...(this.#credentials && { kubeletClient: this.#kubeletClient(this.#credentials) }),
      // Nobody in the process is kept waiting for the sake of others; over the wire a test has the server to itself.
      maxRequestsInFlight: 0,
      computed: podScheduling(() => this.#explaining),
      ...(this.#options.metrics !== false && { computedKinds: this.#metrics.kinds }),
    });
    this.switchboard.plug(this.#apiServer);
  }

  /** Simulated kubelets are on loopback, whatever addresses their Nodes have, and take an administrator for the API server. */
  #kubeletClient({ admin, ca }: Credentials): NonNullable<ApiServerOptions['kubeletClient']> {
    return { ...admin, ca: ca.certificate, locate: (nodeName) => this.#kubeletServers?.locate(nodeName) };
  }

  /** The store stays. */
  async stopApiServer(): Promise<void> {
    this.switchboard.plug(undefined);
    const apiServer = this.#apiServer;
    this.#apiServer = undefined;
    await apiServer?.close();
    this.#watching.abort();
  }

  /** The store and the server over it go down, and come back with all that was acknowledged. What was under way fails. */
  async restartStore(downMs: number): Promise<void> {
    const store = this.#openStore();
    await this.stopApiServer();
    await store.close();
    await this.world.clock.sleep(downMs);
    if (!this.#closed) await this.startApiServer(store.image());
  }

  clientAs(user: string, groups: readonly string[] = []): Client {
    const { name, groups: own, ...rest } = named(user);
    return createClient(this.switchboard.line().as({ ...rest, name, groups: [...new Set([...groups, ...own])] }));
  }

  url(): string | undefined {
    return this.#port === undefined ? undefined : `https://127.0.0.1:${this.#port}`;
  }

  kubeconfig(): string {
    if (this.#port === undefined || this.#credentials === undefined) {
      throw new Error('this cluster has no port: start it with { port: 0 }, or use its client');
    }
    return kubeconfigOf(this.#port, this.#credentials);
  }

  runsController(name: string): boolean {
    return selectControllers(this.#options.controllers ?? '*', allControllers).some((controller) => controller.name === name);
  }

  /** Calls with every commit from now on; answers how to stop. */
  onCommit(listener: (commit: StoreEvent) => void): () => void {
    this.#commitListeners.add(listener);
    return () => this.#commitListeners.delete(listener);
  }

  /** Resolves soon after the next commit, with those of the same moment, or after so long. */
  async nextCommit(withinMs: number): Promise<void> {
    const { clock } = this.world;
    const enough = new AbortController();
    const stop = this.onCommit(() => {
      stop();
      clock.after(1, () => enough.abort(committed));
    });
    // Unlike an alarm, a sleep keeps the process alive: whoever waits here has nothing else that does.
    await clock.sleep(withinMs, enough.signal).catch(() => undefined);
    stop();
  }

  #tell(commit: StoreEvent): void {
    for (const listener of this.#commitListeners) listener(commit);
  }

  #openStore(): MemoryStore {
    if (this.#store === undefined) throw new Error('the cluster is closed');
    return this.#store;
  }

  async #defaultAccount(): Promise<void> {
    const accounts = this.clientAs('kubernetes-admin', ['system:masters']).resource(ServiceAccount).namespace('default');
    for await (const { type, object } of accounts.watch({ fieldSelector: 'metadata.name=default' })) {
      if (type === 'ADDED' && object.metadata.name === 'default') return;
    }
  }

  // ---- the nodes

  async addNodes(count: number, shape: NodeShape = {}): Promise<readonly string[]> {
    this.#openStore();
    const { name: base = 'node' } = shape;
    const names: string[] = [];
    for (let i = 0; i < count; i++) {
      const number = ++this.#lastNode;
      const name = shape.name !== undefined && count === 1 ? shape.name : `${base}-${number}`;
      if (this.machines.has(name)) throw new Error(`there is a node ${name} already`);
      names.push(name);
      this.#addMachine({ name, number, shape, running: true, runtime: undefined });
    }
    await this.#nodesReady(names);
    return names;
  }

  stopNode(name: string): void {
    const machine = this.#machine(name);
    this.#kubelets.get(name)?.kill();
    this.#kubelets.delete(name);
    machine.runtime.close();
    this.machines.set(name, this.#boot({ ...machine, runtime: undefined }));
  }

  async startNode(name: string): Promise<void> {
    this.bootNode(name);
    await this.#nodesReady([name]);
  }

  /** Switches the machine on, and waits for nothing. */
  bootNode(name: string): void {
    const machine = this.#machine(name);
    if (!this.#kubelets.has(name)) this.#runKubelet(machine);
  }

  async running(): Promise<readonly RunningPod[]> {
    const running: RunningPod[] = [];
    for (const { name: node, runtime } of this.machines.values()) {
      for (const { namespace, name, uid, ready } of await runtime.listPodSandboxes()) if (ready) running.push({ node, namespace, name, uid });
    }
    return running;
  }

  kubelet(name: string): ClusterProcess | undefined {
    return this.#kubelets.get(name);
  }

  #machine(name: string): Machine {
    const machine = this.machines.get(name);
    if (machine === undefined) throw new Error(`there is no node ${name}`);
    return machine;
  }

  #firstNodes(nodes: NonNullable<ClusterOptions['nodes']>): Promise<unknown>[] {
    if (typeof nodes === 'number') return nodes === 0 ? [] : [this.addNodes(nodes)];
    const shapes: readonly NodeShape[] = Array.isArray(nodes) ? nodes : [nodes];
    return shapes.map((shape) => this.addNodes(1, shape));
  }

  #addMachine(state: MachineState | Unbooted): void {
    const machine = this.#boot(state);
    this.machines.set(machine.name, machine);
    if (state.running) this.#runKubelet(machine);
  }

  #boot({ name, number, shape, runtime }: Pick<MachineState, 'name' | 'number' | 'shape'> & Pick<Unbooted | MachineState, 'runtime'>): Machine {
    const { containers } = this.#options;
    return createMachine(name, number, shape, {
      world: this.world,
      skewMs: this.#options.skewMs?.(number) ?? 0,
      needsPodCidr: this.runsController('node-ipam-controller'),
      ...(containers && { scripts: containers }),
      ...(runtime && { state: runtime }),
    });
  }

  #runKubelet(machine: Machine): void {
    const servers = this.#kubeletServers;
    const kubelet = new ClusterProcess(`kubelet ${machine.name}`, this.switchboard, this.#options.decorate, (surroundings) =>
      runKubelet(machine, surroundings, {
        clusterDns: fixedServiceAddresses(serviceCidr).dns,
        clusterDomain,
        normalEvents: this.#options.podEvents !== 'warnings',
        ...(this.#caches && { caches: this.#caches.of(machine.name) }),
        ...(servers && { serve: (started) => servers.begin(machine, started) }),
      }),
    );
    this.#kubelets.set(machine.name, kubelet);
    kubelet.start();
  }

  async #nodesReady(names: readonly string[]): Promise<void> {
    const waiting = new Set(names);
    const nodes = this.clientAs('kubernetes-admin', ['system:masters']).resource(Node);
    for await (const { type, object } of nodes.watch()) {
      if (type !== 'DELETED' && isUsable(object)) waiting.delete(object.metadata.name);
      if (waiting.size === 0) return;
    }
  }
}

/** A machine that was never on. */
interface Unbooted {
  readonly name: string;
  readonly number: number;
  readonly shape: NodeShape;
  readonly running: boolean;
  readonly runtime: undefined;
}

/** Ready, and pods may come. */
function isUsable({ spec, status }: Node): boolean {
  const ready = status.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') === true;
  return ready && !spec.taints?.some(({ key }) => key === 'node.kubernetes.io/not-ready');
}

function signingKey(): string {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' });
}
