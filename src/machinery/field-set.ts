/**
 * Sets of field paths in the form `managedFields` has them (`fieldsV1`): a tree whose edges are path elements, `f:<name>` for a field,
 * `k:{"name":"c"}` for a list item by its keys, `v:"x"` for a member of a set, `i:0` for a position. A node is a member of the set when it is
 * empty or holds `"."`. The sets are worked on in this form, so that storing and reading them costs nothing. All are immutable.
 */

export interface FieldSet {
  readonly [element: string]: FieldSet;
}

export const emptySet: FieldSet = Object.freeze({});

const self = '.';

export function isEmptySet(set: FieldSet): boolean {
  for (const _ in set) return false;
  return true;
}

/** Whether the path that leads to this node is in the set itself. */
export function isMember(node: FieldSet): boolean {
  return isEmptySet(node) || Object.hasOwn(node, self);
}

/** A node with these children; undefined when it is neither member nor parent. */
export function nodeOf(member: boolean, children: FieldSet | undefined): FieldSet | undefined {
  if (children === undefined || isEmptySet(children)) return member ? emptySet : undefined;
  return member ? { [self]: emptySet, ...children } : children;
}

export function union(a: FieldSet, b: FieldSet): FieldSet {
  if (a === b || isEmptySet(b)) return a;
  if (isEmptySet(a)) return b;
  const result: Record<string, FieldSet> = { ...a };
  for (const element in b) {
    const other = b[element] ?? emptySet;
    const own = result[element];
    result[element] = own === undefined || element === self ? other : unionNodes(own, other);
  }
  return result;
}

function unionNodes(a: FieldSet, b: FieldSet): FieldSet {
  return nodeOf(isMember(a) || isMember(b), union(childrenOf(a), childrenOf(b))) ?? emptySet;
}

/** What is in `a` and not in `b`. */
export function difference(a: FieldSet, b: FieldSet): FieldSet {
  const result: Record<string, FieldSet> = {};
  for (const element in a) {
    const own = a[element] ?? emptySet;
    const other = b[element];
    const rest = other === undefined ? own : nodeOf(isMember(own) && !isMember(other), difference(childrenOf(own), childrenOf(other)));
    if (rest !== undefined) result[element] = rest;
  }
  return result;
}

/** What is in both. */
export function intersection(a: FieldSet, b: FieldSet): FieldSet {
  const result: Record<string, FieldSet> = {};
  for (const element in a) {
    const own = a[element];
    const other = b[element];
    if (own === undefined || other === undefined) continue;
    const shared = nodeOf(isMember(own) && isMember(other), intersection(childrenOf(own), childrenOf(other)));
    if (shared !== undefined) result[element] = shared;
  }
  return result;
}

/** Without the node at this path and all below it. */
export function withoutPath(set: FieldSet, path: readonly string[]): FieldSet {
  const [element, ...rest] = path;
  const node = element === undefined ? undefined : set[element];
  if (element === undefined || node === undefined) return set;
  const { [element]: _, ...others } = set;
  if (rest.length === 0) return others;
  const left = nodeOf(Object.hasOwn(node, self), withoutPath(childrenOf(node), rest));
  return left === undefined ? others : { ...others, [element]: left };
}

/** Without any of these members of the set's first level. */
export function withoutElements(set: FieldSet, elements: ReadonlySet<string>): FieldSet {
  const result: Record<string, FieldSet> = {};
  let without = false;
  for (const element in set) {
    if (elements.has(element)) without = true;
    else result[element] = set[element] ?? emptySet;
  }
  return without ? result : set;
}

export function childrenOf(node: FieldSet): FieldSet {
  if (!Object.hasOwn(node, self)) return node;
  const { [self]: _, ...children } = node;
  return children;
}

/** The set with every level in upstream's order: `.`, fields, keys, values, positions, each sorted. */
export function sorted(set: FieldSet): FieldSet {
  const elements = Object.keys(set);
  if (elements.length === 0) return emptySet;
  const result: Record<string, FieldSet> = {};
  for (const element of elements.sort(compareElements)) result[element] = sorted(set[element] ?? emptySet);
  return result;
}

const kinds = '.fkvi';

function compareElements(a: string, b: string): number {
  const byKind = kinds.indexOf(a.charAt(0)) - kinds.indexOf(b.charAt(0));
  return byKind !== 0 ? byKind : a < b ? -1 : a > b ? 1 : 0;
}

/** All member paths, printed as messages have them: `.spec.containers[name="c"].image`. */
export function printPaths(set: FieldSet): string[] {
  const paths: string[] = [];
  const visit = (node: FieldSet, path: string): void => {
    if (isMember(node)) paths.push(path);
    for (const element of Object.keys(childrenOf(node)).sort(compareElements)) visit(node[element] ?? emptySet, path + printElement(element));
  };
  for (const element of Object.keys(set).sort(compareElements)) visit(set[element] ?? emptySet, printElement(element));
  return paths;
}

export function printElement(element: string): string {
  const text = element.slice(2);
  switch (element.charAt(0)) {
    case 'f':
      return `.${text}`;
    case 'k': {
      const keys = Object.entries(JSON.parse(text) as Record<string, unknown>).map(([key, value]) => `${key}=${JSON.stringify(value)}`);
      return `[${keys.join(',')}]`;
    }
    case 'v':
      return `[=${text}]`;
    default:
      return `[${text}]`;
  }
}

/** The element of a list item: its keys, sorted, with their values. */
export function keyElement(keys: Readonly<Record<string, unknown>>): string {
  const ordered: Record<string, unknown> = {};
  for (const key of Object.keys(keys).sort()) ordered[key] = keys[key];
  return `k:${JSON.stringify(ordered)}`;
}

/** `fieldsV1` as a client sent it, checked; undefined when it is malformed. Keys inside `k:` are put in order. */
export function parseFieldSet(value: unknown): FieldSet | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const result: Record<string, FieldSet> = {};
  for (const [element, below] of Object.entries(value)) {
    const node = parseFieldSet(below);
    const normal = element === self ? self : normalElement(element);
    if (node === undefined || normal === undefined) return undefined;
    result[normal] = node;
  }
  return result;
}

function normalElement(element: string): string | undefined {
  const text = element.slice(2);
  switch (element.slice(0, 2)) {
    case 'f:':
      return element;
    case 'i:':
      return /^\d+$/.test(text) ? element : undefined;
    case 'v:':
    case 'k:':
      try {
        const parsed: unknown = JSON.parse(text);
        if (element.startsWith('v:')) return `v:${JSON.stringify(parsed)}`;
        return typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed) ? keyElement(parsed as Record<string, unknown>) : undefined;
      } catch {
        return undefined;
      }
    default:
      return undefined;
  }
}
