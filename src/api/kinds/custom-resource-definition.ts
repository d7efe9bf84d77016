/** CustomResourceDefinition (apiextensions.k8s.io/v1): a kind that a user adds. What it says about its objects' schema is checked by the server that serves it. */
import { at, duplicate, invalidValue, required, type FieldError } from '../../machinery/field-error.ts';
import { dns1035LabelErrors, dnsSubdomainErrors } from '../../machinery/names.ts';
import { nameAndCreation } from '../columns.ts';
import { defineKind, statusSubresource } from '../define-kind.ts';
import { immutable, messages, oneOf, requiredOneOf } from '../field-checks.ts';
import type { Kind } from '../kind.ts';
import type { V1CustomResourceDefinition, V1CustomResourceDefinitionNames, V1CustomResourceDefinitionSpec, V1JSONSchemaProps } from '../types.ts';

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
  validate: ({ metadata, spec }, old) => [
    ...(metadata.name === `${spec.names.plural}.${spec.group}`
      ? []
      : [invalidValue('metadata.name', metadata.name, 'must be spec.names.plural+"."+spec.group')]),
    ...validateSpec('spec', spec),
    ...(old === undefined
      ? []
      : [
          ...immutable('spec.group', spec.group, old.spec.group),
          ...immutable('spec.scope', spec.scope, old.spec.scope),
          ...immutable('spec.names.plural', spec.names.plural, old.spec.names.plural),
          ...immutable('spec.names.kind', spec.names.kind, old.spec.names.kind),
        ]),
  ],
  columns: nameAndCreation,
});

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
    const root = schema?.openAPIV3Schema;
    if (root === undefined) errors.push(required(`${path}.schema.openAPIV3Schema`, 'schemas are required'));
    else errors.push(...validateSchema(`${path}.schema.openAPIV3Schema`, root, true));
  }
  if (versions.filter(({ storage }) => storage).length !== 1) {
    errors.push(invalidValue(`${field}.versions`, [...names], 'must have exactly one version marked as storage version'));
  }
  return [...errors, ...validateNames(`${field}.names`, spec.names), ...validateConversion(field, spec)];
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

const types = ['array', 'boolean', 'integer', 'number', 'object', 'string'];

/** A structural schema names the type of everything, from the root down. */
function validateSchema(field: string, schema: V1JSONSchemaProps, isRoot: boolean): FieldError[] {
  const free = schema['x-kubernetes-int-or-string'] === true || schema['x-kubernetes-preserve-unknown-fields'] === true;
  const errors = oneOf(`${field}.type`, schema.type === '' ? undefined : schema.type, types);
  if ((schema.type ?? '') === '' && (isRoot || !free)) {
    errors.push(required(`${field}.type`, isRoot ? 'must not be empty at the root' : 'must not be empty for specified object fields'));
  }
  for (const [name, inner] of Object.entries(schema.properties ?? {})) errors.push(...validateSchema(at(`${field}.properties`, name), inner, false));
  if (schema.type === 'array' && schema.items === undefined) errors.push(required(`${field}.items`, 'must be specified'));
  return errors;
}

function validateConversion(field: string, { conversion }: V1CustomResourceDefinitionSpec): FieldError[] {
  if (conversion === undefined) return [];
  const path = `${field}.conversion`;
  const errors = requiredOneOf(`${path}.strategy`, conversion.strategy, ['None', 'Webhook']);
  if (conversion.strategy === 'Webhook' && conversion.webhook?.clientConfig === undefined) {
    errors.push(required(`${path}.webhookClientConfig`, 'required when strategy is set to Webhook'));
  }
  return errors;
}
