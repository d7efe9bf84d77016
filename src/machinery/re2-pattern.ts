/** Patterns as definitions have them, in Go's RE2 syntax, as JavaScript's: the two differ in how flags, ends of text and POSIX classes are written. */

const posixClasses: Readonly<Record<string, string>> = {
  alnum: 'A-Za-z0-9',
  alpha: 'A-Za-z',
  ascii: '\\x00-\\x7F',
  blank: '\\t ',
  cntrl: '\\x00-\\x1F\\x7F',
  digit: '0-9',
  graph: '!-~',
  lower: 'a-z',
  print: ' -~',
  punct: '!-\\/:-@\\[-`{-~',
  space: '\\t\\n\\v\\f\\r ',
  upper: 'A-Z',
  word: '0-9A-Za-z_',
  xdigit: '0-9A-Fa-f',
};

const compiled = new Map<string, RegExp>();
const maxCompiled = 10_000;

/** Throws a `SyntaxError` for what is no pattern. */
export function patternOf(text: string): RegExp {
  let pattern = compiled.get(text);
  if (pattern === undefined) {
    pattern = compile(text);
    if (compiled.size >= maxCompiled) compiled.clear();
    compiled.set(text, pattern);
  }
  return pattern;
}

function compile(text: string): RegExp {
  const body = withScopedFlags(
    text
      .replaceAll(/\[:(\w+):\]/g, (whole, name: string) => posixClasses[name] ?? whole)
      .replaceAll(/\\([Az])/g, (_, end: string) => (end === 'A' ? '(?<![^])' : '(?![^])'))
      .replaceAll(/\\([pP])([A-Z])/g, String.raw`\$1{$2}`)
      .replaceAll('(?P<', '(?<'),
  );
  try {
    return new RegExp(body, 'u');
  } catch {
    // Go lets any punctuation be escaped; JavaScript only without the flag that makes it count code points.
    return new RegExp(body);
  }
}

/** In Go `(?i)` holds to the end of the group it stands in, over its alternatives too; in JavaScript flags have a group of their own. */
function withScopedFlags(text: string): string {
  if (!/\(\?[imsU-]+\)/.test(text)) return text;
  /** The flags that hold in each group that is open, outermost first. */
  const scopes: string[][] = [[]];
  let result = '';
  for (let i = 0; i < text.length;) {
    const [token] = /^(?:\\[^]|\[\^?\]?(?:\\[^]|[^\]\\])*\]|\(\?[imsU-]+\)|[^])/.exec(text.slice(i)) ?? [''];
    i += Math.max(1, token.length);
    const scope = scopes.at(-1) ?? [];
    const flags = /^\(\?([imsU-]+)\)$/.exec(token)?.[1]?.replaceAll('U', '');
    if (flags !== undefined) {
      if (flags === '' || flags === '-') continue;
      scope.push(`(?${flags}:`);
      result += `(?${flags}:`;
    } else if (token === '|') {
      result += `${')'.repeat(scope.length)}|${scope.join('')}`;
    } else if (token === ')') {
      result += ')'.repeat(scope.length + 1);
      // One too many is an error, which the compiler tells.
      if (scopes.length > 1) scopes.pop();
    } else {
      if (token === '(') scopes.push([]);
      result += token;
    }
  }
  return result + ')'.repeat(scopes.flat().length);
}
