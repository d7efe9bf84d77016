/** CustomResourceDefinition (apiextensions.k8s.io/v1): a kind that a user adds.  */
import { type Decoded, decodeObject } from '../../machinery/decode.ts';
import { equal } from '../../machinery/equal.ts';
import { at, duplicate, forbiddenField, invalidValue, required, tooMany, type FieldError } from '../../machinery/field-error.ts';
import { compilePath } from '../../machinery/jsonpath.ts';
import { dns1035LabelErrors, dnsSubdomainErrors } from '../../machinery/names.ts';
import { nameAndCreation } from '../columns.ts';
import { defineKind, statusSubresource } from '../define-kind.ts';
import { immutable, messages, requiredOneOf } from '../field-checks.ts';
import type { Kind } from '../kind.ts';
import { schemaOf } from '../schemas.ts';
import { validateClientConfig } from './webhook-configurations.ts';
import { structuralErrors } from '../structural-schema.ts';
import type {
  V1CustomResourceColumnDefinition,
  V1CustomResourceDefinition,
  V1CustomResourceDefinitionNames,
  V1CustomResourceDefinitionSpec,
  V1JSONSchemaProps,
  V1SelectableField,
} from '../types.ts';
import { fillZeroValues } from '../zero-values.ts';

export type CustomResourceDefinition = V1CustomResourceDefinition;

export const CustomResourceDefinition: Kind<V1CustomResourceDefinition> = defineKind<V1CustomResourceDefinition>({
  group: 'apiextensions.k8s.io',
  kind: 'CustomResourceDefinition',
  resource: 'customresourcedefinitions',
  model: 'V1CustomResourceDefinition',
  shortNames: ['crd', 'crds'],
  categories: ['api-extensions'],
  namespaced: false,
  generation: true,
  subresources: { status: statusSubresource },
  deletionFinalizers: ['customresourcecleanup.apiextensions.k8s.io'],
  decode: (value) => decodeWithSchemas(value),
  defaults({ spec }) {
    spec.names ??= { plural: '', kind: '' };
    if (spec.names.kind !== '') {
      spec.names.singular ||= spec.names.kind.toLowerCase();
      spec.names.listKind ||= `${spec.names.kind}List`;
    }
    spec.conversion ??= { strategy: 'None' };
    if (spec.conversion.webhook?.clientConfig?.service !== undefined) spec.conversion.webhook.clientConfig.service.port ??= 443;
  },
  prepareForCreate(definition) {
    const stored = (definition.spec.versions ?? []).filter(({ storage }) => storage).map(({ name }) => name);
    definition.status = { conditions: [], acceptedNames: { plural: '', kind: '' }, storedVersions: stored };
  },
  prepareForUpdate(definition) {
    // What was once stored stays named until someone has rewritten it all.
    const { spec, status } = definition;
    const stored = (spec.versions ?? []).filter(({ storage }) => storage).map(({ name }) => name);
    definition.status = { ...status, storedVersions: [...new Set([...(status.storedVersions ?? []), ...stored])] };
  },
  validate: (definition, old) => [
    ...validateName(definition),
    ...validateSpec('spec', definition.spec),
    ...validateApproval(definition, old),
    // A leftover of earlier versions, which may stay but not come anew.
    ...(definition.spec.preserveUnknownFields === true && old?.spec.preserveUnknownFields !== true
      ? [invalidValue('spec.preserveUnknownFields', true, 'must be false')]
      : []),
    ...validateStoredVersions(definition),
    ...(old === undefined
      ? []
      : [
          ...immutable('spec.group', definition.spec.group, old.spec.group),
          ...immutable('spec.scope', definition.spec.scope, old.spec.scope),
          ...immutable('spec.names.plural', definition.spec.names.plural, old.spec.names.plural),
          ...immutable('spec.names.kind', definition.spec.names.kind, old.spec.names.kind),
        ]),
  ],
  columns: nameAndCreation,
});

/** Deeper schemas are refused: nothing real nests so, and the stack is finite. */
const maxSchemaDepth = 200;

/** The model does not say that what is in `items` and `additionalProperties` are schemas again. */
function decodeWithSchemas(value: object): Decoded {
  const decoded = decodeObject(value, schemaOf('V1CustomResourceDefinition'));
  const { spec } = decoded.object as Partial<V1CustomResourceDefinition>;
  for (const [index, { schema }] of (spec?.versions ?? []).entries()) {
    if (schema?.openAPIV3Schema) decodeInnerSchemas(schema.openAPIV3Schema, `spec.versions[${index}].schema.openAPIV3Schema`, decoded, 0);
  }
  return decoded;
}

function decodeInnerSchemas(schema: V1JSONSchemaProps, path: string, decoded: Decoded, depth: number): void {
  if (depth > maxSchemaDepth) {
    decoded.typeErrors.push(`${path}: too deeply nested schema`);
    return;
  }
  const go = (inner: V1JSONSchemaProps, below: string): void => decodeInnerSchemas(inner, `${path}.${below}`, decoded, depth + 1);
  for (const key of ['items', 'additionalProperties'] as const) {
    const value = schema[key];
    if (value === undefined || (key === 'additionalProperties' && typeof value === 'boolean') || (key === 'items' && Array.isArray(value))) continue;
    const inner = decodeObject(value, schemaOf('V1JSONSchemaProps'));
    decoded.typeErrors.push(...inner.typeErrors);
    decoded.unknownFields.push(...inner.unknownFields.map((field) => `${path}.${key}.${field}`));
    fillZeroValues(inner.object, schemaOf('V1JSONSchemaProps'));
    schema[key] = inner.object;
    go(inner.object, key);
  }
  for (const [name, inner] of Object.entries(schema.properties ?? {})) go(inner, `properties[${name}]`);
  for (const key of ['allOf', 'anyOf', 'oneOf'] as const) for (const [index, inner] of (schema[key] ?? []).entries()) go(inner, `${key}[${index}]`);
  if (schema.not) go(schema.not, 'not');
}

function validateName({ metadata, spec }: V1CustomResourceDefinition): FieldError[] {
  if (metadata.name === `${spec.names.plural}.${spec.group}`) return [];
  return [invalidValue('metadata.name', metadata.name, 'must be spec.names.plural+"."+spec.group')];
}

function validateSpec(field: string, spec: V1CustomResourceDefinitionSpec): FieldError[] {
  const errors = spec.group === '' ? [required(`${field}.group`)] : messages(`${field}.group`, spec.group, dnsSubdomainErrors(spec.group));
  if (spec.group !== '' && !spec.group.includes('.'))
    errors.push(invalidValue(`${field}.group`, spec.group, 'should be a domain with at least one dot'));
  errors.push(...requiredOneOf(`${field}.scope`, spec.scope, ['Cluster', 'Namespaced']));
  const versions = spec.versions ?? [];
  const names = new Set<string>();
  for (const [index, { name, schema }] of versions.entries()) {
    const path = at(`${field}.versions`, index);
    errors.push(...messages(`${path}.name`, name, dns1035LabelErrors(name)));
    if (names.has(name)) errors.push(duplicate(`${path}.name`, name));
    names.add(name);
    if (schema?.openAPIV3Schema === undefined) errors.push(required(`${path}.schema.openAPIV3Schema`, 'schemas are required'));
  }
  errors.push(...errorsOfSchemas(field, spec, structuralErrors));
  const columns = versions.map(({ additionalPrinterColumns }) => additionalPrinterColumns);
  errors.push(
    ...eachOrShared(columns, `${field}.additionalPrinterColumns`, (i) => `${at(`${field}.versions`, i)}.additionalPrinterColumns`, validateColumns),
  );
  const selectable = versions.map(({ selectableFields }) => selectableFields);
  errors.push(
    ...eachOrShared(selectable, `${field}.selectableFields`, (i) => `${at(`${field}.versions`, i)}.selectableFields`, validateSelectableFields),
  );
  if (versions.filter(({ storage }) => storage).length !== 1) {
    errors.push(invalidValue(`${field}.versions`, [...names], 'must have exactly one version marked as storage version'));
  }
  return [...errors, ...validateNames(`${field}.names`, spec.names), ...validateConversion(field, spec)];
}

/** What is wrong with the schemas, each named by its path. */
export function errorsOfSchemas(
  field: string,
  { versions }: V1CustomResourceDefinitionSpec,
  validate: (field: string, schema: V1JSONSchemaProps) => FieldError[],
): FieldError[] {
  const schemas = (versions ?? []).map(({ schema }) => schema?.openAPIV3Schema);
  return eachOrShared(schemas, `${field}.validation.openAPIV3Schema`, (i) => `${at(`${field}.versions`, i)}.schema.openAPIV3Schema`, validate);
}

/** What all versions say the same is complained of once, at the place above the versions where it stood before each had its own, as upstream has it. */
function eachOrShared<T>(
  parts: readonly (T | undefined)[],
  shared: string,
  own: (index: number) => string,
  validate: (field: string, part: T) => FieldError[],
): FieldError[] {
  const [first] = parts;
  if (first !== undefined && parts.every((part) => equal(part, first))) return validate(shared, first);
  return parts.flatMap((part, index) => (part === undefined ? [] : validate(own(index), part)));
}

function validateNames(field: string, names: V1CustomResourceDefinitionNames): FieldError[] {
  const mixed = (path: string, word: string): FieldError[] =>
    dns1035LabelErrors(word.toLowerCase()).map((text) => invalidValue(path, word, `may have mixed case, but should otherwise match: ${text}`));
  return [
    ...(names.plural === '' ? [required(`${field}.plural`)] : messages(`${field}.plural`, names.plural, dns1035LabelErrors(names.plural))),
    ...messages(`${field}.singular`, names.singular ?? '', dns1035LabelErrors(names.singular ?? '')),
    ...(names.kind === '' ? [required(`${field}.kind`)] : mixed(`${field}.kind`, names.kind)),
    ...mixed(`${field}.listKind`, names.listKind ?? ''),
    ...(names.listKind === names.kind ? [invalidValue(`${field}.listKind`, names.listKind, 'kind and listKind may not be the same')] : []),
    ...(names.shortNames ?? []).flatMap((name, index) => messages(at(`${field}.shortNames`, index), name, dns1035LabelErrors(name))),
  ];
}

function validateColumns(field: string, columns: readonly V1CustomResourceColumnDefinition[]): FieldError[] {
  return columns.flatMap(({ name, type, jsonPath }, index) => {
    const path = at(field, index);
    const errors = requiredOneOf(`${path}.type`, type, ['boolean', 'date', 'integer', 'number', 'string']);
    if (name === '') errors.push(required(`${path}.name`));
    if (jsonPath === '') return [...errors, required(`${path}.jsonPath`)];
    return [...errors, ...pathErrors(`${path}.jsonPath`, jsonPath)];
  });
}

const maxSelectableFields = 8;

function validateSelectableFields(field: string, fields: readonly V1SelectableField[]): FieldError[] {
  if (fields.length > maxSelectableFields) return [tooMany(field, fields.length, maxSelectableFields)];
  return fields.flatMap(({ jsonPath }, index) =>
    jsonPath === '' ? [required(`${at(field, index)}.jsonPath`)] : pathErrors(`${at(field, index)}.jsonPath`, jsonPath),
  );
}

function pathErrors(field: string, jsonPath: string): FieldError[] {
  try {
    compilePath(jsonPath);
    return jsonPath.startsWith('.') ? [] : [invalidValue(field, jsonPath, 'must be a simple json path starting with .')];
  } catch (error) {
    return [invalidValue(field, jsonPath, error instanceof Error ? error.message : String(error))];
  }
}

const approvalAnnotation = 'api-approved.kubernetes.io';

/** Groups of the Kubernetes community need its approval. */
function validateApproval({ metadata, spec }: V1CustomResourceDefinition, old: V1CustomResourceDefinition | undefined): FieldError[] {
  if (!/(?:^|\.)(?:k8s|kubernetes)\.io$/.test(spec.group)) return [];
  const field = at('metadata.annotations', approvalAnnotation);
  const more = 'see https://github.com/kubernetes/enhancements/pull/1111';
  const text = metadata.annotations?.[approvalAnnotation] ?? '';
  if (old !== undefined && (old.metadata.annotations?.[approvalAnnotation] ?? '') === text) return [];
  if (text === '') return [required(field, `protected groups must have approval annotation "${approvalAnnotation}", ${more}`)];
  if (text.startsWith('unapproved') || URL.canParse(text)) return [];
  const why = `protected groups must have approval annotation "${approvalAnnotation}" with either a URL or a reason starting with "unapproved", ${more}`;
  return [invalidValue(field, text, why)];
}

/** What was once stored must stay readable. */
function validateStoredVersions({ spec, status }: V1CustomResourceDefinition): FieldError[] {
  const stored = status.storedVersions ?? [];
  if (stored.length === 0) return [invalidValue('status.storedVersions', stored, 'must have at least one stored version')];
  return stored.flatMap((name, index) =>
    (spec.versions ?? []).some((version) => version.name === name)
      ? []
      : [invalidValue(at('status.storedVersions', index), name, 'must appear in spec.versions')],
  );
}

function validateConversion(field: string, { conversion }: V1CustomResourceDefinitionSpec): FieldError[] {
  if (conversion === undefined) return [];
  const path = `${field}.conversion`;
  const errors = requiredOneOf(`${path}.strategy`, conversion.strategy, ['None', 'Webhook']);
  const { clientConfig, conversionReviewVersions = [] } = conversion.webhook ?? {};
  // The paths are those of the form before v1, which upstream validates.
  if (conversion.strategy !== 'Webhook') {
    if (clientConfig !== undefined)
      errors.push(forbiddenField(`${path}.webhookClientConfig`, 'should not be set when strategy is not set to Webhook'));
    return errors;
  }
  if (clientConfig === undefined) errors.push(required(`${path}.webhookClientConfig`, 'required when strategy is set to Webhook'));
  else errors.push(...validateClientConfig(`${path}.webhookClientConfig`, clientConfig), ...validateCaBundle(path, clientConfig.caBundle));
  return [...errors, ...validateReviewVersions(`${path}.conversionReviewVersions`, conversionReviewVersions)];
}

function validateCaBundle(path: string, caBundle = ''): FieldError[] {
  if (caBundle === '' || Buffer.from(caBundle, 'base64').includes('-----BEGIN CERTIFICATE-----')) return [];
  const why = 'unable to load root certificates: unable to parse bytes as PEM block';
  return [invalidValue(`${path}.webhookClientConfig.caBundle`, caBundle, why)];
}

const knownReviewVersions = ['v1', 'v1beta1'];

function validateReviewVersions(path: string, versions: readonly string[]): FieldError[] {
  if (versions.length === 0) return [required(path)];
  const errors = versions.flatMap((version, index) =>
    versions.indexOf(version) < index
      ? [invalidValue(at(path, index), version, 'duplicate version')]
      : messages(at(path, index), version, dns1035LabelErrors(version)),
  );
  if (!versions.some((version) => knownReviewVersions.includes(version))) {
    errors.push(invalidValue(path, versions, `must include at least one of ${knownReviewVersions.join(', ')}`));
  }
  return errors;
}
