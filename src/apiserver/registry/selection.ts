/** Which objects of a kind a request is about: label and field selectors, namespace and name, as a test on entries and as the narrowest index. */
import { badRequest } from '../../machinery/errors.ts';
import { type FieldSelector, parseFieldSelector, parseLabelSelector, type Selector, SelectorError } from '../../machinery/selector.ts';
import type { KubeObject } from '../../machinery/object.ts';
import { Entry } from './encoding.ts';
import type { ServedKind } from './served-kind.ts';
import { objectPath } from './storage-key.ts';
import { everything, inNamespace, named, onNode } from './watch-cache.ts';

export interface Selection {
  readonly namespace: string | undefined;
  /** Undefined for any. */
  readonly labels: Selector | undefined;
  readonly fields: FieldSelector | undefined;
  /** Required by a field selector (or the path). */
  readonly name: string | undefined;
  readonly node: string | undefined;
}

/** Parses `labelSelector` and `fieldSelector`. */
export function selectionOf(served: ServedKind, namespace: string | undefined, name: string | undefined, query: URLSearchParams): Selection {
  const labelText = query.get('labelSelector') ?? '';
  const fieldText = query.get('fieldSelector') ?? '';
  try {
    const labels = labelText === '' ? undefined : parseLabelSelector(labelText);
    const fields = fieldText === '' ? undefined : parseFieldSelector(fieldText);
    for (const { field } of fields?.requirements ?? []) {
      if (!isSelectable(served, field)) throw badRequest(`field label not supported: ${field}`);
    }
    return {
      namespace: namespace ?? (served.kind.namespaced ? required(fields, 'metadata.namespace') : undefined),
      labels: labels?.isEmpty() ? undefined : labels,
      fields: fields && fields.requirements.length > 0 ? fields : undefined,
      name: name ?? required(fields, 'metadata.name'),
      node: required(fields, 'spec.nodeName'),
    };
  } catch (error) {
    if (error instanceof SelectorError) throw badRequest(error.message);
    throw error;
  }
}

function isSelectable(served: ServedKind, field: string): boolean {
  return field === 'metadata.name' || field === 'metadata.namespace' || Object.hasOwn(served.kind.selectableFields, field);
}

function required(fields: FieldSelector | undefined, field: string): string | undefined {
  const found = fields?.requirements.find((requirement) => requirement.field === field && !requirement.negated);
  return found === undefined || found.value === '' ? undefined : found.value;
}

/** The test on entries; undefined when every entry of the scope passes. */
export function testOf(served: ServedKind, selection: Selection): ((entry: Entry) => boolean) | undefined {
  const { labels, fields, name, namespace } = selection;
  if (!labels && !fields && name === undefined) return undefined;
  const readers = served.kind.selectableFields;
  return (entry) => {
    if (name !== undefined && entry.name !== name) return false;
    if (namespace !== undefined && entry.namespace !== namespace) return false;
    const shown = served.encoded(entry);
    if (labels && !labels.matches(shown instanceof Entry ? shown.labels : shown.object.metadata.labels)) return false;
    if (!fields) return true;
    let object: KubeObject | undefined;
    return fields.matches((field) => {
      if (field === 'metadata.name') return entry.name;
      if (field === 'metadata.namespace') return entry.namespace ?? '';
      object ??= shown instanceof Entry ? shown.glance() : shown.object;
      return readers[field]?.(object) ?? '';
    });
  };
}

/** Which of the cache's watcher indexes hears of every event the selection is about. */
export function scopeOf(served: ServedKind, selection: Selection): string {
  const { namespace, name, node } = selection;
  if (name !== undefined && (namespace !== undefined || !served.kind.namespaced)) return named(objectPath(namespace, name));
  if (node !== undefined && served.stored.selectableFields['spec.nodeName'] !== undefined) return onNode(node);
  return namespace === undefined ? everything : inNamespace(namespace);
}

/** The fewest entries that hold all the selection is about, in order. */
export function candidates(served: ServedKind, selection: Selection): readonly Entry[] {
  const { cache } = served;
  const { namespace, name, node, labels } = selection;
  if (name !== undefined && (namespace !== undefined || !served.kind.namespaced)) {
    const entry = cache.get(objectPath(namespace, name));
    return entry ? [entry] : [];
  }
  if (node !== undefined && served.stored.selectableFields['spec.nodeName'] !== undefined) {
    const entries = cache.onNode(node);
    return namespace === undefined ? entries : entries.filter((entry) => entry.namespace === namespace);
  }
  // An object's labels are the same in every version. What is of other namespaces the test throws out.
  return labels ? cache.withLabels(labels, namespace) : cache.list(namespace);
}
