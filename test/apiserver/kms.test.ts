/** Secrets under a key that a plugin keeps (KMS v2): a plugin of the test's own, spoken to over its socket. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Server, ServerCredentials, type sendUnaryData, type ServerUnaryCall, status } from '@grpc/grpc-js';
import { parseEncryptionConfiguration } from '../../src/apiserver/encryption/configuration.ts';
import { memoryStore } from '../../src/store/memory.ts';
import { realWorld } from '../../src/world/real.ts';
import { startTestServer, type TestServer } from './server.ts';

const world = realWorld({ level: 'silent' });
const directory = mkdtempSync(join(tmpdir(), 'k8ts-kms-'));
const socket = join(directory, 'kms.sock');

/** Length-delimited fields of a message, by number. */
type Fields = Map<number, Buffer>;

function fieldsOf(bytes: Buffer): Fields {
  const fields: Fields = new Map();
  for (let at = 0; at < bytes.length;) {
    const number = (bytes[at] ?? 0) >> 3;
    let length = 0;
    let shift = 0;
    for (at++; ; shift += 7) {
      const byte = bytes[at++] ?? 0;
      length |= (byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    fields.set(number, bytes.subarray(at, at + length));
    at += length;
  }
  return fields;
}

function message(...fields: readonly (readonly [number, Buffer | string])[]): Buffer {
  return Buffer.concat(
    fields.flatMap(([number, value]) => {
      const bytes = Buffer.from(value);
      assert.ok(bytes.length < 128);
      return [Buffer.from([(number << 3) | 2, bytes.length]), bytes];
    }),
  );
}

/** Turns every bit over with the key's number: enough to see who unwrapped what. */
function turned(bytes: Buffer, key: string): Buffer {
  return Buffer.from(bytes.map((byte) => byte ^ Number(key)));
}

const plugin = { key: '1', healthz: 'ok', asked: { encrypt: 0, decrypt: 0 } };

type Handler = (request: Fields) => Buffer | undefined;

function method(path: string, answer: Handler): object {
  return {
    path,
    requestStream: false,
    responseStream: false,
    requestSerialize: (value: Buffer) => value,
    requestDeserialize: (value: Buffer) => value,
    responseSerialize: (value: Buffer) => value,
    responseDeserialize: (value: Buffer) => value,
    handler: (call: ServerUnaryCall<Buffer, Buffer>, reply: sendUnaryData<Buffer>) => {
      const found = answer(fieldsOf(call.request));
      if (found === undefined) reply({ code: status.INVALID_ARGUMENT, details: 'no such key' });
      else reply(null, found);
    },
  };
}

const handlers: Readonly<Record<string, Handler>> = {
  Status: () => message([1, 'v2'], [2, plugin.healthz], [3, plugin.key]),
  Encrypt(request) {
    plugin.asked.encrypt++;
    return message([1, turned(request.get(1) ?? Buffer.alloc(0), plugin.key)], [2, plugin.key]);
  },
  Decrypt(request) {
    plugin.asked.decrypt++;
    const key = (request.get(3) ?? '').toString();
    return key === 'lost' ? undefined : message([1, turned(request.get(1) ?? Buffer.alloc(0), key)]);
  },
};

const grpc = new Server();
const store = memoryStore({ clock: world.clock });
let server: TestServer;

function configuration(): ReturnType<typeof parseEncryptionConfiguration> {
  const kms = { apiVersion: 'v2', name: 'vault', endpoint: `unix://${socket}`, timeout: '5s' };
  return parseEncryptionConfiguration(
    JSON.stringify({
      apiVersion: 'apiserver.config.k8s.io/v1',
      kind: 'EncryptionConfiguration',
      resources: [{ resources: ['secrets'], providers: [{ kms }, { identity: {} }] }],
    }),
    world,
  );
}

before(async () => {
  const service: Record<string, object> = {};
  const implementation: Record<string, never> = {};
  for (const [name, answer] of Object.entries(handlers)) {
    const { handler, ...definition } = method(`/v2.KeyManagementService/${name}`, answer) as { handler: never };
    service[name] = definition;
    implementation[name] = handler;
  }
  grpc.addService(service as never, implementation);
  await new Promise<void>((resolve, reject) => {
    grpc.bindAsync(`unix:${socket}`, ServerCredentials.createInsecure(), (error) => (error === null ? resolve() : reject(error)));
  });
  server = await startTestServer({ store, encryption: configuration() });
});

after(async () => {
  await server.close();
  await store.close();
  grpc.forceShutdown();
  rmSync(directory, { recursive: true, force: true });
});

const secrets = '/api/v1/namespaces/default/secrets';

async function stored(name: string): Promise<Buffer> {
  return Buffer.from((await store.get(`/registry/core/secrets/default/${name}`))?.value ?? []);
}

test('a secret is stored under a key that only the plugin can unwrap, and read back', async () => {
  const body = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 's' }, stringData: { k: 'hush' } };
  assert.equal((await server.send(secrets, { method: 'POST', body })).code, 201);
  const value = await stored('s');
  assert.ok(value.toString('latin1').startsWith('k8s:enc:kms:v2:vault:'));
  assert.ok(!value.toString('latin1').includes('aHVzaA'));
  assert.equal((await server.send(`${secrets}/s`)).json.data.k, 'aHVzaA==');
  assert.deepEqual(plugin.asked, { encrypt: 1, decrypt: 0 });
});

test('another server with the same plugin reads it, and asks once however many there are', async () => {
  for (const name of ['a', 'b', 'c']) {
    await server.send(secrets, { method: 'POST', body: { apiVersion: 'v1', kind: 'Secret', metadata: { name }, stringData: { k: name } } });
  }
  plugin.asked.decrypt = 0;
  const second = await startTestServer({ store, encryption: configuration() });
  assert.equal((await second.send(secrets)).json.items.length, 4);
  assert.equal(plugin.asked.decrypt, 1);
  await second.close();
});

test("when the plugin's key changes, a replace without changes writes the value again", async () => {
  plugin.key = '2';
  await server.api.replaceEncryption(configuration());
  const { json } = await server.send(`${secrets}/s`);
  const before = await stored('s');
  assert.equal((await server.send(`${secrets}/s`, { method: 'PUT', body: json })).code, 200);
  const now = await stored('s');
  assert.notDeepEqual(now, before);
  assert.equal((await server.send(`${secrets}/s`)).json.data.k, 'aHVzaA==');
});

test('a plugin that does not work is not begun with', async () => {
  plugin.healthz = 'sealed';
  await assert.rejects(server.api.replaceEncryption(configuration()), /kms "vault" says it is not healthy: "sealed"/);
  plugin.healthz = 'ok';
  assert.equal((await server.send(`${secrets}/s`)).json.data.k, 'aHVzaA==');
});
