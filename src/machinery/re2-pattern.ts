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
  const flags = /^\(\?([imsU]+)\)/.exec(text);
  const body = text
    .slice(flags?.[0].length ?? 0)
    .replaceAll(/\[:(\w+):\]/g, (whole, name: string) => posixClasses[name] ?? whole)
    .replaceAll(/\\([Az])/g, (_, end: string) => (end === 'A' ? '^' : '$'))
    .replaceAll('(?P<', '(?<');
  const wanted = (flags?.[1] ?? '').replaceAll('U', '');
  try {
    return new RegExp(body, `${wanted}u`);
  } catch {
    // Go lets any punctuation be escaped; JavaScript only without the flag that makes it count code points.
    return new RegExp(body, wanted);
  }
}
