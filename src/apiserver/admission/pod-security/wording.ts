/** How pod security names who breaks a rule: `container "a"`, `containers "a", "b"`, `pod and container "c"`. */

export function plural(word: string, count: number): string {
  return count === 1 ? word : `${word}s`;
}

export function quoted(words: readonly string[]): string {
  return words.map((word) => `"${word}"`).join(', ');
}

export function named(word: string, things: readonly { readonly name: string }[]): string {
  return `${plural(word, things.length)} ${quoted(things.map(({ name }) => name))}`;
}

/** Who sets something: the pod, containers, or both; empty for nobody. */
export function setters(pod: boolean, containers: readonly { readonly name: string }[]): string[] {
  return [...(pod ? ['pod'] : []), ...(containers.length > 0 ? [named('container', containers)] : [])];
}

/** Who could mend it. */
export function addressing(containers: readonly { readonly name: string }[]): string {
  return `pod or ${named('container', containers)}`;
}
