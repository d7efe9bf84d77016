/**
 * The part of the server that reads and writes objects, behind authentication and authorization: `verbs/create-verbs.ts` builds it. The HTTP front,
 * the in-process connection, the authorizer and discovery need no more than this.
 */
import type { Kind } from '../api/kind.ts';
import type { KubeObject } from '../machinery/object.ts';
import type { Store } from '../store/store.ts';
import type { World } from '../world/world.ts';
import type { ConnectionCall } from './admission/connection.ts';
import type { AuthorizerSource } from './admission/permission.ts';
import type { Pod } from '../api/kinds.ts';
import type { Answer, Call, Encoded } from './request.ts';
import type { FirstObject } from './verbs/create-first.ts';

/** Reads from the watch caches, synchronously, without authorization: for the server's own decisions only. Objects are shared: never change them. */
export interface ObjectReader {
  get<T extends KubeObject>(kind: Kind<T>, namespace: string | undefined, name: string): T | undefined;
  list<T extends KubeObject>(kind: Kind<T>, namespace?: string): readonly T[];
  /** Changes whenever an object of the kind does: what was derived from the kind before is stale then. */
  revision(kind: Kind): number;
}

export interface VerbsOptions {
  readonly world: World;
  readonly store: Store;
  readonly serviceCidr: string;
  readonly nodePortRange: { readonly from: number; readonly to: number };
  /** Freezes every object read, so that a test finds whoever changes a shared one. */
  readonly freeze?: boolean;
  /**
   * Whether the store's values stay as they are, as those of a memory store do. Caches then share them, and put the bytes of an object together when they
   * are asked for: right where clients are in the process and look at objects only.
   */
  readonly sharesValues?: boolean;
  /** For admission plugins that ask what a writer may do besides; put together after the verbs, whose objects it reads. */
  readonly authorizer?: AuthorizerSource;
  /** Kinds that others answer for, served beside those that are stored. */
  readonly computedKinds?: readonly Kind[];
  /** Admission plugins to run, or to leave out, against what upstream does by default. */
  readonly admissionPlugins?: { readonly enabled?: readonly string[]; readonly disabled?: readonly string[] };
}

export interface Verbs {
  /** Carries out get, list, watch, create, update, patch, delete and deletecollection on objects and their stored subresources. Rejects with `ApiError`. */
  handle(call: Call): Promise<Answer>;
  /** Writes what a new cluster begins with, in one commit; where one of the objects is there already, nothing, and the answer is false. */
  createFirst(objects: readonly FirstObject[]): Promise<boolean>;
  /** What webhooks and policies say to a connection about to be made; rejects with `ApiError` when they refuse it. */
  admitConnection(call: ConnectionCall): Promise<void>;
  /** How long admission took, as lines of metrics. */
  admissionMetrics(): readonly string[];
  readonly objects: ObjectReader;
  /** The kind served at a path; undefined for none. Custom resources come and go, so ask each time. */
  kindAt(group: string, version: string, resource: string): Kind | undefined;
  /** Every kind served now, in discovery's order. */
  kinds(): readonly Kind[];
  /** Calls with the state after and before every change of an object of the kind (undefined for absent), before watchers are told, until the end. */
  observe(kind: Kind, listener: (current: Encoded | undefined, previous: Encoded | undefined) => void): void;
  podsOn(nodeName: string): readonly Pod[];
  /** How many objects of a stored kind there are, in a namespace or all. */
  count(kind: Kind, namespace?: string): number;
  /** Counts changes of `kinds()`: what discovery and OpenAPI derived before is stale when it moved. */
  kindsGeneration(): number;
  /** Ends all watches normally and lets go of the store's watches. */
  close(): Promise<void>;
}
