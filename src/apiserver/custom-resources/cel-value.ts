/**
 * Values of custom resources as rules see them: whole numbers as integers, times as times, fields under names CEL can say, and nothing that the schema does
 * not know.
 */
import { escapedFieldName } from '../../machinery/cel/field-names.ts';
import { tryDuration } from '../../machinery/cel/time.ts';
import { parseTime } from '../../machinery/time.ts';
import { type Fields, isFields, metaFields, setOwn, type Structure } from './structure.ts';

export function celValue(value: unknown, structure: Structure, isRoot: boolean): unknown {
  if (Array.isArray(value)) {
    const { items } = structure;
    return items ? value.map((item) => celValue(item, items, false)) : value.map(plainValue);
  }
  if (isFields(value)) return fieldsValue(value, structure, isRoot || structure.isEmbedded);
  if (typeof value === 'number') return structure.type === 'integer' || structure.isIntOrString ? wholeNumber(value) : value;
  return typeof value === 'string' ? textValue(value, structure.props.format) : value;
}

function fieldsValue(value: Fields, { properties, additional }: Structure, isWhole: boolean): Fields {
  const result: Fields = {};
  for (const [key, item] of Object.entries(value)) {
    if (item === undefined || item === null) continue;
    const known = properties.get(key);
    if (isWhole && metaFields.has(key)) setOwn(result, key, key === 'metadata' ? nameOf(item) : item);
    else if (known) setOwn(result, escapedFieldName(key), celValue(item, known, false));
    else if (typeof additional === 'object') setOwn(result, key, celValue(item, additional, false));
    else if (additional === 'anything') setOwn(result, key, plainValue(item));
  }
  return result;
}

/** No other metadata is a rule's business. */
function nameOf(metadata: unknown): Fields {
  const { name, generateName } = isFields(metadata) ? metadata : {};
  return { ...(name !== undefined && { name }), ...(generateName !== undefined && { generateName }) };
}

function wholeNumber(value: number): bigint | number {
  return Number.isSafeInteger(value) ? BigInt(value) : value;
}

function textValue(text: string, format: string | undefined): unknown {
  switch (format) {
    case 'date':
      return new Date(`${text}T00:00:00Z`);
    case 'date-time':
      return Number.isNaN(parseTime(text)) ? text : new Date(text);
    case 'duration':
      return tryDuration(text) ?? text;
    case 'byte':
      return new Uint8Array(Buffer.from(text, 'base64'));
    default:
      return text;
  }
}

/** A value nobody said anything about. */
function plainValue(value: unknown): unknown {
  if (typeof value === 'number') return wholeNumber(value);
  if (Array.isArray(value)) return value.map(plainValue);
  if (!isFields(value)) return value;
  const result: Fields = {};
  for (const [key, item] of Object.entries(value)) setOwn(result, key, plainValue(item));
  return result;
}
