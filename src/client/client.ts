/** The typed client: `client.resource(Pod).namespace('x').get('y')`. Types come from the kind's declaration. */
import type { Kind } from '../api/kind.ts';
import type { Draft, KubeList, KubeObject } from '../machinery/object.ts';
import type { Transport, WatchEvent } from './transport.ts';

export interface ListOptions {
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  readonly limit?: number;
  readonly continue?: string;
  readonly resourceVersion?: string;
  readonly signal?: AbortSignal;
}

export interface WatchOptions extends ListOptions {
  readonly allowWatchBookmarks?: boolean;
  readonly timeoutSeconds?: number;
}

export interface WriteOptions {
  readonly fieldManager?: string;
  readonly dryRun?: boolean;
  readonly signal?: AbortSignal;
}

export interface DeleteOptions {
  readonly gracePeriodSeconds?: number;
  readonly propagationPolicy?: 'Orphan' | 'Background' | 'Foreground';
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string };
  readonly dryRun?: boolean;
  readonly signal?: AbortSignal;
}

export type PatchType = 'json' | 'merge' | 'strategic' | 'apply';

export interface PatchOptions extends WriteOptions {
  /** `merge` when absent. */
  readonly type?: PatchType;
  readonly subresource?: string;
  /** For `apply`: take over fields that others own. */
  readonly force?: boolean;
}

/** One kind, in one namespace or (for cluster-scoped kinds, or to read across namespaces) in none. All reject with `ApiError`. */
export interface ResourceClient<T extends KubeObject> {
  namespace(namespace: string): ResourceClient<T>;
  get(name: string, options?: { readonly signal?: AbortSignal }): Promise<T>;
  list(options?: ListOptions): Promise<KubeList<T>>;
  watch(options?: WatchOptions): AsyncIterable<WatchEvent<T>>;
  create(draft: Draft<T>, options?: WriteOptions): Promise<T>;
  update(object: T, options?: WriteOptions): Promise<T>;
  updateStatus(object: T, options?: WriteOptions): Promise<T>;
  patch(name: string, patch: object, options?: PatchOptions): Promise<T>;
  delete(name: string, options?: DeleteOptions): Promise<void>;
  deleteCollection(options?: ListOptions & DeleteOptions): Promise<void>;
  /** POST to a subresource: `bind`, `eviction`, `token`. The answer is whatever that subresource answers. */
  createSubresource<R = KubeObject>(name: string, subresource: string, body: object): Promise<R>;
  getSubresource<R = KubeObject>(name: string, subresource: string): Promise<R>;
}

export interface Client {
  resource<T extends KubeObject>(kind: Kind<T>): ResourceClient<T>;
  readonly transport: Transport;
}

/** Makes the client for a transport. Implemented in `typed-client.ts`. */
export type CreateClient = (transport: Transport) => Client;
