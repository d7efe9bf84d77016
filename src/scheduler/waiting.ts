/** Those who wait in the binding cycle: for the cluster to become so, and for plugins' permission. */
import type { Clock } from '../world/world.ts';
import type { Changes, WaitingPods } from './plugin.ts';

interface Wait {
  readonly look: () => void;
}

/** Conditions looked at again whenever something changed. */
export class ChangeWaits implements Changes {
  private readonly clock: Clock;
  private readonly waits = new Set<Wait>();

  constructor(clock: Clock) {
    this.clock = clock;
  }

  until(check: () => boolean, timeoutMs: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = (finish: () => void): void => {
        this.waits.delete(wait);
        timer.cancel();
        signal.removeEventListener('abort', aborted);
        finish();
      };
      const aborted = (): void => end(() => reject(new Error('the scheduler was closed')));
      const look = (): void => {
        try {
          if (check()) end(resolve);
        } catch (error) {
          end(() => reject(error instanceof Error ? error : new Error(String(error))));
        }
      };
      const wait: Wait = { look };
      const timer = this.clock.after(timeoutMs, () => end(() => reject(new Error('timed out waiting for the condition'))));
      this.waits.add(wait);
      if (signal.aborted) {
        aborted();
        return;
      }
      signal.addEventListener('abort', aborted, { once: true });
      look();
    });
  }

  changed(): void {
    for (const { look } of this.waits) look();
  }
}

interface Permission {
  readonly pending: Set<string>;
  readonly settle: (refusal: Error | undefined) => void;
}

/** Pods that `permit` keeps waiting: they go on when every plugin that asked for time has allowed them. */
export class PermitWaits implements WaitingPods {
  private readonly clock: Clock;
  private readonly pods = new Map<string, Permission>();

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** Resolves with permission, rejects without. */
  wait(key: string, plugins: readonly { readonly name: string; readonly waitMs: number }[]): Promise<void> {
    return new Promise((resolve, reject) => {
      const timers = plugins.map(({ name, waitMs }) =>
        this.clock.after(waitMs, () => this.reject(key, name, `rejected due to timeout after waiting ${waitMs}ms at plugin ${name}`)),
      );
      this.pods.set(key, {
        pending: new Set(plugins.map(({ name }) => name)),
        settle: (refusal) => {
          this.pods.delete(key);
          for (const timer of timers) timer.cancel();
          if (refusal) reject(refusal);
          else resolve();
        },
      });
    });
  }

  allow(key: string, plugin: string): boolean {
    const waiting = this.pods.get(key);
    if (waiting === undefined) return false;
    waiting.pending.delete(plugin);
    if (waiting.pending.size === 0) waiting.settle(undefined);
    return true;
  }

  reject(key: string, plugin: string, reason: string): boolean {
    const waiting = this.pods.get(key);
    waiting?.settle(new RefusedLate(plugin, reason));
    return waiting !== undefined;
  }

  close(): void {
    for (const key of this.pods.keys()) this.reject(key, '', 'the scheduler was closed');
  }
}

/** A plugin said no after a node was chosen: not an error, but a decision to be told like one. */
export class RefusedLate extends Error {
  override readonly name = 'RefusedLate';
  readonly plugin: string;

  constructor(plugin: string, reason: string) {
    super(reason);
    this.plugin = plugin;
  }
}
