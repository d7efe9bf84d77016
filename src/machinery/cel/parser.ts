/** Tokens to a syntax tree, macros taken apart, by CEL's grammar: https://github.com/google/cel-spec/blob/master/doc/langdef.md#syntax */
import type { CelError } from './errors.ts';
import { syntaxError, type Token, tokensOf } from './lexer.ts';
import type { Binding, Call, Comprehension, ComprehensionKind, Expr, ListLiteral, MapLiteral, ObjectLiteral } from './syntax.ts';

/** As upstream's parser: deeper nesting is refused. */
const maxDepth = 250;

const reserved: ReadonlySet<string> = new Set(
  'as break const continue else for function if import let loop package namespace return var void while'.split(' '),
);

/** From loosest to tightest; each level associates to the left. */
const binaryLevels: readonly (readonly string[])[] = [['||'], ['&&'], ['<', '<=', '>=', '>', '==', '!=', 'in'], ['+', '-'], ['*', '/', '%']];

const binaryNames: Readonly<Record<string, string>> = { in: '@in', '||': '_||_', '&&': '_&&_' };

const minInt = -9223372036854775808n;

/** Throws a {@link CelError}. */
export function parse(source: string): Expr {
  return new Parser(source).whole();
}

class Parser {
  readonly #source: string;
  readonly #tokens: readonly Token[];
  #next = 0;
  #depth = 0;

  constructor(source: string) {
    this.#source = source;
    this.#tokens = tokensOf(source);
  }

  whole(): Expr {
    const expr = this.#expression();
    const { type } = this.#token();
    if (type !== 'end') throw this.#unexpected('<EOF>');
    return expr;
  }

  #token(): Token {
    // There is always an end token, and nobody goes beyond it.
    return this.#tokens[this.#next] as Token;
  }

  #isOperator(text: string): boolean {
    const token = this.#token();
    return token.type === 'operator' && token.text === text;
  }

  #take(text: string): boolean {
    if (!this.#isOperator(text)) return false;
    this.#next++;
    return true;
  }

  #expect(text: string): void {
    if (!this.#take(text)) throw this.#unexpected(`'${text}'`);
  }

  #unexpected(wanted: string): CelError {
    const { text, offset } = this.#token();
    return syntaxError(this.#source, offset, `mismatched input '${text}' expecting ${wanted}`);
  }

  #expression(): Expr {
    if (++this.#depth > maxDepth) throw syntaxError(this.#source, this.#token().offset, `expression recursion limit exceeded: ${maxDepth}`);
    const condition = this.#binary(0);
    const { offset } = this.#token();
    let result = condition;
    if (this.#take('?')) {
      const then = this.#binary(0);
      this.#expect(':');
      result = call('_?_:_', offset, [condition, then, this.#expression()]);
    }
    this.#depth--;
    return result;
  }

  #binary(level: number): Expr {
    const operators = binaryLevels[level];
    if (operators === undefined) return this.#unary();
    let left = this.#binary(level + 1);
    for (let chained = 0; ; chained++) {
      const { type, text, offset } = this.#token();
      if (type !== 'operator' || !operators.includes(text)) return left;
      // A chain is a tree as deep as it is long.
      if (chained > 10 * maxDepth) throw syntaxError(this.#source, offset, `expression recursion limit exceeded: ${10 * maxDepth}`);
      this.#next++;
      left = call(binaryNames[text] ?? `_${text}_`, offset, [left, this.#binary(level + 1)]);
    }
  }

  #unary(): Expr {
    const { offset } = this.#token();
    let nots = 0;
    while (this.#take('!')) nots++;
    if (nots > 0) {
      const operand = this.#member();
      return nots % 2 === 0 ? operand : call('!_', offset, [operand]);
    }
    let minuses = 0;
    while (this.#take('-')) minuses++;
    if (minuses === 0) return this.#member();
    const { type, value } = this.#token();
    if (minuses === 1 && type === 'literal' && (typeof value === 'bigint' || typeof value === 'number')) {
      this.#next++;
      return this.#postfix({ type: 'literal', offset, value: -value });
    }
    const operand = this.#member();
    return minuses % 2 === 0 ? operand : call('-_', offset, [operand]);
  }

  #member(): Expr {
    return this.#postfix(this.#primary());
  }

  #postfix(primary: Expr): Expr {
    let expr = primary;
    for (let links = 0; ; links++) {
      const { offset } = this.#token();
      if (links > maxDepth) throw syntaxError(this.#source, offset, `expression recursion limit exceeded: ${maxDepth}`);
      if (this.#take('.')) {
        const isOptional = this.#take('?');
        const name = this.#identifier();
        if (isOptional) expr = { type: 'select', offset, operand: expr, field: name, mode: 'optional' };
        else if (this.#isOperator('(')) expr = this.#method(expr, name);
        else expr = { type: 'select', offset, operand: expr, field: name, mode: 'value' };
      } else if (this.#take('[')) {
        const isOptional = this.#take('?');
        const index = this.#expression();
        this.#expect(']');
        expr = call(isOptional ? '_[?_]' : '_[_]', offset, [expr, index]);
      } else if (this.#isOperator('{')) {
        const name = qualifiedName(expr);
        if (name === undefined) return expr;
        expr = this.#object(name, expr.offset);
      } else return expr;
    }
  }

  #identifier(): string {
    const { type, text } = this.#token();
    if (type !== 'identifier') throw this.#unexpected('IDENTIFIER');
    this.#next++;
    return text;
  }

  #primary(): Expr {
    const token = this.#token();
    const { type, text, value, offset } = token;
    if (type === 'literal') {
      this.#next++;
      if (value === -minInt) throw syntaxError(this.#source, offset, 'invalid int literal');
      return { type: 'literal', offset, value };
    }
    if (type === 'identifier') return this.#word(token);
    // A leading dot asks for the outermost name, which all names here are.
    if (this.#take('.')) return this.#word(this.#token());
    if (this.#take('(')) {
      const expr = this.#expression();
      this.#expect(')');
      return expr;
    }
    if (text === '[') return this.#list();
    if (text === '{') return this.#map();
    const inside = "'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER";
    throw syntaxError(this.#source, offset, `mismatched input '${text}' expecting {${inside}}`);
  }

  #word({ text, offset }: Token): Expr {
    const name = this.#identifier();
    if (reserved.has(name)) throw syntaxError(this.#source, offset, `reserved identifier: ${text}`);
    if (!this.#isOperator('(')) return { type: 'identifier', offset, name };
    const at = this.#token().offset;
    const args = this.#args();
    const [arg] = args;
    if (name !== 'has' || args.length !== 1 || arg === undefined) return call(name, at, args);
    if (arg.type !== 'select' || arg.mode !== 'value') throw syntaxError(this.#source, arg.offset, 'invalid argument to has() macro');
    return { ...arg, offset: at, mode: 'presence' };
  }

  #args(): Expr[] {
    this.#expect('(');
    const args: Expr[] = [];
    while (!this.#isOperator(')')) {
      args.push(this.#expression());
      if (!this.#take(',')) break;
    }
    this.#expect(')');
    return args;
  }

  #method(target: Expr, name: string): Expr {
    const { offset } = this.#token();
    const args = this.#args();
    return this.#comprehension(target, name, args, offset) ?? this.#binding(target, name, args, offset) ?? call(name, offset, args, target);
  }

  #comprehension(range: Expr, name: string, args: readonly Expr[], offset: number): Comprehension | undefined {
    const kind = comprehensionKinds.get(name);
    if (kind === undefined || args.length < 2) return undefined;
    const make = (parts: Pick<Comprehension, 'first' | 'second' | 'condition' | 'result'>): Comprehension => ({
      type: 'comprehension',
      kind,
      offset,
      range,
      ...parts,
    });
    const [a, b, c, d] = args as [Expr, Expr, Expr?, Expr?];
    const first = this.#variable(a);
    switch (kind) {
      case 'all':
      case 'exists':
      case 'existsOne':
        if (args.length === 2) return make({ first, second: undefined, condition: b, result: undefined });
        if (args.length === 3) return make({ first, second: this.#variable(b), condition: c, result: undefined });
        return undefined;
      case 'filter':
        return args.length === 2 ? make({ first, second: undefined, condition: b, result: undefined }) : undefined;
      case 'map':
        if (args.length === 2) return make({ first, second: undefined, condition: undefined, result: b });
        return args.length === 3 ? make({ first, second: undefined, condition: b, result: c }) : undefined;
      default:
        if (args.length === 3) return make({ first, second: this.#variable(b), condition: undefined, result: c });
        return args.length === 4 ? make({ first, second: this.#variable(b), condition: c, result: d }) : undefined;
    }
  }

  #binding(target: Expr, name: string, args: readonly Expr[], offset: number): Binding | undefined {
    const [variable, second, third] = args;
    if (name === 'bind' && target.type === 'identifier' && target.name === 'cel' && args.length === 3 && variable && second && third) {
      return { type: 'binding', kind: 'bind', offset, name: this.#variable(variable), value: second, body: third };
    }
    if ((name === 'optMap' || name === 'optFlatMap') && args.length === 2 && variable && second) {
      return { type: 'binding', kind: name, offset, name: this.#variable(variable), value: target, body: second };
    }
    return undefined;
  }

  #variable(expr: Expr): string {
    if (expr.type === 'identifier') return expr.name;
    throw syntaxError(this.#source, expr.offset, 'argument must be a simple name');
  }

  #list(): ListLiteral {
    const { offset } = this.#token();
    this.#expect('[');
    const items: { value: Expr; optional: boolean }[] = [];
    while (!this.#isOperator(']')) {
      const optional = this.#take('?');
      items.push({ optional, value: this.#expression() });
      if (!this.#take(',')) break;
    }
    this.#expect(']');
    return { type: 'list', offset, items };
  }

  #map(): MapLiteral {
    const { offset } = this.#token();
    this.#expect('{');
    const entries: { key: Expr; value: Expr; optional: boolean }[] = [];
    while (!this.#isOperator('}')) {
      const optional = this.#take('?');
      const key = this.#expression();
      this.#expect(':');
      entries.push({ key, value: this.#expression(), optional });
      if (!this.#take(',')) break;
    }
    this.#expect('}');
    return { type: 'map', offset, entries };
  }

  #object(name: string, offset: number): ObjectLiteral {
    this.#expect('{');
    const fields: { name: string; value: Expr; optional: boolean; offset: number }[] = [];
    while (!this.#isOperator('}')) {
      const optional = this.#take('?');
      const at = this.#token().offset;
      const field = this.#identifier();
      this.#expect(':');
      fields.push({ name: field, value: this.#expression(), optional, offset: at });
      if (!this.#take(',')) break;
    }
    this.#expect('}');
    return { type: 'object', offset, name, fields };
  }
}

const comprehensionKinds: ReadonlyMap<string, ComprehensionKind> = new Map([
  ['all', 'all'],
  ['exists', 'exists'],
  ['exists_one', 'existsOne'],
  ['existsOne', 'existsOne'],
  ['map', 'map'],
  ['filter', 'filter'],
  ['transformList', 'transformList'],
  ['transformMap', 'transformMap'],
  ['transformMapEntry', 'transformMapEntry'],
] as const);

function call(name: string, offset: number, args: readonly Expr[], target?: Expr): Call {
  return { type: 'call', offset, name, target, args };
}

/** `a.b.c` for a chain of plain names; undefined for anything else. */
export function qualifiedName(expr: Expr): string | undefined {
  if (expr.type === 'identifier') return expr.name;
  if (expr.type !== 'select' || expr.mode !== 'value') return undefined;
  const left = qualifiedName(expr.operand);
  return left === undefined ? undefined : `${left}.${expr.field}`;
}
