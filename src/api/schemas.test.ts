/** The generated schemas against a real server's OpenAPI document (`recorded/definitions.json`, v1.20). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ObjectSchema, Property } from '../machinery/schema.ts';
import { fieldMerges } from './merge-facts.ts';
import recorded from './recorded/definitions.json' with { type: 'json' };
import { modelNames, schemaOf } from './schemas.ts';

const byName = new Map(modelNames().map((model): [string, ObjectSchema] => [schemaOf(model).name, schemaOf(model)]));

interface Definition {
  readonly fields: readonly string[];
  readonly required: readonly string[];
  readonly facts: Readonly<Record<string, Facts>>;
}

interface Facts {
  readonly 'list-type'?: string;
  readonly 'list-map-keys'?: readonly string[];
  readonly 'patch-merge-key'?: string;
  readonly 'patch-strategy'?: string;
}

const definitions = recorded as Readonly<Record<string, Definition>>;

/** Definitions that are scalars or anything at all, which have no model, and those that 1.36 no longer has. */
const withoutModel =
  /\.(Quantity|FieldsV1|MicroTime|Patch|Time|RawExtension|IntOrString|Info|Handler|JSON|JSONSchemaPropsOr\w+|CustomResourceSubresourceStatus)$/;
const removedFields = ['clusterName', 'topologyKeys', 'EphemeralVolumeSource.readOnly'];
/** Merge facts that upstream dropped later. */
const removedFacts = ['LabelSelectorRequirement.key'];

test('definitions have the public names and at least the fields they had', () => {
  for (const [name, { fields }] of Object.entries(definitions)) {
    if (withoutModel.test(name)) continue;
    const schema = byName.get(name);
    assert.ok(schema, `${name} is there`);
    const missing = fields.filter((field) => !(field in schema.properties) && !removedFields.some((removed) => `${name}.${field}`.endsWith(removed)));
    assert.deepEqual(missing, [], name);
  }
});

test('lists merge as a real server says', () => {
  for (const [name, { facts }] of Object.entries(definitions)) {
    const schema = byName.get(name);
    if (schema === undefined) continue;
    for (const [field, fact] of Object.entries(facts)) {
      const path = `${name}.${field}`;
      if (removedFacts.some((removed) => path.endsWith(removed))) continue;
      const property: Property | undefined = schema.properties[field];
      assert.ok(property, path);
      if (fact['patch-strategy'] !== undefined) assert.deepEqual([...property.patchStrategy], fact['patch-strategy'].split(','), path);
      assert.equal(property.mergeKey, fact['patch-merge-key'], path);
      if (fact['list-type'] !== undefined && property.schema.type === 'list') assert.equal(property.schema.listType, fact['list-type'], path);
      if (fact['list-map-keys'] !== undefined && property.schema.type === 'list')
        assert.deepEqual([...property.schema.mapKeys], fact['list-map-keys'], path);
    }
  }
});

test('every merge fact is about a field that exists', () => {
  for (const path of Object.keys(fieldMerges)) {
    const dot = path.indexOf('.');
    assert.ok(path.slice(dot + 1) in schemaOf(path.slice(0, dot)).properties, path);
  }
});

test('recursive models resolve', () => {
  const properties = schemaOf('V1JSONSchemaProps').properties['properties']?.schema;
  assert.equal(properties?.type === 'map' && properties.values.type === 'object' && properties.values.name, schemaOf('V1JSONSchemaProps').name);
});
