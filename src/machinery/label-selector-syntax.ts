/** The grammar of label selectors and the rules of a single requirement, in the words of upstream's `labels` package. */
import { invalidValue } from './field-error.ts';
import { labelValueErrors, qualifiedNameErrors } from './names.ts';
import { SelectorError } from './selector-error.ts';

export type LabelOperator = 'in' | 'notin' | '=' | '==' | '!=' | 'exists' | '!' | 'gt' | 'lt';

export interface LabelRequirement {
  readonly key: string;
  readonly operator: LabelOperator;
  /** Sorted, without repetition. */
  readonly values: readonly string[];
}

/** Integers as `gt` and `lt` compare them. */
export const integer = /^-?\d{1,19}$/;

/** Throws {@link SelectorError}. */
export function parseRequirements(text: string): LabelRequirement[] {
  return new LabelParser(text).parse();
}

/** A requirement, checked; throws {@link SelectorError}. */
export function requirement(key: string, operator: LabelOperator, values: readonly string[]): LabelRequirement {
  const problems: string[] = [];
  const keyErrors = qualifiedNameErrors(key);
  if (keyErrors.length > 0) problems.push(invalidValue('key', key, keyErrors.join('; ')).toString());
  switch (operator) {
    case 'in':
    case 'notin':
      if (values.length === 0) problems.push(invalidValue('values', values, "for 'in', 'notin' operators, values set can't be empty").toString());
      break;
    case 'exists':
    case '!':
      if (values.length > 0) problems.push(invalidValue('values', values, 'values set must be empty for exists and does not exist').toString());
      break;
    case 'gt':
    case 'lt':
      if (values.length !== 1) problems.push(invalidValue('values', values, "for 'Gt', 'Lt' operators, exactly one value is required").toString());
      for (const [i, value] of values.entries()) {
        if (!integer.test(value))
          problems.push(invalidValue(`values[${i}]`, value, "for 'Gt', 'Lt' operators, the value must be an integer").toString());
      }
      break;
    default:
      if (values.length !== 1) problems.push(invalidValue('values', values, 'exact-match compatibility requires one single value').toString());
  }
  for (const [i, value] of values.entries()) {
    const errors = labelValueErrors(value);
    if (errors.length > 0) problems.push(invalidValue(`values[${i}][${key}]`, value, errors.join('; ')).toString());
  }
  if (problems.length > 0) throw new SelectorError(problems.length === 1 ? (problems[0] ?? '') : `[${problems.join(', ')}]`);
  return { key, operator, values: [...new Set(values)].sort() };
}

type TokenKind = 'identifier' | 'end' | '!' | '=' | '==' | '!=' | '>' | '<' | '(' | ')' | ',';

interface Token {
  readonly kind: TokenKind;
  readonly text: string;
}

const binaryOperators: Readonly<Record<string, LabelOperator>> = { in: 'in', notin: 'notin', '=': '=', '==': '==', '!=': '!=', '>': 'gt', '<': 'lt' };

/** Recursive descent over the tokens; the words `in` and `notin` are operators only where one is expected. */
class LabelParser {
  private readonly tokens: readonly Token[];
  private position = 0;

  constructor(text: string) {
    this.tokens = tokenize(text);
  }

  parse(): LabelRequirement[] {
    const requirements: LabelRequirement[] = [];
    for (;;) {
      const next = this.peek();
      if (next.kind === 'end') return requirements;
      if (next.kind !== 'identifier' && next.kind !== '!')
        throw new SelectorError(`found '${next.text}', expected: !, identifier, or 'end of string'`);
      requirements.push(this.requirement());
      const separator = this.take();
      if (separator.kind === 'end') return requirements;
      if (separator.kind !== ',') throw new SelectorError(`found '${separator.text}', expected: ',' or 'end of string'`);
      const after = this.peek();
      if (after.kind !== 'identifier' && after.kind !== '!') throw new SelectorError(`found '${after.text}', expected: identifier after ','`);
    }
  }

  private requirement(): LabelRequirement {
    try {
      const first = this.take();
      const absent = first.kind === '!';
      const key = absent ? this.take() : first;
      if (key.kind !== 'identifier') throw expected(key, 'identifier');
      const errors = qualifiedNameErrors(key.text);
      // Upstream has no field path here, and says so.
      if (errors.length > 0) throw new SelectorError(invalidValue('<nil>', key.text, errors.join('; ')).toString());
      if (absent) return requirement(key.text, '!', []);
      const next = this.peek();
      if (next.kind === 'end' || next.kind === ',') return requirement(key.text, 'exists', []);
      const word = this.take();
      const operator = Object.hasOwn(binaryOperators, word.text) ? binaryOperators[word.text] : undefined;
      if (operator === undefined) throw expected(word, 'in, notin, =, ==, !=, gt, lt');
      return requirement(key.text, operator, operator === 'in' || operator === 'notin' ? this.values() : [this.value()]);
    } catch (error) {
      if (error instanceof SelectorError) throw new SelectorError(`unable to parse requirement: ${error.message}`);
      throw error;
    }
  }

  private value(): string {
    const next = this.peek();
    if (next.kind === 'end' || next.kind === ',') return '';
    const token = this.take();
    if (token.kind !== 'identifier') throw expected(token, 'identifier');
    return token.text;
  }

  /** `(a,b)`; nothing between commas is the empty value, `()` is no value at all. */
  private values(): string[] {
    const open = this.take();
    if (open.kind !== '(') throw new SelectorError(`found '${open.text}' expected: '('`);
    if (this.peek().kind === ')') {
      this.take();
      return [];
    }
    const values: string[] = [];
    for (;;) {
      const token = this.peek();
      if (token.kind === 'identifier') values.push(this.take().text);
      else if (token.kind === ',' || token.kind === ')') values.push('');
      else throw expected(token, values.length === 0 ? "',', ')' or identifier" : "',', or identifier");
      const separator = this.take();
      if (separator.kind === ')') return values;
      if (separator.kind !== ',') throw expected(separator, "',' or ')'");
    }
  }

  private peek(): Token {
    return this.tokens[this.position] ?? { kind: 'end', text: '' };
  }

  private take(): Token {
    const token = this.peek();
    this.position++;
    return token;
  }
}

function expected(token: Token, what: string): SelectorError {
  return new SelectorError(`found '${token.text}', expected: ${what}`);
}

function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  for (const [word] of text.matchAll(/==|!=|[!=<>(),]|[^\s!=<>(),]+/g)) {
    tokens.push({ kind: /^[!=<>(),]/.test(word) ? (word as TokenKind) : 'identifier', text: word });
  }
  return tokens;
}
