/**
 * Server-side apply and the tracking of who owns which field (`metadata.managedFields`). A manager that applies owns what it applied, gives up what
 * it no longer applies, and may not take over what others own unless it insists; every other write makes its author own what it changed.
 * https://kubernetes.io/docs/reference/using-api/server-side-apply/
 */
import type { ApplyConflict } from './apply-conflict.ts';
import { equal } from './equal.ts';
import {
  type FieldSet,
  childrenOf,
  difference,
  emptySet,
  intersection,
  isEmptySet,
  printPaths,
  union,
  withoutElements,
  withoutPath,
} from './field-set.ts';
import { type Entry, capped, entriesOf, losing, managedFieldsOf, order, parseEntries, printEntries } from './managed-fields.ts';
import type { ManagedFieldsEntry } from './object.ts';
import { PatchError } from './patch-error.ts';
import type { ObjectSchema } from './schema.ts';
import { type Comparison, compare } from './structured-compare.ts';
import { fieldsOf, mergeFields, prune } from './structured-merge.ts';

type Fields = Record<string, unknown>;

/** An object as another version of its kind shows it, and that version's schema; undefined for a version that is not served any more. */
export type InVersion = (object: Fields, apiVersion: string) => { readonly object: Fields; readonly schema: ObjectSchema } | undefined;

export interface ApplyOptions {
  /** The stored object; absent when the configuration creates it. */
  readonly live?: object | undefined;
  /** What the client sent, without fields the schema does not know. */
  readonly applied: object;
  readonly schema: ObjectSchema;
  readonly manager: string;
  readonly force: boolean;
  /** The version the request was made in. */
  readonly apiVersion: string;
  readonly subresource?: string | undefined;
  /** Needed where a kind is served in several versions: each manager's fields are those of the version it wrote in. */
  readonly inVersion?: InVersion | undefined;
  /** RFC 3339, now. */
  readonly time: string;
  /** Paths that this endpoint does not write, and so nobody can own through it: `[['status']]` on the main resource. */
  readonly resetFields?: readonly (readonly string[])[] | undefined;
}

export interface ApplyResult {
  /** The object to write, with its `managedFields`; when there are conflicts, the live one. */
  readonly object: Fields;
  readonly conflicts: readonly ApplyConflict[];
}

export interface TrackOptions {
  /** The stored object; absent on create. */
  readonly before?: object | undefined;
  /** The object about to be written. */
  readonly after: object;
  readonly schema: ObjectSchema;
  readonly manager: string;
  readonly operation?: 'Update';
  readonly apiVersion: string;
  readonly subresource?: string | undefined;
  readonly inVersion?: InVersion | undefined;
  readonly time: string;
  readonly resetFields?: readonly (readonly string[])[] | undefined;
}

const beforeFirstApply = 'before-first-apply';
const lastApplied = 'kubectl.kubernetes.io/last-applied-configuration';

const unownedElements: ReadonlySet<string> = new Set(['f:apiVersion', 'f:kind']);
/** Fields of `metadata` that belong to the server, and so to no manager. */
const unownedMetadata: ReadonlySet<string> = new Set(
  ['name', 'namespace', 'creationTimestamp', 'selfLink', 'uid', 'clusterName', 'generation', 'managedFields', 'resourceVersion']
    .concat(['deletionTimestamp', 'deletionGracePeriodSeconds'])
    .map((field) => `f:${field}`),
);
/** Of these, the ones a configuration cannot even ask for. */
const serverMetadata = ['creationTimestamp', 'selfLink', 'generation', 'managedFields', 'deletionTimestamp', 'deletionGracePeriodSeconds'];

/** Throws {@link PatchError} when the configuration itself is unusable. */
export function applyConfiguration(options: ApplyOptions): ApplyResult {
  const { live, schema, manager, apiVersion, time } = options;
  const subresource = options.subresource ?? '';
  const before = live as Fields | undefined;
  const config = configurationOf(options.applied as Fields);

  let entries = entriesOf(before);
  if (before !== undefined && entries.length === 0) {
    const fields = ownable(compare(undefined, withoutManagedFields(before), schema).added);
    if (!isEmptySet(fields)) entries = [{ manager: beforeFirstApply, operation: 'Update', apiVersion, subresource: '', time, fields }];
  }
  const isOwn = (entry: Entry): boolean => entry.manager === manager && entry.operation === 'Apply' && entry.subresource === subresource;
  const own = entries.find(isOwn);
  let others = entries.filter((entry) => !isOwn(entry));
  // Names and versions count while the object is pruned, or a configuration of nothing but metadata would prune that; they are dropped after.
  const applied = without(fieldsOf(config, schema), options.resetFields);

  let object = mergeFields(before ?? {}, config, schema);
  if (own !== undefined) object = withoutGivenUp(object, own, [...others, { apiVersion, fields: applied }], options);
  const changesIn = changesByVersion(before, object, options);
  const conflicts = options.force ? [] : conflictsWith(others, changesIn, takeover(before, options));
  if (conflicts.length > 0) return { object: before ?? object, conflicts };

  others = afterChanges(others, changesIn);
  const fields = ownable(applied);
  const { changed, removed } = changesIn(apiVersion) ?? nothingChanged;
  const isSame = own !== undefined && equal(own.fields, fields) && isEmptySet(changed) && isEmptySet(removed);
  const mine: Entry = { manager, operation: 'Apply', apiVersion, subresource, time: isSame ? own.time : time, fields };
  const managed = isEmptySet(fields) ? others : [...others, mine];
  object = withLastApplied(object, before, config, manager);
  return { object: withManagedFields(object, printEntries(managed)), conflicts: [] };
}

/** `managedFields` of the object about to be written by a create, update or patch. */
export function trackUpdate(options: TrackOptions): ManagedFieldsEntry[] {
  const { manager, apiVersion, time } = options;
  const before = options.before as Fields | undefined;
  const after = options.after as Fields;
  const subresource = options.subresource ?? '';
  const source = managersBefore(before, after, subresource);
  // An object that lost its managers (or never had any) is left alone: there is no telling who owned what.
  if (before !== undefined && source.length === 0) return [];

  const changesIn = changesByVersion(before, after, options);
  const { changed, removed } = changesIn(apiVersion) ?? nothingChanged;
  if (isEmptySet(changed) && isEmptySet(removed)) return source;

  const entries = parseEntries(source);
  const isOwn = (entry: Entry): boolean =>
    entry.manager === manager && entry.operation === 'Update' && entry.subresource === subresource && entry.apiVersion === apiVersion;
  const own = entries.find(isOwn);
  const others = afterChanges(
    entries.filter((entry) => !isOwn(entry)),
    changesIn,
  );
  const fields = union(difference(own?.fields ?? emptySet, removed), changed);
  const mine: Entry = { manager, operation: 'Update', apiVersion, subresource, time: isEmptySet(changed) ? (own?.time ?? time) : time, fields };
  return printEntries(capped(isEmptySet(fields) ? others : [...others, mine]));
}

/** What a write changes, in the fields of one version. */
interface Changes {
  /** Added or modified. */
  readonly changed: FieldSet;
  readonly removed: FieldSet;
}

/** Undefined for a version that is not served any more. */
type ChangesIn = (apiVersion: string) => Changes | undefined;

const nothingChanged: Changes = { changed: emptySet, removed: emptySet };

function changesByVersion(before: Fields | undefined, after: Fields, options: ApplyOptions | TrackOptions): ChangesIn {
  const { schema, apiVersion, inVersion } = options;
  // What a configuration sets where the endpoint does not write is not in the object that comes of it.
  const reset = 'after' in options ? options.resetFields : undefined;
  const changesOf = ({ added, modified, removed }: Comparison): Changes => ({
    changed: without(ownable(union(added, modified)), reset),
    removed: without(removed, reset),
  });
  const own = changesOf(compare(before, after, schema));
  if (inVersion === undefined) return () => own;
  const known = new Map<string, Changes | undefined>([[apiVersion, own]]);
  return (version) => {
    if (known.has(version)) return known.get(version);
    const shown = inVersion(after, version);
    const earlier = before && inVersion(before, version)?.object;
    const changes = shown && changesOf(compare(earlier, shown.object, shown.schema));
    known.set(version, changes);
    return changes;
  };
}

/** What is left to others. Who wrote in a version that is gone owns nothing any more. */
function afterChanges(others: readonly Entry[], changesIn: ChangesIn): Entry[] {
  return others.flatMap((entry) => {
    const changes = changesIn(entry.apiVersion);
    if (changes === undefined) return [];
    const left = losing(losing(entry, changes.changed), changes.removed);
    return isEmptySet(left.fields) ? [] : [left];
  });
}

type Claim = Pick<Entry, 'apiVersion' | 'fields'>;

/** The object without what was applied last time and nobody claims now, each version's claims judged in that version. */
function withoutGivenUp(merged: Fields, last: Entry, claims: readonly Claim[], { schema, apiVersion, inVersion }: ApplyOptions): Fields {
  const byVersion = Map.groupBy(claims, (claim) => claim.apiVersion);
  const claimed = (version: string): FieldSet => (byVersion.get(version) ?? []).reduce((all, { fields }) => union(all, fields), emptySet);
  const versions = [...byVersion.keys()].filter((version) => version !== last.apiVersion);
  if (inVersion === undefined)
    return prune(
      merged,
      schema,
      last.fields,
      claims.reduce((all, { fields }) => union(all, fields), emptySet),
    );
  if (last.apiVersion === apiVersion && versions.length === 0) return prune(merged, schema, last.fields, claimed(apiVersion));

  const whole = inVersion(merged, last.apiVersion);
  if (whole === undefined) return merged;
  let left = prune(whole.object, whole.schema, last.fields, claimed(last.apiVersion));
  for (const version of versions) {
    const all = inVersion(whole.object, version);
    const some = inVersion(left, version);
    if (all === undefined || some === undefined) continue;
    const has = (object: Fields): FieldSet => compare(undefined, object, all.schema).added;
    const kept = prune(all.object, all.schema, has(all.object), union(has(some.object), claimed(version)));
    left = inVersion(kept, last.apiVersion)?.object ?? left;
  }
  return inVersion(left, apiVersion)?.object ?? left;
}

/** Who owned what before this write. Clients may edit the list, or clear it, but not through a subresource; one that is malformed is not looked at. */
function managersBefore(before: Fields | undefined, after: Fields, subresource: string): ManagedFieldsEntry[] {
  const stored = managedFieldsOf(before);
  if (subresource !== '') return stored;
  const sent = (after['metadata'] as { managedFields?: unknown } | undefined)?.managedFields;
  if (!Array.isArray(sent)) return stored;
  const [first] = sent as ManagedFieldsEntry[];
  const clears = first === undefined || (sent.length === 1 && Object.keys(first).length === 0);
  if (clears) return [];
  return entriesOf(after).length > 0 ? (sent as ManagedFieldsEntry[]) : stored;
}

function conflictsWith(others: readonly Entry[], changesIn: ChangesIn, allowed: FieldSet): ApplyConflict[] {
  return others
    .toSorted((a, b) => order(a.manager, b.manager) || order(a.operation, b.operation) || order(a.apiVersion, b.apiVersion))
    .flatMap(({ manager, operation, apiVersion, subresource, fields }) => {
      const { changed } = changesIn(apiVersion) ?? nothingChanged;
      const contested = intersection(fields, difference(changed, allowed));
      return printPaths(contested).map((field) => ({ manager, operation, apiVersion, subresource, field }));
    });
}

/** What kubectl may take over without force: what it applied itself from the client's side before, and nobody changed since. */
function takeover(live: Fields | undefined, { manager, schema, apiVersion }: ApplyOptions): FieldSet {
  const annotation = annotationsOf(live)[lastApplied];
  if (manager !== 'kubectl' || live === undefined || annotation === undefined) return emptySet;
  try {
    const earlier = JSON.parse(annotation) as Fields;
    if (earlier['apiVersion'] !== apiVersion) return emptySet;
    const since = compare(earlier, live, schema);
    return difference(fieldsOf(earlier, schema), union(union(since.modified, since.added), since.removed));
  } catch {
    // An annotation nobody can read gives no right to anything.
    return emptySet;
  }
}

/** All annotations of an object together, in bytes. */
const maxAnnotationBytes = 256 * 1024;

/** While an object still carries kubectl's annotation, kubectl's applies keep it true, or drop it when it would not fit any more. */
function withLastApplied(object: Fields, live: Fields | undefined, config: Fields, manager: string): Fields {
  if (manager !== 'kubectl' || annotationsOf(live)[lastApplied] === undefined || annotationsOf(object)[lastApplied] === undefined) return object;
  const metadata = object['metadata'] as Fields;
  const { [lastApplied]: _, ...others } = annotationsOf(object);
  const annotations = { ...others, [lastApplied]: `${JSON.stringify(config)}\n` };
  const bytes = Object.entries(annotations).reduce((sum, [key, value]) => sum + Buffer.byteLength(key) + Buffer.byteLength(value), 0);
  return { ...object, metadata: { ...metadata, annotations: bytes > maxAnnotationBytes ? others : annotations } };
}

function annotationsOf(object: Fields | undefined): Readonly<Record<string, string>> {
  return (object?.['metadata'] as { annotations?: Record<string, string> } | undefined)?.annotations ?? {};
}

/** A configuration without what only the server sets. */
function configurationOf(applied: Fields): Fields {
  const metadata = applied['metadata'];
  if (typeof metadata !== 'object' || metadata === null) return applied;
  if (managedFieldsOf(applied).length > 0) throw new PatchError('metadata.managedFields must be nil', 'malformed');
  return { ...applied, metadata: Object.fromEntries(Object.entries(metadata).filter(([key]) => !serverMetadata.includes(key))) };
}

function withoutManagedFields(object: Fields): Fields {
  const { managedFields: _, ...metadata } = (object['metadata'] ?? {}) as Fields;
  return { ...object, metadata };
}

function withManagedFields(object: Fields, managedFields: ManagedFieldsEntry[]): Fields {
  const metadata: Fields = { ...(object['metadata'] as Fields | undefined), managedFields };
  if (managedFields.length === 0) delete metadata['managedFields'];
  return { ...object, metadata };
}

/** A set without what belongs to the server. */
function ownable(set: FieldSet): FieldSet {
  const result = withoutElements(set, unownedElements);
  const metadata = result['f:metadata'];
  if (metadata === undefined) return result;
  // Nobody owns the metadata as such.
  const { 'f:metadata': _, ...others } = result;
  const owned = withoutElements(childrenOf(metadata), unownedMetadata);
  return isEmptySet(owned) ? others : { ...others, 'f:metadata': owned };
}

function without(set: FieldSet, paths: readonly (readonly string[])[] | undefined): FieldSet {
  return (paths ?? []).reduce(
    (rest, path) =>
      withoutPath(
        rest,
        path.map((name) => `f:${name}`),
      ),
    set,
  );
}
