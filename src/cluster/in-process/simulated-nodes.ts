/**
 * Simulated nodes: a real kubelet each, over a machine and a container runtime that only pretend. The machine outlives its kubelet, as a host does: one
 * that is started again finds its containers running.
 */
import type { V1Taint } from '../../api/types.ts';
import type { Informers } from '../../client/informer.ts';
import { createInformers } from '../../client/informers.ts';
import { simulatedHost } from '../../kubelet/host.ts';
import { createKubelet, type Kubelet } from '../../kubelet/kubelet.ts';
import type { SimulatedScripts } from '../../kubelet/runtime/simulated-script.ts';
import { type SimulatedRuntime, simulatedRuntime, type SimulatedRuntimeState } from '../../kubelet/runtime/simulated.ts';
import { parseQuantity } from '../../machinery/quantity.ts';
import type { World } from '../../world/world.ts';
import { named } from '../identity.ts';
import type { Running, Surroundings } from './process.ts';

/** What a simulated node is; anything absent is as the first node of a small cluster has it. */
export interface NodeShape {
  /** `node-<number>` when absent; with several nodes, what goes before `-<number>`. */
  readonly name?: string;
  /** Quantities: 4 CPUs, 8Gi of memory and room for 110 pods when absent. */
  readonly cpu?: string | number;
  readonly memory?: string;
  readonly pods?: number;
  readonly labels?: Readonly<Record<string, string>>;
  readonly taints?: readonly V1Taint[];
}

/** One machine, on or off. */
export interface Machine {
  readonly name: string;
  readonly number: number;
  readonly shape: NodeShape;
  readonly runtime: SimulatedRuntime;
  /** The world as its clock tells it. */
  readonly world: World;
}

/** A machine as data. */
export interface MachineState {
  readonly name: string;
  readonly number: number;
  readonly shape: NodeShape;
  /** Whether its kubelet runs. */
  readonly running: boolean;
  readonly runtime: SimulatedRuntimeState;
}

export interface MachineOptions {
  readonly world: World;
  readonly scripts?: SimulatedScripts;
  readonly skewMs?: number;
  /** Whether pods wait until the node has its block of the pod network. */
  readonly needsPodCidr: boolean;
  readonly state?: SimulatedRuntimeState;
}

export function createMachine(name: string, number: number, shape: NodeShape, options: MachineOptions): Machine {
  const { scripts, skewMs = 0, needsPodCidr, state } = options;
  const world = skewMs === 0 ? options.world : skewed(options.world, skewMs);
  return { name, number, shape, world, runtime: simulatedRuntime(world, scripts, { keepCalls: false, needsPodCidr, ...(state && { state }) }) };
}

/** The same world seen by a clock that is wrong. */
function skewed(world: World, skewMs: number): World {
  const { clock } = world;
  return {
    ...world,
    clock: {
      now: () => clock.now() + skewMs,
      sleep: (ms, signal) => clock.sleep(ms, signal),
      after: (ms, call) => clock.after(ms, call),
      every: (ms, call) => clock.every(ms, call),
    },
  };
}

export interface KubeletSettings {
  readonly clusterDns: string;
  readonly clusterDomain: string;
  readonly normalEvents: boolean;
  /** Caches shared by all nodes; without them the kubelet watches for itself, over its own line. */
  readonly caches?: Informers;
  /** Makes its pods' logs reachable; answers how to stop. */
  readonly serve?: (kubelet: Kubelet) => () => void;
}

/** No event of a simulated runtime gets lost. */
const relistMs = 60_000;

/** The kubelet of a machine, as a process. */
export function runKubelet({ name, number, shape, runtime, world }: Machine, { clientFor }: Surroundings, settings: KubeletSettings): Running {
  const user = named(`system:node:${name}`);
  const client = clientFor({ ...user, groups: ['system:nodes', ...user.groups] });
  const informers = settings.caches ?? createInformers(client, world);
  const { cpu = 4, memory = '8Gi', pods = 110, labels, taints } = shape;
  const kubelet = createKubelet({
    world,
    client,
    informers,
    runtime,
    nodeName: name,
    nodeIps: [addressOf(number)],
    rootDir: '/simulated/kubelet',
    logRoot: '/simulated/logs',
    clusterDns: [settings.clusterDns],
    clusterDomain: settings.clusterDomain,
    serverPort: 10_250,
    relistMs,
    maxPods: pods,
    normalEvents: settings.normalEvents,
    host: simulatedHost({ cpus: parseQuantity(cpu).milliValue() / 1000, memoryBytes: parseQuantity(memory).value() }),
    reserved: { cpuMillis: 0, memoryBytes: 0 },
    ...(labels && { labels }),
    ...(taints && { taints }),
  });
  const stopServing = settings.serve?.(kubelet);
  return {
    ready: kubelet.started,
    close() {
      stopServing?.();
      kubelet.close();
      if (settings.caches === undefined) informers.close();
    },
  };
}

/** Node addresses: 10.0.0.1 for the first node, and so on through 10.0.0.0/8's first half. */
function addressOf(number: number): string {
  return `10.${(number >> 16) & 0x7f}.${(number >> 8) & 0xff}.${number & 0xff}`;
}
