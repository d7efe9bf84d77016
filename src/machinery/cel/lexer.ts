/** Text to tokens, by CEL's lexical grammar: https://github.com/google/cel-spec/blob/master/doc/langdef.md#syntax */
import { CelError, shownIssues } from './errors.ts';
import { Uint } from './values.ts';

export type TokenType = 'identifier' | 'literal' | 'operator' | 'end';

export interface Token {
  readonly type: TokenType;
  /** Of an identifier or operator. */
  readonly text: string;
  /** Of a literal. */
  readonly value: unknown;
  readonly offset: number;
}

const operators = ['&&', '||', '==', '!=', '<=', '>=', ...Array.from('+-*/%<>!?:.,()[]{}')];
const space = /(?:[ \t\n\f\r]+|\/\/[^\n]*)*/y;
const identifier = /[A-Za-z_][A-Za-z0-9_]*/y;
const quotedIdentifier = /`([A-Za-z0-9_./ -]+)`/y;
const number = /0[xX][0-9a-fA-F]+[uU]?|(?:\d+\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+|\.\d+(?:[eE][+-]?\d+)?|\d+)[uU]?/y;
const text = /([bB]?[rR]?|[rR][bB])("""|'''|"|')/y;

const maxInt = 9223372036854775807n;
const maxUint = 18446744073709551615n;

export function tokensOf(source: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  for (;;) {
    at += matchAt(space, source, at)?.[0].length ?? 0;
    if (at >= source.length) break;
    const { token, end } = nextToken(source, at);
    tokens.push(token);
    at = end;
  }
  tokens.push({ type: 'end', text: '<EOF>', value: undefined, offset: source.length });
  return tokens;
}

export function syntaxError(source: string, offset: number, message: string): CelError {
  return new CelError(shownIssues(source, [{ offset, message: `Syntax error: ${message}` }]));
}

function matchAt(pattern: RegExp, source: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at;
  return pattern.exec(source);
}

function nextToken(source: string, at: number): { readonly token: Token; readonly end: number } {
  const string = matchAt(text, source, at);
  if (string) return textToken(source, at, string[1] ?? '', string[2] ?? '"');
  const name = matchAt(identifier, source, at);
  if (name) return { token: wordToken(name[0], at), end: at + name[0].length };
  const quoted = matchAt(quotedIdentifier, source, at);
  if (quoted) return { token: { type: 'identifier', text: quoted[1] ?? '', value: undefined, offset: at }, end: at + quoted[0].length };
  const digits = matchAt(number, source, at);
  if (digits) return { token: { type: 'literal', text: digits[0], value: numberOf(source, digits[0], at), offset: at }, end: at + digits[0].length };
  const operator = operators.find((candidate) => source.startsWith(candidate, at));
  if (operator === undefined) throw syntaxError(source, at, `token recognition error at: '${String.fromCodePoint(source.codePointAt(at) ?? 0)}'`);
  return { token: { type: 'operator', text: operator, value: undefined, offset: at }, end: at + operator.length };
}

function wordToken(word: string, offset: number): Token {
  switch (word) {
    case 'true':
    case 'false':
      return { type: 'literal', text: word, value: word === 'true', offset };
    case 'null':
      return { type: 'literal', text: word, value: null, offset };
    case 'in':
      return { type: 'operator', text: word, value: undefined, offset };
    default:
      return { type: 'identifier', text: word, value: undefined, offset };
  }
}

/** The least of all integers is written with a sign: its digits alone are one too many, which the parser makes good. */
function numberOf(source: string, digits: string, offset: number): unknown {
  if (/[uU]$/.test(digits)) {
    if (/[.eE]/.test(digits) && !/^0[xX]/.test(digits)) throw syntaxError(source, offset, `invalid uint literal`);
    const value = BigInt(digits.slice(0, -1));
    if (value > maxUint) throw syntaxError(source, offset, 'invalid uint literal');
    return new Uint(value);
  }
  if (!/^0[xX]/.test(digits) && /[.eE]/.test(digits)) {
    const value = Number(digits);
    if (!Number.isFinite(value)) throw syntaxError(source, offset, 'invalid double literal');
    return value;
  }
  const value = BigInt(digits);
  if (value > maxInt + 1n) throw syntaxError(source, offset, 'invalid int literal');
  return value;
}

function textToken(source: string, offset: number, prefix: string, quote: string): { readonly token: Token; readonly end: number } {
  const start = offset + prefix.length + quote.length;
  const isRaw = /[rR]/.test(prefix);
  let at = start;
  while (!source.startsWith(quote, at)) {
    if (at >= source.length || (quote.length === 1 && /[\n\r]/.test(source.charAt(at)))) {
      throw syntaxError(source, offset, `token recognition error at: '${source.slice(offset, offset + 20)}'`);
    }
    at += source.charAt(at) === '\\' ? 2 : 1;
  }
  const body = source.slice(start, at);
  const isBytes = /[bB]/.test(prefix);
  const value = isBytes ? bytesOf(source, body, start, isRaw) : isRaw ? body : unescaped(source, body, start);
  return { token: { type: 'literal', text: body, value, offset }, end: at + quote.length };
}

const escape = /\\(?:([abfnrtv\\'"`?])|[xX]([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-3][0-7]{2})|)/g;
const plainEscapes: Readonly<Record<string, string>> = { a: '\u0007', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' };

function unescaped(source: string, body: string, offset: number): string {
  return body.replaceAll(escape, (whole, plain?: string, hex?: string, short?: string, long?: string, octal?: string) => {
    if (plain !== undefined) return plainEscapes[plain] ?? plain;
    const digits = hex ?? short ?? long;
    if (digits === undefined && octal === undefined) throw syntaxError(source, offset, `unable to unescape string: ${whole}`);
    const code = digits === undefined ? Number.parseInt(octal ?? '', 8) : Number.parseInt(digits, 16);
    if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) throw syntaxError(source, offset, 'unable to unescape string: invalid code point');
    return String.fromCodePoint(code);
  });
}

/** In bytes, a numeric escape is one byte; everything else is UTF-8. */
function bytesOf(source: string, body: string, offset: number, isRaw: boolean): Uint8Array {
  if (isRaw) return new Uint8Array(Buffer.from(body, 'utf8'));
  const parts: Buffer[] = [];
  let from = 0;
  for (const match of body.matchAll(escape)) {
    parts.push(Buffer.from(body.slice(from, match.index), 'utf8'));
    const [whole, plain, hex, short, long, octal] = match;
    if (short !== undefined || long !== undefined) throw syntaxError(source, offset, 'unable to unescape bytes: unicode escapes are not allowed');
    if (plain !== undefined) parts.push(Buffer.from(plainEscapes[plain] ?? plain, 'utf8'));
    else if (hex === undefined && octal === undefined) throw syntaxError(source, offset, `unable to unescape bytes: ${whole}`);
    else parts.push(Buffer.from([hex === undefined ? Number.parseInt(octal ?? '', 8) : Number.parseInt(hex, 16)]));
    from = match.index + whole.length;
  }
  parts.push(Buffer.from(body.slice(from), 'utf8'));
  return new Uint8Array(Buffer.concat(parts));
}
