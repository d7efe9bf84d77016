/** What an informer knows: the objects of one kind by key, by namespace and by custom indexes, kept in step. */
import { keyOf, type KubeObject } from '../machinery/object.ts';

interface Index<T> {
  readonly values: (object: T) => readonly string[];
  readonly objects: Map<string, Map<string, T>>;
}

const none: readonly never[] = [];

export class ObjectCache<T extends KubeObject> {
  readonly #objects = new Map<string, T>();
  readonly #byNamespace: Index<T> = { values: ({ metadata }) => (metadata.namespace === undefined ? [] : [metadata.namespace]), objects: new Map() };
  readonly #indexes = new Map<string, Index<T>>();
  /** `list()` as an array, until something changes. */
  #all: readonly T[] | undefined;

  get(key: string): T | undefined {
    return this.#objects.get(key);
  }

  keys(): IterableIterator<string> {
    return this.#objects.keys();
  }

  list(namespace?: string): readonly T[] {
    if (namespace === undefined) return (this.#all ??= [...this.#objects.values()]);
    return found(this.#byNamespace, namespace);
  }

  byIndex(name: string, value: string): readonly T[] {
    const index = this.#indexes.get(name);
    if (index === undefined) throw new Error(`there is no index "${name}"`);
    return found(index, value);
  }

  addIndex(name: string, values: (object: T) => readonly string[]): void {
    if (this.#indexes.has(name)) throw new Error(`the index "${name}" is there already`);
    const index: Index<T> = { values, objects: new Map() };
    this.#indexes.set(name, index);
    for (const [key, object] of this.#objects) fileUnder(index, values(object), key, object);
  }

  /** Answers what was there before. */
  set(object: T): T | undefined {
    const key = keyOf(object);
    const old = this.#objects.get(key);
    this.#objects.set(key, object);
    this.#all = undefined;
    this.#refile(this.#byNamespace, key, old, object);
    for (const index of this.#indexes.values()) this.#refile(index, key, old, object);
    return old;
  }

  delete(key: string): T | undefined {
    const old = this.#objects.get(key);
    if (old === undefined) return undefined;
    this.#objects.delete(key);
    this.#all = undefined;
    unfileFrom(this.#byNamespace, this.#byNamespace.values(old), key);
    for (const index of this.#indexes.values()) unfileFrom(index, index.values(old), key);
    return old;
  }

  #refile(index: Index<T>, key: string, old: T | undefined, object: T): void {
    if (old === undefined) return fileUnder(index, index.values(object), key, object);
    const before = index.values(old);
    const after = index.values(object);
    // Most changes leave an object where it is.
    if (!sameValues(before, after)) unfileFrom(index, before, key);
    fileUnder(index, after, key, object);
  }
}

function found<T>(index: Index<T>, value: string): readonly T[] {
  const objects = index.objects.get(value);
  return objects ? [...objects.values()] : none;
}

function sameValues(a: readonly string[], b: readonly string[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

function fileUnder<T>(index: Index<T>, values: readonly string[], key: string, object: T): void {
  for (const value of values) {
    const objects = index.objects.get(value);
    if (objects) objects.set(key, object);
    else index.objects.set(value, new Map([[key, object]]));
  }
}

function unfileFrom<T>(index: Index<T>, values: readonly string[], key: string): void {
  for (const value of values) {
    const objects = index.objects.get(value);
    objects?.delete(key);
    if (objects?.size === 0) index.objects.delete(value);
  }
}
