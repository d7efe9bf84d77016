/** An object that says nothing is refused or filled in, but never breaks a hook: whatever a client sends, the answer is a list of errors. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clone } from '../machinery/clone.ts';
import type { KubeObject } from '../machinery/object.ts';
import type { ObjectSchema, Schema } from '../machinery/schema.ts';
import { apiVersionOf, type Kind } from './kind.ts';
import { allKinds } from './kinds.ts';
import { validateObject, validateStatusUpdate } from './object-meta.ts';

const maxDepth = 9;

/** An object with every field the schema has, each as empty as its type allows. */
function hollow(schema: ObjectSchema, depth = 0): Record<string, unknown> {
  return Object.fromEntries(Object.entries(schema.properties).map(([name, property]) => [name, hollowValue(property.schema, depth + 1)]));
}

function hollowValue(schema: Schema, depth: number): unknown {
  switch (schema.type) {
    case 'object':
      return depth > maxDepth ? {} : hollow(schema, depth);
    case 'list':
      return depth > maxDepth ? [] : [hollowValue(schema.items, depth)];
    case 'map':
      return depth > maxDepth ? {} : { '': hollowValue(schema.values, depth) };
    case 'boolean':
      return false;
    case 'integer':
    case 'number':
    case 'int-or-string':
      return 0;
    case 'quantity':
      return '0';
    case 'any':
      return {};
    default:
      return '';
  }
}

function exercise(kind: Kind, parts: Record<string, unknown>): void {
  const metadata = { name: 'x', namespace: 'n', uid: 'u', resourceVersion: '1', creationTimestamp: '2024-01-01T00:00:00Z' };
  const object: KubeObject = { ...parts, apiVersion: apiVersionOf(kind), kind: kind.kind, metadata };
  kind.defaults?.(object);
  kind.prepareForCreate?.(object);
  assert.ok(Array.isArray(validateObject(kind, object, undefined)));
  const next = clone(object);
  kind.prepareForUpdate?.(next, object);
  assert.ok(Array.isArray(validateObject(kind, next, object)));
  assert.ok(Array.isArray(validateStatusUpdate(kind, next, object)));
  for (const { value } of kind.columns) value(object, 0);
  for (const read of Object.values(kind.selectableFields)) assert.equal(typeof read(object), 'string');
  kind.gracefulDeletion?.(object);
  if (kind.storedAs !== undefined) kind.storedAs.fromStored(kind.storedAs.toStored(object));
}

for (const kind of allKinds) {
  const name = `${apiVersionOf(kind)} ${kind.kind}`;
  test(`${name} with metadata only`, () => {
    exercise(kind, {});
  });
  test(`${name} with every field empty`, () => {
    exercise(kind, hollow(kind.schema));
  });
}
