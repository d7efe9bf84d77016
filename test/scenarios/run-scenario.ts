/** Carries out a scenario's steps in a namespace of its own, and says what was expected, what was there and what the events tell when one fails. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseDocument } from 'yaml';
import { allKinds, Event, Namespace, Node } from '../../src/api/kinds.ts';
import type { Kind } from '../../src/api/kind.ts';
import type { Client } from '../../src/client/client.ts';
import { parseDuration } from '../../src/machinery/duration.ts';
import { ApiError } from '../../src/machinery/errors.ts';
import { run, stockTools } from '../support/stock-tools.ts';
import { matches, readPath, textMatches } from './expectation.ts';
import { type Expectations, expandRun, type Fields, type Scenario, type ShellLine, type Step } from './scenario.ts';

/** Where scenarios run: the cluster as its administrator. */
export interface Stage {
  readonly client: Client;
  readonly kubeconfig: string;
  /** What kubectl learns of the API, shared by all scenarios. */
  readonly cacheDirectory: string;
  readonly time: Time;
  /** Only where the nodes are simulated in this process. */
  readonly machines?: { stopNode(name: string): void; startNode(name: string): Promise<void> };
}

/** The time in which a scenario waits, in milliseconds. */
export interface Time {
  now(): number;
  pass(ms: number): Promise<void>;
}

export const realTime: Time = {
  now: () => performance.now(),
  async pass(ms) {
    await sleep(ms);
  },
};

class Failure extends Error {}

export async function runScenario(stage: Stage, scenario: Scenario): Promise<void> {
  const home = mkdtempSync(join(tmpdir(), 'k8ts-scenario-'));
  const actor = new Actor(stage, home, `s-${home.slice(-6).toLowerCase()}-${process.pid}`);
  try {
    await actor.begin();
    for (const [index, step] of scenario.steps.entries()) {
      try {
        await actor.perform(step);
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        throw new Failure(`step ${index + 1}: ${JSON.stringify(step).slice(0, 300)}\n${reason}\n${await actor.remarks()}`);
      }
    }
  } finally {
    await actor.end();
    rmSync(home, { recursive: true, force: true });
  }
}

class Actor {
  readonly #stage: Stage;
  readonly #home: string;
  readonly #namespace: string;
  readonly #env: Record<string, string>;

  constructor(stage: Stage, home: string, namespace: string) {
    this.#stage = stage;
    this.#home = home;
    this.#namespace = namespace;
    this.#env = {
      HOME: home,
      KUBECONFIG: join(home, 'kubeconfig'),
      PATH: [dirname(stockTools().kubectl), process.env['PATH']].join(delimiter),
      KUBECACHEDIR: stage.cacheDirectory,
      NAMESPACE: namespace,
    };
  }

  /** kubectl has no environment variable for the namespace, so the scenario's kubeconfig says it. */
  async begin(): Promise<void> {
    const node = (await this.#stage.client.resource(Node).list()).items[0];
    this.#env['NODE'] = node?.metadata.name ?? '';
    this.#env['NODE_IP'] = node?.status.addresses?.find((address) => address.type === 'InternalIP')?.address ?? '';
    const kubeconfig = parseDocument(this.#stage.kubeconfig);
    const contexts = kubeconfig.toJS().contexts as readonly { readonly name: string }[];
    const current = contexts.findIndex(({ name }) => name === kubeconfig.get('current-context'));
    kubeconfig.setIn(['contexts', current, 'context', 'namespace'], this.#namespace);
    writeFileSync(join(this.#home, 'kubeconfig'), kubeconfig.toString());
    await this.#stage.client.resource(Namespace).create({ metadata: { name: this.#namespace }, spec: {} });
    // A pod needs the account, and the controller makes it a moment after the namespace.
    await this.#eventually(10_000, () =>
      this.#compare({ 'serviceaccount/default': { 'metadata.name': 'default' }, 'configmap/kube-root-ca.crt': { data: 'present' } }),
    );
  }

  async end(): Promise<void> {
    await this.#stage.client.resource(Namespace).delete(this.#namespace);
  }

  async perform(step: Step): Promise<void> {
    if ('apply' in step) return this.#apply(step.apply);
    if ('wait' in step) return this.#eventually(step.withinMs, () => this.#compare(step.wait));
    if ('is' in step) return this.#compare(step.is);
    if ('holds' in step) return this.#holds(step.holds, step.forMs);
    if ('gone' in step) return this.#eventually(step.withinMs, () => this.#absent(step.gone));
    if ('events' in step) return this.#eventually(step.withinMs, () => this.#told(step.events));
    if ('let' in step) return this.#let(step.let);
    if ('advance' in step) return this.#stage.time.pass(parseDuration(step.advance));
    if ('machine' in step) return this.#switch(step.machine, step.isOn);
    return this.#eventually(step.withinMs, () => this.#line(step));
  }

  /** What the events of the namespace say, newest last. */
  async remarks(): Promise<string> {
    const { items } = await this.#stage.client.resource(Event).namespace(this.#namespace).list();
    const lines = items.map((event) => `  ${event.involvedObject.kind}/${event.involvedObject.name} ${event.reason ?? ''}: ${event.message ?? ''}`);
    return `events:\n${lines.slice(-25).join('\n')}`;
  }

  async #apply(objects: readonly Fields[]): Promise<void> {
    const text = objects.map((object) => JSON.stringify(expandRun(object))).join('\n---\n');
    const outcome = await run('kubectl', ['apply', '-f', '-'], { env: this.#env, input: this.#substitute(text) });
    if (outcome.code !== 0) throw new Failure(outcome.stderr);
  }

  /** $NODE and the like in objects; a `$(VAR)` of Kubernetes and a `$var` of the container's shell stay as they are. */
  #substitute(text: string): string {
    return text.replaceAll(/\$\{?(NAMESPACE|NODE_IP|NODE)\}?/g, (_, name: string) => this.#env[name] ?? '');
  }

  async #compare(expectations: Expectations): Promise<void> {
    const differences: string[] = [];
    for (const [reference, paths] of Object.entries(expectations)) {
      const object = await this.#read(reference);
      for (const [path, expected] of Object.entries(paths)) {
        const actual = readPath(object, path);
        const wanted: unknown = JSON.parse(this.#known(JSON.stringify(expected)));
        if (!matches(actual, wanted)) {
          const there = object === undefined ? 'no such object' : (JSON.stringify(actual)?.slice(0, 600) ?? 'absent');
          differences.push(`${reference} ${path}\n  expected ${JSON.stringify(wanted)}\n  was      ${there}`);
        }
      }
    }
    if (differences.length > 0) throw new Failure(differences.join('\n'));
  }

  async #holds(expectations: Expectations, forMs: number): Promise<void> {
    const { time } = this.#stage;
    const end = time.now() + forMs;
    do {
      await this.#compare(expectations);
      await time.pass(100);
    } while (time.now() < end);
  }

  async #absent(references: readonly string[]): Promise<void> {
    for (const reference of references) if ((await this.#read(reference)) !== undefined) throw new Failure(`${reference} is still there`);
  }

  async #told(expected: Readonly<Record<string, readonly string[]>>): Promise<void> {
    const { items } = await this.#stage.client.resource(Event).namespace(this.#namespace).list();
    for (const [reference, texts] of Object.entries(expected)) {
      const [kind, name] = reference.split('/');
      const lines = items
        .filter(({ involvedObject }) => involvedObject.kind?.toLowerCase() === kindOf(kind ?? '').kind.toLowerCase() && involvedObject.name === name)
        .map((event) => `${event.reason ?? ''}: ${event.message ?? ''}`);
      for (const text of texts) {
        if (!lines.some((line) => textMatches(line, text, 'holds'))) throw new Failure(`${reference}: no event with ${JSON.stringify(text)}`);
      }
    }
  }

  async #let(names: Readonly<Record<string, string>>): Promise<void> {
    for (const [name, source] of Object.entries(names)) {
      const space = source.lastIndexOf(' ');
      const found = readPath(await this.#read(source.slice(0, space)), source.slice(space + 1));
      if (found === undefined) throw new Failure(`${source}: absent`);
      this.#env[name] = typeof found === 'string' ? found : JSON.stringify(found);
    }
  }

  async #line(step: ShellLine): Promise<void> {
    const [pod, container] = step.in?.split('/') ?? [];
    const where = container === undefined ? [] : ['-c', container];
    const outcome =
      pod === undefined
        ? await run('sh', ['-c', step.run], { env: this.#env })
        : await run('kubectl', ['exec', pod, ...where, '--', 'sh', '-c', this.#known(step.run)], { env: this.#env });
    const problems = [
      ...(step.exits === '*' || outcome.code === step.exits ? [] : [`exit code ${step.exits}`]),
      ...step.prints.filter((text) => !textMatches(outcome.stdout, text, 'holds')).map((text) => `output ${JSON.stringify(text)}`),
      ...step.says.filter((text) => !textMatches(outcome.stderr, text, 'holds')).map((text) => `error output ${JSON.stringify(text)}`),
    ];
    if (problems.length === 0) return;
    throw new Failure(
      `expected ${problems.join(', ')}\n  was exit code ${outcome.code}\n  output: ${outcome.stdout.slice(0, 1500)}\n  error output: ${outcome.stderr.slice(0, 1500)}`,
    );
  }

  async #switch(machine: string, isOn: boolean): Promise<void> {
    const { machines } = this.#stage;
    if (!machines) throw new Failure('the nodes of this cluster cannot be switched off');
    if (isOn) await machines.startNode(machine);
    else machines.stopNode(machine);
  }

  /** A line for a container's shell with the scenario's own names put in. */
  #known(line: string): string {
    return line.replaceAll(/\$\{?(\w+)\}?/g, (text, name: string) =>
      name in this.#env && !['HOME', 'PATH', 'KUBECONFIG', 'KUBECACHEDIR'].includes(name) ? (this.#env[name] ?? '') : text,
    );
  }

  async #read(reference: string): Promise<object | undefined> {
    const [, kindName, selector, name, namespace] = /^([\w.]+)(?:\?(\S*)|\/(\S+))(?: -n (\S+))?$/.exec(this.#known(reference)) ?? [];
    const kind = kindOf(kindName ?? '');
    const all = this.#stage.client.resource(kind);
    const resource = kind.namespaced ? all.namespace(namespace ?? this.#namespace) : all;
    if (selector !== undefined) return resource.list({ labelSelector: selector });
    try {
      return await resource.get(name ?? '');
    } catch (error) {
      if (error instanceof ApiError && error.reason === 'NotFound') return undefined;
      throw error;
    }
  }

  /** Tries until it does not throw; throws its last reason when that takes too long. */
  async #eventually(withinMs: number, attempt: () => Promise<void>): Promise<void> {
    const { time } = this.#stage;
    const deadline = time.now() + withinMs;
    for (;;) {
      try {
        return await attempt();
      } catch (error) {
        if (time.now() >= deadline) throw error;
      }
      await time.pass(100);
    }
  }
}

function kindOf(name: string): Kind {
  const found = allKinds.find((kind) => kind.singular === name || kind.resource === name || `${kind.resource}.${kind.group}` === name);
  if (!found) throw new Failure(`no kind ${JSON.stringify(name)}`);
  return found;
}
