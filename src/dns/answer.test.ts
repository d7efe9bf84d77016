import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decode, encode, TRUNCATED_RESPONSE } from 'dns-packet';
import fc from 'fast-check';
import type { Service } from '../api/kinds.ts';
import { answer } from './answer.ts';
import type { ZoneSource } from './records.ts';

function namedService(name: string, addresses: string[]): Service {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: 'shop', uid: 'u', resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' },
    spec:
      aliases[name] !== undefined ? { type: 'ExternalName', externalName: aliases[name] } : { clusterIP: addresses[0] ?? '', clusterIPs: addresses },
    status: {},
  };
}

const many = Array.from({ length: 100 }, (_, index) => `10.96.1.${index}`);
const aliases: Readonly<Record<string, string>> = {
  outer: 'example.com',
  second: 'outer.shop.svc.cluster.local',
  circle: 'circle.shop.svc.cluster.local',
};
const services = [
  namedService('web', ['10.96.0.7']),
  namedService('wide', many),
  namedService('twenty', many.slice(0, 20)),
  ...Object.keys(aliases).map((name) => namedService(name, [])),
];
const source: ZoneSource = {
  service: (_, name) => services.find(({ metadata }) => metadata.name === name),
  slices: () => [],
  hasNamespace: () => true,
  servicesByIp: () => [],
  slicesByAddress: () => [],
};
const long = encode({
  type: 'response',
  id: 9,
  questions: [{ type: 'A', name: 'long.example.com' }],
  answers: many.map((data) => ({ type: 'A' as const, name: 'long.example.com', ttl: 60, data })),
});
const outer = encode({
  type: 'response',
  id: 9,
  questions: [{ type: 'A', name: 'example.com' }],
  answers: [{ type: 'A', name: 'example.com', ttl: 60, data: '192.0.2.9' }],
});

/** The four bits of the flags that say how it went. */
function codeOf(packet: ReturnType<typeof decode>): number {
  return (packet.flags ?? 0) & 0xf;
}

const [noError, formatError, serverFailure, noSuchName] = [0, 1, 2, 3];

async function ask(name: string, type: 'A' | 'AAAA', overUdp = true, forward: Buffer | undefined = outer): Promise<ReturnType<typeof decode>> {
  const query = encode({ type: 'query', id: 77, flags: 0x100, questions: [{ type, name }] });
  const response = await answer(query, overUdp, { domain: 'cluster.local', source, forward: () => Promise.resolve(forward) });
  assert(response);
  return decode(response);
}

test('a name is answered whatever its case, with the question echoed', async () => {
  const response = await ask('WEB.shop.svc.cluster.local', 'A');
  assert.equal(response.id, 77);
  assert.equal(codeOf(response), noError);
  assert.deepEqual(
    response.answers?.map((record) => ('data' in record ? record.data : '')),
    ['10.96.0.7'],
  );
});

test('a name without records of the type is there all the same', async () => {
  const response = await ask('web.shop.svc.cluster.local', 'AAAA');
  assert.equal(codeOf(response), noError);
  assert.deepEqual(response.answers, []);
  assert.equal(response.authorities?.[0]?.type, 'SOA');
});

test('a name that is not there is NXDOMAIN, with how long to remember that', async () => {
  const response = await ask('nothing.shop.svc.cluster.local', 'A');
  assert.equal(codeOf(response), noSuchName);
  assert.equal(response.authorities?.[0]?.type, 'SOA');
});

test('an ExternalName is answered with the alias and where it leads', async () => {
  const response = await ask('outer.shop.svc.cluster.local', 'A');
  assert.deepEqual(
    response.answers?.map((record) => `${record.type} ${'data' in record && typeof record.data === 'string' ? record.data : ''}`),
    ['CNAME example.com', 'A 192.0.2.9'],
  );
});

test('other names are the outer server’s, and a silent one is a failure', async () => {
  assert.equal((await ask('example.com', 'A')).answers?.length, 1);
  const query = encode({ type: 'query', id: 5, questions: [{ type: 'A', name: 'example.com' }] });
  const response = await answer(query, true, { domain: 'cluster.local', source, forward: () => Promise.resolve(undefined) });
  assert(response);
  assert.equal(codeOf(decode(response)), serverFailure);
});

test('what does not fit into a UDP packet is marked as cut short, and whole over TCP', async () => {
  const cut = await ask('wide.shop.svc.cluster.local', 'A');
  assert.notEqual((cut.flags ?? 0) & TRUNCATED_RESPONSE, 0);
  assert.deepEqual(cut.answers, []);
  assert.equal((await ask('wide.shop.svc.cluster.local', 'A', false)).answers?.length, 100);
});

test('a long answer from outside is cut short too', async () => {
  const cut = await ask('long.example.com', 'A', true, long);
  assert.notEqual((cut.flags ?? 0) & TRUNCATED_RESPONSE, 0);
  assert.equal((await ask('long.example.com', 'A', false, long)).answers?.length, 100);
});

test('aliases are followed from one to the next, and a circle of them ends', async () => {
  const response = await ask('second.shop.svc.cluster.local', 'A');
  assert.deepEqual(
    response.answers?.map((record) => record.type),
    ['CNAME', 'CNAME', 'A'],
  );
  const circle = await ask('circle.shop.svc.cluster.local', 'A');
  assert.equal(codeOf(circle), noError);
  assert((circle.answers?.length ?? 0) < 20);
});

test('with EDNS a client says how much it takes, and a version that nobody speaks is refused', async () => {
  const askWith = async (name: string, udpPayloadSize: number, ednsVersion: number): Promise<ReturnType<typeof decode>> => {
    const opt = { type: 'OPT' as const, name: '.' as const, udpPayloadSize, extendedRcode: 0, ednsVersion, flags: 0, flag_do: false, options: [] };
    const query = encode({ type: 'query', id: 77, flags: 0x100, questions: [{ type: 'A', name }], additionals: [opt] });
    const response = await answer(query, true, { domain: 'cluster.local', source, forward: () => Promise.resolve(undefined) });
    assert(response);
    return decode(response);
  };
  assert.equal((await askWith('twenty.shop.svc.cluster.local', 1232, 0)).answers?.length, 20);
  assert.notEqual(((await askWith('twenty.shop.svc.cluster.local', 512, 0)).flags ?? 0) & TRUNCATED_RESPONSE, 0);
  const [opt] = (await askWith('web.shop.svc.cluster.local', 1232, 1)).additionals ?? [];
  assert(opt?.type === 'OPT' && 'extendedRcode' in opt);
  assert.equal(opt.extendedRcode, 1);
});

test('while the zone is not known nothing is said about its names, and outer ones are answered', async () => {
  const askEarly = async (name: string): Promise<number> => {
    const query = encode({ type: 'query', id: 77, flags: 0x100, questions: [{ type: 'A', name }] });
    const response = await answer(query, true, { domain: 'cluster.local', source, forward: () => Promise.resolve(outer), isReady: () => false });
    assert(response);
    return codeOf(decode(response));
  };
  assert.equal(await askEarly('nothing.shop.svc.cluster.local'), serverFailure);
  assert.equal(await askEarly('example.com'), noError);
});

test('only questions of the Internet class are understood', async () => {
  const update = encode({ type: 'query', id: 5, flags: 0x2800, questions: [{ type: 'A', name: 'web.shop.svc.cluster.local' }] });
  const chaos = encode({ type: 'query', id: 5, questions: [{ type: 'TXT', name: 'version.bind', class: 'CH' }] });
  for (const query of [update, chaos]) {
    const response = await answer(query, true, { domain: 'cluster.local', source, forward: () => Promise.resolve(undefined) });
    assert(response);
    assert.equal(codeOf(decode(response)), 4);
  }
});

test('garbage is a format error or nothing, never an exception', async () => {
  const options = { domain: 'cluster.local', source, forward: (): Promise<undefined> => Promise.resolve(undefined) };
  assert.equal(await answer(Buffer.from('short'), true, options), undefined);
  const response = await answer(Buffer.from('00010100000500000000000003777777', 'hex'), true, options);
  assert.equal(response === undefined ? formatError : codeOf(decode(response)), formatError);
});

test('a dot inside of a label makes no other name of it', async () => {
  const options = { domain: 'cluster.local', source, forward: (): Promise<undefined> => Promise.resolve(undefined) };
  const query = encode({ type: 'query', id: 7, flags: 0x100, questions: [{ type: 'A', name: 'webxshop.svc.cluster.local' }] });
  query.write('.', query.indexOf('x'));
  const response = await answer(query, true, options);
  assert(response);
  assert.equal(codeOf(decode(response)), formatError);
});

test('whatever bytes come, the answer is a packet of the same id that says so, or nothing', async () => {
  const options = { domain: 'cluster.local', source, forward: (): Promise<undefined> => Promise.resolve(undefined) };
  const query = encode({ type: 'query', id: 77, flags: 0x100, questions: [{ type: 'A', name: 'web.shop.svc.cluster.local' }] });
  const damaged = fc.array(fc.tuple(fc.nat(query.length - 1), fc.integer({ min: 0, max: 255 })), { maxLength: 4 }).map((changes) => {
    const copy = Buffer.from(query);
    for (const [at, byte] of changes) copy[at] = byte;
    return copy;
  });
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 60 }).map((list) => Buffer.from(list)),
    damaged,
    fc.nat(query.length).map((end) => query.subarray(0, end)),
  );
  await fc.assert(
    fc.asyncProperty(bytes, async (packet) => {
      const response = await answer(packet, true, options);
      if (response === undefined) return;
      assert.equal(response.readUInt16BE(0), packet.readUInt16BE(0));
      assert.equal(decode(response).type, 'response');
    }),
    { numRuns: 500 },
  );
});
