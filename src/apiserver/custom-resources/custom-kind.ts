/** From a definition to the kinds it brings: one for each served version, with all that a built-in kind's declaration says. */
import type { CustomResourceDefinition } from '../../api/kinds.ts';
import { allVerbs, apiVersionOf, type Kind, type Subresource, type Verb } from '../../api/kind.ts';
import { scaleSubresource, statusSubresource } from '../../api/define-kind.ts';
import type { V1CustomResourceDefinitionVersion, V1JSONSchemaProps } from '../../api/types.ts';
import { type FieldError, type FieldReason, invalidValue } from '../../machinery/field-error.ts';
import { equal } from '../../machinery/equal.ts';
import { internalError } from '../../machinery/errors.ts';
import { compilePath } from '../../machinery/jsonpath.ts';
import type { KubeObject } from '../../machinery/object.ts';
import type { ObjectSchema } from '../../machinery/schema.ts';
import type { Conversion } from '../registry/converted-cache.ts';
import type { CustomServing } from '../registry/served-kind.ts';
import { columnsOf } from './columns.ts';
import type { ConversionWebhook, WebhookConversion } from './conversion-webhook.ts';
import { applyDefaults } from './defaulting.ts';
import { readCustomObject } from './pruning.ts';
import { publishedSchema } from './published-schema.ts';
import { resourceSchema } from './resource-schema.ts';
import { validateRules } from './rules.ts';
import { type Structure, structureOf } from './structure.ts';
import { validateValue } from './value-validation.ts';

/** Without creating: a definition on its way out lets its objects go, and takes no new ones. */
const leavingVerbs: readonly Verb[] = allVerbs.filter((verb) => verb !== 'create');

/** The version objects are stored in, whether it is served or not. */
export function storageVersionOf({ spec }: CustomResourceDefinition): string {
  return spec.versions.find(({ storage }) => storage)?.name ?? spec.versions[0]?.name ?? '';
}

/** `schemaRevision`: objects written after it were written by these schemas. */
export function servingsOf(
  definition: CustomResourceDefinition,
  schemaRevision: number,
  webhookFor: (conversion: WebhookConversion) => ConversionWebhook,
): CustomServing[] {
  const { versions, preserveUnknownFields, conversion } = definition.spec;
  const preservesUnknown = preserveUnknownFields === true;
  const storage = storageVersionOf(definition);
  const storageRules = new VersionRules(
    versions.find(({ name }) => name === storage),
    preservesUnknown,
  );
  // A single version has nothing to convert, whatever the definition says.
  const webhook = conversion?.strategy === 'Webhook' && conversion.webhook && versions.length > 1 ? webhookFor(conversion.webhook) : undefined;
  return versions
    .filter(({ served }) => served)
    .map((version) => {
      const rules = new VersionRules(version, preservesUnknown);
      const kind = kindOf(definition, version, version.name, rules);
      return {
        kind,
        stored: storage === version.name ? kind : kindOf(definition, version, storage, rules),
        show: (object) => shown(kind, rules, object),
        schemaRevision,
        ...(webhook && { conversion: conversionOf(webhook, kind, rules, { version: storage, rules: storageRules }) }),
      };
    });
}

/** How a version's objects come from, and go to, what is stored. */
function conversionOf(
  webhook: ConversionWebhook,
  kind: Kind,
  rules: VersionRules,
  storage: { readonly version: string; readonly rules: VersionRules },
): Conversion {
  const apiVersion = apiVersionOf(kind);
  const storedApiVersion = `${kind.group}/${storage.version}`;
  return {
    show(objects) {
      const foreign = objects.filter((object) => object.apiVersion !== apiVersion);
      if (foreign.length === 0) return objects.map((object) => ownCopy(shown(kind, rules, object)));
      return webhook.convert(foreign, apiVersion).then((answers) => {
        const converted = answers.values();
        return objects.map((object) => {
          const own = object.apiVersion === apiVersion ? object : converted.next().value;
          return own === undefined || own instanceof Error ? (own ?? internalError('a conversion is missing')) : ownCopy(shown(kind, rules, own));
        });
      });
    },
    async toStored(object) {
      if (apiVersion === storedApiVersion) return object;
      const [converted] = await webhook.convert([object], storedApiVersion);
      if (converted === undefined || converted instanceof Error) throw converted ?? internalError('a conversion is missing');
      const { kind: name, metadata } = converted;
      return { ...readCustomObject(converted, storage.rules.structure).object, kind: name, apiVersion: storedApiVersion, metadata };
    },
    close: () => webhook.close(),
  };
}

/** What the cache keeps gets its revision in place. */
function ownCopy(object: KubeObject): KubeObject {
  return { ...object, metadata: { ...object.metadata } };
}

/** What a version's schema comes to, worked out when first needed. */
class VersionRules {
  readonly props: V1JSONSchemaProps;
  #structure: Structure | undefined;
  #schema: ObjectSchema | undefined;

  constructor(version: V1CustomResourceDefinitionVersion | undefined, preservesUnknown: boolean) {
    const props = version?.schema?.openAPIV3Schema ?? { type: 'object' };
    this.props = preservesUnknown ? { ...props, 'x-kubernetes-preserve-unknown-fields': true } : props;
  }

  get structure(): Structure {
    this.#structure ??= structureOf(this.props);
    return this.#structure;
  }

  get schema(): ObjectSchema {
    this.#schema ??= resourceSchema(this.structure);
    return this.#schema;
  }
}

const blocking: ReadonlySet<FieldReason> = new Set<FieldReason>([
  'FieldValueDuplicate',
  'FieldValueRequired',
  'FieldValueTooLong',
  'FieldValueTooMany',
  'FieldValueTypeInvalid',
]);

const unchecked = invalidValue(
  '<nil>',
  'null',
  'some validation rules were not checked because the object was invalid; correct the existing errors to complete validation',
);

/** The kind at a version; `version` is another's name for objects that are stored in that and follow these rules. */
function kindOf(definition: CustomResourceDefinition, source: V1CustomResourceDefinitionVersion, version: string, rules: VersionRules): Kind {
  const { spec, metadata } = definition;
  const { group, names } = spec;
  const isLeaving = metadata.deletionTimestamp !== undefined;
  const { status, scale } = source.subresources ?? {};
  const subresources: Record<string, Subresource> = {
    ...(status !== undefined && { status: statusSubresource }),
    ...(scale !== undefined && { scale: scaleSubresource }),
  };
  const validate = (object: KubeObject, old: KubeObject | undefined): FieldError[] => {
    const errors = validateValue(object, old, rules.structure);
    if (!rules.structure.hasRules) return errors;
    // Rules count on values of the right shape.
    return errors.some(({ reason }) => blocking.has(reason)) ? [...errors, unchecked] : [...errors, ...validateRules(object, old, rules.structure)];
  };
  return {
    group,
    version,
    kind: names.kind,
    listKind: names.listKind ?? `${names.kind}List`,
    resource: names.plural,
    singular: names.singular ?? names.kind.toLowerCase(),
    shortNames: names.shortNames ?? [],
    categories: names.categories ?? [],
    namespaced: spec.scope === 'Namespaced',
    verbs: isLeaving ? leavingVerbs : allVerbs,
    get schema() {
      return rules.schema;
    },
    subresources,
    ...(scale !== undefined && {
      scale: { specReplicas: scale.specReplicasPath, statusReplicas: scale.statusReplicasPath, selector: scale.labelSelectorPath ?? '' },
    }),
    nameRule: 'dns-subdomain',
    generation: true,
    selectableFields: Object.fromEntries((source.selectableFields ?? []).map(({ jsonPath }) => [jsonPath.replace(/^\./, ''), fieldReader(jsonPath)])),
    columns: columnsOf(source.additionalPrinterColumns),
    ...(source.deprecated === true && {
      deprecationWarning: source.deprecationWarning ?? `${group}/${source.name} ${names.kind} is deprecated`,
    }),
    decode: (value) => readCustomObject(value, rules.structure),
    defaults: (object) => applyDefaults(object, rules.structure),
    validate,
    validateStatus: validate,
    custom: {
      storageVersion: storageVersionOf(definition),
      revision: `${metadata.uid} ${metadata.generation ?? 0} ${String(isLeaving)}`,
      published: (openApi) => publishedSchema(rules.props, openApi),
    },
  };
}

function fieldReader(jsonPath: string): (object: KubeObject) => string {
  const find = compilePath(jsonPath);
  return (object) => {
    const [value] = find(object);
    return value === undefined || value === null ? '' : typeof value === 'string' ? value : JSON.stringify(value);
  };
}

/** An object as stored, whoever wrote it, as a version shows it now: itself, when nothing is to be changed. */
function shown(kind: Kind, rules: VersionRules, object: KubeObject): KubeObject {
  const apiVersion = apiVersionOf(kind);
  const { object: read } = readCustomObject(object, rules.structure);
  applyDefaults(read, rules.structure);
  if (object.apiVersion === apiVersion && equal(read, object)) return object;
  const { status, ...rest } = read;
  return { ...rest, kind: object.kind, apiVersion, metadata: object.metadata, ...(status !== undefined && { status }) };
}
