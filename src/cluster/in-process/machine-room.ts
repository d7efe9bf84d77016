/** The machines of an in-process cluster: added, switched off and on, each with its kubelet as a process of its own. */
import { Node } from '../../api/kinds.ts';
import type { Informers } from '../../client/informer.ts';
import type { World } from '../../world/world.ts';
import type { ClusterOptions, RunningPod } from './cluster.ts';
import type { KubeletServers } from './kubelet-servers.ts';
import { ClusterProcess, type Decorate } from './process.ts';
import { clusterDns, clusterDomain } from './ranges.ts';
import type { Server } from './server.ts';
import { createMachine, type Machine, type MachineState, type NodeShape, runKubelet } from './simulated-nodes.ts';

export interface MachineRoomOptions extends Pick<ClusterOptions, 'containers' | 'podEvents'> {
  readonly decorate?: Decorate;
  /** How wrong the clock of the machine of this number is. */
  readonly skewMs?: (number: number) => number;
  /** Whether pods wait until their node has its block of the pod network. */
  readonly needsPodCidr: boolean;
  /** What all kubelets share of caches; undefined where each watches for itself. */
  readonly cachesOf: (nodeName: string) => Informers | undefined;
  /** Of a cluster with a port. */
  readonly kubeletServers: () => KubeletServers | undefined;
}

export class MachineRoom {
  readonly machines = new Map<string, Machine>();
  readonly #world: World;
  readonly #server: Server;
  readonly #options: MachineRoomOptions;
  readonly #kubelets = new Map<string, ClusterProcess>();
  #lastNode = 0;

  constructor(world: World, server: Server, options: MachineRoomOptions) {
    this.#world = world;
    this.#server = server;
    this.#options = options;
  }

  get lastNode(): number {
    return this.#lastNode;
  }

  /** The machines as they were; resolves when the kubelets of those that ran do their work again. */
  async resume(states: readonly MachineState[], lastNode: number): Promise<void> {
    this.#lastNode = lastNode;
    for (const state of states) this.#add(state);
    await Promise.all([...this.#kubelets.values()].map((kubelet) => kubelet.ready()));
  }

  states(): MachineState[] {
    return [...this.machines.values()].map(({ name, number, shape, runtime }) => ({
      name,
      number,
      shape,
      runtime: runtime.state(),
      running: this.#kubelets.has(name),
    }));
  }

  /** Every kubelet ends, and every machine is gone. */
  async clear(): Promise<void> {
    const kubelets = [...this.#kubelets.values()];
    this.#kubelets.clear();
    await Promise.all(kubelets.map((kubelet) => kubelet.close()));
    for (const { runtime } of this.machines.values()) runtime.close();
    this.machines.clear();
    this.#lastNode = 0;
  }

  /** As many of one shape, or one of each; resolves when they are ready. */
  async addFirst(nodes: NonNullable<ClusterOptions['nodes']>): Promise<void> {
    if (typeof nodes === 'number') {
      if (nodes > 0) await this.addNodes(nodes);
      return;
    }
    const shapes: readonly NodeShape[] = Array.isArray(nodes) ? nodes : [nodes];
    await Promise.all(shapes.map((shape) => this.addNodes(1, shape)));
  }

  async addNodes(count: number, shape: NodeShape = {}): Promise<readonly string[]> {
    this.#server.assertOpen();
    const { name: base = 'node' } = shape;
    const names: string[] = [];
    for (let i = 0; i < count; i++) {
      const number = ++this.#lastNode;
      const name = shape.name !== undefined && count === 1 ? shape.name : `${base}-${number}`;
      if (this.machines.has(name)) throw new Error(`there is a node ${name} already`);
      names.push(name);
      this.#add({ name, number, shape, running: true, runtime: undefined });
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

  /** The kubelet of a machine that is on. */
  kubelet(name: string): ClusterProcess | undefined {
    return this.#kubelets.get(name);
  }

  #machine(name: string): Machine {
    const machine = this.machines.get(name);
    if (machine === undefined) throw new Error(`there is no node ${name}`);
    return machine;
  }

  #add(state: MachineState | Unbooted): void {
    const machine = this.#boot(state);
    this.machines.set(machine.name, machine);
    if (state.running) this.#runKubelet(machine);
  }

  #boot({ name, number, shape, runtime }: Pick<MachineState, 'name' | 'number' | 'shape'> & Pick<Unbooted | MachineState, 'runtime'>): Machine {
    const { containers, skewMs, needsPodCidr } = this.#options;
    return createMachine(name, number, shape, {
      world: this.#world,
      skewMs: skewMs?.(number) ?? 0,
      needsPodCidr,
      ...(containers && { scripts: containers }),
      ...(runtime && { state: runtime }),
    });
  }

  #runKubelet(machine: Machine): void {
    const { decorate, podEvents, cachesOf, kubeletServers } = this.#options;
    const servers = kubeletServers();
    const kubelet = new ClusterProcess(`kubelet ${machine.name}`, this.#server.switchboard, decorate, (surroundings) => {
      const caches = cachesOf(machine.name);
      return runKubelet(machine, surroundings, {
        clusterDns,
        clusterDomain,
        normalEvents: podEvents !== 'warnings',
        ...(caches && { caches }),
        ...(servers && { serve: (started) => servers.begin(machine, started) }),
      });
    });
    this.#kubelets.set(machine.name, kubelet);
    kubelet.start();
  }

  async #nodesReady(names: readonly string[]): Promise<void> {
    const waiting = new Set(names);
    const nodes = this.#server.clientAs('kubernetes-admin', ['system:masters']).resource(Node);
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
