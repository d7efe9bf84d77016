/**
 * Objects of every kind made up from their schemas, with values no one would think of: whatever comes in, decoding, defaulting, validating and printing end
 * with an answer, and defaults are the same the second time.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { clone } from '../machinery/clone.ts';
import { decodeObject } from '../machinery/decode.ts';
import { FieldError } from '../machinery/field-error.ts';
import type { KubeObject } from '../machinery/object.ts';
import type { ObjectSchema, Schema } from '../machinery/schema.ts';
import { apiVersionOf, type Kind } from './kind.ts';
import { allKinds } from './kinds.ts';
import { validateObject, validateStatusUpdate } from './object-meta.ts';

const runs = 12;
const maxDepth = 9;

const words = [
  ...'a A - * a.b example.com/x / // .. ../x None Always Never Local Cluster TCP In Exists Resource Object ClusterIP ExternalName LoadBalancer'.split(
    ' ',
  ),
  ...'RollingUpdate Indexed Limited Queue Exempt system:x 10.0.0.1 ::1 fd00::/8 10.0.0.0/33 50% 101% -1% Europe/Zürich'.split(' '),
  ...'https://x:y@z/?a#b http:// { [] " __proto__ constructor hasOwnProperty'.split(' '),
  '',
  '@every 1x',
  '* * * * *',
  '*/0 * * * 9',
  '\u0000',
  '\ud800',
  'a'.repeat(300),
];
const numbers = [-2147483648, -1, 0, 1, 2, 80, 443, 65535, 65536, 1000, 86_401, 2147483647];
const amounts = ['0', '1', '-1', '1Gi', '0.5', '1m', '-3Ki', '1e30', '100n'];
const times = ['2024-01-01T00:00:00Z', '1970-01-01T00:00:00.5+01:00'];
const anything: readonly unknown[] = [null, true, 0, '', 'x', [], {}, [null], { a: { b: [1, '2'] } }];

/** Draws one of many; the same draws make the same object. */
type Draw = <T>(from: readonly T[]) => T;

function made(schema: Schema, draw: Draw, depth: number): unknown {
  // Now and then something else altogether.
  if (draw(mostlyNot)) return draw(anything);
  switch (schema.type) {
    case 'string':
      return draw(words);
    case 'integer':
    case 'number':
      return draw(numbers);
    case 'boolean':
      return draw([true, false]);
    case 'quantity':
      return draw(amounts);
    case 'int-or-string':
      return draw([...numbers, ...words]);
    case 'time':
    case 'micro-time':
      return draw(times);
    case 'bytes':
      return Buffer.from(draw(words)).toString('base64');
    case 'any':
      return draw(anything);
    case 'list':
      return Array.from({ length: depth > maxDepth ? 0 : draw([0, 1, 1, 2, 3]) }, () => made(schema.items, draw, depth + 1));
    case 'map':
      return Object.fromEntries(Array.from({ length: draw([0, 1, 2]) }, () => [draw(words), made(schema.values, draw, depth + 1)]));
    case 'object':
      return madeObject(schema, draw, depth);
  }
}

const mostlyNot = Array.from({ length: 400 }, (_, index) => index === 0);

function madeObject({ properties }: ObjectSchema, draw: Draw, depth: number): Record<string, unknown> {
  const object: Record<string, unknown> = {};
  for (const [name, { schema }] of Object.entries(properties)) {
    const isDeep = schema.type === 'object' || schema.type === 'list';
    if (isDeep && depth > maxDepth) continue;
    if (draw(depth < 2 ? often : seldom)) object[name] = made(schema, draw, depth + 1);
  }
  return object;
}

const often = [true, true, true, false];
const seldom = [true, false, false];

/** Draws by a small generator of its own (mulberry32): fast-check's keep what they drew for shrinking, which is too much here. */
function drawBy(seed: number): Draw {
  let state = seed;
  return (from) => {
    state = (state + 0x6d2b79f5) | 0;
    let bits = Math.imul(state ^ (state >>> 15), 1 | state);
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits;
    const drawn = from[((bits ^ (bits >>> 14)) >>> 0) % from.length];
    return drawn as (typeof from)[number];
  };
}

function objectOf(kind: Kind, seed: number): Record<string, unknown> {
  return { ...madeObject(kind.schema, drawBy(seed), 0), apiVersion: apiVersionOf(kind), kind: kind.kind };
}

/** As the server does on create; undefined for a body that is refused for the types of its values. */
function prepared(kind: Kind, body: Record<string, unknown>): KubeObject | undefined {
  const { object, typeErrors } = decodeObject(body, kind.schema);
  if (typeErrors.length > 0) return undefined;
  const decoded = object as Record<string, unknown> & KubeObject;
  Object.assign(decoded, { metadata: { ...decoded.metadata, name: 'x', uid: 'u', creationTimestamp: '2024-01-01T00:00:00Z' } });
  if (kind.namespaced) decoded.metadata.namespace = 'n';
  kind.defaults?.(decoded);
  return decoded;
}

function assertWords(errors: readonly FieldError[]): void {
  for (const error of errors) {
    assert.ok(error instanceof FieldError && error.field !== '' && error.detail() !== '', String(error));
    assert.ok(!/undefined|NaN|\[object/.test(error.field), error.field);
  }
}

for (const kind of allKinds) {
  test(`${apiVersionOf(kind)} ${kind.kind} of any content is judged`, () => {
    let judged = 0;
    const property = fc.property(fc.integer(), (seed) => {
      const object = prepared(kind, objectOf(kind, seed));
      if (object === undefined) return;
      judged++;
      const again = clone(object);
      kind.defaults?.(again);
      assert.deepEqual(again, object, 'defaults the second time');
      kind.prepareForCreate?.(object);
      const errors = validateObject(kind, object, undefined);
      assertWords(errors);
      kind.warnings?.(object, undefined);
      const stored = clone(object);
      kind.prepareForUpdate?.(again, stored);
      assertWords(validateObject(kind, again, stored));
      assertWords(validateStatusUpdate(kind, again, stored));
      kind.warnings?.(again, stored);
      if (errors.length > 0) return;
      for (const column of kind.columns) column.value(object, 0);
      for (const read of Object.values(kind.selectableFields)) assert.equal(typeof read(object), 'string');
      // What is valid stays so: written again as it is, it changes nothing.
      assert.deepEqual(validateObject(kind, clone(stored), stored).map(String), []);
    });
    fc.assert(property, { numRuns: runs, endOnFailure: true });
    assert.ok(judged > 0);
  });
}
