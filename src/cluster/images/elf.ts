/** A static Linux executable around a few machine instructions: ELF header, one loadable segment, no sections. See elf(5). */

export type Architecture = 'amd64' | 'arm64';

const headerSize = 64;
const programHeaderSize = 56;
const baseAddress = 0x400000n;

const machines: Readonly<Record<Architecture, number>> = { amd64: 62, arm64: 183 };
const loadable = 1;
const stackFlags = 0x6474e551;
const [executeFlag, writeFlag, readFlag] = [1, 2, 4];

/** `code` is entered at its first byte, is not writable, and must not assume where it is loaded. */
export function staticExecutable(architecture: Architecture, code: Buffer): Buffer {
  const codeOffset = headerSize + 2 * programHeaderSize;
  const header = Buffer.alloc(headerSize);
  // Magic, 64 bits, little endian, version 1, System V.
  Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0]).copy(header);
  header.writeUInt16LE(2, 16); // type: executable
  header.writeUInt16LE(machines[architecture], 18);
  header.writeUInt32LE(1, 20); // version
  header.writeBigUInt64LE(baseAddress + BigInt(codeOffset), 24); // entry point
  header.writeBigUInt64LE(BigInt(headerSize), 32); // where the program headers are
  header.writeUInt16LE(headerSize, 52);
  header.writeUInt16LE(programHeaderSize, 54);
  header.writeUInt16LE(2, 56); // how many there are
  header.writeUInt16LE(64, 58); // size of a section header, though there is none

  const size = codeOffset + code.length;
  return Buffer.concat([
    header,
    programHeader({ type: loadable, flags: readFlag | executeFlag, address: baseAddress, size, align: 0x10000 }),
    // Says that the stack need not be executable.
    programHeader({ type: stackFlags, flags: readFlag | writeFlag, address: 0n, size: 0, align: 16 }),
    code,
  ]);
}

function programHeader(segment: { type: number; flags: number; address: bigint; size: number; align: number }): Buffer {
  const header = Buffer.alloc(programHeaderSize);
  header.writeUInt32LE(segment.type, 0);
  header.writeUInt32LE(segment.flags, 4);
  header.writeBigUInt64LE(0n, 8); // offset in the file
  header.writeBigUInt64LE(segment.address, 16);
  header.writeBigUInt64LE(segment.address, 24);
  header.writeBigUInt64LE(BigInt(segment.size), 32); // in the file
  header.writeBigUInt64LE(BigInt(segment.size), 40); // in memory
  header.writeBigUInt64LE(BigInt(segment.align), 48);
  return header;
}
