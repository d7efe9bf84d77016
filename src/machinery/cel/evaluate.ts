/** A checked expression as a function of its variables, that counts what it costs as it goes: upstream's prices, so that budgets mean the same. */
import type { Checked } from './checker.ts';
import { CelCostError, CelError, CelPending } from './errors.ts';
import type { Overload } from './overloads.ts';
import { qualifiedName } from './parser.ts';
import type { Binding, Call, Comprehension, Expr, Select } from './syntax.ts';
import {
  absent,
  conforms,
  Constructed,
  FieldSource,
  isMap,
  kindOf,
  mapEntries,
  mapGet,
  mapOfEntries,
  noOverload,
  Optional,
  sizeOf,
  typeNameOf,
} from './values.ts';

/** What every part of an expression costs at least; as in cel-go, which upstream's budgets were measured with. */
export const prices = { access: 1, call: 1, list: 10, map: 30, object: 40 } as const;

/** One evaluation under way. */
export class Run {
  readonly #values: Readonly<Record<string, unknown>>;
  readonly #limit: number;
  readonly slots: unknown[] = [];
  cost = 0;

  constructor(values: Readonly<Record<string, unknown>>, limit: number) {
    this.#values = values;
    this.#limit = limit;
  }

  variable(name: string): unknown {
    const value = Object.hasOwn(this.#values, name) ? this.#values[name] : undefined;
    if (value === undefined) throw new CelError(`no such attribute(s): ${name}`);
    return value;
  }

  charge(cost: number): void {
    this.cost += cost;
    if (this.cost > this.#limit) throw new CelCostError('operation cancelled: actual cost limit exceeded');
  }
}

export type Step = (run: Run) => unknown;

/** Names bound by macros, and where a run keeps their values. */
interface Scope {
  readonly name: string;
  readonly slot: number;
  readonly outer: Scope | undefined;
}

export function compileSteps(expr: Expr, checked: Checked): Step {
  return new Compiler(checked).step(expr, undefined);
}

class Compiler {
  readonly #checked: Checked;

  constructor(checked: Checked) {
    this.#checked = checked;
  }

  step(expr: Expr, scope: Scope | undefined): Step {
    if (this.#checked.constants.has(expr)) {
      const constant = this.#checked.constants.get(expr);
      return () => constant;
    }
    const variable = this.#checked.variables.get(expr);
    if (variable !== undefined) return identifierStep(variable, undefined);
    switch (expr.type) {
      case 'literal': {
        const { value } = expr;
        return () => value;
      }
      case 'identifier':
        return identifierStep(expr.name, scope);
      case 'select':
        return this.#select(expr, scope);
      case 'call':
        return this.#call(expr, scope);
      case 'list':
        return this.#list(expr.items.map(({ value, optional }) => ({ optional, step: this.step(value, scope) })));
      case 'map':
        return mapStep(expr.entries.map(({ key, value, optional }) => ({ optional, key: this.step(key, scope), value: this.step(value, scope) })));
      case 'object':
        return objectStep(
          expr.name,
          expr.fields.map(({ name, value, optional }) => ({ name, optional, step: this.step(value, scope) })),
        );
      case 'comprehension':
        return this.#comprehension(expr, scope);
      case 'binding':
        return this.#binding(expr, scope);
    }
  }

  #select({ operand, field, mode }: Select, scope: Scope | undefined): Step {
    const inner = this.step(operand, scope);
    if (mode === 'presence') {
      return (run) => {
        const value = inner(run);
        if (value instanceof Optional) return value.isPresent && fieldOf(value.value, field) !== undefined;
        return fieldOf(value, field) !== undefined;
      };
    }
    return (run) => {
      const value = inner(run);
      run.charge(prices.access);
      if (mode === 'optional' || value instanceof Optional) return optionalField(value, field);
      const found = fieldOf(value, field);
      if (found === undefined) throw new CelError(`no such key: ${field}`);
      return found;
    };
  }

  #call(expr: Call, scope: Scope | undefined): Step {
    const { name, target, args } = expr;
    const steps = args.map((arg) => this.step(arg, scope));
    const [a, b, c] = steps;
    if (name === '_&&_' && a && b) return logicalStep(a, b, false);
    if (name === '_||_' && a && b) return logicalStep(a, b, true);
    if (name === '_?_:_' && a && b && c) return conditionalStep(a, b, c);
    if ((name === '_[_]' || name === '_[?_]') && a && b) return indexStep(a, b, name === '_[?_]');
    const overloads = this.#checked.overloads.get(expr) ?? [];
    const isMethod = overloads[0]?.isMethod === true;
    if (isMethod && target && a && (name === 'or' || name === 'orValue')) return alternativeStep(this.step(target, scope), a, name);
    const all = isMethod && target ? [this.step(target, scope), ...steps] : steps;
    const shown = !isMethod && target ? `${qualifiedName(target) ?? ''}.${name}` : name;
    return callStep(shown, all, overloads);
  }

  #list(items: readonly { readonly optional: boolean; readonly step: Step }[]): Step {
    return (run) => {
      const list: unknown[] = [];
      for (const { optional, step } of items) {
        const value = step(run);
        if (!optional) list.push(value);
        else if (optionalIn(value).isPresent) list.push(optionalIn(value).value);
      }
      run.charge(prices.list);
      return list;
    };
  }

  #binding({ kind, name, value, body }: Binding, scope: Scope | undefined): Step {
    const inner = bound(name, scope);
    const outer = this.step(value, scope);
    const step = this.step(body, inner);
    return (run) => {
      let content = outer(run);
      if (kind !== 'bind') {
        const optional = optionalIn(content);
        if (!optional.isPresent) return absent;
        content = optional.value;
      }
      run.slots[inner.slot] = content;
      const result = step(run);
      return kind === 'optMap' ? Optional.of(result) : result;
    };
  }

  #comprehension({ kind, range, first, second, condition, result }: Comprehension, scope: Scope | undefined): Step {
    const outer = this.step(range, scope);
    const one = bound(first, scope);
    const two = second === undefined ? undefined : bound(second, one);
    const test = condition && this.step(condition, two ?? one);
    const make = result && this.step(result, two ?? one);
    const collect = collectors[kind];
    return (run) => {
      const items = iterated(outer(run), two !== undefined);
      return collect(run, items, {
        enter([a, b]) {
          run.slots[one.slot] = a;
          if (two) run.slots[two.slot] = b;
        },
        test,
        make,
      });
    };
  }
}

function bound(name: string, outer: Scope | undefined): Scope {
  return { name, outer, slot: outer === undefined ? 0 : outer.slot + 1 };
}

function identifierStep(name: string, scope: Scope | undefined): Step {
  for (let inner = scope; inner !== undefined; inner = inner.outer) {
    if (inner.name !== name) continue;
    const { slot } = inner;
    return (run) => {
      run.charge(prices.access);
      return run.slots[slot];
    };
  }
  return (run) => {
    run.charge(prices.access);
    return run.variable(name);
  };
}

// ---- fields and indexes

function fieldOf(value: unknown, field: string): unknown {
  if (value instanceof FieldSource) return value.get(field);
  if (isMap(value)) return mapGet(value, field);
  throw noOverload();
}

function optionalField(value: unknown, field: string): Optional {
  const content = value instanceof Optional ? value : Optional.of(value);
  if (!content.isPresent) return absent;
  const found = fieldOf(content.value, field);
  return found === undefined ? absent : Optional.of(found);
}

function optionalIn(value: unknown): Optional {
  if (value instanceof Optional) return value;
  throw noOverload();
}

function indexStep(operand: Step, index: Step, isOptional: boolean): Step {
  return (run) => {
    const value = operand(run);
    const at = index(run);
    run.charge(prices.access);
    if (!isOptional && !(value instanceof Optional)) {
      const found = itemOf(value, at);
      if (found !== undefined) return found;
      throw new CelError(Array.isArray(value) ? `index out of bounds: ${shownKey(at)}` : `no such key: ${shownKey(at)}`);
    }
    const content = value instanceof Optional ? value : Optional.of(value);
    if (!content.isPresent) return absent;
    const found = itemOf(content.value, at);
    return found === undefined ? absent : Optional.of(found);
  };
}

function itemOf(value: unknown, index: unknown): unknown {
  if (Array.isArray(value)) {
    if (typeof index !== 'bigint' && !(typeof index === 'number' && Number.isInteger(index))) throw noOverload();
    return value[Number(index)];
  }
  if (isMap(value)) return mapGet(value, index);
  if (value instanceof FieldSource && typeof index === 'string') return value.get(index);
  throw noOverload();
}

function shownKey(key: unknown): string {
  const kind = kindOf(key);
  return kind === 'string' || kind === 'int' || kind === 'bool' || kind === 'double' ? String(key) : typeNameOf(key);
}

// ---- operators that need not look at everything

/** One operand that settles it makes up for an error in the other. */
function logicalStep(a: Step, b: Step, settles: boolean): Step {
  return (run) => {
    let failure: CelError | undefined;
    try {
      const left = a(run);
      if (left === settles) return settles;
      if (typeof left !== 'boolean') failure = noOverload();
    } catch (error) {
      failure = absorbed(error);
    }
    const right = b(run);
    if (right === settles) return settles;
    if (failure) throw failure;
    if (typeof right !== 'boolean') throw noOverload();
    return right;
  };
}

function absorbed(error: unknown): CelError {
  if (error instanceof CelError && !(error instanceof CelCostError)) return error;
  throw error;
}

function conditionalStep(condition: Step, then: Step, otherwise: Step): Step {
  return (run) => {
    const chosen = condition(run);
    if (chosen === true) return then(run);
    if (chosen === false) return otherwise(run);
    throw noOverload();
  };
}

function alternativeStep(optional: Step, alternative: Step, name: 'or' | 'orValue'): Step {
  return (run) => {
    const value = optionalIn(optional(run));
    run.charge(prices.call);
    if (value.isPresent) return name === 'or' ? value : value.value;
    return name === 'or' ? optionalIn(alternative(run)) : alternative(run);
  };
}

// ---- calls

function callStep(name: string, steps: readonly Step[], overloads: readonly Overload[]): Step {
  return (run) => {
    const args = steps.map((step) => step(run));
    const overload = overloads.find(({ parameters }) => parameters.every((parameter, index) => conforms(args[index], parameter)));
    if (!overload) throw noOverload();
    const { cost } = overload;
    run.charge(cost ? Math.ceil(cost(...args.map(sizeOf))) : prices.call);
    try {
      return overload.run(...(args as never[]));
    } catch (error) {
      if (error instanceof CelError || error instanceof CelPending) throw error;
      throw new CelError(error instanceof Error ? error.message : `${name} failed`);
    }
  };
}

// ---- literals

function mapStep(entries: readonly { readonly optional: boolean; readonly key: Step; readonly value: Step }[]): Step {
  return (run) => {
    const pairs: [unknown, unknown][] = [];
    for (const { optional, key, value } of entries) {
      const name = key(run);
      const content = value(run);
      if (!optional) pairs.push([name, content]);
      else if (optionalIn(content).isPresent) pairs.push([name, optionalIn(content).value]);
    }
    run.charge(prices.map);
    return mapOfEntries(pairs);
  };
}

function objectStep(typeName: string, fields: readonly { readonly name: string; readonly optional: boolean; readonly step: Step }[]): Step {
  return (run) => {
    const values = new Map<string, unknown>();
    for (const { name, optional, step } of fields) {
      const value = step(run);
      if (!optional) values.set(name, value);
      else if (optionalIn(value).isPresent) values.set(name, optionalIn(value).value);
    }
    run.charge(prices.object);
    return new Constructed(typeName, values);
  };
}

// ---- comprehensions

type Item = readonly [unknown, unknown];

interface Body {
  readonly enter: (item: Item) => void;
  readonly test: Step | undefined;
  readonly make: Step | undefined;
}

function iterated(range: unknown, both: boolean): readonly Item[] {
  if (Array.isArray(range)) return range.map((item: unknown, index): Item => (both ? [BigInt(index), item] : [item, undefined]));
  if (isMap(range)) return mapEntries(range);
  throw noOverload();
}

function holds(run: Run, { test }: Body): boolean {
  if (!test) return true;
  const answer = test(run);
  if (typeof answer !== 'boolean') throw noOverload();
  return answer;
}

/** Steps around a predicate that upstream's expansion of the macros takes, in cost units for each item. */
export const loopPrices = { quantifier: 3, counting: 2, collecting: 11 } as const;

const collectors: Readonly<Record<Comprehension['kind'], (run: Run, items: readonly Item[], body: Body) => unknown>> = {
  all: (run, items, body) => quantified(run, items, body, false),
  exists: (run, items, body) => quantified(run, items, body, true),
  existsOne(run, items, body) {
    let count = 0;
    for (const item of items) {
      run.charge(loopPrices.counting);
      body.enter(item);
      if (holds(run, body)) count++;
    }
    return count === 1;
  },
  filter: (run, items, body) => collected(run, items, body, ([item]) => item),
  map: (run, items, body) => collected(run, items, body, () => body.make?.(run)),
  transformList: (run, items, body) => collected(run, items, body, () => body.make?.(run)),
  transformMap: (run, items, body) => mapOfEntries(collected(run, items, body, ([key]): [unknown, unknown] => [key, body.make?.(run)])),
  transformMapEntry: (run, items, body) => mapOfEntries(collected(run, items, body, () => entriesIn(body.make?.(run))).flat()),
};

/** An item that settles it makes up for errors with others. */
function quantified(run: Run, items: readonly Item[], body: Body, settles: boolean): boolean {
  let failure: CelError | undefined;
  for (const item of items) {
    run.charge(loopPrices.quantifier);
    body.enter(item);
    try {
      if (holds(run, body) === settles) return settles;
    } catch (error) {
      failure ??= absorbed(error);
    }
  }
  if (failure) throw failure;
  return !settles;
}

function collected<T>(run: Run, items: readonly Item[], body: Body, take: (item: Item) => T): T[] {
  const result: T[] = [];
  for (const item of items) {
    run.charge(loopPrices.collecting);
    body.enter(item);
    if (holds(run, body)) result.push(take(item));
  }
  return result;
}

function entriesIn(value: unknown): [unknown, unknown][] {
  if (isMap(value)) return mapEntries(value);
  throw noOverload();
}
