/**
 * Bodies in Kubernetes' protobuf form, which Go clients send for built-in kinds, as the JSON values they stand for; `encode.ts` is the way back. See https://kubernetes.io/docs/reference/using-api/api-concepts/#protobuf-encoding
 */
import type { ObjectSchema, Schema } from '../../machinery/schema.ts';
import { type Message, messageOf } from './messages.ts';
import { magic, ProtobufError, Reader, type WireType } from './wire.ts';

export interface Envelope {
  readonly apiVersion: string;
  readonly kind: string;
  /** The object itself, still encoded. */
  readonly raw: Buffer;
}

/** Deeper than any real object; keeps hostile bytes from exhausting the stack. */
const depthBound = 64;

/** The wrapper that says what is inside. Throws {@link ProtobufError}. */
export function readEnvelope(bytes: Uint8Array): Envelope {
  if (bytes.length < magic.length || !magic.equals(bytes.subarray(0, magic.length))) {
    throw new ProtobufError('the body does not begin as Kubernetes protobuf does');
  }
  let apiVersion = '';
  let kind = '';
  let raw: Buffer = Buffer.alloc(0);
  eachField(bytes.subarray(magic.length), (field, reader, wire) => {
    if (field === 1) {
      eachField(reader.delimited(), (typeField, typeReader, typeWire) => {
        if (typeField === 1) apiVersion = typeReader.delimited().toString('utf8');
        else if (typeField === 2) kind = typeReader.delimited().toString('utf8');
        else typeReader.skip(typeWire);
      });
    } else if (field === 2) {
      raw = reader.delimited();
    } else {
      reader.skip(wire);
    }
  });
  return { apiVersion, kind, raw };
}

/** The object in an envelope, as JSON has it. Throws {@link ProtobufError}, also for types without a protobuf form. */
export function readObject({ apiVersion, kind, raw }: Envelope, schema: ObjectSchema): Record<string, unknown> {
  return { kind, apiVersion, ...readMessage(raw, schema, 0) };
}

function readMessage(bytes: Buffer, schema: ObjectSchema, depth: number): Record<string, unknown> {
  const message = messageOf(schema.name);
  if (message === undefined) throw new ProtobufError(`${schema.name} has no protobuf form here`);
  const object: Record<string, unknown> = {};
  readFields(bytes, message, schema, object, depth);
  return object;
}

function readFields(bytes: Buffer, message: Message, schema: ObjectSchema, object: Record<string, unknown>, depth: number): void {
  if (depth > depthBound) throw new ProtobufError('the object is nested too deeply');
  eachField(bytes, (number, reader, wire) => {
    const field = message.get(number);
    if (field === undefined) {
      reader.skip(wire);
      return;
    }
    if (field.type === 'inline') {
      const inline = messageOf(field.message);
      if (inline === undefined) throw new ProtobufError(`${field.message} has no protobuf form here`);
      readFields(reader.delimited(), inline, schema, object, depth + 1);
      return;
    }
    const property = schema.properties[field.name];
    if (property === undefined) reader.skip(wire);
    else readInto(object, field.name, property.schema, reader, wire, field.zeroIsValue, depth);
  });
}

function readInto(
  object: Record<string, unknown>,
  name: string,
  schema: Schema,
  reader: Reader,
  wire: WireType,
  zeroIsValue: boolean,
  depth: number,
): void {
  if (schema.type === 'list') {
    const items = (object[name] ??= []) as unknown[];
    readItems(items, schema.items, reader, wire, depth);
    return;
  }
  if (schema.type === 'map') {
    const values = (object[name] ??= {}) as Record<string, unknown>;
    const { key, value } = readEntry(reader.delimited(), schema.values, depth);
    values[key] = value;
    return;
  }
  const value = readValue(schema, reader, wire, depth);
  // What stands in a field of any type was sent on purpose.
  const absent = !zeroIsValue && schema.type !== 'any' && (value === '' || value === 0 || value === false);
  if (value === undefined || absent) return;
  object[name] = value;
}

/** Numbers may come packed; everything else comes one by one. */
function readItems(items: unknown[], schema: Schema, reader: Reader, wire: WireType, depth: number): void {
  if (schema.type === 'integer' && wire === 2) {
    const packed = new Reader(reader.delimited());
    while (!packed.done()) items.push(packed.integer());
    return;
  }
  items.push(readValue(schema, reader, wire, depth));
}

function readEntry(bytes: Buffer, schema: Schema, depth: number): { key: string; value: unknown } {
  let key = '';
  let value: unknown;
  eachField(bytes, (field, reader, wire) => {
    if (field === 1) key = reader.delimited().toString('utf8');
    else if (field === 2)
      value = schema.type === 'list' ? readWrapped(reader.delimited(), schema.items, depth) : readValue(schema, reader, wire, depth);
    else reader.skip(wire);
  });
  return { key, value: value ?? emptyOf(schema) };
}

/** A list inside a map is a message with the items as its first field. */
function readWrapped(bytes: Buffer, schema: Schema, depth: number): unknown[] {
  const items: unknown[] = [];
  eachField(bytes, (field, reader, wire) => {
    if (field === 1) readItems(items, schema, reader, wire, depth);
    else reader.skip(wire);
  });
  return items;
}

/** Undefined for a time that is not set. */
function readValue(schema: Schema, reader: Reader, wire: WireType, depth: number): unknown {
  expectWire(schema, wire);
  switch (schema.type) {
    case 'string':
      return reader.delimited().toString('utf8');
    case 'integer':
      return reader.integer();
    case 'boolean':
      return reader.varint() !== 0n;
    case 'number':
      return reader.double();
    case 'bytes':
      return reader.delimited().toString('base64');
    case 'object':
      return readMessage(reader.delimited(), schema, depth + 1);
    case 'quantity':
      return readFirst(reader.delimited());
    case 'int-or-string':
      return readIntOrString(reader.delimited());
    case 'time':
    case 'micro-time':
      return readTime(reader.delimited(), schema.type === 'micro-time');
    case 'any':
      return readRawJson(reader.delimited());
    case 'list':
    case 'map':
      throw new ProtobufError('lists and maps have no single value');
  }
}

function expectWire(schema: Schema, wire: WireType): void {
  const expected = schema.type === 'integer' || schema.type === 'boolean' ? 0 : schema.type === 'number' ? 1 : 2;
  if (wire !== expected) throw new ProtobufError(`a ${schema.type} cannot have wire type ${wire}`);
}

function emptyOf(schema: Schema): unknown {
  switch (schema.type) {
    case 'integer':
    case 'number':
      return 0;
    case 'boolean':
      return false;
    case 'object':
    case 'map':
      return {};
    case 'list':
      return [];
    case 'any':
      return null;
    default:
      return '';
  }
}

/** A message with one string. */
function readFirst(bytes: Buffer): string {
  let text = '';
  eachField(bytes, (field, reader, wire) => {
    if (field === 1) text = reader.delimited().toString('utf8');
    else reader.skip(wire);
  });
  return text;
}

function readIntOrString(bytes: Buffer): number | string {
  let isString = false;
  let number = 0;
  let text = '';
  eachField(bytes, (field, reader, wire) => {
    if (field === 1) isString = reader.integer() === 1;
    else if (field === 2) number = reader.integer();
    else if (field === 3) text = reader.delimited().toString('utf8');
    else reader.skip(wire);
  });
  return isString ? text : number;
}

function readTime(bytes: Buffer, micro: boolean): string | undefined {
  let seconds: number | undefined;
  let nanos = 0;
  eachField(bytes, (field, reader, wire) => {
    if (field === 1) seconds = reader.integer();
    else if (field === 2) nanos = reader.integer();
    else reader.skip(wire);
  });
  if (seconds === undefined) return undefined;
  const date = new Date(seconds * 1000);
  if (Number.isNaN(date.getTime())) throw new ProtobufError('a time is out of range');
  const whole = date.toISOString().slice(0, 19);
  return micro ? `${whole}.${String(Math.trunc(nanos / 1000)).padStart(6, '0')}Z` : `${whole}Z`;
}

function readRawJson(bytes: Buffer): unknown {
  let raw: Buffer = Buffer.alloc(0);
  eachField(bytes, (field, reader, wire) => {
    if (field === 1) raw = reader.delimited();
    else reader.skip(wire);
  });
  if (raw.length === 0) return undefined;
  try {
    return JSON.parse(raw.toString('utf8'));
  } catch {
    throw new ProtobufError('an embedded object is not JSON');
  }
}

function eachField(bytes: Uint8Array, visit: (field: number, reader: Reader, wire: WireType) => void): void {
  const reader = new Reader(bytes);
  while (!reader.done()) {
    const { field, wire } = reader.tag();
    visit(field, reader, wire);
  }
}
