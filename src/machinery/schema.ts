/**
 * The shape of objects as data, resolved: what decoding checks, what patches and server-side apply merge by, and what OpenAPI publishes.
 * Built-in kinds get theirs from the generated model (`api/schemas.ts`), custom resources from their definition.
 */

export type Schema = ScalarSchema | ListSchema | MapSchema | ObjectSchema | AnySchema;

export interface ScalarSchema {
  /** `quantity` and `int-or-string` accept a number or a string; `time` is RFC 3339, `micro-time` with six decimals; `bytes` is base64. */
  readonly type: 'string' | 'integer' | 'number' | 'boolean' | 'quantity' | 'int-or-string' | 'time' | 'micro-time' | 'bytes';
  readonly format?: 'int32' | 'int64' | 'double' | 'float';
}

export interface ListSchema {
  readonly type: 'list';
  readonly items: Schema;
  /** How server-side apply merges: whole, as a set of scalars, or item by item by `mapKeys`. */
  readonly listType: 'atomic' | 'set' | 'map';
  readonly mapKeys: readonly string[];
}

export interface MapSchema {
  readonly type: 'map';
  readonly values: Schema;
  readonly mapType: 'granular' | 'atomic';
}

export interface ObjectSchema {
  readonly type: 'object';
  /** The definition's public name, `io.k8s.api.core.v1.PodSpec`; empty for an unnamed one. */
  readonly name: string;
  readonly properties: Readonly<Record<string, Property>>;
  readonly mapType: 'granular' | 'atomic';
  readonly preserveUnknown: boolean;
}

/** Anything goes: JSON values, raw extensions. */
export interface AnySchema {
  readonly type: 'any';
}

export interface Property {
  readonly schema: Schema;
  readonly required: boolean;
  /** Strategic merge: `merge` joins lists by `mergeKey` (or as sets of scalars), `replace` (the default) takes the patch's, `retainKeys` drops keys the patch does not list. */
  readonly patchStrategy: readonly ('merge' | 'replace' | 'retainKeys')[];
  readonly mergeKey?: string;
  /** What the server takes when a client leaves the field out; server-side apply needs it where the field is a list's map key. */
  readonly default?: string | number | boolean;
}
