/**
 * What a simulated container does (how long it takes to start, how long it runs, how it ends, when it is healthy): a script, given by annotations on the pod
 * or by a callback.
 */
import { isQuantity, parseQuantity, type Quantity } from '../../machinery/quantity.ts';
import type { ContainerConfig, SandboxConfig } from './runtime.ts';

/** What one container does. Everything absent: it starts at once, runs for ever, is healthy, and stops at once with 143. */
export interface SimulatedScript {
  readonly pullDelayMs?: number;
  readonly startDelayMs?: number;
  /** Exits by itself so long after its start. */
  readonly runTimeMs?: number;
  /** Of the exit after `runTimeMs`. */
  readonly exitCode?: number;
  /** Probes fail until so long after the start. */
  readonly readyAfterMs?: number;
  /** Probes fail from so long after the start. */
  readonly unhealthyAfterMs?: number;
  /** How long it takes to obey the stop signal. */
  readonly stopDelayMs?: number;
  /** Lands in the termination message. */
  readonly message?: string;
  /** What it writes when it starts; its message comes last, when it has ended. */
  readonly logs?: string;
  /** Only so many instances of the container exit by themselves; those after them run on. Every one when absent. */
  readonly exits?: number;
  /** What it uses while it runs: thousandths of a CPU, and bytes. */
  readonly cpuMillis?: number;
  readonly memoryBytes?: number;
}

/** Decides per container; what it leaves out is read from the annotations. */
export type SimulatedScripts = (pod: SandboxConfig, container: ContainerConfig) => SimulatedScript | undefined;

/**
 * Annotations on the pod: `simulated.k8ts.local/run-time-ms: "500"`, or for one container of it `simulated.k8ts.local/run-time-ms.<container>`.
 * Names: `pull-delay-ms`, `start-delay-ms`, `run-time-ms`, `exit-code`, `exits`, `ready-after-ms`, `unhealthy-after-ms`, `stop-delay-ms`, `message`, `logs`;
 * `cpu` and `memory` are quantities. docs/testing.md tells what each does.
 */
export const simulatedAnnotationPrefix = 'simulated.k8ts.local/';

/** The script that the annotations give a container; nothing of what they do not say. */
export function annotatedScript({ annotations }: Pick<SandboxConfig, 'annotations'>, container: string): SimulatedScript {
  const text = (name: string): string | undefined =>
    annotations[`${simulatedAnnotationPrefix}${name}.${container}`] ?? annotations[`${simulatedAnnotationPrefix}${name}`];
  const number = (name: string): number | undefined => {
    const value = Number(text(name) ?? Number.NaN);
    return Number.isFinite(value) ? value : undefined;
  };
  const quantity = (name: string): Quantity | undefined => {
    const value = text(name);
    return value !== undefined && isQuantity(value) ? parseQuantity(value) : undefined;
  };
  const script = {
    pullDelayMs: number('pull-delay-ms'),
    startDelayMs: number('start-delay-ms'),
    runTimeMs: number('run-time-ms'),
    exitCode: number('exit-code'),
    exits: number('exits'),
    readyAfterMs: number('ready-after-ms'),
    unhealthyAfterMs: number('unhealthy-after-ms'),
    stopDelayMs: number('stop-delay-ms'),
    message: text('message'),
    logs: text('logs'),
    cpuMillis: quantity('cpu')?.milliValue(),
    memoryBytes: quantity('memory')?.value(),
  };
  return Object.fromEntries(Object.entries(script).filter(([, value]) => value !== undefined));
}

/** Lines as they stand in a log file. */
export function logText(text: string | undefined, atMs: number): string {
  if (text === undefined || text === '') return '';
  const time = new Date(atMs).toISOString().replace('Z', '000000Z');
  return text
    .replace(/\n$/, '')
    .split('\n')
    .map((line) => `${time} stdout F ${line}\n`)
    .join('');
}
