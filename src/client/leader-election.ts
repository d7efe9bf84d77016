/**
 * Leader election over a Lease, as client-go does it: of several candidates one holds the lease and renews it; the others take over when it was not
 * renewed for its duration. A leader that cannot renew in time steps down before another may take over.
 */
import { Lease } from '../api/kinds.ts';
import { isReason } from '../machinery/errors.ts';
import { microTimestamp, type World } from '../world/world.ts';
import type { Client } from './client.ts';

export interface LeaderElectionOptions {
  /** The Lease's name and namespace. */
  readonly name: string;
  readonly namespace: string;
  /** Who we are; must differ between candidates. */
  readonly identity: string;
  /** Upstream's 15, 10 and 2 seconds when absent. */
  readonly leaseDurationMs?: number;
  readonly renewDeadlineMs?: number;
  readonly retryPeriodMs?: number;
  /** Called when we lead; the signal aborts when we no longer do. */
  readonly onLeading: (signal: AbortSignal) => void;
  /** Called when we led and lost it. */
  readonly onLost?: () => void;
  readonly onNewLeader?: (identity: string) => void;
}

export interface LeaderElection {
  isLeader(): boolean;
  /** Ends leading, gives the lease back so that another need not wait for it to run out. */
  close(): Promise<void>;
}

export function startLeaderElection(client: Client, world: World, options: LeaderElectionOptions): LeaderElection {
  return new Candidate(client, world, options);
}

type LeaseSpec = Lease['spec'];

const jitter = 1.2;

class Candidate implements LeaderElection {
  readonly #client: Client;
  readonly #world: World;
  readonly #options: LeaderElectionOptions;
  readonly #leaseDurationMs: number;
  readonly #renewDeadlineMs: number;
  readonly #retryPeriodMs: number;
  readonly #abort = new AbortController();
  readonly #running: Promise<void>;
  #leading: AbortController | undefined;
  #observed: Lease | undefined;
  /** By our own clock: others' clocks may differ, so what counts is when *we* saw the lease change. */
  #observedAtMs = 0;
  #renewedAtMs = 0;
  #reportedLeader = '';

  constructor(client: Client, world: World, options: LeaderElectionOptions) {
    this.#client = client;
    this.#world = world;
    this.#options = options;
    this.#leaseDurationMs = options.leaseDurationMs ?? 15_000;
    this.#renewDeadlineMs = options.renewDeadlineMs ?? 10_000;
    this.#retryPeriodMs = options.retryPeriodMs ?? 2_000;
    if (this.#leaseDurationMs <= this.#renewDeadlineMs) throw new Error('the lease must last longer than the renew deadline');
    if (this.#renewDeadlineMs <= this.#retryPeriodMs * jitter) throw new Error('the renew deadline must be longer than the retry period');
    this.#running = this.#run();
  }

  isLeader(): boolean {
    return this.#leading !== undefined;
  }

  async close(): Promise<void> {
    if (this.#abort.signal.aborted) return this.#running;
    const led = this.isLeader();
    this.#abort.abort(new Error('leader election was closed'));
    await this.#running;
    this.#stepDown();
    if (led) await this.#release();
  }

  async #run(): Promise<void> {
    const { signal } = this.#abort;
    while (!signal.aborted) {
      let pauseMs = this.#retryPeriodMs;
      const held = await this.#tryHold();
      if (signal.aborted) return;
      if (held) {
        this.#renewedAtMs = this.#world.clock.now();
        this.#stepUp();
      } else if (this.isLeader() && (this.#heldByOther() || this.#world.clock.now() - this.#renewedAtMs >= this.#renewDeadlineMs)) {
        this.#stepDown();
      }
      // Candidates spread out, the leader keeps time.
      if (!this.isLeader()) pauseMs *= 1 + this.#world.random.next() * (jitter - 1);
      try {
        await this.#world.clock.sleep(pauseMs, signal);
      } catch {
        return;
      }
    }
  }

  /** Takes or renews the lease if it is ours to take; false when another holds it or the server cannot be asked in time. */
  async #tryHold(): Promise<boolean> {
    const deadline = new AbortController();
    const untilMs = this.isLeader() ? this.#renewedAtMs + this.#renewDeadlineMs : this.#world.clock.now() + this.#renewDeadlineMs;
    const timer = this.#world.clock.after(Math.max(0, untilMs - this.#world.clock.now()), () =>
      deadline.abort(new Error('the renew deadline passed')),
    );
    const signal = AbortSignal.any([deadline.signal, this.#abort.signal]);
    try {
      return await this.#hold(signal);
    } catch (error) {
      if (!this.#abort.signal.aborted) this.#world.log.debug('the lease could not be held', { lease: this.#options.name, error: String(error) });
      return false;
    } finally {
      timer.cancel();
    }
  }

  async #hold(signal: AbortSignal): Promise<boolean> {
    const { identity, name, namespace } = this.#options;
    const leases = this.#client.resource(Lease).namespace(namespace);
    // While we lead, nobody else should have written: renew without reading. A conflict says otherwise.
    if (this.isLeader() && this.#observed) {
      try {
        this.#observe(await leases.update({ ...this.#observed, spec: this.#renewed(this.#observed.spec) }, { signal }));
        return true;
      } catch (error) {
        if (!isReason(error, 'Conflict', 'NotFound')) throw error;
      }
    }
    const current = await this.#read(signal);
    if (current === undefined) {
      this.#observe(await leases.create({ metadata: { name, namespace }, spec: this.#taken(undefined) }, { signal }));
      return true;
    }
    const holder = current.spec.holderIdentity ?? '';
    if (holder === identity) {
      this.#observe(await leases.update({ ...current, spec: this.#renewed(current.spec) }, { signal }));
      return true;
    }
    const durationMs = (current.spec.leaseDurationSeconds ?? this.#leaseDurationMs / 1_000) * 1_000;
    if (holder !== '' && this.#world.clock.now() < this.#observedAtMs + durationMs) return false;
    this.#observe(await leases.update({ ...current, spec: this.#taken(current.spec) }, { signal }));
    return true;
  }

  async #read(signal: AbortSignal): Promise<Lease | undefined> {
    const { name, namespace } = this.#options;
    try {
      const lease = await this.#client.resource(Lease).namespace(namespace).get(name, { signal });
      this.#observe(lease);
      return lease;
    } catch (error) {
      if (isReason(error, 'NotFound')) return undefined;
      throw error;
    }
  }

  #observe(lease: Lease): void {
    if (this.#observed?.metadata.resourceVersion !== lease.metadata.resourceVersion) this.#observedAtMs = this.#world.clock.now();
    this.#observed = lease;
    const holder = lease.spec.holderIdentity ?? '';
    if (holder === '' || holder === this.#reportedLeader) return;
    this.#reportedLeader = holder;
    this.#options.onNewLeader?.(holder);
  }

  #heldByOther(): boolean {
    const holder = this.#observed?.spec.holderIdentity ?? '';
    return holder !== '' && holder !== this.#options.identity;
  }

  #taken(before: LeaseSpec | undefined): LeaseSpec {
    const now = microTimestamp(this.#world.clock.now());
    return {
      ...before,
      holderIdentity: this.#options.identity,
      leaseDurationSeconds: Math.ceil(this.#leaseDurationMs / 1_000),
      acquireTime: now,
      renewTime: now,
      leaseTransitions: before === undefined ? 0 : (before.leaseTransitions ?? 0) + 1,
    };
  }

  #renewed(before: LeaseSpec): LeaseSpec {
    return { ...before, leaseDurationSeconds: Math.ceil(this.#leaseDurationMs / 1_000), renewTime: microTimestamp(this.#world.clock.now()) };
  }

  #stepUp(): void {
    if (this.#leading) return;
    this.#leading = new AbortController();
    this.#world.log.info('leading', { lease: this.#options.name, identity: this.#options.identity });
    this.#options.onLeading(this.#leading.signal);
  }

  #stepDown(): void {
    if (!this.#leading) return;
    this.#leading.abort(new Error('no longer the leader'));
    this.#leading = undefined;
    this.#world.log.info('no longer leading', { lease: this.#options.name, identity: this.#options.identity });
    this.#options.onLost?.();
  }

  /** One try, bounded: whoever waits takes over anyway once the lease has run out. */
  async #release(): Promise<void> {
    const lease = this.#observed;
    if (!lease) return;
    const deadline = new AbortController();
    const timer = this.#world.clock.after(this.#retryPeriodMs, () => deadline.abort(new Error('giving back the lease took too long')));
    const now = microTimestamp(this.#world.clock.now());
    const spec: LeaseSpec = { ...lease.spec, holderIdentity: '', leaseDurationSeconds: 1, renewTime: now, acquireTime: now };
    try {
      await this.#client
        .resource(Lease)
        .namespace(this.#options.namespace)
        .update({ ...lease, spec }, { signal: deadline.signal });
    } catch (error) {
      this.#world.log.debug('the lease could not be given back', { lease: this.#options.name, error: String(error) });
    } finally {
      timer.cancel();
    }
  }
}
