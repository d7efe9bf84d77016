/** From a DNS question in wire format to an answer in wire format: the zone's own names here, all others by `forward`. */
import {
  type Answer,
  AUTHORITATIVE_ANSWER,
  type DecodedPacket,
  decode,
  encode,
  type Packet,
  RECURSION_AVAILABLE,
  TRUNCATED_RESPONSE,
} from 'dns-packet';
import { type Lookup, lookUp, type RecordData, type ZoneSource } from './records.ts';

export interface AnswerOptions {
  readonly domain: string;
  readonly source: ZoneSource;
  /** False while the zone is not known yet: then nothing may be said about its names, least of all that they do not exist. */
  readonly isReady?: () => boolean;
  /** Asks an outer server; undefined when none answered. */
  readonly forward: (query: Buffer) => Promise<Buffer | undefined>;
}

/** Seconds an answer may be kept; short, since endpoints come and go. */
const ttl = 5;
/** DNS over UDP without EDNS. */
const plainUdpBytes = 512;
/** What a client that speaks EDNS may ask for at most, so that nothing is cut up on the way. */
const largestUdpBytes = 1232;

/** So many aliases are followed; what is longer is taken for a circle. */
const mostAliases = 8;

const rcode = { ok: 0, formatError: 1, serverFailure: 2, noSuchName: 3, notImplemented: 4 } as const;
/** Of EDNS; its upper bits stand in the OPT record. */
const badVersion = 16;

/** The answer to send back; undefined for something that is no question at all. `overUdp` cuts it to what the client can take. */
export async function answer(query: Buffer, overUdp: boolean, options: AnswerOptions): Promise<Buffer | undefined> {
  let packet: DecodedPacket;
  try {
    packet = decode(query);
  } catch {
    return query.length < 12 ? undefined : formatError(query);
  }
  if (packet.type !== 'query') return undefined;
  const question = packet.questions?.[0];
  if (!question || packet.questions?.length !== 1 || hasDotInLabel(query)) return formatError(query);
  const limit = overUdp ? udpLimit(packet) : 65_535;
  if (opcodeOf(query) !== 0 || question.class !== 'IN') return encodeWithin(reply(packet, rcode.notImplemented, [], []), limit);
  if (ednsVersionOf(packet) > 0) return encodeWithin(reply(packet, badVersion, [], []), limit);
  const result = lookUp(question.name.toLowerCase(), options.domain, options.source);
  if (result.type === 'elsewhere') {
    const outer = await options.forward(query);
    return outer ? within(outer, packet, limit) : encodeWithin(reply(packet, rcode.serverFailure, [], []), limit);
  }
  if (options.isReady?.() === false) return encodeWithin(reply(packet, rcode.serverFailure, [], []), limit);
  return encodeWithin(await ownAnswer(packet, question.type, result, options), limit);
}

/** An outer answer may be longer than what the client can take, when it came over TCP. */
function within(outer: Buffer, query: DecodedPacket, limit: number): Buffer {
  return outer.length <= limit ? outer : encodeWithin({ ...reply(query, rcode.ok, [], []), flags: RECURSION_AVAILABLE | TRUNCATED_RESPONSE }, limit);
}

/** Such a name is read as another one, with more labels, and could not be written down again. */
function hasDotInLabel(query: Buffer): boolean {
  let at = 12;
  for (let length = query[at] ?? 0; length > 0 && length < 64; length = query[at] ?? 0) {
    if (query.subarray(at + 1, at + 1 + length).includes(0x2e)) return true;
    at += 1 + length;
  }
  return false;
}

function opcodeOf(query: Buffer): number {
  return (query.readUInt16BE(2) >> 11) & 0xf;
}

function ednsVersionOf(query: DecodedPacket): number {
  const opt = query.additionals?.find((extra) => extra.type === 'OPT');
  return opt && 'ednsVersion' in opt ? opt.ednsVersion : 0;
}

async function ownAnswer(
  packet: DecodedPacket,
  type: string,
  result: Exclude<Lookup, { type: 'elsewhere' }>,
  options: AnswerOptions,
): Promise<Packet> {
  if (result.type === 'no-such-name') return reply(packet, rcode.noSuchName, [], [], options.domain);
  const wanted = result.records.filter((record) => record.type === type || record.type === 'CNAME' || type === 'ANY');
  if (wanted.length === 0) return reply(packet, rcode.ok, [], [], options.domain);
  const alias = wanted.find((record) => record.type === 'CNAME');
  const answers = wanted.map(wire);
  if (alias && type !== 'CNAME') answers.push(...(await resolveAlias(alias.target, type, options)));
  const additional = type === 'SRV' ? result.additional.map(wire) : [];
  return reply(packet, rcode.ok, answers, additional);
}

/** What the alias of an ExternalName Service leads to, alias by alias, so that clients need not ask again. */
async function resolveAlias(target: string, type: string, options: AnswerOptions): Promise<Answer[]> {
  const answers: Answer[] = [];
  let name = target.toLowerCase();
  for (let steps = 0; steps < mostAliases; steps++) {
    const inner = lookUp(name, options.domain, options.source);
    if (inner.type === 'no-such-name') return answers;
    if (inner.type === 'elsewhere') return [...answers, ...(await askOuter(name, type, options))];
    const alias = inner.records.find((record) => record.type === 'CNAME');
    answers.push(...inner.records.filter((record) => record.type === type || record === alias).map(wire));
    if (!alias) return answers;
    name = alias.target.toLowerCase();
  }
  return answers;
}

async function askOuter(name: string, type: string, options: AnswerOptions): Promise<Answer[]> {
  const query = encode({ type: 'query', id: 1, flags: 0x100, questions: [{ type: type === 'AAAA' ? 'AAAA' : 'A', name }] });
  const outer = await options.forward(query);
  return outer ? (decode(outer).answers ?? []) : [];
}

function wire(record: RecordData): Answer {
  const { name } = record;
  switch (record.type) {
    case 'A':
    case 'AAAA':
      return { type: record.type, name, ttl, data: record.address };
    case 'SRV':
      return { type: 'SRV', name, ttl, data: { target: record.target, port: record.port, priority: 0, weight: 100 } };
    case 'CNAME':
    case 'PTR':
      return { type: record.type, name, ttl, data: record.target };
    case 'TXT':
      return { type: 'TXT', name, ttl, data: record.text };
  }
}

function reply(query: DecodedPacket, code: number, answers: Answer[], additionals: Answer[], zoneForAuthority?: string): Packet {
  const authorities: Answer[] = zoneForAuthority === undefined ? [] : [authority(zoneForAuthority)];
  const opt = query.additionals?.find((extra) => extra.type === 'OPT');
  const recursionDesired = (query.flags ?? 0) & 0x100;
  return {
    type: 'response',
    id: query.id ?? 0,
    flags: AUTHORITATIVE_ANSWER | RECURSION_AVAILABLE | recursionDesired | (code & 0xf),
    questions: query.questions ?? [],
    answers,
    authorities,
    additionals: opt
      ? [
          ...additionals,
          {
            type: 'OPT',
            name: '.',
            udpPayloadSize: largestUdpBytes,
            extendedRcode: code >> 4,
            ednsVersion: 0,
            flags: 0,
            flag_do: false,
            options: [],
          },
        ]
      : additionals,
  };
}

/** Tells resolvers how long they may remember that there is nothing. */
function authority(zone: string): Answer {
  const data = { mname: `ns.dns.${zone}`, rname: `hostmaster.${zone}`, serial: 1, refresh: 7200, retry: 1800, expire: 86_400, minimum: ttl };
  return { type: 'SOA', name: zone, ttl, data };
}

function udpLimit(query: DecodedPacket): number {
  const opt = query.additionals?.find((extra) => extra.type === 'OPT');
  const asked = opt && 'udpPayloadSize' in opt ? opt.udpPayloadSize : plainUdpBytes;
  return Math.max(plainUdpBytes, Math.min(asked, largestUdpBytes));
}

/** Drops extra records first, then says "cut short", so that the client asks again over TCP. */
function encodeWithin(packet: Packet, limit: number): Buffer {
  const whole = encode(packet);
  if (whole.length <= limit) return whole;
  const keepOpt = (packet.additionals ?? []).filter((extra) => extra.type === 'OPT');
  const lean = encode({ ...packet, additionals: keepOpt });
  if (lean.length <= limit) return lean;
  return encode({ ...packet, answers: [], authorities: [], additionals: keepOpt, flags: (packet.flags ?? 0) | TRUNCATED_RESPONSE });
}

function formatError(query: Buffer): Buffer {
  return encode({ type: 'response', id: query.readUInt16BE(0), flags: rcode.formatError, questions: [] });
}
