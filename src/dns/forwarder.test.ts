import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { type Answer, decode, encode, TRUNCATED_RESPONSE } from 'dns-packet';
import { simulatedWorld } from '../world/simulated.ts';
import { type Forwarder, lengthPrefix, startForwarder } from './forwarder.ts';

const soa: Answer = {
  type: 'SOA',
  name: 'example.com',
  ttl: 60,
  data: { mname: 'ns.example.com', rname: 'root.example.com', serial: 1, refresh: 1, retry: 1, expire: 1, minimum: 20 },
};

/** What the outer server knows; `silent.` names are not answered. */
function answerTo(query: Buffer, overUdp: boolean): Buffer | undefined {
  const { id = 0, questions = [] } = decode(query);
  const name = questions[0]?.name ?? '';
  const base = { type: 'response', id, questions } as const;
  if (name.startsWith('silent.')) return undefined;
  if (name.startsWith('none.')) return encode({ ...base, flags: 3, authorities: [soa] });
  if (name.startsWith('failing.')) return encode({ ...base, flags: 2 });
  if (name.startsWith('long.') && overUdp) return encode({ ...base, flags: TRUNCATED_RESPONSE });
  return encode({ ...base, answers: [{ type: 'A', name, ttl: 10, data: '192.0.2.7' }] });
}

interface Rig {
  readonly forwarder: Forwarder;
  readonly world: ReturnType<typeof simulatedWorld>;
  /** Names the server was asked for, in order. */
  readonly asked: string[];
}

async function withServer(servers: readonly string[], check: (rig: Rig) => Promise<void>): Promise<void> {
  const world = simulatedWorld(1);
  const asked: string[] = [];
  const tcp = createServer((socket) => {
    socket.on('data', (data: Buffer) => {
      const answer = answerTo(data.subarray(2), false);
      if (answer) socket.write(Buffer.concat([lengthPrefix(answer), answer]));
    });
  });
  const port = await new Promise<number>((resolve) => {
    tcp.listen(0, '127.0.0.1', () => {
      const address = tcp.address();
      resolve(typeof address === 'object' && address ? address.port : 0);
    });
  });
  const udp = createSocket('udp4');
  udp.on('message', (query, from) => {
    asked.push(decode(query).questions?.[0]?.name ?? '');
    const answer = answerTo(query, true);
    if (answer) udp.send(answer, from.port, from.address);
  });
  await new Promise<void>((resolve) => udp.bind(port, '127.0.0.1', resolve));
  const forwarder = startForwarder(world, servers, port);
  try {
    await check({ forwarder, world, asked });
  } finally {
    forwarder.close();
    udp.close();
    tcp.close();
  }
}

const question = (name: string, id: number): Buffer => encode({ type: 'query', id, flags: 0x100, questions: [{ type: 'A', name }] });

async function ask({ forwarder }: Rig, name: string, id = 5): Promise<ReturnType<typeof decode> | undefined> {
  const answer = await forwarder.ask(question(name, id));
  return answer && decode(answer);
}

test('an answer is kept for its time, and each asker gets his own id', () =>
  withServer(['127.0.0.1'], async (rig) => {
    assert.equal((await ask(rig, 'www.example.com', 5))?.id, 5);
    assert.equal((await ask(rig, 'www.example.com', 6))?.id, 6);
    assert.equal(rig.asked.length, 1);
    await rig.world.advance(9_999);
    await ask(rig, 'www.example.com');
    assert.equal(rig.asked.length, 1);
    await rig.world.advance(1);
    await ask(rig, 'www.example.com');
    assert.equal(rig.asked.length, 2);
  }));

test('that a name is not there is kept for as long as its zone says, and a failure is not', () =>
  withServer(['127.0.0.1'], async (rig) => {
    for (let round = 0; round < 2; round++) assert.equal(((await ask(rig, 'none.example.com'))?.flags ?? 0) & 0xf, 3);
    assert.equal(rig.asked.length, 1);
    await rig.world.advance(20_000);
    await ask(rig, 'none.example.com');
    assert.equal(rig.asked.length, 2);
    for (let round = 0; round < 2; round++) assert.equal(((await ask(rig, 'failing.example.com'))?.flags ?? 0) & 0xf, 2);
    assert.equal(rig.asked.length, 4);
  }));

test('an answer that was cut short is fetched whole over TCP', () =>
  withServer(['127.0.0.1'], async (rig) => {
    assert.equal((await ask(rig, 'long.example.com'))?.answers?.length, 1);
  }));

test('when the first server is silent the next is asked, and with none left there is no answer', () =>
  withServer(['127.0.0.1', '127.0.0.1'], async (rig) => {
    const answered = ask(rig, 'silent.example.com');
    while (rig.asked.length < 1) await new Promise((resolve) => setImmediate(resolve));
    await rig.world.advance(2_000);
    while (rig.asked.length < 2) await new Promise((resolve) => setImmediate(resolve));
    await rig.world.advance(2_000);
    assert.equal(await answered, undefined);
  }));
