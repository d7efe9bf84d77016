/**
 * A process of the cluster that is not one: something with a line to the API server that can be started, killed at any moment, and started again. What
 * a killed one was doing comes to nothing: its line is cut first, so not even what it had half done goes on.
 */
import type { User } from '../../apiserver/request.ts';
import type { Client } from '../../client/client.ts';
import type { Transport } from '../../client/transport.ts';
import { createClient } from '../../client/typed-client.ts';
import type { Line, Switchboard } from './switchboard.ts';

/** Stands between a process and the server: where faults come in. */
export type Decorate = (transport: Transport, process: string) => Transport;

/** What a process needs to start. */
export interface Surroundings {
  readonly clientFor: (user: User) => Client;
}

export interface Running {
  /** Resolves when it does its work. */
  readonly ready: Promise<void>;
  close(): void | Promise<void>;
}

export class ClusterProcess {
  readonly name: string;
  readonly #switchboard: Switchboard;
  readonly #decorate: Decorate | undefined;
  readonly #begin: (surroundings: Surroundings) => Running;
  #line: Line | undefined;
  #running: Running | undefined;
  /** Without network: so is the next that starts here. */
  #apart = false;
  /** Killed ones on their way out. */
  readonly #ending = new Set<Promise<void>>();

  constructor(name: string, switchboard: Switchboard, decorate: Decorate | undefined, begin: (surroundings: Surroundings) => Running) {
    this.name = name;
    this.#switchboard = switchboard;
    this.#decorate = decorate;
    this.#begin = begin;
  }

  isRunning(): boolean {
    return this.#running !== undefined;
  }

  start(): void {
    if (this.#running) return;
    const line = this.#switchboard.line();
    this.#line = line;
    line.setDown(this.#apart);
    this.#running = this.#begin({
      clientFor: (user) => {
        const transport = line.as(user);
        return createClient(this.#decorate === undefined ? transport : this.#decorate(transport, this.name));
      },
    });
    // A process that is killed before it is ready is not an error of anybody who does not wait for it.
    this.#running.ready.catch(() => undefined);
  }

  async ready(): Promise<void> {
    await this.#running?.ready;
  }

  /** Ends it wherever it is: from this moment on nothing of it reaches the server. */
  kill(): void {
    this.#line?.cut();
    this.#end();
  }

  /** Cuts it off from the server, or lets it back; it goes on meanwhile. */
  partition(apart: boolean): void {
    this.#apart = apart;
    this.#line?.setDown(apart);
  }

  /** Ends it in order; resolves when nothing of it is left, killed ones included. */
  async close(): Promise<void> {
    const line = this.#line;
    this.#end();
    await Promise.all(this.#ending);
    // What it left unfinished must not reach a server that another snapshot was restored to.
    line?.cut();
  }

  #end(): void {
    const running = this.#running;
    this.#running = undefined;
    if (!running) return;
    const ended = Promise.resolve(running.close()).finally(() => this.#ending.delete(ended));
    this.#ending.add(ended);
  }
}
