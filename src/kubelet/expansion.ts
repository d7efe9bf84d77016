/** `$(NAME)` in commands, arguments and environment values: replaced when NAME is known, kept when it is not; `$$(NAME)` is a literal `$(NAME)`. */

export function expand(text: string, lookup: (name: string) => string | undefined): string {
  if (!text.includes('$')) return text;
  return text.replace(/\$\$|\$\(([^)]*)\)/g, (whole, name: string | undefined) => {
    if (name === undefined) return '$';
    return lookup(name) ?? whole;
  });
}
