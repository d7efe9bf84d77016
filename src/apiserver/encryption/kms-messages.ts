/**
 * What is said to a key management plugin (`v2.KeyManagementService`), and what is stored of its answers, in protobuf.
 * See https://kubernetes.io/docs/tasks/administer-cluster/kms-provider/
 */
import { Reader } from '../protobuf/wire.ts';

export type Annotations = ReadonlyMap<string, Buffer>;

export interface KmsStatus {
  readonly version: string;
  readonly healthz: string;
  readonly keyId: string;
}

/** A data key (or the seed of data keys) as only the plugin can read it. */
export interface WrappedSeed {
  readonly ciphertext: Buffer;
  readonly keyId: string;
  readonly annotations: Annotations;
}

/** A stored value: its ciphertext, and the wrapped seed its key comes from. */
export interface KmsValue extends WrappedSeed {
  readonly data: Buffer;
  /** Whether the wrapped key is the data key itself (0), or a seed each value's key is derived from (1). */
  readonly sourceType: number;
}

export function encodeNothing(): Buffer {
  return Buffer.alloc(0);
}

export function encodeEncryptRequest({ plaintext, uid }: { plaintext: Uint8Array; uid: string }): Buffer {
  return Buffer.concat([field(1, plaintext), field(2, uid)]);
}

export function encodeDecryptRequest({ ciphertext, uid, keyId, annotations }: WrappedSeed & { uid: string }): Buffer {
  return Buffer.concat([field(1, ciphertext), field(2, uid), field(3, keyId), ...entries(4, annotations)]);
}

export function decodeStatus(bytes: Buffer): KmsStatus {
  const fields = fieldsOf(bytes);
  return { version: textAt(fields, 1), healthz: textAt(fields, 2), keyId: textAt(fields, 3) };
}

export function decodeEncryptResponse(bytes: Buffer): WrappedSeed {
  const fields = fieldsOf(bytes);
  return { ciphertext: bytesAt(fields, 1), keyId: textAt(fields, 2), annotations: annotationsAt(fields, 3) };
}

export function decodeDecryptResponse(bytes: Buffer): Buffer {
  return bytesAt(fieldsOf(bytes), 1);
}

export function encodeKmsValue({ data, keyId, ciphertext, annotations, sourceType }: KmsValue): Buffer {
  return Buffer.concat([
    field(1, data),
    field(2, keyId),
    field(3, ciphertext),
    ...entries(4, annotations),
    ...(sourceType === 0 ? [] : [Buffer.from([(5 << 3) | 0, sourceType])]),
  ]);
}

/** Throws a `ProtobufError` for bytes that are none. */
export function decodeKmsValue(bytes: Uint8Array): KmsValue {
  const fields = fieldsOf(bytes);
  const sourceType = fields.get(5)?.at(-1);
  return {
    data: bytesAt(fields, 1),
    keyId: textAt(fields, 2),
    ciphertext: bytesAt(fields, 3),
    annotations: annotationsAt(fields, 4),
    sourceType: typeof sourceType === 'number' ? sourceType : 0,
  };
}

type Fields = ReadonlyMap<number, readonly (Buffer | number)[]>;

function fieldsOf(bytes: Uint8Array): Fields {
  const fields = new Map<number, (Buffer | number)[]>();
  const reader = new Reader(bytes);
  while (!reader.done()) {
    const { field: number, wire } = reader.tag();
    if (wire !== 0 && wire !== 2) {
      reader.skip(wire);
      continue;
    }
    const value = wire === 2 ? reader.delimited() : reader.integer();
    const known = fields.get(number);
    if (known === undefined) fields.set(number, [value]);
    else known.push(value);
  }
  return fields;
}

function bytesAt(fields: Fields, number: number): Buffer {
  const value = fields.get(number)?.at(-1);
  return typeof value === 'object' ? value : Buffer.alloc(0);
}

function textAt(fields: Fields, number: number): string {
  return bytesAt(fields, number).toString('utf8');
}

function annotationsAt(fields: Fields, number: number): Annotations {
  const annotations = new Map<string, Buffer>();
  for (const entry of fields.get(number) ?? []) {
    if (typeof entry === 'number') continue;
    const parts = fieldsOf(entry);
    annotations.set(textAt(parts, 1), bytesAt(parts, 2));
  }
  return annotations;
}

function entries(number: number, annotations: Annotations): Buffer[] {
  return [...annotations].map(([key, value]) => field(number, Buffer.concat([field(1, key), field(2, value)])));
}

/** Bytes or text with their field number; nothing when empty, as protobuf 3 has it. */
function field(number: number, value: Uint8Array | string): Buffer {
  const bytes = Buffer.from(value);
  return bytes.length === 0 ? bytes : Buffer.concat([varint((number << 3) | 2), varint(bytes.length), bytes]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) bytes.push((rest & 0x7f) | 0x80);
  bytes.push(rest);
  return Buffer.from(bytes);
}
