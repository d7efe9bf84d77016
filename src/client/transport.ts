/**
 * How a client reaches an API server: over HTTP (`http.ts`) or by calling its handler in the same process. Both check who is asking.
 */
import type { KubeObject } from '../machinery/object.ts';

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

export interface ApiRequest {
  readonly method: Method;
  /** Path below the server's root, without the query: `/api/v1/namespaces/x/pods`. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  /** A JSON value; the caller keeps it and may reuse it. */
  readonly body?: object;
  /** `application/json` when absent. Patches name theirs. */
  readonly contentType?: string;
  readonly signal?: AbortSignal;
}

export type WatchEvent<T extends KubeObject = KubeObject> =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: T }
  /** Only `metadata.resourceVersion` (and annotations) are there. */
  | { readonly type: 'BOOKMARK'; readonly object: T };

export interface Transport {
  /** The parsed answer; objects from the in-process transport are the cache's own and must not be changed. Rejects with `ApiError`. */
  request(request: ApiRequest): Promise<unknown>;
  /** Ends when the server ends the watch or the signal aborts; throws `ApiError` for an ERROR event or a refused request. */
  watch(request: ApiRequest): AsyncIterable<WatchEvent>;
  /** Whether a call may share objects with the server (no copy, do not change). */
  readonly shared: boolean;
  close(): void;
}
