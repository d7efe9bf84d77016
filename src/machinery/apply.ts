/**
 * Server-side apply and the tracking of who owns which field (`metadata.managedFields`). A manager that applies owns what it applied, gives up what
 * it no longer applies, and may not take over what others own unless it insists; every other write makes its author own what it changed.
 * https://kubernetes.io/docs/reference/using-api/server-side-apply/
 */
import { equal } from './equal.ts';
import { type ApiError, applyConflict, type StatusCause } from './errors.ts';
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
import { compare } from './structured-compare.ts';
import { fieldsOf, mergeFields, prune } from './structured-merge.ts';

type Fields = Record<string, unknown>;

/** A field that the applied configuration changes and another manager owns. */
export interface ApplyConflict {
  readonly manager: string;
  readonly operation: string;
  readonly apiVersion: string;
  readonly subresource: string;
  /** `.spec.template.spec.containers[name="c"].image` */
  readonly field: string;
}

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
  if (own !== undefined) {
    const owned = others.reduce((all, entry) => union(all, entry.fields), applied);
    object = prune(object, schema, own.fields, owned);
  }
  const changes = compare(before, object, schema);
  const changed = ownable(union(changes.added, changes.modified));
  const conflicts = options.force ? [] : conflictsWith(others, difference(changed, takeover(before, options)));
  if (conflicts.length > 0) return { object: before ?? object, conflicts };

  others = others.flatMap((entry) => losing(losing(entry, changed), changes.removed)).filter((entry) => !isEmptySet(entry.fields));
  const fields = ownable(applied);
  const isSame = own !== undefined && equal(own.fields, fields) && isEmptySet(changed) && isEmptySet(changes.removed);
  const mine: Entry = { manager, operation: 'Apply', apiVersion, subresource, time: isSame ? own.time : time, fields };
  const managed = isEmptySet(fields) ? others : [...others, mine];
  object = withLastApplied(object, before, config, manager);
  return { object: withManagedFields(object, printEntries(managed)), conflicts: [] };
}

/** `managedFields` of the object about to be written by a create, update or patch. */
export function trackUpdate(options: TrackOptions): ManagedFieldsEntry[] {
  const { schema, manager, apiVersion, time } = options;
  const before = options.before as Fields | undefined;
  const after = options.after as Fields;
  const subresource = options.subresource ?? '';
  const source = managersBefore(before, after, subresource);
  // An object that lost its managers (or never had any) is left alone: there is no telling who owned what.
  if (before !== undefined && source.length === 0) return [];

  const changes = compare(before, after, schema);
  const changed = without(ownable(union(changes.added, changes.modified)), options.resetFields);
  const removed = without(changes.removed, options.resetFields);
  if (isEmptySet(changed) && isEmptySet(removed)) return source;

  const entries = parseEntries(source);
  const isOwn = (entry: Entry): boolean =>
    entry.manager === manager && entry.operation === 'Update' && entry.subresource === subresource && entry.apiVersion === apiVersion;
  const own = entries.find(isOwn);
  const others = entries
    .filter((entry) => !isOwn(entry))
    .map((entry) => losing(losing(entry, changed), removed))
    .filter((entry) => !isEmptySet(entry.fields));
  const fields = union(difference(own?.fields ?? emptySet, removed), changed);
  const mine: Entry = { manager, operation: 'Update', apiVersion, subresource, time: isEmptySet(changed) ? (own?.time ?? time) : time, fields };
  return printEntries(capped(isEmptySet(fields) ? others : [...others, mine]));
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

/** The 409 for these conflicts, worded as clients know it. */
export function conflictError(conflicts: readonly ApplyConflict[]): ApiError {
  const causes: StatusCause[] = conflicts.map((conflict) => ({
    reason: 'FieldManagerConflict',
    message: `conflict with ${printManager(conflict)}`,
    field: conflict.field,
  }));
  const [first] = conflicts;
  if (first !== undefined && conflicts.length === 1) {
    return applyConflict(`Apply failed with 1 conflict: conflict with ${printManager(first)}: ${first.field}`, causes);
  }
  const byManager = Map.groupBy(conflicts, printManager);
  const lines = [...byManager].flatMap(([manager, list]) => [`conflicts with ${manager}:`, ...list.map(({ field }) => `- ${field}`)]);
  return applyConflict(`Apply failed with ${conflicts.length} conflicts: ${lines.join('\n')}`, causes);
}

function printManager({ manager, operation, apiVersion, subresource }: ApplyConflict): string {
  const name = `${JSON.stringify(manager)}${subresource === '' ? '' : ` with subresource ${JSON.stringify(subresource)}`}`;
  return operation === 'Update' ? `${name} using ${apiVersion}` : name;
}

function conflictsWith(others: readonly Entry[], changed: FieldSet): ApplyConflict[] {
  return others
    .toSorted((a, b) => order(a.manager, b.manager) || order(a.operation, b.operation) || order(a.apiVersion, b.apiVersion))
    .flatMap(({ manager, operation, apiVersion, subresource, fields }) =>
      printPaths(intersection(fields, changed)).map((field) => ({ manager, operation, apiVersion, subresource, field })),
    );
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

/** While an object still carries kubectl's annotation, kubectl's applies keep it true. */
function withLastApplied(object: Fields, live: Fields | undefined, config: Fields, manager: string): Fields {
  if (manager !== 'kubectl' || annotationsOf(live)[lastApplied] === undefined || annotationsOf(object)[lastApplied] === undefined) return object;
  const metadata = object['metadata'] as Fields;
  return { ...object, metadata: { ...metadata, annotations: { ...annotationsOf(object), [lastApplied]: `${JSON.stringify(config)}\n` } } };
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
