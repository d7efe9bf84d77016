/** Field selectors: `metadata.name=x,status.phase!=Failed`. Which fields a kind can be selected by is the kind's business. */
import { SelectorError } from './selector-error.ts';

export interface FieldRequirement {
  readonly field: string;
  readonly value: string;
  readonly negated: boolean;
}

export interface FieldSelector {
  readonly requirements: readonly FieldRequirement[];
  /** `read` gives the object's value of a field, the empty string when it has none. */
  matches(read: (field: string) => string): boolean;
  isEmpty(): boolean;
  toString(): string;
}

/** Throws {@link SelectorError}. Commas, equal signs and backslashes in values are escaped by a backslash. */
export function parseFieldSelector(text: string): FieldSelector {
  const requirements = splitTerms(text)
    .filter((term) => term !== '')
    .map((term) => {
      const match = /^([^=!]*(?:!(?!=)[^=!]*)*)(!=|==|=)(.*)$/s.exec(term);
      if (match === null) throw new SelectorError(`invalid selector: '${text}'; can't understand '${term}'`);
      const [, field = '', operator, value = ''] = match;
      return { field, value: unescape(value), negated: operator === '!=' };
    });
  return {
    requirements,
    matches: (read) => requirements.every(({ field, value, negated }) => (read(field) === value) !== negated),
    isEmpty: () => requirements.length === 0,
    toString: () => requirements.map(({ field, value, negated }) => `${field}${negated ? '!=' : '='}${escapeFieldValue(value)}`).join(','),
  };
}

export function escapeFieldValue(value: string): string {
  return value.replaceAll(/[\\,=]/g, (character) => `\\${character}`);
}

/** Splits at commas that are not escaped. */
function splitTerms(text: string): string[] {
  const terms: string[] = [];
  let start = 0;
  for (let i = 0; i < text.length; i++) {
    if (text[i] === '\\') i++;
    else if (text[i] === ',') {
      terms.push(text.slice(start, i));
      start = i + 1;
    }
  }
  terms.push(text.slice(start));
  return terms;
}

function unescape(value: string): string {
  let result = '';
  for (let i = 0; i < value.length; i++) {
    const character = value.charAt(i);
    if (character === '=' || character === ',')
      throw new SelectorError(`invalid field selector: unescaped character in value: ${character.charCodeAt(0)}`);
    if (character !== '\\') {
      result += character;
      continue;
    }
    const escaped = value.charAt(++i);
    if (escaped !== '\\' && escaped !== ',' && escaped !== '=')
      throw new SelectorError(`invalid field selector: invalid escape sequence: \\${escaped}`);
    result += escaped;
  }
  return result;
}
