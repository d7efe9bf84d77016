/**
 * Required plain fields that a client left out get the empty value of their type ('' , 0, false, []), as upstream's decoding leaves them: the types
 * promise that they are there, and validation says what is wrong with an empty one. Objects and times are not made up.
 */
import type { ObjectSchema, Schema } from '../machinery/schema.ts';

interface Plan {
  readonly missing: readonly { readonly name: string; readonly zero: () => unknown }[];
  /** Fields that hold objects, directly or in lists and maps. */
  readonly inner: readonly { readonly name: string; readonly schema: Schema }[];
}

const plans = new WeakMap<ObjectSchema, Plan>();

/** Fills in the object and everything below it, in place. */
export function fillZeroValues(object: object, schema: ObjectSchema): void {
  const fields = object as Record<string, unknown>;
  const plan = planOf(schema);
  for (const { name, zero } of plan.missing) fields[name] ??= zero();
  for (const { name, schema: inner } of plan.inner) fillWithin(fields[name], inner);
}

function fillWithin(value: unknown, schema: Schema): void {
  if (typeof value !== 'object' || value === null) return;
  if (schema.type === 'object') fillZeroValues(value, schema);
  else if (schema.type === 'list') for (const item of value as unknown[]) fillWithin(item, schema.items);
  else if (schema.type === 'map') for (const item of Object.values(value)) fillWithin(item, schema.values);
}

function planOf(schema: ObjectSchema): Plan {
  const known = plans.get(schema);
  if (known !== undefined) return known;
  const missing: Plan['missing'][number][] = [];
  const inner: Plan['inner'][number][] = [];
  for (const [name, { schema: field, required }] of Object.entries(schema.properties)) {
    const zero = required ? zeroOf(field) : undefined;
    if (zero !== undefined) missing.push({ name, zero });
    // Metadata is the server's own: it is complete, and long.
    if (holdsObjects(field) && !isMetadata(field)) inner.push({ name, schema: field });
  }
  const plan = { missing, inner };
  plans.set(schema, plan);
  return plan;
}

function zeroOf(schema: Schema): (() => unknown) | undefined {
  switch (schema.type) {
    case 'string':
    case 'bytes':
      return () => '';
    case 'integer':
    case 'number':
    case 'int-or-string':
      return () => 0;
    case 'boolean':
      return () => false;
    case 'quantity':
      return () => '0';
    case 'list':
      return () => [];
    default:
      return undefined;
  }
}

function holdsObjects(schema: Schema): boolean {
  if (schema.type === 'list') return holdsObjects(schema.items);
  return schema.type === 'map' ? holdsObjects(schema.values) : schema.type === 'object';
}

function isMetadata(schema: Schema): boolean {
  return schema.type === 'object' && schema.name.endsWith('.meta.v1.ObjectMeta');
}
