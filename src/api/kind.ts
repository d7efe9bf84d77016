/**
 * What a kind declares about itself. A kind is data, with hooks only where it differs from the rest: adding one touches its file and the list in
 * `kinds.ts`. See docs/adding-a-kind.md.
 */
import type { Decoded } from '../machinery/decode.ts';
import type { FieldError } from '../machinery/field-error.ts';
import type { KubeObject } from '../machinery/object.ts';
import type { ObjectSchema } from '../machinery/schema.ts';

export type Verb = 'create' | 'delete' | 'deletecollection' | 'get' | 'list' | 'patch' | 'update' | 'watch';

export const allVerbs: readonly Verb[] = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'];

/** A column of the kind's Table answer, as `kubectl get` prints it. `priority` above 0 shows with `-o wide` only. */
export interface Column<T extends KubeObject> {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'number' | 'boolean' | 'date';
  readonly format?: string;
  readonly priority?: number;
  readonly description: string;
  /** `nowMs` is for ages. Anything undefined prints as upstream prints an absent value for that column. */
  value(object: T, nowMs: number): string | number | boolean | null | undefined;
}

/** A subresource that is served by more than reading and writing the object. `model` names the body's type when it is not the object's own. */
export interface Subresource {
  readonly verbs: readonly ('create' | 'delete' | 'get' | 'patch' | 'update')[];
  /** Group, version and kind of body and answer, when not the parent's (`Scale`, `Eviction`, `Binding`, `TokenRequest`, `PodExecOptions`). */
  readonly body?: { readonly group: string; readonly version: string; readonly kind: string };
}

/** Where a scalable kind keeps what its Scale shows; dotted paths below the object. */
export interface ScalePaths {
  readonly specReplicas: string;
  readonly statusReplicas: string;
  /** The status selector as a string is derived from this `LabelSelector` or string map. */
  readonly selector: string;
}

/** Hooks are methods, so that a `Kind<Pod>` is a `Kind` too. */
export type FieldReader<T extends KubeObject> = { read(object: T): string }['read'];

export interface Kind<T extends KubeObject = KubeObject> {
  /** Empty for core. */
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  /** The plural name in paths. */
  readonly resource: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly namespaced: boolean;
  readonly verbs: readonly Verb[];
  readonly schema: ObjectSchema;
  /** Subresources by name; `status` here means status is written apart from the rest. */
  readonly subresources: Readonly<Record<string, Subresource>>;
  readonly scale?: ScalePaths;
  /** Which check `metadata.name` must pass. */
  readonly nameRule: 'dns-subdomain' | 'dns-label' | 'dns-1035-label' | 'path-segment';
  /** Whether `metadata.generation` counts changes outside metadata and status. */
  readonly generation: boolean;
  /** Fills in defaults, in place, on the request's own copy; runs on create, update and patch results before validation. */
  defaults?(object: T): void;
  /** Collects every error, not the first. `old` is there on updates: immutable fields are checked here. */
  validate?(object: T, old: T | undefined): FieldError[];
  /** The same for writes to `status`. */
  validateStatus?(object: T, old: T): FieldError[];
  /** What a client is told of an object that is accepted all the same: each becomes a `Warning` header. */
  warnings?(object: T, old: T | undefined): string[];
  /** Adjusts a new object before validation: what upstream's strategies do (drop fields a client may not set, set the first phase). */
  prepareForCreate?(object: T): void;
  /** Adjusts an update before validation: carries over what a client may not change. `status` is carried over by itself. */
  prepareForUpdate?(object: T, old: T): void;
  /** Field selectors beyond `metadata.name` and `metadata.namespace`, each with how to read it; '' when absent. */
  readonly selectableFields: Readonly<Record<string, FieldReader<T>>>;
  readonly columns: readonly Column<T>[];
  /** Deletion waits for someone (the kubelet) to finish: grace period in seconds a delete without one gets; undefined for at once. */
  gracefulDeletion?(object: T): number | undefined;
  /** Objects expire by themselves so many seconds after their last write (Events). */
  readonly ttlSeconds?: number;
  /** Served from another kind's storage, converted both ways (autoscaling/v1 on v2, core Event on events.k8s.io). */
  readonly storedAs?: StoredAs<T>;
  /** Never stored: create computes an answer (reviews). */
  readonly virtual?: boolean;
  /** The kind of a list of these, when it is not the kind with `List` behind it. */
  readonly listKind?: string;
  /** Added to an object whose deletion begins: someone has to clean up first. */
  readonly deletionFinalizers?: readonly string[];
  /** Told to who still uses this version. */
  readonly deprecationWarning?: string;
  /** Reads a body by other means than `schema`: custom resources judge values when they validate. */
  decode?(value: object): Decoded;
  /** There for a kind that a CustomResourceDefinition brought. */
  readonly custom?: CustomKind;
}

export interface CustomKind {
  /** Changes when what is published about the kind does. */
  readonly revision: string;
  /** The version objects are stored in, whichever this one is. */
  readonly storageVersion: string;
  /** The kind's OpenAPI schema, in the form either version can say: what the definition says, and not what `schema` made of it. */
  published(openApi: 2 | 3): Readonly<Record<string, unknown>>;
}

export interface StoredAs<T extends KubeObject> {
  kind(): Kind;
  toStored(object: T): KubeObject;
  fromStored(stored: KubeObject): T;
}

/** `apps/v1`, or `v1` for core: what `apiVersion` holds. */
export function apiVersionOf(kind: Pick<Kind, 'group' | 'version'>): string {
  return kind.group === '' ? kind.version : `${kind.group}/${kind.version}`;
}
