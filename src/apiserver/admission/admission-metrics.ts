/** How long admission takes, by step, plugin and webhook, under upstream's names. https://kubernetes.io/docs/reference/instrumentation/metrics/ */
import type { World } from '../../world/world.ts';
import { Exposition, Histogram, labelText } from '../../machinery/exposition.ts';
import type { AdmissionOperation } from './admission.ts';

export type AdmissionStep = 'admit' | 'validate';

const bounds = [0.005, 0.025, 0.1, 0.5, 1, 2.5];
const webhookBounds = [0.005, 0.025, 0.1, 0.5, 1, 2.5, 10, 25];

/** Webhooks come and go by name: more series than any cluster has are not counted. */
const seriesBound = 5000;

/** By step, operation and whether it was refused. */
class Durations {
  readonly #histograms = new Map<string, Histogram>();
  readonly #bounds: readonly number[];

  constructor(limits: readonly number[]) {
    this.#bounds = limits;
  }

  observe(step: AdmissionStep, operation: AdmissionOperation, rejected: boolean, seconds: number): void {
    const key = keys[step][operation][rejected ? 1 : 0];
    let histogram = this.#histograms.get(key);
    if (histogram === undefined) this.#histograms.set(key, (histogram = new Histogram(this.#bounds)));
    histogram.observe(seconds);
  }

  writeTo(out: Exposition, metric: string, before: string): void {
    for (const [labels, histogram] of this.#histograms) out.histogram(metric, before === '' ? labels : `${before},${labels}`, histogram);
  }
}

/** Why a webhook's answer, or its absence, refused a write. */
export type WebhookErrorType = 'no_error' | 'calling_webhook_error' | 'apiserver_internal_error';

export interface WebhookOutcome {
  readonly name: string;
  readonly step: AdmissionStep;
  readonly operation: AdmissionOperation;
  readonly seconds: number;
  /** HTTP code of the webhook's server; 0 when it could not be asked. */
  readonly code: number;
  /** What the writer is told; undefined when the write may go on. */
  readonly rejection: { readonly code: number; readonly type: WebhookErrorType } | undefined;
  /** It could not be asked, and that did not matter. */
  readonly failedOpen: boolean;
}

export class AdmissionMetrics {
  readonly #world: World;
  readonly #steps = new Durations(bounds);
  readonly #plugins = new Map<string, Durations>();
  readonly #webhooks = new Map<string, Durations>();
  readonly #counts = new Map<string, number>();

  constructor(world: World) {
    this.#world = world;
  }

  nowMs(): number {
    return this.#world.clock.now();
  }

  step(step: AdmissionStep, operation: AdmissionOperation, rejected: boolean, sinceMs: number): void {
    this.#steps.observe(step, operation, rejected, (this.nowMs() - sinceMs) / 1000);
  }

  plugin(name: string, step: AdmissionStep, operation: AdmissionOperation, rejected: boolean, seconds: number): void {
    let durations = this.#plugins.get(name);
    if (durations === undefined) this.#plugins.set(name, (durations = new Durations(bounds)));
    durations.observe(step, operation, rejected, seconds);
  }

  webhook({ name, step, operation, seconds, code, rejection, failedOpen }: WebhookOutcome): void {
    let durations = this.#webhooks.get(name);
    if (durations === undefined) {
      if (this.#webhooks.size >= seriesBound) return;
      this.#webhooks.set(name, (durations = new Durations(webhookBounds)));
    }
    durations.observe(step, operation, rejection !== undefined, seconds);
    const type = typeOf(step);
    const rejected = String(rejection !== undefined);
    this.#count('request_total', { code: String(code), name, operation, rejected, type });
    if (rejection) this.#count('rejection_count', { error_type: rejection.type, name, operation, rejection_code: String(rejection.code), type });
    if (failedOpen) this.#count('fail_open_count', { name, type });
  }

  #count(metric: string, labels: Readonly<Record<string, string>>): void {
    const key = `${metric}{${labelText(labels)}`;
    if (this.#counts.size < seriesBound || this.#counts.has(key)) this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
  }

  readonly source = (): readonly string[] => {
    const out = new Exposition();
    const step = 'apiserver_admission_step_admission_duration_seconds';
    out.family(step, 'histogram', 'How long each step of admission took.');
    this.#steps.writeTo(out, step, '');
    const controller = 'apiserver_admission_controller_admission_duration_seconds';
    out.family(controller, 'histogram', 'How long each admission plugin took.');
    for (const [name, durations] of this.#plugins) durations.writeTo(out, controller, labelText({ name }));
    const webhook = 'apiserver_admission_webhook_admission_duration_seconds';
    out.family(webhook, 'histogram', 'How long each webhook took to answer.');
    for (const [name, durations] of this.#webhooks) durations.writeTo(out, webhook, labelText({ name }));
    for (const [metric, help] of webhookCounters) {
      const name = `apiserver_admission_webhook_${metric}`;
      out.family(name, 'counter', help);
      for (const [key, count] of this.#counts) {
        const [of, labels] = splitOnce(key);
        if (of === metric) out.value(name, labels, count);
      }
    }
    return out.all();
  };
}

const webhookCounters: readonly (readonly [string, string])[] = [
  ['request_total', 'Requests to webhooks, by the HTTP code of the answer.'],
  ['rejection_count', 'Writes that webhooks refused, or that were refused because one could not be asked.'],
  ['fail_open_count', 'Writes that went on although a webhook could not be asked.'],
];

function splitOnce(key: string): [string, string] {
  const at = key.indexOf('{');
  return [key.slice(0, at), key.slice(at + 1)];
}

function typeOf(step: AdmissionStep): string {
  return step === 'admit' ? 'admit' : 'validating';
}

/** Label texts ready made: nothing is put together while a write waits. */
function labelPair(step: AdmissionStep, operation: AdmissionOperation): readonly [string, string] {
  const of = (rejected: string): string => labelText({ operation, rejected, type: step });
  return [of('false'), of('true')];
}

function byOperation(step: AdmissionStep): Readonly<Record<AdmissionOperation, readonly [string, string]>> {
  return {
    CREATE: labelPair(step, 'CREATE'),
    UPDATE: labelPair(step, 'UPDATE'),
    DELETE: labelPair(step, 'DELETE'),
    CONNECT: labelPair(step, 'CONNECT'),
  };
}

const keys: Readonly<Record<AdmissionStep, Readonly<Record<AdmissionOperation, readonly [string, string]>>>> = {
  admit: byOperation('admit'),
  validate: byOperation('validate'),
};
