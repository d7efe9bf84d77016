/**
 * Writes protobuf from its last byte to its first. A message's length stands before its fields: written backwards, it is known when its turn comes, and
 * nothing is measured or moved. See https://protobuf.dev/programming-guides/encoding/
 */

const firstCapacity = 64 * 1024;
/** What one large object needed is given back after it. */
const keptCapacity = 4 * 1024 * 1024;

export class BackwardWriter {
  private bytes = Buffer.allocUnsafeSlow(firstCapacity);
  /** Where the last written byte is; what was written reaches from here to the end. */
  private at = firstCapacity;

  /** How much is written; with {@link lengthSince} it tells how long a message became. */
  mark(): number {
    return this.bytes.length - this.at;
  }

  /** The length of what was written since the mark: it stands before it. */
  lengthSince(mark: number): void {
    this.unsigned(this.bytes.length - this.at - mark);
  }

  /** Of a field; `tag` is its number and wire type. */
  tag(tag: number): void {
    this.unsigned(tag);
  }

  /** A signed integer, exact up to 2^53. Negative ones take ten bytes, whatever their size. */
  integer(value: number): void {
    if (value >= 0) this.unsigned(value);
    else this.negative(BigInt.asUintN(64, BigInt(value)));
  }

  boolean(value: boolean): void {
    this.make(1);
    this.bytes[--this.at] = value ? 1 : 0;
  }

  double(value: number): void {
    this.make(8);
    this.at -= 8;
    this.bytes.writeDoubleLE(value, this.at);
  }

  /** With its length. */
  string(value: string): void {
    const { length } = value;
    if (length > longestByHand || !this.ascii(value, length)) {
      const size = Buffer.byteLength(value);
      this.make(size);
      this.at -= size;
      this.bytes.write(value, this.at, size, 'utf8');
      this.unsigned(size);
      return;
    }
    this.unsigned(length);
  }

  /** With their length. */
  chunk(value: Uint8Array): void {
    this.raw(value);
    this.unsigned(value.length);
  }

  raw(value: Uint8Array): void {
    this.make(value.length);
    this.at -= value.length;
    this.bytes.set(value, this.at);
  }

  /** A copy of all that was written; the writer is empty again. */
  take(): Buffer {
    const taken = Buffer.from(this.bytes.subarray(this.at));
    this.reset();
    return taken;
  }

  reset(): void {
    if (this.bytes.length > keptCapacity) this.bytes = Buffer.allocUnsafeSlow(firstCapacity);
    this.at = this.bytes.length;
  }

  /** Writes it if it is plain ASCII: for short strings faster than the call into the runtime. */
  private ascii(value: string, length: number): boolean {
    this.make(length);
    const { bytes, at } = this;
    const start = at - length;
    for (let i = 0; i < length; i++) {
      const code = value.charCodeAt(i);
      if (code > 0x7f) return false;
      bytes[start + i] = code;
    }
    this.at = start;
    return true;
  }

  private unsigned(value: number): void {
    this.make(8);
    if (value < 0x80) {
      this.bytes[--this.at] = value;
      return;
    }
    let size = 1;
    for (let rest = Math.floor(value / 0x80); rest > 0; rest = Math.floor(rest / 0x80)) size++;
    this.at -= size;
    let left = value;
    for (let i = 0; i < size; i++) {
      this.bytes[this.at + i] = (left % 0x80) | (i < size - 1 ? 0x80 : 0);
      left = Math.floor(left / 0x80);
    }
  }

  private negative(value: bigint): void {
    this.make(10);
    this.at -= 10;
    let left = value;
    for (let i = 0; i < 10; i++) {
      this.bytes[this.at + i] = Number(left & 0x7fn) | (i < 9 ? 0x80 : 0);
      left >>= 7n;
    }
  }

  private make(size: number): void {
    if (this.at >= size) return;
    const written = this.bytes.length - this.at;
    let capacity = this.bytes.length * 2;
    while (capacity - written < size) capacity *= 2;
    const larger = Buffer.allocUnsafeSlow(capacity);
    larger.set(this.bytes.subarray(this.at), capacity - written);
    this.bytes = larger;
    this.at = capacity - written;
  }
}

const longestByHand = 40;
