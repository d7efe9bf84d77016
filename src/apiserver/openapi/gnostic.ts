/**
 * OpenAPI version 2 in protobuf, the form in which kubectl and client-go ask for it. The messages are gnostic's: see
 * https://github.com/google/gnostic/blob/main/openapiv2/OpenAPIv2.proto
 */
import { isFields } from '../custom-resources/structure.ts';

export const gnosticMediaType = 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf';
/** What upstream calls its answer: an @ does not belong into a type's name. */
export const gnosticContentType = 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf';

type Fields = Readonly<Record<string, unknown>>;

export function encodeGnostic(document: Fields): Buffer {
  const info = fieldsOf(document['info']);
  return new Message()
    .text(1, document['swagger'])
    .message(2, new Message().text(1, info['title']).text(2, info['version']).text(3, info['description']))
    .message(8, named(2, document['paths'], pathItem))
    .message(9, named(1, document['definitions'], schema))
    .messages(12, document['security'], securityRequirement)
    .message(13, named(1, document['securityDefinitions'], securityDefinition))
    .bytes();
}

/** A map: entries of a name (1) and a value (2). */
function named(field: number, map: unknown, encode: (value: Fields) => Message): Message {
  const message = new Message();
  for (const [name, value] of Object.entries(fieldsOf(map))) {
    message.message(field, new Message().text(1, name).message(2, encode(fieldsOf(value))));
  }
  return message;
}

const methods = [
  ['get', 2],
  ['put', 3],
  ['post', 4],
  ['delete', 5],
  ['options', 6],
  ['head', 7],
  ['patch', 8],
] as const;

function pathItem(item: Fields): Message {
  const message = new Message();
  for (const [method, field] of methods) if (isFields(item[method])) message.message(field, operation(item[method]));
  return message.messages(9, item['parameters'], parametersItem).extensions(10, item);
}

function operation(value: Fields): Message {
  return new Message()
    .texts(1, value['tags'])
    .text(2, value['summary'])
    .text(3, value['description'])
    .text(5, value['operationId'])
    .texts(6, value['produces'])
    .texts(7, value['consumes'])
    .messages(8, value['parameters'], parametersItem)
    .message(9, named(1, value['responses'], responseValue))
    .texts(10, value['schemes'])
    .flag(11, value['deprecated'])
    .extensions(13, value);
}

function parametersItem(value: Fields): Message {
  if (typeof value['$ref'] === 'string') return new Message().message(2, new Message().text(1, value['$ref']));
  const parameter = value['in'] === 'body' ? new Message().message(1, bodyParameter(value)) : new Message().message(2, nonBodyParameter(value));
  return new Message().message(1, parameter);
}

function bodyParameter(value: Fields): Message {
  return new Message()
    .text(1, value['description'])
    .text(2, value['name'])
    .text(3, value['in'])
    .flag(4, value['required'])
    .message(5, schema(fieldsOf(value['schema'])))
    .extensions(6, value);
}

const places: Readonly<Record<string, number>> = { header: 1, formData: 2, query: 3, path: 4 };

function nonBodyParameter(value: Fields): Message {
  const place = String(value['in']);
  // Those of queries and forms may be empty, and have one field more for it.
  const shift = place === 'query' || place === 'formData' ? 1 : 0;
  const parameter = new Message()
    .flag(1, value['required'])
    .text(2, value['in'])
    .text(3, value['description'])
    .text(4, value['name'])
    .text(5 + shift, value['type'])
    .text(6 + shift, value['format'])
    .flag(19 + shift, value['uniqueItems'])
    .extensions(22 + shift, value);
  return new Message().message(places[place] ?? 3, parameter);
}

function responseValue(value: Fields): Message {
  const response = new Message().text(1, value['description']);
  if (isFields(value['schema'])) response.message(2, new Message().message(1, schema(value['schema'])));
  return new Message().message(1, response.extensions(5, value));
}

function schema(value: Fields): Message {
  const { additionalProperties, type, items } = value;
  const message = new Message()
    .text(1, value['$ref'])
    .text(2, value['format'])
    .text(3, value['title'])
    .text(4, value['description'])
    .any(5, value['default'])
    .double(6, value['multipleOf'])
    .double(7, value['maximum'])
    .flag(8, value['exclusiveMaximum'])
    .double(9, value['minimum'])
    .flag(10, value['exclusiveMinimum'])
    .integer(11, value['maxLength'])
    .integer(12, value['minLength'])
    .text(13, value['pattern'])
    .integer(14, value['maxItems'])
    .integer(15, value['minItems'])
    .flag(16, value['uniqueItems'])
    .integer(17, value['maxProperties'])
    .integer(18, value['minProperties'])
    .texts(19, value['required']);
  for (const item of listOf(value['enum'])) message.any(20, item);
  if (typeof additionalProperties === 'boolean') message.message(21, new Message().flag(2, additionalProperties));
  else if (isFields(additionalProperties)) message.message(21, new Message().message(1, schema(additionalProperties)));
  if (type !== undefined) message.message(22, new Message().texts(1, Array.isArray(type) ? type : [type]));
  if (items !== undefined) message.message(23, new Message().messages(1, Array.isArray(items) ? items : [items], schema));
  message.messages(24, value['allOf'], schema);
  if (isFields(value['properties'])) message.message(25, named(1, value['properties'], schema));
  return message.text(26, value['discriminator']).flag(27, value['readOnly']).any(30, value['example']).extensions(31, value);
}

function securityRequirement(value: Fields): Message {
  const message = new Message();
  for (const [name, scopes] of Object.entries(value)) {
    message.message(1, new Message().text(1, name).message(2, new Message().texts(1, scopes)));
  }
  return message;
}

/** Of the ways there are this server's documents have one. */
function securityDefinition(value: Fields): Message {
  const apiKey = new Message().text(1, value['type']).text(2, value['name']).text(3, value['in']).text(4, value['description']);
  return new Message().message(2, apiKey);
}

function fieldsOf(value: unknown): Fields {
  return isFields(value) ? value : {};
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

const empty = Buffer.alloc(0);

/** A message being written. What is absent, empty or false is left out, as protobuf has it. */
class Message {
  readonly #parts: Uint8Array[] = [];
  #length = 0;

  text(field: number, value: unknown): this {
    return typeof value === 'string' && value !== '' ? this.#delimited(field, Buffer.from(value, 'utf8')) : this;
  }

  /** Every item is there, even an empty one. */
  texts(field: number, values: unknown): this {
    for (const value of listOf(values)) this.#delimited(field, Buffer.from(String(value), 'utf8'));
    return this;
  }

  flag(field: number, value: unknown): this {
    return value === true ? this.#add(varint(field << 3), varint(1)) : this;
  }

  integer(field: number, value: unknown): this {
    return typeof value === 'number' && value > 0 ? this.#add(varint(field << 3), varint(value)) : this;
  }

  double(field: number, value: unknown): this {
    if (typeof value !== 'number' || value === 0) return this;
    const bytes = Buffer.alloc(8);
    bytes.writeDoubleLE(value);
    return this.#add(varint((field << 3) | 1), bytes);
  }

  /** Any value, as the YAML that JSON is. */
  any(field: number, value: unknown): this {
    return value === undefined ? this : this.message(field, new Message().text(2, JSON.stringify(value)));
  }

  message(field: number, value: Message): this {
    return this.#delimited(field, value.bytes());
  }

  messages(field: number, values: unknown, encode: (value: Fields) => Message): this {
    for (const value of listOf(values)) this.message(field, encode(fieldsOf(value)));
    return this;
  }

  /** What begins with `x-`, each by its name. */
  extensions(field: number, value: Fields): this {
    for (const name in value) if (name.startsWith('x-')) this.message(field, new Message().text(1, name).any(2, value[name]));
    return this;
  }

  bytes(): Buffer {
    return this.#length === 0 ? empty : Buffer.concat(this.#parts, this.#length);
  }

  #delimited(field: number, bytes: Uint8Array): this {
    return this.#add(varint((field << 3) | 2), varint(bytes.length), bytes);
  }

  #add(...parts: readonly Uint8Array[]): this {
    for (const part of parts) {
      this.#parts.push(part);
      this.#length += part.length;
    }
    return this;
  }
}

/** Most numbers are lengths and tags below 128. */
const oneByte = Array.from({ length: 128 }, (_, value) => Buffer.from([value]));

function varint(value: number): Buffer {
  const short = oneByte[value];
  if (short !== undefined) return short;
  const bytes: number[] = [];
  let rest = value;
  while (rest > 127) {
    bytes.push((rest % 128) | 128);
    rest = Math.floor(rest / 128);
  }
  bytes.push(rest);
  return Buffer.from(bytes);
}
