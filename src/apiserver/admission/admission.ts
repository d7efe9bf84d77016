/**
 * Admission: plugins that may change a write (first) and refuse it (then), after authorization and before it is stored. One file per plugin, in
 * the order upstream runs them. See https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/
 */
import type { Kind } from '../../api/kind.ts';
import type { GroupResource } from '../../machinery/errors.ts';
import type { Guard, Operation } from '../../store/store.ts';
import type { AnyObject } from '../registry/decoding.ts';
import type { User } from '../request.ts';
import type { AdmissionMetrics, AdmissionStep } from './admission-metrics.ts';

export type AdmissionOperation = 'CREATE' | 'UPDATE' | 'DELETE' | 'CONNECT';

/** What a plugin is told about a write. */
export interface AdmissionRequest {
  readonly operation: AdmissionOperation;
  /** The kind in the path, and the resource with its group. */
  readonly kind: Kind;
  readonly resource: GroupResource;
  /** '' for the object itself. */
  readonly subresource: string;
  readonly namespace: string | undefined;
  /** '' while a generated name is not there yet. */
  readonly name: string;
  readonly user: User;
  readonly dryRun: boolean;
  /** What is going to be stored, the plugin's to change in `admit`; undefined for a delete. In the version of {@link kind}. */
  readonly object: AnyObject | undefined;
  /** What is stored now; never to be changed. Undefined for a create. */
  readonly oldObject: AnyObject | undefined;
  /** What is asked of a connection (`PodExecOptions` and the like); only for CONNECT. */
  readonly connection?: Readonly<Record<string, unknown>>;
  readonly warnings: string[];
  /** What is to be stored together with the object, or not at all. Absent where the write commits nothing of its own. */
  readonly alongside?: Alongside;
  /** Notes something in the audit event of the request. */
  readonly annotate?: ((key: string, value: string) => void) | undefined;
}

/** Joins the transaction of a write: other keys to put under guards of their own, and what to do when the write has ended, well or not. */
export class Alongside {
  #operations: Operation[] | undefined;
  #guards: Guard[] | undefined;
  #ends: (() => void)[] | undefined;

  get operations(): readonly Operation[] {
    return this.#operations ?? none;
  }

  get guards(): readonly Guard[] {
    return this.#guards ?? none;
  }

  add(operation: Operation, guard: Guard): void {
    (this.#operations ??= []).push(operation);
    (this.#guards ??= []).push(guard);
  }

  onEnd(end: () => void): void {
    (this.#ends ??= []).push(end);
  }

  /** The write has ended; called once, by the verb. */
  end(): void {
    const ends = this.#ends;
    this.#ends = undefined;
    if (ends) for (const end of ends) end();
  }
}

const none: readonly never[] = [];

/** Both hooks throw an `ApiError` to refuse. A plugin that needs nothing asynchronous answers nothing, and costs nothing. */
export interface AdmissionPlugin {
  readonly name: string;
  /** True for one that looks at connections, too; the others are told of writes only. */
  readonly connections?: boolean;
  /** False for kinds the plugin never has anything to do for, which then cost nothing. Asked once a kind; absent for all kinds. */
  concerns?(kind: Kind): boolean;
  /** Changes `request.object` in place. */
  admit?(request: AdmissionRequest): void | Promise<void>;
  /** Looks at the final object. */
  validate?(request: AdmissionRequest): void | Promise<void>;
}

/** The plugins of a chain that have something to do for a kind. */
interface Concerned {
  readonly admitting: readonly AdmissionPlugin[];
  readonly validating: readonly AdmissionPlugin[];
}

export class AdmissionChain {
  readonly #plugins: readonly AdmissionPlugin[];
  readonly #metrics: AdmissionMetrics;
  readonly #byKind = new WeakMap<Kind, Concerned>();

  constructor(plugins: readonly AdmissionPlugin[], metrics: AdmissionMetrics) {
    this.#plugins = plugins;
    this.#metrics = metrics;
  }

  async admit(request: AdmissionRequest): Promise<void> {
    await this.#run('admit', this.#concerned(request.kind).admitting, request);
  }

  async validate(request: AdmissionRequest): Promise<void> {
    await this.#run('validate', this.#concerned(request.kind).validating, request);
  }

  async #run(step: AdmissionStep, plugins: readonly AdmissionPlugin[], request: AdmissionRequest): Promise<void> {
    const metrics = this.#metrics;
    const { operation } = request;
    const sinceMs = metrics.nowMs();
    let refused = true;
    try {
      for (const plugin of plugins) {
        if (operation === 'CONNECT' && plugin.connections !== true) continue;
        let pluginRefused = true;
        let seconds = 0;
        try {
          const pending = plugin[step]?.(request);
          if (pending) {
            // What answers at once takes no time that a clock of milliseconds could tell.
            const askedMs = metrics.nowMs();
            await pending.finally(() => (seconds = (metrics.nowMs() - askedMs) / 1000));
          }
          pluginRefused = false;
        } finally {
          metrics.plugin(plugin.name, step, operation, pluginRefused, seconds);
        }
      }
      refused = false;
    } finally {
      metrics.step(step, operation, refused, sinceMs);
    }
  }

  #concerned(kind: Kind): Concerned {
    let concerned = this.#byKind.get(kind);
    if (!concerned) {
      const plugins = this.#plugins.filter((plugin) => plugin.concerns?.(kind) ?? true);
      concerned = { admitting: plugins.filter(({ admit }) => admit), validating: plugins.filter(({ validate }) => validate) };
      this.#byKind.set(kind, concerned);
    }
    return concerned;
  }
}

/** For {@link AdmissionPlugin.concerns}: one of these kinds, in whatever version. */
export function concernsOnly(...kinds: readonly Pick<Kind, 'group' | 'resource'>[]): (kind: Kind) => boolean {
  return ({ group, resource }) => kinds.some((known) => known.group === group && known.resource === resource);
}

/** True for writes of the kind's objects themselves, in one of the operations. */
export function isWriteOf(request: AdmissionRequest, kind: Pick<Kind, 'group' | 'resource'>, ...operations: readonly AdmissionOperation[]): boolean {
  return (
    request.subresource === '' &&
    request.resource.resource === kind.resource &&
    request.resource.group === kind.group &&
    operations.includes(request.operation)
  );
}
