/**
 * JSON values as Kubernetes' protobuf form has them: the way back of `decode.ts`, by the same table of field numbers. Each schema becomes a writer once.
 * Fields that are absent are not sent, maps are in the order of their keys, as upstream's encoder has them.
 * See https://kubernetes.io/docs/reference/using-api/api-concepts/#protobuf-encoding
 */
import type { ObjectSchema, Schema } from '../../machinery/schema.ts';
import { parseTime } from '../../machinery/time.ts';
import { BackwardWriter } from './backward-writer.ts';
import { type Message, messageOf } from './messages.ts';
import { magic, ProtobufError } from './wire.ts';

/** Whether objects of the schema have a protobuf form. */
export function hasProtobufForm({ name }: ObjectSchema): boolean {
  return name !== '' && messageOf(name) !== undefined;
}

/** The object's message, without the envelope. Throws {@link ProtobufError} for what its schema does not fit. */
export function encodeMessage(value: object, schema: ObjectSchema): Buffer {
  try {
    writeFieldsOf(schema)(value as Fields);
    return writer.take();
  } catch (error) {
    writer.reset();
    throw error;
  }
}

/** The wrapper that says what is inside, around a message. */
export function wrap(apiVersion: string, kind: string, message: Uint8Array): Buffer {
  return Buffer.concat([envelopeStart(apiVersion, kind), lengthOf(message.length), message, envelopeEnd]);
}

/** A `List` of messages, with the metadata of the list. */
export function wrapList(apiVersion: string, kind: string, metadata: Uint8Array, items: readonly Uint8Array[]): Buffer {
  const start = envelopeStart(apiVersion, kind);
  const metadataHead = Buffer.concat([Buffer.from([0x0a]), lengthOf(metadata.length)]);
  let length = metadataHead.length + metadata.length;
  for (const item of items) length += 1 + sizeOfLength(item.length) + item.length;
  const lengthHead = lengthOf(length);
  const bytes = Buffer.allocUnsafeSlow(start.length + lengthHead.length + length + envelopeEnd.length);
  let at = 0;
  for (const part of [start, lengthHead, metadataHead, metadata]) {
    bytes.set(part, at);
    at += part.length;
  }
  for (const item of items) {
    bytes[at++] = itemTag;
    at = writeLength(bytes, at, item.length);
    bytes.set(item, at);
    at += item.length;
  }
  bytes.set(envelopeEnd, at);
  return bytes;
}

/** A `WatchEvent` around an envelope, as one frame of a stream has it; the frame's own length is not in it. */
export function watchEventMessage(type: string, envelope: Uint8Array): Buffer {
  writer.chunk(envelope);
  writer.tag(rawTag);
  writer.lengthSince(0);
  writer.tag(eventObjectTag);
  writer.string(type);
  writer.tag(eventTypeTag);
  return writer.take();
}

const rawTag = 0x0a;
const eventTypeTag = 0x0a;
const eventObjectTag = 0x12;
const itemTag = 0x12;
/** Two empty strings: no encoding of the content, and no media type of its own. */
const envelopeEnd = Buffer.from([0x1a, 0, 0x22, 0]);

/** Of the few types there are; the bound is for custom resources' metadata. */
const starts = new Map<string, Buffer>();
const startsBound = 2000;

function envelopeStart(apiVersion: string, kind: string): Buffer {
  const key = `${apiVersion} ${kind}`;
  const known = starts.get(key);
  if (known !== undefined) return known;
  writer.tag(0x12);
  const mark = writer.mark();
  writer.string(kind);
  writer.tag(0x12);
  writer.string(apiVersion);
  writer.tag(0x0a);
  writer.lengthSince(mark);
  writer.tag(0x0a);
  writer.raw(magic);
  const start = writer.take();
  if (starts.size >= startsBound) starts.clear();
  starts.set(key, start);
  return start;
}

function lengthOf(length: number): Buffer {
  const bytes = Buffer.allocUnsafe(sizeOfLength(length));
  writeLength(bytes, 0, length);
  return bytes;
}

function sizeOfLength(length: number): number {
  return length < 0x80 ? 1 : length < 0x4000 ? 2 : length < 0x20_0000 ? 3 : length < 0x1000_0000 ? 4 : 5;
}

function writeLength(bytes: Buffer, from: number, length: number): number {
  let at = from;
  let left = length;
  for (; left >= 0x80; left = Math.floor(left / 0x80)) bytes[at++] = (left % 0x80) | 0x80;
  bytes[at++] = left;
  return at;
}

type Fields = Readonly<Record<string, unknown>>;
/** Writes the value after its tag. */
type ValueWriter = (value: never) => void;
type FieldsWriter = (object: Fields) => void;

/** One for all: encoding never waits. */
const writer = new BackwardWriter();

const fieldWriters = new WeakMap<ObjectSchema, FieldsWriter>();

function writeFieldsOf(schema: ObjectSchema): FieldsWriter {
  let known = fieldWriters.get(schema);
  if (known === undefined) {
    const message = messageOf(schema.name);
    if (message === undefined) throw new ProtobufError(`${schema.name === '' ? 'the object' : schema.name} has no protobuf form here`);
    known = fieldsWriter(message, schema);
    fieldWriters.set(schema, known);
  }
  return known;
}

/** Fields are written last first; they are compiled when the first object comes, as schemas may hold themselves. */
function fieldsWriter(message: Message, schema: ObjectSchema): FieldsWriter {
  let writers: readonly FieldsWriter[] | undefined;
  return (object) => {
    writers ??= compile(message, schema);
    for (const write of writers) write(object);
  };
}

function compile(message: Message, schema: ObjectSchema): FieldsWriter[] {
  const numbered = [...message].sort(([a], [b]) => b - a);
  return numbered.flatMap(([number, field]): FieldsWriter[] => {
    if (field.type === 'inline') {
      const inline = messageOf(field.message);
      if (inline === undefined) throw new ProtobufError(`${field.message} has no protobuf form here`);
      return [messageWriter(number, fieldsWriter(inline, schema))];
    }
    const property = schema.properties[field.name];
    return property === undefined ? [] : [propertyWriter(field.name, number, property.schema)];
  });
}

/** A message whose fields stand among the object's own. */
function messageWriter(number: number, fields: FieldsWriter): FieldsWriter {
  const tag = number * 8 + 2;
  return (object) => {
    const mark = writer.mark();
    fields(object);
    writer.lengthSince(mark);
    writer.tag(tag);
  };
}

function propertyWriter(name: string, number: number, schema: Schema): FieldsWriter {
  if (schema.type === 'list') {
    const items = repeatedWriter(number, schema.items);
    return (object) => {
      const value = object[name];
      if (Array.isArray(value)) items(value);
    };
  }
  if (schema.type === 'map') {
    const entries = entriesWriter(number, schema.values);
    return (object) => {
      const value = object[name];
      if (typeof value === 'object' && value !== null) entries(value as Fields);
    };
  }
  const tag = number * 8 + wireTypeOf(schema);
  const write = valueWriter(schema);
  return (object) => {
    const value = object[name];
    if (value === undefined || value === null) return;
    write(value as never);
    writer.tag(tag);
  };
}

function repeatedWriter(number: number, schema: Schema): (items: readonly unknown[]) => void {
  const tag = number * 8 + wireTypeOf(schema);
  const write = valueWriter(schema);
  return (items) => {
    for (let i = items.length - 1; i >= 0; i--) {
      write(items[i] as never);
      writer.tag(tag);
    }
  };
}

function entriesWriter(number: number, schema: Schema): (entries: Fields) => void {
  const tag = number * 8 + 2;
  const valueTag = 2 * 8 + (schema.type === 'list' ? 2 : wireTypeOf(schema));
  const write = schema.type === 'list' ? wrappedWriter(schema.items) : valueWriter(schema);
  return (entries) => {
    const keys = Object.keys(entries);
    if (keys.length > 1) keys.sort();
    for (let i = keys.length - 1; i >= 0; i--) {
      const key = keys[i] ?? '';
      const mark = writer.mark();
      write(entries[key] as never);
      writer.tag(valueTag);
      writer.string(key);
      writer.tag(rawTag);
      writer.lengthSince(mark);
      writer.tag(tag);
    }
  };
}

/** A list inside a map is a message with the items as its first field. */
function wrappedWriter(schema: Schema): (items: readonly unknown[]) => void {
  const write = repeatedWriter(1, schema);
  return (items) => {
    const mark = writer.mark();
    write(items);
    writer.lengthSince(mark);
  };
}

function wireTypeOf(schema: Schema): number {
  return schema.type === 'integer' || schema.type === 'boolean' ? 0 : schema.type === 'number' ? 1 : 2;
}

function valueWriter(schema: Schema): ValueWriter {
  switch (schema.type) {
    case 'string':
      return (value: string) => writer.string(value);
    case 'integer':
      return (value: number) => writer.integer(value);
    case 'boolean':
      return (value: boolean) => writer.boolean(value);
    case 'number':
      return (value: number) => writer.double(value);
    case 'bytes':
      return (value: string) => writer.chunk(Buffer.from(value, 'base64'));
    case 'object':
      return objectWriter(schema);
    case 'quantity':
      return writeQuantity;
    case 'int-or-string':
      return writeIntOrString;
    case 'time':
    case 'micro-time':
      return writeTime;
    case 'any':
      return writeRawJson;
    case 'list':
    case 'map':
      throw new ProtobufError('lists and maps stand in objects only');
  }
}

function objectWriter(schema: ObjectSchema): ValueWriter {
  const fields = writeFieldsOf(schema);
  return (value: Fields) => {
    const mark = writer.mark();
    fields(value);
    writer.lengthSince(mark);
  };
}

function writeQuantity(value: string | number): void {
  const mark = writer.mark();
  writer.string(String(value));
  writer.tag(rawTag);
  writer.lengthSince(mark);
}

/** A kind (0 for a number, 1 for a string), the number and the string: all three are always sent. */
function writeIntOrString(value: string | number): void {
  const isString = typeof value === 'string';
  const mark = writer.mark();
  writer.string(isString ? value : '');
  writer.tag(0x1a);
  writer.integer(isString ? 0 : value);
  writer.tag(0x10);
  writer.integer(isString ? 1 : 0);
  writer.tag(0x08);
  writer.lengthSince(mark);
}

function writeTime(value: string): void {
  const milliseconds = parseTime(value);
  if (Number.isNaN(milliseconds)) throw new ProtobufError(`${JSON.stringify(value)} is not a time`);
  const mark = writer.mark();
  writer.integer(nanosOf(value));
  writer.tag(0x10);
  writer.integer(Math.floor(milliseconds / 1000));
  writer.tag(0x08);
  writer.lengthSince(mark);
}

/** Of the part of a second the text has, which may be finer than milliseconds. */
function nanosOf(time: string): number {
  const point = time.indexOf('.');
  if (point < 0) return 0;
  const digits = /^\d{1,9}/.exec(time.slice(point + 1))?.[0] ?? '';
  return Number(digits.padEnd(9, '0'));
}

/** What has no type is embedded as JSON. */
function writeRawJson(value: unknown): void {
  const mark = writer.mark();
  writer.string(JSON.stringify(value));
  writer.tag(rawTag);
  writer.lengthSince(mark);
}
