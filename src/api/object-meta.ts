/**
 * What holds for every object whatever its kind: its name follows the kind's rule, labels and annotations are well formed, and some of `metadata` never
 * changes. `validateObject` adds the kind's own rules. Follows `k8s.io/apimachinery/pkg/api/validation/objectmeta.go`.
 */
import { at, forbiddenField, invalidValue, required, tooLong, type FieldError } from '../machinery/field-error.ts';
import {
  dns1035LabelErrors,
  dnsLabelErrors,
  dnsSubdomainErrors,
  maskTrailingDash,
  pathSegmentErrors,
  pathSegmentPrefixErrors,
  qualifiedNameErrors,
} from '../machinery/names.ts';
import type { KubeObject, ObjectMeta, OwnerReference } from '../machinery/object.ts';
import { immutable, labels, messages, nonNegative } from './field-checks.ts';
import type { Kind } from './kind.ts';

/** Every reason not to store the object; `old` is what it replaces. */
export function validateObject<T extends KubeObject>(kind: Kind<T>, object: T, old: T | undefined): FieldError[] {
  const meta = validateObjectMeta(kind, object.metadata);
  const changes = old === undefined ? [] : validateObjectMetaUpdate(object.metadata, old.metadata);
  return [...meta, ...changes, ...(kind.validate?.(object, old) ?? [])];
}

/** The same for a write to the `status` subresource. */
export function validateStatusUpdate<T extends KubeObject>(kind: Kind<T>, object: T, old: T): FieldError[] {
  return [
    ...validateObjectMeta(kind, object.metadata),
    ...validateObjectMetaUpdate(object.metadata, old.metadata),
    ...(kind.validateStatus?.(object, old) ?? []),
  ];
}

const maxAnnotationBytes = 256 * 1024;

export function validateObjectMeta(kind: Pick<Kind, 'nameRule' | 'namespaced'>, metadata: Partial<ObjectMeta>): FieldError[] {
  const { name = '', generateName = '', namespace = '' } = metadata;
  const errors: FieldError[] = [];
  if (generateName !== '') errors.push(...messages('metadata.generateName', generateName, nameErrors(kind.nameRule, generateName, true)));
  if (name === '') errors.push(required('metadata.name', 'name or generateName is required'));
  else errors.push(...messages('metadata.name', name, nameErrors(kind.nameRule, name, false)));
  if (!kind.namespaced) {
    if (namespace !== '') errors.push(forbiddenField('metadata.namespace', 'not allowed on this type'));
  } else if (namespace === '') {
    errors.push(required('metadata.namespace'));
  } else {
    errors.push(...messages('metadata.namespace', namespace, dnsLabelErrors(namespace)));
  }
  return [
    ...errors,
    ...nonNegative('metadata.generation', metadata.generation),
    ...labels('metadata.labels', metadata.labels),
    ...annotations('metadata.annotations', metadata.annotations),
    ...ownerReferences('metadata.ownerReferences', metadata.ownerReferences ?? []),
    ...finalizers('metadata.finalizers', metadata.finalizers ?? []),
  ];
}

function nameErrors(rule: Kind['nameRule'], name: string, isPrefix: boolean): string[] {
  // A prefix may end in a dash: what is generated follows.
  const whole = isPrefix ? maskTrailingDash(name) : name;
  switch (rule) {
    case 'dns-subdomain':
      return dnsSubdomainErrors(whole);
    case 'dns-label':
      return dnsLabelErrors(whole);
    case 'dns-1035-label':
      return dns1035LabelErrors(whole);
    case 'path-segment':
      return isPrefix ? pathSegmentPrefixErrors(name) : pathSegmentErrors(name);
  }
}

export function annotations(field: string, map: Readonly<Record<string, string>> | undefined): FieldError[] {
  const errors: FieldError[] = [];
  let bytes = 0;
  for (const [key, value] of Object.entries(map ?? {})) {
    // Keys may have upper case letters in their prefix, unlike labels'.
    errors.push(...messages(field, key, qualifiedNameErrors(key.toLowerCase())));
    bytes += Buffer.byteLength(key) + Buffer.byteLength(value);
  }
  return bytes > maxAnnotationBytes ? [...errors, tooLong(field, maxAnnotationBytes)] : errors;
}

function ownerReferences(field: string, references: readonly OwnerReference[]): FieldError[] {
  const errors: FieldError[] = [];
  let controller: OwnerReference | undefined;
  for (const [index, reference] of references.entries()) {
    const path = at(field, index);
    if ((reference.apiVersion ?? '').split('/').at(-1) === '')
      errors.push(invalidValue(`${path}.apiVersion`, reference.apiVersion ?? '', 'version must not be empty'));
    for (const part of ['kind', 'name', 'uid'] as const) {
      if ((reference[part] ?? '') === '') errors.push(invalidValue(`${path}.${part}`, '', 'must not be empty'));
    }
    if (reference.apiVersion === 'v1' && reference.kind === 'Event')
      errors.push(invalidValue(path, reference, '/v1, Kind=Event is disallowed from being an owner'));
    if (reference.controller !== true) continue;
    if (controller === undefined) controller = reference;
    else {
      const both = `${controller.kind}/${controller.name} and ${reference.kind}/${reference.name}`;
      errors.push(invalidValue(field, references, `Only one reference can have Controller set to true. Found "true" in references for ${both}`));
    }
  }
  return errors;
}

const standardFinalizers: readonly string[] = ['kubernetes', 'orphan', 'foregroundDeletion'];

export function finalizerName(field: string, name: string): FieldError[] {
  const errors = messages(field, name, qualifiedNameErrors(name));
  if (name.includes('/') || standardFinalizers.includes(name)) return errors;
  return [...errors, invalidValue(field, name, 'name is neither a standard finalizer name nor is it fully qualified')];
}

function finalizers(field: string, names: readonly string[]): FieldError[] {
  const errors = names.flatMap((name) => finalizerName(field, name));
  if (names.includes('orphan') && names.includes('foregroundDeletion')) {
    errors.push(invalidValue(field, names, 'finalizers orphan and foregroundDeletion cannot be both set'));
  }
  return errors;
}

const neverChanging = ['name', 'namespace', 'uid', 'creationTimestamp', 'deletionTimestamp', 'deletionGracePeriodSeconds'] as const;

export function validateObjectMetaUpdate(metadata: ObjectMeta, old: ObjectMeta): FieldError[] {
  const errors: FieldError[] = [];
  if (old.deletionTimestamp !== undefined) {
    const added = (metadata.finalizers ?? []).filter((name) => !(old.finalizers ?? []).includes(name));
    if (added.length > 0) {
      const list = added.map((name) => JSON.stringify(name)).join(', ');
      errors.push(
        forbiddenField(
          'metadata.finalizers',
          `no new finalizers can be added if the object is being deleted, found new finalizers []string{${list}}`,
        ),
      );
    }
  }
  if ((metadata.generation ?? 0) < (old.generation ?? 0))
    errors.push(invalidValue('metadata.generation', metadata.generation ?? 0, 'must not be decremented'));
  for (const field of neverChanging) errors.push(...immutable(`metadata.${field}`, metadata[field], old[field]));
  return errors;
}
