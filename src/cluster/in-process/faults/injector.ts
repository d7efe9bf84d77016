/**
 * Makes things go wrong in a cluster on a virtual clock, by its seed: on every process's way to the server, and to processes, machines and the store
 * themselves. When it is stopped everything comes back, and what the cluster promises must come true.
 */
import type { Transport } from '../../../client/transport.ts';
import type { Random, Timer, World } from '../../../world/world.ts';
import type { MachineRoom } from '../machine-room.ts';
import type { ClusterProcess } from '../process.ts';
import type { Server } from '../server.ts';
import { faultyTransport } from './faulty-transport.ts';
import type { FaultRates } from './rates.ts';

/** What an injector does to. */
export interface Faulted {
  readonly loops: readonly ClusterProcess[];
  readonly nodes: Pick<MachineRoom, 'machines' | 'kubelet' | 'stopNode' | 'bootNode'>;
  readonly server: Pick<Server, 'restartStore'>;
}

const longestOutageMs = 20_000;
/** Longer than a node may be silent: some outages are noticed. */
const longestNodeOutageMs = 120_000;

export class FaultInjector {
  readonly #world: World;
  readonly #rates: FaultRates;
  #faulted: Faulted | undefined;
  readonly #timers = new Set<Timer>();
  /** Machines without power or network. */
  readonly #down = new Map<string, 'power' | 'network'>();
  /** Crashed, and not started again yet. */
  readonly #crashed = new Set<ClusterProcess>();
  #restarting: Promise<void> | undefined;
  /** What went wrong, in order, for whoever reads a failing run. */
  readonly said: string[] = [];

  constructor(world: World, rates: FaultRates) {
    this.#world = world;
    this.#rates = rates;
  }

  /** Between a process and the server. */
  decorate(transport: Transport, process: string): Transport {
    return faultyTransport(transport, {
      world: this.#world,
      rates: () => (this.#faulted === undefined ? undefined : this.#rates),
      crash: () => this.#crash(process),
    });
  }

  /** How wrong the clock of a node is. */
  skewMs(): number {
    return this.#world.random.int(2 * this.#rates.clockSkewMs + 1) - this.#rates.clockSkewMs;
  }

  begin(faulted: Faulted): void {
    this.#faulted = faulted;
    this.#again(this.#rates.nodeDownEveryMs, () => this.#nodeDown());
    this.#again(this.#rates.storeRestartEveryMs, () => this.#storeDown());
  }

  /** Ends all faults and brings everything back. */
  async stop(): Promise<void> {
    const faulted = this.#faulted;
    if (faulted === undefined) return;
    this.#faulted = undefined;
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
    await this.#restarting;
    for (const process of this.#crashed) process.start();
    this.#crashed.clear();
    for (const [name, how] of this.#down) backUp(faulted, name, how);
    this.#down.clear();
  }

  // ---- processes

  #crash(name: string): void {
    const faulted = this.#faulted;
    if (faulted === undefined) return;
    const process = faulted.loops.find((known) => known.name === name) ?? faulted.nodes.kubelet(name.replace(/^kubelet /, ''));
    if (!process?.isRunning()) return;
    this.#say(`${name} crashes`);
    process.kill();
    this.#crashed.add(process);
    this.#later(this.#world.random.int(longestOutageMs), () => {
      // A machine that went down meanwhile starts its kubelet itself.
      if (!this.#crashed.delete(process)) return;
      this.#say(`${name} starts again`);
      process.start();
    });
  }

  // ---- machines

  #nodeDown(): void {
    const faulted = this.#faulted;
    const up = [...(faulted?.nodes.machines.keys() ?? [])].filter((name) => !this.#down.has(name));
    const name = pick(this.#world.random, up);
    if (!faulted || name === undefined) return;
    const how = this.#world.random.next() < 0.5 ? 'power' : 'network';
    this.#say(`${name} loses its ${how}`);
    this.#down.set(name, how);
    if (how === 'power') {
      for (const process of this.#crashed) if (process === faulted.nodes.kubelet(name)) this.#crashed.delete(process);
      faulted.nodes.stopNode(name);
    } else {
      faulted.nodes.kubelet(name)?.partition(true);
    }
    this.#later(this.#world.random.int(longestNodeOutageMs), () => {
      if (!this.#down.delete(name)) return;
      this.#say(`${name} has its ${how} back`);
      backUp(faulted, name, how);
    });
  }

  // ---- the store

  #storeDown(): void {
    const faulted = this.#faulted;
    if (faulted === undefined || this.#restarting) return;
    this.#say('the store restarts');
    this.#restarting = faulted.server.restartStore(this.#world.random.int(longestOutageMs)).finally(() => {
      this.#restarting = undefined;
    });
  }

  // ---- when

  /** Calls now and then, at random, so often on average. */
  #again(everyMs: number, call: () => void): void {
    this.#later(this.#world.random.int(2 * everyMs), () => {
      call();
      this.#again(everyMs, call);
    });
  }

  #later(ms: number, call: () => void): void {
    const timer = this.#world.clock.after(ms, () => {
      this.#timers.delete(timer);
      call();
    });
    this.#timers.add(timer);
  }

  #say(what: string): void {
    this.said.push(`${new Date(this.#world.clock.now()).toISOString()} ${what}`);
  }
}

function backUp(faulted: Faulted, name: string, how: 'power' | 'network'): void {
  if (how === 'power') faulted.nodes.bootNode(name);
  else faulted.nodes.kubelet(name)?.partition(false);
}

function pick<T>(random: Random, from: readonly T[]): T | undefined {
  return from[random.int(Math.max(1, from.length))];
}
