/** The generated schemas in themselves; `apiserver/golden/facts.test.ts` compares what is published of them with a real server. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fieldMerges } from './merge-facts.ts';
import { schemaOf } from './schemas.ts';

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
