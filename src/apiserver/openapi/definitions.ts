/**
 * Definitions: the kinds' schemas as OpenAPI writes them, with descriptions and the `x-kubernetes-*` extensions by which clients merge. Collects what
 * is referred to, starting from the kinds of a document.
 */
import { createRequire } from 'node:module';
import type { CustomKind, Kind } from '../../api/kind.ts';
import type { ObjectSchema, Property, Schema } from '../../machinery/schema.ts';
import { metaV1, schemaNamed } from '../named-types.ts';
import type { Dialect } from './dialect.ts';

/** By definition, then by field; '' is the definition's own. */
type Descriptions = Readonly<Record<string, Readonly<Record<string, string>>>>;

export interface GroupVersionKind {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
}

/** Types that are scalars with a name of their own. */
const namedScalars = {
  quantity: 'io.k8s.apimachinery.pkg.api.resource.Quantity',
  'int-or-string': 'io.k8s.apimachinery.pkg.util.intstr.IntOrString',
  time: `${metaV1}.Time`,
  'micro-time': `${metaV1}.MicroTime`,
} as const;

/** Upstream's words, which `kubectl explain` shows for custom kinds too. */
const metadataDescription =
  "Standard object's metadata. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata";

let descriptionsRead: Descriptions | undefined;

/** Read when OpenAPI is first asked for: more than half a megabyte that a start does not need. */
function descriptions(): Descriptions {
  descriptionsRead ??= createRequire(import.meta.url)('../../api/generated/descriptions.json') as Descriptions;
  return descriptionsRead;
}

/** `io.k8s.api.apps.v1.Deployment`; for custom kinds the group's name reversed. */
export function definitionName(kind: Kind): string {
  return kind.schema.name !== '' ? kind.schema.name : `${kind.group.split('.').toReversed().join('.')}.${kind.version}.${kind.kind}`;
}

export class Definitions {
  private readonly dialect: Dialect;
  private readonly written = new Map<string, object>();

  constructor(dialect: Dialect) {
    this.dialect = dialect;
  }

  /** Sorted by name. */
  all(): Record<string, object> {
    return Object.fromEntries([...this.written].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  /** Adds the kind and its list. */
  addKind(kind: Kind): void {
    const name = definitionName(kind);
    const { group, version } = kind;
    const gvks = [{ group, version, kind: kind.kind }];
    if (kind.custom) this.addCustom(name, kind.custom, gvks);
    else this.add(name, kind.schema, gvks);
    if (!kind.verbs.includes('list')) return;
    const listGvk = [{ group, version, kind: kind.listKind ?? `${kind.kind}List` }];
    const known = schemaNamed(`${name}List`);
    if (known !== undefined) this.add(`${name}List`, known, listGvk);
    else this.addCustomList(name, listGvk);
  }

  /** Adds a type by name, if there is such a type. Answers a reference to it. */
  refer(name: string, gvks: readonly GroupVersionKind[] = []): object {
    const schema = schemaNamed(name);
    if (schema !== undefined) this.add(name, schema, gvks);
    return this.dialect.reference(name, undefined);
  }

  private add(name: string, schema: ObjectSchema, gvks: readonly GroupVersionKind[]): void {
    if (this.written.has(name)) return;
    // Written first, filled after: types refer to themselves.
    const definition: Record<string, unknown> = {};
    this.written.set(name, definition);
    Object.assign(definition, this.objectSchema(schema, name));
    if (gvks.length > 0) definition['x-kubernetes-group-version-kind'] = gvks;
  }

  /** What a definition says, with what every object has. */
  private addCustom(name: string, custom: CustomKind, gvks: readonly GroupVersionKind[]): void {
    const published = custom.published(this.dialect.version);
    if (this.dialect.version === 2 && published['x-kubernetes-preserve-unknown-fields'] === true) {
      // Not even what every object has: kubectl would take what is told for all there may be.
      this.written.set(name, { type: 'object', 'x-kubernetes-group-version-kind': gvks });
      return;
    }
    const own = published['properties'];
    const { apiVersion, kind } = descriptions()[`${metaV1}.Status`] ?? {};
    this.refer(`${metaV1}.ObjectMeta`);
    this.written.set(name, {
      ...published,
      type: 'object',
      properties: {
        ...(typeof own === 'object' ? own : undefined),
        apiVersion: { ...(apiVersion !== undefined && { description: apiVersion }), type: 'string' },
        kind: { ...(kind !== undefined && { description: kind }), type: 'string' },
        metadata: this.dialect.reference(`${metaV1}.ObjectMeta`, metadataDescription),
      },
      'x-kubernetes-group-version-kind': gvks,
    });
  }

  private addCustomList(name: string, gvks: readonly GroupVersionKind[]): void {
    this.refer(`${metaV1}.ListMeta`);
    this.written.set(`${name}List`, {
      type: 'object',
      description: 'A list of objects.',
      required: ['items'],
      properties: {
        apiVersion: { type: 'string' },
        kind: { type: 'string' },
        metadata: this.dialect.reference(`${metaV1}.ListMeta`, 'Standard list metadata.'),
        items: { type: 'array', items: this.dialect.reference(name, undefined) },
      },
      'x-kubernetes-group-version-kind': gvks,
    });
  }

  private objectSchema(schema: ObjectSchema, name: string): Record<string, unknown> {
    const words = descriptions()[name] ?? {};
    const required = Object.entries(schema.properties)
      .filter(([, property]) => property.required)
      .map(([field]) => field);
    const properties = Object.fromEntries(
      Object.entries(schema.properties).map(([field, property]) => [field, this.property(property, words[field])]),
    );
    return {
      ...(words[''] !== undefined && { description: words[''] }),
      type: 'object',
      ...(required.length > 0 && { required }),
      ...(Object.keys(properties).length > 0 && { properties }),
      ...(schema.mapType === 'atomic' && { 'x-kubernetes-map-type': 'atomic' }),
      ...(schema.preserveUnknown && { 'x-kubernetes-preserve-unknown-fields': true }),
    };
  }

  private property({ schema, patchStrategy, mergeKey }: Property, description: string | undefined): object {
    return {
      ...this.value(schema, description),
      ...(patchStrategy.length > 0 && { 'x-kubernetes-patch-strategy': patchStrategy.join(',') }),
      ...(mergeKey !== undefined && { 'x-kubernetes-patch-merge-key': mergeKey }),
    };
  }

  private value(schema: Schema, description: string | undefined): object {
    const words = description === undefined ? {} : { description };
    switch (schema.type) {
      case 'any':
        return words;
      case 'object':
        if (schema.name === '') return { ...words, ...this.objectSchema(schema, '') };
        this.add(schema.name, schema, []);
        // The model says nothing at references; the type's own words are what `explain` can show there.
        return this.dialect.reference(schema.name, description ?? descriptions()[schema.name]?.['']);
      case 'map':
        return {
          ...words,
          type: 'object',
          additionalProperties: this.item(schema.values),
          ...(schema.mapType === 'atomic' && { 'x-kubernetes-map-type': 'atomic' }),
        };
      case 'list':
        return {
          ...words,
          type: 'array',
          items: this.item(schema.items),
          'x-kubernetes-list-type': schema.listType,
          ...(schema.mapKeys.length > 0 && { 'x-kubernetes-list-map-keys': schema.mapKeys }),
        };
      case 'bytes':
        return { ...words, type: 'string', format: 'byte' };
      case 'quantity':
      case 'int-or-string':
      case 'time':
      case 'micro-time':
        this.addScalar(schema.type);
        return this.dialect.reference(namedScalars[schema.type], description);
      case 'string':
      case 'integer':
      case 'number':
      case 'boolean':
        return { ...words, type: schema.type, ...(schema.format !== undefined && { format: schema.format }) };
    }
  }

  /** A value inside a list or map: what it is is said where the list is. */
  private item(schema: Schema): object {
    if (schema.type !== 'object' || schema.name === '') return this.value(schema, undefined);
    this.add(schema.name, schema, []);
    return this.dialect.reference(schema.name, undefined);
  }

  private addScalar(type: keyof typeof namedScalars): void {
    const name = namedScalars[type];
    if (!this.written.has(name)) this.written.set(name, scalarDefinition(type, this.dialect.version));
  }
}

function scalarDefinition(type: keyof typeof namedScalars, version: 2 | 3): object {
  switch (type) {
    case 'quantity':
      return {
        description: 'A number with a unit, such as 100m, 1.5Gi or 2e3.',
        ...(version === 3 ? { oneOf: [{ type: 'string' }, { type: 'number' }] } : { type: 'string' }),
      };
    case 'int-or-string':
      return {
        description: 'A whole number, or a string such as a port name or a percentage.',
        format: 'int-or-string',
        ...(version === 3 ? { oneOf: [{ type: 'integer' }, { type: 'string' }] } : { type: 'string' }),
      };
    case 'time':
      return { description: 'A point in time, as RFC 3339 has it.', type: 'string', format: 'date-time' };
    case 'micro-time':
      return { description: 'A point in time with microseconds, as RFC 3339 has it.', type: 'string', format: 'date-time' };
  }
}
