/**
 * Reading an object of a custom kind: a copy without the fields its schema does not know. Values of wrong types are left for validation to name; only
 * `metadata` is read as that of any kind.
 */
import { schemaOf } from '../../api/schemas.ts';
import { type Decoded, decodeObject } from '../../machinery/decode.ts';
import { type Fields, isFields, metaFields, setOwn, type Structure } from './structure.ts';

/** Deeper values are refused: nothing real nests so, and the stack is finite. */
const maxDepth = 500;

interface Reading {
  readonly unknownFields: string[];
  readonly typeErrors: string[];
}

export function readCustomObject(value: object, root: Structure): Decoded {
  const reading: Reading = { unknownFields: [], typeErrors: [] };
  return { object: readWhole(value as Fields, root, '', reading, 0), ...reading };
}

/** A whole Kubernetes object: the root, or one embedded in it. */
function readWhole(value: Fields, structure: Structure, path: string, reading: Reading, depth: number): Fields {
  const result = readFields(value, structure, path, reading, depth);
  for (const field of ['apiVersion', 'kind']) if (value[field] !== undefined && value[field] !== null) result[field] = value[field];
  const { metadata } = value;
  delete result['metadata'];
  if (metadata === undefined || metadata === null) return result;
  const { object, unknownFields, typeErrors } = decodeObject(metadata, schemaOf('V1ObjectMeta'));
  result['metadata'] = object;
  for (const field of unknownFields) reading.unknownFields.push(`${path}metadata.${field}`);
  reading.typeErrors.push(...typeErrors);
  return result;
}

function read(value: unknown, structure: Structure, path: string, reading: Reading, depth: number): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (depth > maxDepth) {
    reading.typeErrors.push(`${path}: too deeply nested value`);
    return undefined;
  }
  if (Array.isArray(value)) {
    const { items } = structure;
    if (!items) return copy(value, path, reading, depth);
    return value.map((item, index) => read(item, items, `${path}[${index}]`, reading, depth + 1) ?? null);
  }
  if (structure.isEmbedded) return readWhole(value as Fields, structure, `${path}.`, reading, depth);
  return readFields(value as Fields, structure, path === '' ? '' : `${path}.`, reading, depth);
}

function readFields(value: Fields, structure: Structure, prefix: string, reading: Reading, depth: number): Fields {
  const result: Fields = {};
  const whole = prefix === '' || structure.isEmbedded;
  for (const key in value) {
    const item = value[key];
    if (item === undefined || (whole && metaFields.has(key))) continue;
    const known = structure.properties.get(key) ?? (structure.additional === 'anything' ? undefined : structure.additional);
    if (known) {
      // A null that is not allowed stands for a field that is not there.
      if (item !== null || known.isNullable) setOwn(result, key, read(item, known, prefix + key, reading, depth + 1));
    } else if (structure.preservesUnknown || structure.additional === 'anything') {
      setOwn(result, key, copy(item, prefix + key, reading, depth + 1));
    } else if (!isScalarSchema(structure)) {
      reading.unknownFields.push(prefix + key);
    } else {
      // An object where a scalar belongs: validation says so, and shows it.
      setOwn(result, key, copy(item, prefix + key, reading, depth + 1));
    }
  }
  return result;
}

function isScalarSchema({ type }: Structure): boolean {
  return type !== 'object' && type !== '';
}

function copy(value: unknown, path: string, reading: Reading, depth: number): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (depth > maxDepth) {
    reading.typeErrors.push(`${path}: too deeply nested value`);
    return undefined;
  }
  if (Array.isArray(value)) return value.map((item) => copy(item, path, reading, depth + 1) ?? null);
  const result: Fields = {};
  if (isFields(value)) for (const key in value) if (value[key] !== undefined) setOwn(result, key, copy(value[key], path, reading, depth + 1));
  return result;
}
