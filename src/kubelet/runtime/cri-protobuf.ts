/**
 * Protocol Buffers' wire format, as much of it as CRI and containerd's event service need, with the message types inferred from their
 * declarations. See https://protobuf.dev/programming-guides/encoding/. Absent scalars decode to their zero value, absent messages to undefined.
 */

/** One field of a message: its number, and how its values are written and read. `In` is what may be given, `Out` what comes back. */
export interface Field<In, Out> {
  readonly number: number;
  initial(): Out;
  write(writer: Writer, value: In): void;
  read(reader: Reader, wireType: number, before: Out): Out;
}

// A field's methods are bivariant in TypeScript, which is what lets fields of all types stand in one record.
type Fields = Readonly<Record<string, Field<unknown, unknown>>>;
export type InputOf<F extends Fields> = { readonly [K in keyof F]?: (F[K] extends Field<infer In, unknown> ? In : never) | undefined };
export type OutputOf<F extends Fields> = { readonly [K in keyof F]: F[K] extends Field<infer _In, infer Out> ? Out : never };

export interface Message<In, Out> {
  encode(value: In): Buffer;
  decode(bytes: Uint8Array): Out;
}

/** What a message decodes to. */
export type Decoded<M> = M extends Message<infer _In, infer Out> ? Out : never;
/** What a message is encoded from. */
export type Encodable<M> = M extends Message<infer In, unknown> ? In : never;

const varint = 0;
const fixed64 = 1;
const delimited = 2;
const fixed32 = 5;

export class ProtobufError extends Error {}

export class Writer {
  #bytes = Buffer.allocUnsafe(256);
  #length = 0;

  tag(number: number, wireType: number): void {
    this.unsigned(number * 8 + wireType);
  }

  /** Up to 2^53. */
  unsigned(value: number): void {
    this.#reserve(10);
    while (value > 0x7f) {
      this.#bytes[this.#length++] = (value % 0x80) | 0x80;
      value = Math.floor(value / 0x80);
    }
    this.#bytes[this.#length++] = value;
  }

  /** Negative numbers take ten bytes, as int32 and int64 do on the wire. */
  signed(value: number): void {
    if (value >= 0) {
      this.unsigned(value);
      return;
    }
    this.#reserve(10);
    let rest = BigInt.asUintN(64, BigInt(value));
    for (; rest > 0x7fn; rest >>= 7n) this.#bytes[this.#length++] = Number(rest & 0x7fn) | 0x80;
    this.#bytes[this.#length++] = Number(rest);
  }

  raw(bytes: Uint8Array): void {
    this.unsigned(bytes.length);
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  finish(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#length + more));
    this.#bytes.copy(grown, 0, 0, this.#length);
    this.#bytes = grown;
  }
}

export class Reader {
  readonly #bytes: Buffer;
  #position = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get done(): boolean {
    return this.#position >= this.#bytes.length;
  }

  /** The full 64 bits rarely matter (nanoseconds lose their last digits); in two halves so that negative ones come out right. */
  varint(): number {
    let low = 0;
    let high = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = this.#bytes[this.#position++];
      if (byte === undefined) throw new ProtobufError('a number is cut short');
      const bits = byte & 0x7f;
      if (shift < 28) low |= bits << shift;
      else if (shift === 28) {
        low |= (bits & 0xf) << 28;
        high |= bits >> 4;
      } else high |= bits << (shift - 32);
      if (byte < 0x80) return (high | 0) * 0x1_0000_0000 + (low >>> 0);
    }
    throw new ProtobufError('a number is longer than ten bytes');
  }

  raw(): Buffer {
    const length = this.varint();
    const end = this.#position + length;
    if (length < 0 || end > this.#bytes.length) throw new ProtobufError('a field is cut short');
    const bytes = this.#bytes.subarray(this.#position, end);
    this.#position = end;
    return bytes;
  }

  skip(wireType: number): void {
    if (wireType === varint) this.varint();
    else if (wireType === fixed64) this.#position += 8;
    else if (wireType === delimited) this.raw();
    else if (wireType === fixed32) this.#position += 4;
    else throw new ProtobufError(`unknown wire type ${wireType}`);
  }
}

export function string(number: number): Field<string, string> {
  return {
    number,
    initial: () => '',
    write: (writer, value) => value !== '' && writeBytes(writer, number, Buffer.from(value)),
    read: (reader) => reader.raw().toString(),
  };
}

export function bytes(number: number): Field<Uint8Array, Buffer> {
  return {
    number,
    initial: () => Buffer.alloc(0),
    write: (writer, value) => value.length > 0 && writeBytes(writer, number, value),
    read: (reader) => Buffer.from(reader.raw()),
  };
}

/** int32, int64, uint32 and uint64 alike. */
export function integer(number: number): Field<number, number> {
  return {
    number,
    initial: () => 0,
    write(writer, value) {
      if (value === 0) return;
      writer.tag(number, varint);
      writer.signed(value);
    },
    read: (reader) => reader.varint(),
  };
}

export function boolean(number: number): Field<boolean, boolean> {
  return {
    number,
    initial: () => false,
    write(writer, value) {
      if (!value) return;
      writer.tag(number, varint);
      writer.unsigned(1);
    },
    read: (reader) => reader.varint() !== 0,
  };
}

/** `names` in the order of their numbers, from 0; an unknown number reads as the first. */
export function enumeration<const Names extends readonly [string, ...string[]]>(number: number, names: Names): Field<Names[number], Names[number]> {
  return {
    number,
    initial: () => names[0],
    write(writer, value) {
      const index = names.indexOf(value);
      if (index <= 0) return;
      writer.tag(number, varint);
      writer.unsigned(index);
    },
    read: (reader) => names[reader.varint()] ?? names[0],
  };
}

export function nested<In, Out>(number: number, type: Message<In, Out>): Field<In, Out | undefined> {
  return {
    number,
    initial: () => undefined,
    write: (writer, value) => writeBytes(writer, number, type.encode(value)),
    read: (reader) => type.decode(reader.raw()),
  };
}

export function strings(number: number): Field<readonly string[], string[]> {
  return {
    number,
    initial: () => [],
    write(writer, values) {
      for (const value of values) writeBytes(writer, number, Buffer.from(value));
    },
    read(reader, _wireType, before) {
      before.push(reader.raw().toString());
      return before;
    },
  };
}

export function integers(number: number): Field<readonly number[], number[]> {
  return {
    number,
    initial: () => [],
    write(writer, values) {
      if (values.length === 0) return;
      const packed = new Writer();
      for (const value of values) packed.signed(value);
      writeBytes(writer, number, packed.finish());
    },
    read(reader, wireType, before) {
      if (wireType !== delimited) before.push(reader.varint());
      else for (const packed = new Reader(reader.raw()); !packed.done;) before.push(packed.varint());
      return before;
    },
  };
}

export function repeated<In, Out>(number: number, type: Message<In, Out>): Field<readonly In[], Out[]> {
  return {
    number,
    initial: () => [],
    write(writer, values) {
      for (const value of values) writeBytes(writer, number, type.encode(value));
    },
    read(reader, _wireType, before) {
      before.push(type.decode(reader.raw()));
      return before;
    },
  };
}

/** `map<string, string>`: on the wire a repeated message of key and value. */
export function stringMap(number: number): Field<Readonly<Record<string, string>>, Record<string, string>> {
  const entry = message({ key: string(1), value: string(2) });
  return {
    number,
    initial: () => ({}),
    write(writer, map) {
      for (const [key, value] of Object.entries(map)) writeBytes(writer, number, entry.encode({ key, value }));
    },
    read(reader, _wireType, before) {
      const { key, value } = entry.decode(reader.raw());
      before[key] = value;
      return before;
    },
  };
}

export function message<F extends Fields>(fields: F): Message<InputOf<F>, OutputOf<F>> {
  const named = Object.entries(fields);
  const byNumber = new Map(named.map(([name, field]) => [field.number, { name, field }]));
  return {
    encode(value) {
      const writer = new Writer();
      const given: Readonly<Record<string, unknown>> = value;
      for (const [name, field] of named) {
        const item = given[name];
        if (item !== undefined) field.write(writer, item);
      }
      return writer.finish();
    },
    decode(encoded) {
      const result: Record<string, unknown> = {};
      for (const [name, field] of named) result[name] = field.initial();
      for (const reader = new Reader(encoded); !reader.done;) {
        const tag = reader.varint();
        const known = byNumber.get(tag >>> 3);
        if (known === undefined) reader.skip(tag & 7);
        else result[known.name] = known.field.read(reader, tag & 7, result[known.name]);
      }
      // One value for each declared field, of the field's type: what OutputOf says, which the compiler cannot follow through the loop.
      return result as OutputOf<F>;
    },
  };
}

function writeBytes(writer: Writer, number: number, value: Uint8Array): void {
  writer.tag(number, delimited);
  writer.raw(value);
}
