/**
 * SCTP for a kernel that has no sockets of it but does carry and translate it: packets made by hand (RFC 9260), sent and answered by perl over raw sockets.
 */

/** An INIT, with its checksum. */
export function initPacket(sourcePort: number, port: number): Buffer {
  return packet(sourcePort, port, 0, chunk(1));
}

/** What a server answers an INIT with, to whichever port that came from; the tag is the one that the client asked for. */
export function initAckPacket(sourcePort: number): Buffer {
  return packet(sourcePort, 0, tag, chunk(2));
}

const tag = 0x6b387473;

function chunk(type: number): Buffer {
  const bytes = Buffer.alloc(20);
  bytes.writeUInt8(type, 0);
  bytes.writeUInt16BE(20, 2);
  bytes.writeUInt32BE(tag, 4);
  bytes.writeUInt32BE(65_536, 8);
  for (const at of [12, 14]) bytes.writeUInt16BE(1, at);
  bytes.writeUInt32BE(1, 16);
  return bytes;
}

function packet(sourcePort: number, port: number, verificationTag: number, body: Buffer): Buffer {
  const bytes = Buffer.concat([Buffer.alloc(12), body]);
  bytes.writeUInt16BE(sourcePort, 0);
  bytes.writeUInt16BE(port, 2);
  bytes.writeUInt32BE(verificationTag, 4);
  bytes.writeUInt32LE(crc32c(bytes), 8);
  return bytes;
}

export function crc32c(bytes: Buffer): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return ~crc >>> 0;
}

/** A perl program that answers each packet to a port: its arguments are the port, and the answer in hex; it prints who asked. */
export const perlServer = `
use Socket;
sub crc {
  my $crc = 0xffffffff;
  for my $byte (unpack("C*", shift)) {
    $crc ^= $byte;
    for (1 .. 8) { $crc = $crc & 1 ? ($crc >> 1) ^ 0x82f63b78 : $crc >> 1 }
  }
  return ~$crc & 0xffffffff;
}
my ($port, $answer) = @ARGV;
socket(my $socket, PF_INET, SOCK_RAW, 132) or die "no raw socket: $!";
$| = 1;
print "ready\\n";
while (my $from = recv($socket, my $packet, 4096, 0)) {
  my $sctp = substr($packet, 20);
  next if unpack("n", substr($sctp, 2, 2)) != $port;
  my $reply = pack("H*", $answer);
  substr($reply, 2, 2) = substr($sctp, 0, 2);
  substr($reply, 8, 4) = pack("V", 0);
  substr($reply, 8, 4) = pack("V", crc($reply));
  print inet_ntoa((sockaddr_in($from))[1]), "\\n";
  send($socket, $reply, 0, $from);
}`;

/** A perl program that sends a packet and waits for the answer: its arguments are the address, and the packet in hex; it prints who answered, and what. */
export const perlClient = `
use Socket;
my ($address, $packet) = @ARGV;
socket(my $socket, PF_INET, SOCK_RAW, 132) or die "no raw socket: $!";
send($socket, pack("H*", $packet), 0, sockaddr_in(0, inet_aton($address))) or die "cannot send: $!";
alarm 3;
my $from = recv($socket, my $answer, 4096, 0);
print join(" ", inet_ntoa((sockaddr_in($from))[1]), unpack("H*", substr($answer, 20))), "\\n";`;
