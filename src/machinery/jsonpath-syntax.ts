/** The grammar of Kubernetes' JSONPath templates, as kubectl's `-o jsonpath` and CRD printer columns have it: text with expressions in braces. */

export class JsonPathError extends Error {
  override readonly name = 'JsonPathError';
}

/** A piece of a template, in order. */
export type Piece =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'path'; readonly path: Path }
  | { readonly kind: 'range'; readonly path: Path; readonly body: readonly Piece[] };

export interface Path {
  /** `$` starts at the whole document, else at the current value. */
  readonly fromRoot: boolean;
  readonly steps: readonly Step[];
}

export type Step =
  | { readonly kind: 'field'; readonly name: string }
  | { readonly kind: 'wildcard' }
  | { readonly kind: 'recursive' }
  | { readonly kind: 'index'; readonly index: number }
  | { readonly kind: 'slice'; readonly start: number | undefined; readonly end: number | undefined; readonly step: number }
  | { readonly kind: 'union'; readonly members: readonly Step[] }
  | { readonly kind: 'nested'; readonly steps: readonly Step[] }
  | { readonly kind: 'filter'; readonly filter: Filter };

export type Operand = { readonly kind: 'path'; readonly path: Path } | { readonly kind: 'value'; readonly value: string | number | boolean | null };

export interface Filter {
  readonly left: Operand;
  readonly operator: 'exists' | '==' | '!=' | '<' | '<=' | '>' | '>=';
  readonly right: Operand | undefined;
}

/** Throws {@link JsonPathError}. */
export function parseTemplate(template: string): readonly Piece[] {
  return parsePieces(new Scanner(template), false);
}

/** What may stand in braces, without them; `x.y` counts as `.x.y`, as kubectl's relaxed form allows. */
export function relaxed(expression: string): string {
  const inner = /^\{(.*)\}$/s.exec(expression)?.[1] ?? expression;
  return inner.startsWith('.') || inner.startsWith('$') || inner.startsWith('[') || inner.startsWith('@') ? `{${inner}}` : `{.${inner}}`;
}

class Scanner {
  readonly text: string;
  position = 0;

  constructor(text: string) {
    this.text = text;
  }

  get done(): boolean {
    return this.position >= this.text.length;
  }

  peek(): string {
    return this.text.charAt(this.position);
  }

  take(): string {
    return this.text.charAt(this.position++);
  }

  /** Takes the word when it comes next. */
  accept(word: string): boolean {
    if (!this.text.startsWith(word, this.position)) return false;
    this.position += word.length;
    return true;
  }

  match(pattern: RegExp): string | undefined {
    const sticky = new RegExp(pattern.source, 'sy');
    sticky.lastIndex = this.position;
    const found = sticky.exec(this.text)?.[0];
    if (found !== undefined) this.position += found.length;
    return found;
  }

  skipSpace(): void {
    this.match(/\s*/);
  }
}

function parsePieces(scanner: Scanner, inRange: boolean): Piece[] {
  const pieces: Piece[] = [];
  while (!scanner.done) {
    const text = scanner.match(/[^{]+/);
    if (text !== undefined) pieces.push({ kind: 'text', text });
    if (!scanner.accept('{')) continue;
    for (;;) {
      scanner.skipSpace();
      if (scanner.done) throw new JsonPathError('unclosed action');
      if (scanner.accept('}')) break;
      if (scanner.match(/end(?=[\s}])/) !== undefined) {
        if (!inRange) throw new JsonPathError('not in range, nothing to end');
        scanner.skipSpace();
        if (!scanner.accept('}')) throw new JsonPathError('unclosed action');
        return pieces;
      }
      if (scanner.match(/range(?=\s)/) !== undefined) {
        scanner.skipSpace();
        const path = parsePath(scanner);
        scanner.skipSpace();
        if (!scanner.accept('}')) throw new JsonPathError('unclosed action');
        pieces.push({ kind: 'range', path, body: parsePieces(scanner, true) });
        break;
      }
      const value = parseLiteral(scanner);
      pieces.push(value === undefined ? { kind: 'path', path: parsePath(scanner) } : { kind: 'text', text: String(value) });
    }
  }
  if (inRange) throw new JsonPathError('unterminated range: missing {end}');
  return pieces;
}

function parseLiteral(scanner: Scanner): string | number | boolean | null | undefined {
  const quoted = scanner.match(/"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'/);
  if (quoted !== undefined) return unquote(quoted);
  if (scanner.peek() === '"' || scanner.peek() === "'") throw new JsonPathError('unterminated quoted string');
  const number = scanner.match(/[-+]?\d+(?:\.\d+)?(?![\w.])/);
  if (number !== undefined) return Number(number);
  const word = scanner.match(/(?:true|false|null)(?![\w.[])/);
  return word === undefined ? undefined : (JSON.parse(word) as boolean | null);
}

const escapes: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r' };

function unquote(quoted: string): string {
  return quoted.slice(1, -1).replaceAll(/\\(.)/gs, (_, character: string) => escapes[character] ?? character);
}

function parsePath(scanner: Scanner): Path {
  const steps: Step[] = [];
  const fromRoot = scanner.accept('$');
  if (!fromRoot) scanner.accept('@');
  const start = scanner.position;
  // A name may start a path without its dot.
  const bare = scanner.match(/[\w-](?:[^\s{}[\]().=!<>,'"\\]|\\.)*/);
  if (bare !== undefined) steps.push({ kind: 'field', name: unescape(bare) });
  for (;;) {
    if (scanner.accept('..')) {
      steps.push({ kind: 'recursive' });
      if (scanner.peek() !== '[') steps.push(parseName(scanner));
    } else if (scanner.accept('.')) {
      // `{.}` is the value itself.
      if (scanner.peek() !== '[' && !/^[\s}),]?$/.test(scanner.peek())) steps.push(parseName(scanner));
    } else if (scanner.accept('[')) steps.push(parseBrackets(scanner));
    else break;
  }
  if (scanner.position === start && !fromRoot && scanner.text.charAt(start - 1) !== '@') {
    throw new JsonPathError(`unrecognized character in action: ${describe(scanner.peek())}`);
  }
  return { fromRoot, steps };
}

function describe(character: string): string {
  const code = character.codePointAt(0);
  return code === undefined ? 'end of text' : `U+${code.toString(16).toUpperCase().padStart(4, '0')} '${character}'`;
}

function parseName(scanner: Scanner): Step {
  if (scanner.accept('*')) return { kind: 'wildcard' };
  const name = scanner.match(/(?:[^\s{}[\]().=!<>,'"\\|@&:*?]|\\.|:(?!\s))+/);
  if (name === undefined) throw new JsonPathError(`unrecognized character in action: ${describe(scanner.peek())}`);
  return { kind: 'field', name: unescape(name) };
}

function unescape(name: string): string {
  return name.replaceAll(/\\(.)/gs, '$1');
}

function parseBrackets(scanner: Scanner): Step {
  scanner.skipSpace();
  if (scanner.accept('?(')) {
    const filter = parseFilter(scanner);
    scanner.skipSpace();
    if (!scanner.accept(')')) throw new JsonPathError('unterminated filter');
    scanner.skipSpace();
    if (!scanner.accept(']')) throw new JsonPathError('unclosed array expect ]');
    return { kind: 'filter', filter };
  }
  const members: Step[] = [];
  for (;;) {
    scanner.skipSpace();
    members.push(parseMember(scanner));
    scanner.skipSpace();
    if (scanner.accept(']')) break;
    if (!scanner.accept(',')) throw new JsonPathError(scanner.done ? 'unterminated array' : 'unclosed array expect ]');
  }
  const [only] = members;
  return only !== undefined && members.length === 1 ? only : { kind: 'union', members };
}

function parseMember(scanner: Scanner): Step {
  if (scanner.accept('*')) return { kind: 'wildcard' };
  const quoted = scanner.match(/"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'/);
  if (quoted !== undefined) return parseQuotedMember(quoted.slice(1, -1));
  const text = scanner.match(/-?\d*(?:\s*:\s*-?\d*){0,2}/) ?? '';
  const bounds = text.split(':').map((bound) => (bound.trim() === '' ? undefined : Number(bound)));
  const [start, end, step] = bounds;
  if (text.trim() === '' || bounds.some((bound) => Number.isNaN(bound)))
    throw new JsonPathError(`invalid array index ${scanner.text.slice(scanner.position)}`);
  if (bounds.length === 1 && start !== undefined) return { kind: 'index', index: start };
  if (step !== undefined && step <= 0) throw new JsonPathError('step must be > 0');
  return { kind: 'slice', start, end, step: step ?? 1 };
}

/** `['metadata.name']` is a path too; a dot that belongs to the name is escaped. */
function parseQuotedMember(names: string): Step {
  const steps = [...names.matchAll(/(?:[^.\\]|\\.)+/gs)].map(([name]): Step => ({ kind: 'field', name: unescape(name) }));
  const [only] = steps;
  return only !== undefined && steps.length === 1 ? only : { kind: 'nested', steps };
}

function parseFilter(scanner: Scanner): Filter {
  const left = parseOperand(scanner);
  scanner.skipSpace();
  const operator = scanner.match(/==|!=|<=|>=|<|>/);
  if (operator === undefined) return { left, operator: 'exists', right: undefined };
  return { left, operator: operator as Filter['operator'], right: parseOperand(scanner) };
}

function parseOperand(scanner: Scanner): Operand {
  scanner.skipSpace();
  const value = parseLiteral(scanner);
  return value === undefined ? { kind: 'path', path: parsePath(scanner) } : { kind: 'value', value };
}
