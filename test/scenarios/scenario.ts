/** The scenario format, read strictly: what a file says that nobody understands is an error, not a step that is silently skipped. */
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { parseAllDocuments } from 'yaml';
import type { NodeShape } from '../../src/index.ts';

export type Fields = Readonly<Record<string, unknown>>;

export interface Scenario {
  readonly file: string;
  readonly name: string;
  readonly simulatedToo: boolean;
  readonly alone: boolean;
  /** The nodes of a simulated cluster on a virtual clock that is the scenario's own; undefined when it runs on the cluster that all share. */
  readonly nodes: readonly NodeShape[] | undefined;
  readonly steps: readonly Step[];
}

export type Step =
  | { readonly apply: readonly Fields[] }
  | { readonly wait: Expectations; readonly withinMs: number }
  | { readonly is: Expectations }
  | { readonly holds: Expectations; readonly forMs: number }
  | { readonly gone: readonly string[]; readonly withinMs: number }
  | { readonly events: Readonly<Record<string, readonly string[]>>; readonly withinMs: number }
  | { readonly let: Readonly<Record<string, string>> }
  /** On a virtual clock: time passes. */
  | { readonly advance: string }
  /** On simulated nodes: the machine is switched off or on. */
  | { readonly machine: string; readonly isOn: boolean }
  | ShellLine;

/** By object, by path, what is expected there. */
export type Expectations = Readonly<Record<string, Fields>>;

export interface ShellLine {
  readonly run: string;
  /** The pod, or pod/container, it runs in; on the host when undefined. */
  readonly in: string | undefined;
  readonly exits: number | '*';
  readonly prints: readonly string[];
  readonly says: readonly string[];
  /** 0: once. */
  readonly withinMs: number;
}

const defaultPatienceMs = 20_000;

export function readScenarios(path: string): Scenario[] {
  return parseAllDocuments(readFileSync(path, 'utf8'), { merge: true }).flatMap((document) => {
    if (document.errors[0]) throw new Error(`${path}: ${document.errors[0].message}`);
    const value: unknown = document.toJS();
    return value === null ? [] : [scenarioOf(basename(path, '.yaml'), value)];
  });
}

function scenarioOf(file: string, value: unknown): Scenario {
  const { scenario: name, also, alone, nodes, pods, apply, steps, ...rest } = fieldsOf(value, file);
  if (typeof name !== 'string') throw new Error(`${file}: a document without "scenario: name"`);
  const where = `${file}: ${name}`;
  refuseMore(rest, where);
  if (also !== undefined && also !== 'simulated') throw new Error(`${where}: also: ${JSON.stringify(also)}`);
  const given = pods === undefined && apply === undefined ? [] : [stepOf({ pods, apply }, where)];
  return {
    file,
    name,
    simulatedToo: also === 'simulated',
    alone: alone === true,
    nodes: nodes === undefined ? undefined : listOf(nodes, where).map((node) => fieldsOf(node, where)),
    steps: [...given, ...listOf(steps, where).map((step, index) => stepOf(step, `${where}: step ${index + 1}`))],
  };
}

function stepOf(value: unknown, where: string): Step {
  const { apply, pods, wait, is, holds, gone, events, let: names, advance, off, on, run, ...more } = fieldsOf(value, where);
  const { within, for: period, in: place, exits, prints, says, ...rest } = more;
  refuseMore(rest, where);
  const withinMs = within === undefined ? defaultPatienceMs : milliseconds(within, where);
  if (apply !== undefined || pods !== undefined) {
    const made = Object.entries(fieldsOf(pods ?? {}, where)).map(([name, spec]) => podOf(name, fieldsOf(spec, where)));
    return { apply: [...listOf(apply ?? [], where).map((object) => fieldsOf(object, where)), ...made] };
  }
  if (wait !== undefined) return { wait: expectationsOf(wait, where), withinMs };
  if (is !== undefined) return { is: expectationsOf(is, where) };
  if (holds !== undefined) return { holds: expectationsOf(holds, where), forMs: milliseconds(period, where) };
  if (gone !== undefined) return { gone: textsOf(gone), withinMs };
  if (events !== undefined) {
    const byObject = Object.entries(fieldsOf(events, where)).map(([object, texts]) => [object, textsOf(texts)] as const);
    return { events: Object.fromEntries(byObject), withinMs };
  }
  if (names !== undefined) {
    return { let: Object.fromEntries(Object.entries(fieldsOf(names, where)).map(([name, path]) => [name, String(path)])) };
  }
  if (typeof advance === 'string') return { advance };
  if (typeof off === 'string') return { machine: off, isOn: false };
  if (typeof on === 'string') return { machine: on, isOn: true };
  if (typeof run !== 'string') throw new Error(`${where}: no step known: ${JSON.stringify(value)}`);
  return {
    run,
    in: typeof place === 'string' ? place : undefined,
    exits: exits === '*' ? '*' : Number(exits ?? 0),
    prints: textsOf(prints ?? []),
    says: textsOf(says ?? []),
    withinMs: within === undefined ? 0 : withinMs,
  };
}

/** A pod of a few words: `run` becomes a shell line in busybox, and no pod keeps the run waiting for half a minute when it ends. */
function podOf(name: string, given: Fields): Fields {
  const { run, labels, annotations, namespace, ...spec } = given;
  const containers = run === undefined ? spec['containers'] : [{ name: 'main', run }];
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      labels: labels ?? { app: name },
      ...(annotations !== undefined && { annotations }),
      ...(namespace !== undefined && { namespace }),
    },
    spec: expandRun({ terminationGracePeriodSeconds: 1, ...spec, containers }),
  };
}

/** Turns `run: line` of every container, at any depth (deployments have them too), into what a pod spec says. */
export function expandRun(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(expandRun);
  if (typeof value !== 'object' || value === null) return value;
  const fields = Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, expandRun(inner)]));
  const { run, ...rest } = fields;
  if (typeof run !== 'string' || !('name' in fields)) return fields;
  return { image: 'busybox', imagePullPolicy: 'IfNotPresent', command: ['sh', '-c', run], ...rest };
}

function expectationsOf(value: unknown, where: string): Expectations {
  return Object.fromEntries(Object.entries(fieldsOf(value, where)).map(([object, paths]) => [object, fieldsOf(paths, where)]));
}

export function fieldsOf(value: unknown, where: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error(`${where}: not a mapping: ${JSON.stringify(value)}`);
  return Object.fromEntries(Object.entries(value));
}

function listOf(value: unknown, where: string): readonly unknown[] {
  if (!Array.isArray(value)) throw new Error(`${where}: not a list: ${JSON.stringify(value)}`);
  return value;
}

function textsOf(value: unknown): string[] {
  return (Array.isArray(value) ? value : [value]).map(String);
}

function milliseconds(value: unknown, where: string): number {
  const parts = /^([\d.]+)(ms|s)$/.exec(String(value));
  if (!parts) throw new Error(`${where}: not a duration: ${String(value)}`);
  return Number(parts[1]) * (parts[2] === 's' ? 1000 : 1);
}

function refuseMore(rest: Fields, where: string): void {
  const [unknown] = Object.keys(rest);
  if (unknown !== undefined) throw new Error(`${where}: "${unknown}" means nothing`);
}
