/** Protobuf's wire format, as much as reading needs; `backward-writer.ts` writes it. See https://protobuf.dev/programming-guides/encoding/ */

/** What Kubernetes' protobuf bodies begin with. */
export const magic = Buffer.from('k8s\0');

export type WireType = 0 | 1 | 2 | 5;

export interface Tag {
  readonly field: number;
  readonly wire: WireType;
}

/** The bytes are not protobuf, or not of the message expected. */
export class ProtobufError extends Error {
  override readonly name = 'ProtobufError';
}

/** Reads a message from its first byte to its last. Every method throws {@link ProtobufError} at a premature end. */
export class Reader {
  private readonly bytes: Buffer;
  private at = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  done(): boolean {
    return this.at >= this.bytes.length;
  }

  tag(): Tag {
    const value = Number(this.varint());
    const wire = value & 7;
    if (wire !== 0 && wire !== 1 && wire !== 2 && wire !== 5) throw new ProtobufError(`wire type ${wire} is not in use`);
    return { field: value >>> 3, wire };
  }

  /** Unsigned, of up to 64 bits. */
  varint(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.bytes[this.at++];
      if (byte === undefined) throw new ProtobufError('unexpected end');
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    throw new ProtobufError('a number has too many bytes');
  }

  /** Signed; exact up to 2^53. */
  integer(): number {
    return Number(BigInt.asIntN(64, this.varint()));
  }

  double(): number {
    return this.take(8).readDoubleLE(0);
  }

  delimited(): Buffer {
    return this.take(Number(this.varint()));
  }

  skip(wire: WireType): void {
    switch (wire) {
      case 0:
        this.varint();
        return;
      case 1:
        this.take(8);
        return;
      case 2:
        this.delimited();
        return;
      case 5:
        this.take(4);
        return;
    }
  }

  private take(length: number): Buffer {
    const end = this.at + length;
    if (end > this.bytes.length) throw new ProtobufError('unexpected end');
    const taken = this.bytes.subarray(this.at, end);
    this.at = end;
    return taken;
  }
}
