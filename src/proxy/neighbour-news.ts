/**
 * Tells the neighbours on a link that an address is here from now on, whoever they remember: a gratuitous ARP request for IPv4 (RFC 5227), an unsolicited
 * neighbour advertisement for IPv6 (RFC 4861). Node opens no raw sockets; perl, which every Debian has, sends the frames.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { parseIp } from '../machinery/ip.ts';

export type Run = (command: string, args: readonly string[]) => Promise<{ readonly stdout: string }>;

export const runHere: Run = promisify(execFile);

export interface Link {
  readonly index: number;
  /** `02:42:…` */
  readonly mac: string;
}

/** Rejects where there is no perl. */
export async function tellNeighbours({ index, mac }: Link, addresses: readonly string[], run: Run = runHere): Promise<void> {
  if (addresses.length === 0) return;
  await run('perl', ['-e', sender, String(index), ...addresses.map((address) => frameFor(mac, address).toString('hex'))]);
}

/** Each frame twice, a second apart, for nothing says whether a neighbour has heard it: a packet socket, and the address of a link by its index. */
const sender = `
my $link = pack("S n i S C C x8", 17, 0, shift @ARGV, 0, 0, 0);
socket(my $socket, 17, 3, 0) or die "no packet socket: $!";
for my $round (0, 1) {
  sleep 1 if $round;
  for my $frame (@ARGV) { send($socket, pack("H*", $frame), 0, $link) or die "cannot send: $!"; }
}`;

export function frameFor(mac: string, address: string): Buffer {
  return address.includes(':') ? advertisement(bytesOfMac(mac), bytesOf(address)) : gratuitousArp(bytesOfMac(mac), bytesOf(address));
}

const everyone = Buffer.alloc(6, 0xff);

/** "Who has this address? Tell this address": nobody answers, and who knows the address learns where it is. */
function gratuitousArp(mac: Buffer, address: Buffer): Buffer {
  const ethernet = [everyone, mac, words(0x0806)];
  const [hardware, protocol, lengths, request] = [1, 0x0800, 0x0604, 1];
  return Buffer.concat([...ethernet, words(hardware, protocol, lengths, request), mac, address, Buffer.alloc(6), address]);
}

const allNodes = bytesOf('ff02::1');
const allNodesMac = bytesOfMac('33:33:00:00:00:01');
const icmpv6 = 58;

function advertisement(mac: Buffer, address: Buffer): Buffer {
  // To override what is known; it is the answer to nobody.
  const flags = 0x2000;
  const message = (checksum: number): Buffer => Buffer.concat([words(136 << 8, checksum, flags, 0), address, Buffer.from([2, 1]), mac]);
  const { length } = message(0);
  const pseudoHeader = Buffer.concat([address, allNodes, words(0, length, 0, icmpv6)]);
  const header = Buffer.concat([words(0x6000, 0, length, (icmpv6 << 8) | 255), address, allNodes]);
  return Buffer.concat([allNodesMac, mac, words(0x86dd), header, message(checksumOf(Buffer.concat([pseudoHeader, message(0)])))]);
}

/** The internet checksum (RFC 1071). */
function checksumOf(bytes: Buffer): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += bytes.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

function words(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 2);
  for (const [index, value] of values.entries()) bytes.writeUInt16BE(value, index * 2);
  return bytes;
}

function bytesOf(address: string): Buffer {
  const { family, bits } = parseIp(address);
  return Buffer.from(bits.toString(16).padStart(family === 4 ? 8 : 32, '0'), 'hex');
}

function bytesOfMac(mac: string): Buffer {
  return Buffer.from(mac.replaceAll(':', ''), 'hex');
}
