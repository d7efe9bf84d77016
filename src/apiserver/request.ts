/**
 * A request on its way through the server, and the answer on its way back: what the HTTP front, the in-process connection and the verbs agree on.
 * request -> route -> authenticate -> authorize -> verb (decode, admit, default, validate, commit) -> answer -> encode.
 */
import type { Kind } from '../api/kind.ts';
import type { KubeObject } from '../machinery/object.ts';

export interface User {
  readonly name: string;
  readonly uid: string;
  readonly groups: readonly string[];
  readonly extra: Readonly<Record<string, readonly string[]>>;
  /** What there is to say about how this request proved it; mostly nothing. */
  readonly remarks?: Remarks;
}

export interface Remarks {
  /** Told to whoever sent the request. */
  readonly warning?: string;
  /** For the request's audit event. */
  readonly annotations: Readonly<Record<string, string>>;
}

export type RequestVerb = 'get' | 'list' | 'watch' | 'create' | 'update' | 'patch' | 'delete' | 'deletecollection' | 'connect';

/** Where a path points. `/api/v1/namespaces/x/pods/y/log` is `{group: '', version: 'v1', namespace: 'x', resource: 'pods', name: 'y', subresource: 'log'}`. */
export interface ResourceTarget {
  readonly group: string;
  readonly version: string;
  readonly namespace: string | undefined;
  readonly resource: string;
  readonly name: string | undefined;
  readonly subresource: string | undefined;
  /** What follows a `proxy` subresource, with its leading slash; '' when nothing. */
  readonly rest: string;
}

/** What a verb is called with. Authentication and authorization are done. */
export interface Call {
  readonly verb: RequestVerb;
  readonly target: ResourceTarget;
  readonly user: User;
  readonly query: URLSearchParams;
  /** Raw bytes from HTTP; a JSON value (which the verb copies before changing it) from the in-process connection; undefined for none. */
  readonly body: Uint8Array | object | undefined;
  /** Media type of the body without parameters; `application/json` from the in-process connection unless a patch names another. */
  readonly contentType: string;
  readonly userAgent: string;
  readonly signal: AbortSignal;
  /** Verbs add `Warning` header texts here. */
  readonly warnings: string[];
  /** Adds an annotation to the request's audit event; absent when it has none. */
  readonly annotate?: (key: string, value: string) => void;
}

/**
 * What a verb answers. `bytes` is the object's one JSON encoding, shared with the store and every watcher: the front sends it as it is when plain
 * JSON is asked for, and works from `object` for tables, metadata only and YAML.
 */
export type Answer = ObjectAnswer | ListAnswer | WatchAnswer | StatusAnswer;

export interface ObjectAnswer {
  readonly type: 'object';
  readonly code: 200 | 201 | 202;
  readonly object: KubeObject;
  readonly bytes?: Uint8Array;
  /** How it is printed, when it is not of the kind the path is about. */
  readonly columns?: Kind['columns'];
}

export interface ListAnswer {
  readonly type: 'list';
  /** `PodList`, `apps/v1`. */
  readonly kind: string;
  readonly apiVersion: string;
  readonly metadata: { resourceVersion: string; continue?: string; remainingItemCount?: number };
  readonly items: readonly Encoded[];
}

/** An object with its one encoding. Frozen in tests, never changed anywhere. */
export interface Encoded {
  readonly object: KubeObject;
  readonly bytes: Uint8Array;
}

export type WatchEventType = 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK';

export interface EncodedWatchEvent {
  readonly type: WatchEventType;
  readonly object: KubeObject;
  readonly bytes: Uint8Array;
}

export interface WatchAnswer {
  readonly type: 'watch';
  /**
   * Starts the flow: past events first, then live ones, synchronously as commits happen. `onEnd` is called once, with the error to show the
   * client (410 for one that fell behind) or undefined for a normal end. The sink answers false when its buffer is over its bound.
   */
  start(sink: WatchSink): void;
}

export interface WatchSink {
  send(event: EncodedWatchEvent): boolean;
  end(error: Error | undefined): void;
}

/** A `Status` of success (delete without a remaining object) or any other small body that is not an API object. */
export interface StatusAnswer {
  readonly type: 'status';
  readonly code: number;
  readonly body: object;
}
