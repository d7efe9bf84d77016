/**
 * Informers: a local, always current copy of a kind, shared by all who ask for it in a process. List, then watch; on 410 list again; on a lost
 * connection back off and go on from the last version. Objects handed out are shared and must never be changed.
 */
import type { Kind } from '../api/kind.ts';
import type { KubeObject } from '../machinery/object.ts';

export interface InformerHandler<T extends KubeObject> {
  added?(object: T): void;
  updated?(object: T, old: T): void;
  /** `object` is the last known state. */
  deleted?(object: T): void;
}

export interface Informer<T extends KubeObject> {
  readonly kind: Kind<T>;
  /** Resolves when the first list is in. */
  readonly synced: Promise<void>;
  hasSynced(): boolean;
  get(name: string, namespace?: string): T | undefined;
  /** All, or those of one namespace (by an index, not a scan). */
  list(namespace?: string): readonly T[];
  /** Adds an index; `values` answers the keys an object is found under. Adding one twice under a name is an error. */
  addIndex(name: string, values: (object: T) => readonly string[]): void;
  byIndex(name: string, value: string): readonly T[];
  /** Called synchronously after the cache changed; present objects are replayed as added. Returns the way to stop. */
  subscribe(handler: InformerHandler<T>): () => void;
}

export interface InformerScope {
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
}

/** One informer per kind and scope. Implemented in `informers.ts` as `createInformers(client, world)`. */
export interface Informers {
  of<T extends KubeObject>(kind: Kind<T>, scope?: InformerScope): Informer<T>;
  /** Resolves when every informer asked for so far has synced. */
  synced(): Promise<void>;
  close(): void;
}
