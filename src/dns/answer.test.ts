import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decode, encode, TRUNCATED_RESPONSE } from 'dns-packet';
import type { Service } from '../api/kinds.ts';
import { answer } from './answer.ts';
import type { ZoneSource } from './records.ts';

function namedService(name: string, addresses: string[]): Service {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: 'shop', uid: 'u', resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' },
    spec: name === 'outer' ? { type: 'ExternalName', externalName: 'example.com' } : { clusterIP: addresses[0] ?? '', clusterIPs: addresses },
    status: {},
  };
}

const many = Array.from({ length: 100 }, (_, index) => `10.96.1.${index}`);
const services = [namedService('web', ['10.96.0.7']), namedService('wide', many), namedService('outer', [])];
const source: ZoneSource = {
  service: (_, name) => services.find(({ metadata }) => metadata.name === name),
  slices: () => [],
  hasNamespace: () => true,
  servicesByIp: () => [],
  slicesByAddress: () => [],
};
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

test('garbage is a format error or nothing, never an exception', async () => {
  const options = { domain: 'cluster.local', source, forward: (): Promise<undefined> => Promise.resolve(undefined) };
  assert.equal(await answer(Buffer.from('short'), true, options), undefined);
  const response = await answer(Buffer.from('00010100000500000000000003777777', 'hex'), true, options);
  assert.equal(response === undefined ? formatError : codeOf(decode(response)), formatError);
});
