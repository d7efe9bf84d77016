/** Gives every part of an expression its type, and finds what cannot be: unknown names and fields, calls that fit no overload. */
import type { Issue } from './errors.ts';
import type { Functions, Overload } from './overloads.ts';
import { qualifiedName } from './parser.ts';
import type { Binding, Call, Comprehension, Expr, Identifier, ListLiteral, MapLiteral, ObjectLiteral, Select } from './syntax.ts';
import * as types from './types.ts';
import { type CelType, isAssignable, join, listOf, mapOf, type ObjectType, optionalOf, shownType, substitute } from './types.ts';
import { TypeValue, Uint } from './values.ts';

export interface Environment {
  readonly variables: ReadonlyMap<string, CelType>;
  readonly functions: Functions;
  /** Types an expression may make objects of. */
  readonly constructible?: (name: string) => ObjectType | undefined;
}

/** What evaluating and estimating need to know of an expression. */
export interface Checked {
  readonly type: CelType;
  readonly issues: readonly Issue[];
  readonly types: ReadonlyMap<Expr, CelType>;
  /** Of calls: the overloads that may apply. */
  readonly overloads: ReadonlyMap<Expr, readonly Overload[]>;
  /** Names of types, and what they stand for. */
  readonly constants: ReadonlyMap<Expr, unknown>;
  /** Selections that are variables with a dot in their names. */
  readonly variables: ReadonlyMap<Expr, string>;
}

const typeNames: ReadonlyMap<string, CelType> = new Map<string, CelType>([
  ['int', types.int],
  ['uint', types.uint],
  ['double', types.double],
  ['bool', types.bool],
  ['string', types.string],
  ['bytes', types.bytes],
  ['null_type', types.nullType],
  ['list', listOf(types.dyn)],
  ['map', mapOf(types.dyn, types.dyn)],
  ['type', { kind: 'type', of: types.dyn }],
  ['optional_type', optionalOf(types.dyn)],
  ['google.protobuf.Timestamp', types.timestamp],
  ['google.protobuf.Duration', types.duration],
]);

export function check(expr: Expr, environment: Environment): Checked {
  const checker = new Checker(environment);
  const type = checker.typeOf(expr, undefined);
  const { issues, types: inferred, overloads, constants, variables } = checker;
  return { type, issues, types: inferred, overloads, constants, variables };
}

/** Names bound by macros, innermost first. */
interface Scope {
  readonly name: string;
  readonly type: CelType;
  readonly outer: Scope | undefined;
}

class Checker {
  readonly issues: Issue[] = [];
  readonly types = new Map<Expr, CelType>();
  readonly overloads = new Map<Expr, readonly Overload[]>();
  readonly constants = new Map<Expr, unknown>();
  readonly variables = new Map<Expr, string>();
  /** Lists whose items need not be of one type: what texts are formatted with. */
  readonly #mixed = new Set<Expr>();
  readonly #environment: Environment;

  constructor(environment: Environment) {
    this.#environment = environment;
  }

  typeOf(expr: Expr, scope: Scope | undefined): CelType {
    const type = this.#infer(expr, scope);
    this.types.set(expr, type);
    return type;
  }

  /** Goes on with `dyn`, which fits everywhere, so that one mistake is told once. */
  #issue(offset: number, message: string): CelType {
    this.issues.push({ offset, message });
    return types.dyn;
  }

  #infer(expr: Expr, scope: Scope | undefined): CelType {
    switch (expr.type) {
      case 'literal':
        return literalType(expr.value);
      case 'identifier':
        return this.#named(expr, expr.name, scope) ?? this.#undeclared(expr, expr.name);
      case 'select':
        return this.#select(expr, scope);
      case 'call':
        return this.#call(expr, scope);
      case 'list':
        return this.#list(expr, scope);
      case 'map':
        return this.#map(expr, scope);
      case 'object':
        return this.#object(expr, scope);
      case 'comprehension':
        return this.#comprehension(expr, scope);
      case 'binding':
        return this.#binding(expr, scope);
    }
  }

  #undeclared(expr: Identifier | Call, name: string): CelType {
    return this.#issue(expr.offset, `undeclared reference to '${name}' (in container '')`);
  }

  #named(expr: Expr, name: string, scope: Scope | undefined): CelType | undefined {
    const known = lookUp(name, scope) ?? this.#environment.variables.get(name);
    if (known !== undefined) return known;
    const type = typeNames.get(name);
    if (type === undefined) return undefined;
    this.constants.set(expr, new TypeValue(name));
    return { kind: 'type', of: type };
  }

  #isName(name: string, scope: Scope | undefined): boolean {
    return lookUp(name, scope) !== undefined || this.#environment.variables.has(name);
  }

  #select(expr: Select, scope: Scope | undefined): CelType {
    const whole = qualifiedName(expr);
    const variable = whole === undefined ? undefined : this.#environment.variables.get(whole);
    if (whole !== undefined && variable !== undefined && lookUp(firstName(whole), scope) === undefined) {
      this.variables.set(expr, whole);
      return variable;
    }
    if (whole !== undefined && typeNames.has(whole)) {
      if (!this.#isName(firstName(whole), scope)) return this.#named(expr, whole, scope) ?? types.dyn;
    }
    const operand = this.typeOf(expr.operand, scope);
    if (expr.mode === 'presence') {
      this.#field(operand.kind === 'optional' ? operand.of : operand, expr);
      return types.bool;
    }
    if (operand.kind === 'optional') return asOptional(this.#field(operand.of, expr));
    const type = this.#field(operand, expr);
    return expr.mode === 'optional' ? asOptional(type) : type;
  }

  #field(operand: CelType, { field, offset }: Select): CelType {
    switch (operand.kind) {
      case 'dyn':
        return types.dyn;
      case 'map':
        return operand.value;
      case 'object':
        return operand.field(field) ?? this.#issue(offset, `undefined field '${field}'`);
      default:
        return this.#issue(offset, `type '${shownType(operand)}' does not support field selection`);
    }
  }

  #call(expr: Call, scope: Scope | undefined): CelType {
    const { target, name } = expr;
    const namespace = target && qualifiedName(target);
    if (namespace !== undefined) {
      const overloads = this.#environment.functions.find(`${namespace}.${name}`).filter(({ isMethod }) => !isMethod);
      if (overloads.length > 0 && !this.#isName(firstName(namespace), scope))
        return this.#resolve(expr, overloads, this.#argTypes(expr, scope), `${namespace}.${name}`);
    }
    const all = this.#environment.functions.find(name);
    const overloads = all.filter(({ isMethod }) => isMethod === (target !== undefined));
    if (name === 'format' && target !== undefined) for (const arg of expr.args) this.#mixed.add(arg);
    const receiver = target === undefined ? [] : [this.typeOf(target, scope)];
    const args = this.#argTypes(expr, scope);
    if (name === '_[_]' || name === '_[?_]') return this.#index(expr, overloads, args);
    if (all.length === 0) return this.#undeclared(expr, name);
    return this.#resolve(expr, overloads, [...receiver, ...args], name);
  }

  #argTypes({ args }: Call, scope: Scope | undefined): CelType[] {
    return args.map((arg) => this.typeOf(arg, scope));
  }

  /** What is found in something optional is optional. */
  #index(expr: Call, overloads: readonly Overload[], [operand = types.dyn, index = types.dyn]: readonly CelType[]): CelType {
    const plain = operand.kind === 'optional' ? operand.of : operand;
    const direct = this.#environment.functions.find('_[_]');
    const type = this.#resolve(expr, direct.length > 0 ? direct : overloads, [plain, index], expr.name);
    return expr.name === '_[?_]' || operand.kind === 'optional' ? asOptional(type) : type;
  }

  #resolve(expr: Call, overloads: readonly Overload[], args: readonly CelType[], name: string): CelType {
    const fitting: Overload[] = [];
    let result: CelType | undefined;
    for (const overload of overloads) {
      const bindings = new Map<string, CelType>();
      if (overload.parameters.length !== args.length) continue;
      if (!overload.parameters.every((parameter, index) => isAssignable(parameter, args[index] ?? types.dyn, bindings))) continue;
      fitting.push(overload);
      const type = substitute(overload.result, bindings);
      result = result === undefined ? type : (join(result, type) ?? types.dyn);
    }
    if (result === undefined)
      return this.#issue(
        expr.offset,
        `found no matching overload for '${name}' applied to '${shownArguments(overloads[0]?.isMethod ?? expr.target !== undefined, args)}'`,
      );
    this.overloads.set(expr, fitting);
    return result;
  }

  #list(expr: ListLiteral, scope: Scope | undefined): CelType {
    const { items } = expr;
    let item: CelType | undefined;
    for (const { value, optional } of items) {
      const type = this.#content(value, optional, scope);
      item = this.#mixed.has(expr) ? types.dyn : this.#joined(item, type, value.offset);
    }
    return listOf(item ?? types.dyn, items.length);
  }

  #map({ entries }: MapLiteral, scope: Scope | undefined): CelType {
    let keys: CelType | undefined;
    let values: CelType | undefined;
    for (const { key, value, optional } of entries) {
      keys = this.#joined(keys, this.typeOf(key, scope), key.offset);
      values = this.#joined(values, this.#content(value, optional, scope), value.offset);
    }
    return mapOf(keys ?? types.dyn, values ?? types.dyn, entries.length);
  }

  #content(value: Expr, optional: boolean, scope: Scope | undefined): CelType {
    const type = this.typeOf(value, scope);
    if (!optional) return type;
    if (type.kind === 'optional') return type.of;
    return type.kind === 'dyn' ? type : this.#issue(value.offset, `expected type 'optional_type(dyn)' but found '${shownType(type)}'`);
  }

  #joined(known: CelType | undefined, type: CelType, offset: number): CelType {
    if (known === undefined) return type;
    return join(known, type) ?? this.#issue(offset, `expected type '${shownType(known)}' but found '${shownType(type)}'`);
  }

  #object({ name, fields, offset }: ObjectLiteral, scope: Scope | undefined): CelType {
    const type = this.#environment.constructible?.(name);
    for (const field of fields) {
      const given = this.#content(field.value, field.optional, scope);
      if (type === undefined) continue;
      const wanted = type.field(field.name);
      if (wanted === undefined) this.#issue(field.offset, `undefined field '${field.name}'`);
      else if (!isAssignable(wanted, given, new Map())) {
        this.#issue(
          field.value.offset,
          `expected type of field '${field.name}' is '${shownType(wanted)}' but provided type is '${shownType(given)}'`,
        );
      }
    }
    return type ?? this.#issue(offset, `undeclared reference to '${name}' (in container '')`);
  }

  #comprehension(expr: Comprehension, scope: Scope | undefined): CelType {
    const { kind, range, first, second, condition, result } = expr;
    const over = this.typeOf(range, scope);
    const [a, b] = this.#iterated(over, range.offset, second !== undefined);
    const one: Scope = { name: first, type: a, outer: scope };
    const inner = second === undefined ? one : { name: second, type: b, outer: one };
    if (condition) this.#expect(types.bool, this.typeOf(condition, inner), condition.offset);
    const made = result ? this.typeOf(result, inner) : types.dyn;
    const size = 'maxSize' in over ? over.maxSize : undefined;
    switch (kind) {
      case 'all':
      case 'exists':
      case 'existsOne':
        return types.bool;
      case 'filter':
        return listOf(a, size);
      case 'map':
      case 'transformList':
        return listOf(made, size);
      case 'transformMap':
        return mapOf(over.kind === 'map' ? over.key : over.kind === 'list' ? types.int : types.dyn, made, size);
      case 'transformMapEntry':
        if (made.kind === 'map' || made.kind === 'dyn') return made.kind === 'map' ? { ...made, maxSize: size } : made;
        return this.#issue(expr.offset, `expected type 'map(dyn, dyn)' but found '${shownType(made)}'`);
    }
  }

  #iterated(over: CelType, offset: number, both: boolean): readonly [CelType, CelType] {
    switch (over.kind) {
      case 'list':
        return both ? [types.int, over.item] : [over.item, types.dyn];
      case 'map':
        return [over.key, over.value];
      case 'dyn':
        return [types.dyn, types.dyn];
      default: {
        const why = `expression of type '${shownType(over)}' cannot be range of a comprehension (must be list, map, or dynamic)`;
        const none = this.#issue(offset, why);
        return [none, none];
      }
    }
  }

  #expect(wanted: CelType, given: CelType, offset: number): void {
    if (!isAssignable(wanted, given, new Map())) this.#issue(offset, `expected type '${shownType(wanted)}' but found '${shownType(given)}'`);
  }

  #binding({ kind, name, value, body }: Binding, scope: Scope | undefined): CelType {
    const type = this.typeOf(value, scope);
    if (kind === 'bind') return this.typeOf(body, { name, type, outer: scope });
    if (type.kind !== 'optional' && type.kind !== 'dyn') {
      this.#issue(value.offset, `found no matching overload for '${kind}' applied to '${shownType(type)}.()'`);
    }
    const made = this.typeOf(body, { name, type: type.kind === 'optional' ? type.of : types.dyn, outer: scope });
    return kind === 'optFlatMap' ? asOptional(made) : optionalOf(made);
  }
}

function lookUp(name: string, scope: Scope | undefined): CelType | undefined {
  for (let inner = scope; inner !== undefined; inner = inner.outer) if (inner.name === name) return inner.type;
  return undefined;
}

function firstName(qualified: string): string {
  return qualified.split('.', 1)[0] ?? '';
}

function asOptional(type: CelType): CelType {
  return type.kind === 'optional' ? type : optionalOf(type);
}

function literalType(value: unknown): CelType {
  if (typeof value === 'string') return { kind: 'string', maxSize: value.length };
  if (typeof value === 'bigint') return types.int;
  if (typeof value === 'number') return types.double;
  if (typeof value === 'boolean') return types.bool;
  if (value === null) return types.nullType;
  if (value instanceof Uint) return types.uint;
  if (value instanceof Uint8Array) return { kind: 'bytes', maxSize: value.length };
  return types.dyn;
}

function shownArguments(isMethod: boolean, args: readonly CelType[]): string {
  const shown = args.map(shownType);
  return isMethod ? `${shown[0]}.(${shown.slice(1).join(', ')})` : `(${shown.join(', ')})`;
}
