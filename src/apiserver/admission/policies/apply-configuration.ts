/** What mutating policies' expressions make, as JSON, and how an `Object{…}` is laid over the object that is written. */
import type { AnyObject } from '../../registry/decoding.ts';
import { CelError } from '../../../machinery/cel.ts';
import { durationText, timestampText } from '../../../machinery/cel/time.ts';
import { Constructed, type Duration, type Fields, isMap, kindOf, mapEntries, type Optional, type Uint } from '../../../machinery/cel/values.ts';
import type { Schema } from '../../../machinery/schema.ts';
import { mergeFields } from '../../../machinery/structured-merge.ts';

/** Throws a {@link CelError} for what JSON cannot say, and for objects whose type is not that of the place they are put in. */
export function jsonOf(value: unknown, place?: string): unknown {
  switch (kindOf(value)) {
    case 'int':
      return Number(value);
    case 'uint':
      return Number((value as Uint).value);
    case 'list':
      return (value as readonly unknown[]).map((item) => jsonOf(item, place));
    case 'map':
      return Object.fromEntries(mapEntries(value as Fields).map(([key, item]) => [String(key), jsonOf(item, place && `${place}.${String(key)}`)]));
    case 'object':
      return objectJson(value, place);
    case 'bytes':
      return Buffer.from(value as Uint8Array).toString('base64');
    case 'timestamp':
      return timestampText(value as Date);
    case 'duration':
      return durationText(value as Duration);
    case 'optional':
      return (value as Optional).isPresent ? jsonOf((value as Optional).value, place) : null;
    case 'string':
    case 'bool':
    case 'double':
    case 'null':
      return value;
    default:
      throw new CelError(`unsupported type ${kindOf(value)} in an object`);
  }
}

function objectJson(value: unknown, place: string | undefined): unknown {
  if (!(value instanceof Constructed)) throw new CelError('variables are no value');
  if (place !== undefined && value.typeName !== place) {
    throw new CelError(
      `unexpected type name ${JSON.stringify(value.typeName)}, expected ${JSON.stringify(place)}, which matches field name path from root Object type`,
    );
  }
  return Object.fromEntries([...value.fields].map(([name, item]) => [name, jsonOf(item, place === undefined ? undefined : `${place}.${name}`)]));
}

/** Throws a {@link CelError} where the configuration would replace something as a whole, with what it does not mention lost. */
export function applied(object: AnyObject, configuration: unknown, schema: Schema): unknown {
  if (!isMap(configuration)) throw new CelError('an apply configuration must be an object');
  const fields = { ...(configuration as Fields), apiVersion: object.apiVersion, kind: object.kind };
  const atomic = atomicPaths(fields, schema, '');
  if (atomic.length > 0) {
    throw new CelError(`invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: ${atomic.join(', ')}`);
  }
  return mergeFields(object, fields, schema);
}

function atomicPaths(value: unknown, schema: Schema | undefined, path: string): string[] {
  if (Array.isArray(value)) {
    if (schema?.type !== 'list' || schema.listType === 'atomic') return [path];
    return schema.listType === 'set' ? [] : value.flatMap((item) => atomicPaths(item, schema.items, path));
  }
  if (!isMap(value)) return [];
  if (schema?.type === 'map' || schema?.type === 'object') {
    if (schema.mapType === 'atomic') return [path];
    return Object.entries(value as Fields).flatMap(([key, item]) =>
      atomicPaths(item, schema.type === 'map' ? schema.values : schema.properties[key]?.schema, `${path}.${key}`),
    );
  }
  return [];
}
