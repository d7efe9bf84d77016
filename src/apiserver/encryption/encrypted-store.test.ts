import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memoryStore } from '../../store/memory.ts';
import type { Store } from '../../store/store.ts';
import { simulatedWorld } from '../../world/simulated.ts';
import { EncryptionConfigurationError, parseEncryptionConfiguration } from './configuration.ts';
import { encryptedStore } from './encrypted-store.ts';

const world = simulatedWorld(1);
const key = (fill: number): string => Buffer.alloc(32, fill).toString('base64');

function under(store: Store, ...providers: object[]): Store {
  const text = JSON.stringify({
    apiVersion: 'apiserver.config.k8s.io/v1',
    kind: 'EncryptionConfiguration',
    resources: [{ resources: ['secrets', 'widgets.example.com'], providers }],
  });
  return encryptedStore(store, parseEncryptionConfiguration(text, world.random));
}

const gcm = (name: string, fill: number): object => ({ aesgcm: { keys: [{ name, secret: key(fill) }] } });
const cbc = (name: string, fill: number): object => ({ aescbc: { keys: [{ name, secret: key(fill) }] } });
const plain = { identity: {} };
const secret = '/registry/core/secrets/default/s';

const put = (at: string, text: string): { type: 'put'; key: string; value: Uint8Array } => ({ type: 'put', key: at, value: Buffer.from(text) });

async function textAt(store: Store, at: string): Promise<string> {
  return Buffer.from((await store.get(at))?.value ?? []).toString('latin1');
}

for (const [name, provider, prefix] of [
  ['AES-GCM', gcm('k1', 1), 'k8s:enc:aesgcm:v1:k1:'],
  ['AES-CBC', cbc('k1', 1), 'k8s:enc:aescbc:v1:k1:'],
] as const) {
  test(`${name} keeps chosen resources unreadable below, and plain above`, async () => {
    const below = memoryStore({ clock: world.clock });
    const store = under(below, provider, plain);
    await store.commit([
      put(secret, 'hush'),
      put('/registry/core/configmaps/default/c', 'loud'),
      put('/registry/example.com/widgets/default/w', 'w'),
    ]);
    const written = await textAt(below, secret);
    assert.ok(written.startsWith(prefix) && !written.includes('hush'));
    assert.ok((await textAt(below, '/registry/example.com/widgets/default/w')).startsWith(prefix));
    assert.equal(await textAt(below, '/registry/core/configmaps/default/c'), 'loud');
    assert.equal(await textAt(store, secret), 'hush');
    assert.deepEqual(
      (await store.range('/registry/')).items.map(({ value }) => Buffer.from(value).toString()),
      ['loud', 'hush', 'w'],
    );
    await below.close();
  });
}

test('watchers get the very value that was written', async () => {
  const below = memoryStore({ clock: world.clock });
  const store = under(below, gcm('k1', 1));
  const aborter = new AbortController();
  const seen: Uint8Array[] = [];
  const previous: string[] = [];
  const watched = store.watch(
    '/registry/',
    store.revision(),
    ({ changes }) => {
      for (const change of changes) {
        if (change.type === 'put') seen.push(change.value);
        if (change.previous) previous.push(Buffer.from(change.previous.value).toString());
      }
    },
    aborter.signal,
  );
  const first = put(secret, 'one');
  await store.commit([first]);
  await store.commit([put(secret, 'two')]);
  await store.commit([{ type: 'delete', key: secret }]);
  assert.equal(seen[0], first.value);
  assert.deepEqual(previous, ['one', 'two']);
  aborter.abort();
  await watched;
  await below.close();
});

test('a new first key makes what others wrote stale until it is written again', async () => {
  const below = memoryStore({ clock: world.clock });
  await under(below, plain).commit([put(secret, 'hush')]);
  const rotated = under(below, gcm('k2', 2), cbc('k1', 1), plain);
  assert.equal(await textAt(rotated, secret), 'hush');
  assert.equal(rotated.isStale?.(secret), true);
  await rotated.commit([put(secret, 'hush')]);
  assert.ok((await textAt(below, secret)).startsWith('k8s:enc:aesgcm:v1:k2:'));
  assert.equal(await textAt(rotated, secret), 'hush');
  assert.equal(rotated.isStale?.(secret), false);
  await below.close();
});

test('a value moved to another key, changed, or of an unknown key is not read', async () => {
  const below = memoryStore({ clock: world.clock });
  const store = under(below, gcm('k1', 1));
  await store.commit([put(secret, 'hush')]);
  const value = (await below.get(secret))?.value ?? Buffer.alloc(0);
  await below.commit([{ type: 'put', key: '/registry/core/secrets/other/s', value }]);
  const message = /cannot be decrypted with the keys of the encryption configuration/;
  await assert.rejects(store.get('/registry/core/secrets/other/s'), message);
  const damaged = Uint8Array.from(value);
  damaged[damaged.length - 1] = (damaged.at(-1) ?? 0) ^ 1;
  await below.commit([{ type: 'put', key: secret, value: damaged }]);
  await assert.rejects(store.get(secret), message);
  await assert.rejects(under(below, gcm('k9', 9), plain).get(secret), message);
  await below.close();
});

test('a broken configuration is refused by field', () => {
  const parse = (resources: unknown): void => {
    parseEncryptionConfiguration(
      JSON.stringify({ apiVersion: 'apiserver.config.k8s.io/v1', kind: 'EncryptionConfiguration', resources }),
      world.random,
    );
  };
  assert.throws(() => parse([{ resources: ['secrets'], providers: [] }]), /resources\[0\]\.providers: Required value/);
  assert.throws(
    () => parse([{ resources: ['secrets'], providers: [{ aesgcm: { keys: [{ name: 'a', secret: 'AAAA' }] } }] }]),
    /resources\[0\]\.providers\[0\]\.aesgcm\.keys\[0\]\.secret: Invalid value: secret is not of the expected length, got 3/,
  );
  assert.throws(() => parse([{ resources: ['secrets'], providers: [{ kms: {} }] }]), EncryptionConfigurationError);
});
