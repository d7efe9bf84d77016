import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memoryStore } from '../../store/memory.ts';
import type { Store } from '../../store/store.ts';
import { simulatedWorld } from '../../world/simulated.ts';
import { EncryptionConfigurationError, type EncryptionRule, parseEncryptionConfiguration } from './configuration.ts';
import { secretbox } from './secretbox.ts';
import { type EncryptedStore, encryptedStore } from './encrypted-store.ts';

const world = simulatedWorld(1);
const key = (fill: number): string => Buffer.alloc(32, fill).toString('base64');

function rulesOf(...providers: object[]): EncryptionRule[] {
  const text = JSON.stringify({
    apiVersion: 'apiserver.config.k8s.io/v1',
    kind: 'EncryptionConfiguration',
    resources: [{ resources: ['secrets', 'widgets.example.com'], providers }],
  });
  return parseEncryptionConfiguration(text, world);
}

function under(store: Store, ...providers: object[]): Promise<EncryptedStore> {
  return encryptedStore(store, rulesOf(...providers));
}

const gcm = (name: string, fill: number): object => ({ aesgcm: { keys: [{ name, secret: key(fill) }] } });
const cbc = (name: string, fill: number): object => ({ aescbc: { keys: [{ name, secret: key(fill) }] } });
const box = (name: string, fill: number): object => ({ secretbox: { keys: [{ name, secret: key(fill) }] } });
const plain = { identity: {} };
const secret = '/registry/core/secrets/default/s';

const put = (at: string, text: string): { type: 'put'; key: string; value: Uint8Array } => ({ type: 'put', key: at, value: Buffer.from(text) });

async function textAt(store: Store, at: string): Promise<string> {
  return Buffer.from((await store.get(at))?.value ?? []).toString('latin1');
}

for (const [name, provider, prefix] of [
  ['AES-GCM', gcm('k1', 1), 'k8s:enc:aesgcm:v1:k1:'],
  ['AES-CBC', cbc('k1', 1), 'k8s:enc:aescbc:v1:k1:'],
  ['secretbox', box('k1', 1), 'k8s:enc:secretbox:v1:k1:'],
] as const) {
  test(`${name} keeps chosen resources unreadable below, and plain above`, async () => {
    const below = memoryStore({ clock: world.clock });
    const store = await under(below, provider, plain);
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
  const store = await under(below, gcm('k1', 1));
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
  await (await under(below, plain)).commit([put(secret, 'hush')]);
  const rotated = await under(below, gcm('k2', 2), cbc('k1', 1), plain);
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
  const store = await under(below, gcm('k1', 1));
  await store.commit([put(secret, 'hush')]);
  const value = (await below.get(secret))?.value ?? Buffer.alloc(0);
  await below.commit([{ type: 'put', key: '/registry/core/secrets/other/s', value }]);
  const message = /cannot be decrypted with the keys of the encryption configuration/;
  await assert.rejects(store.get('/registry/core/secrets/other/s'), message);
  const damaged = Uint8Array.from(value);
  damaged[damaged.length - 1] = (damaged.at(-1) ?? 0) ^ 1;
  await below.commit([{ type: 'put', key: secret, value: damaged }]);
  await assert.rejects(store.get(secret), message);
  await assert.rejects(
    (await under(below, gcm('k9', 9), plain)).get(secret),
    /secrets\/default\/s was written with the key "k1" of aesgcm, which the encryption configuration does not have for it: it has aesgcm "k9", identity/,
  );
  await below.close();
});

test('a broken configuration is refused by field', () => {
  const parse = (resources: unknown): void => {
    parseEncryptionConfiguration(JSON.stringify({ apiVersion: 'apiserver.config.k8s.io/v1', kind: 'EncryptionConfiguration', resources }), world);
  };
  assert.throws(() => parse([{ resources: ['secrets'], providers: [] }]), /resources\[0\]\.providers: Required value/);
  assert.throws(
    () => parse([{ resources: ['secrets'], providers: [{ aesgcm: { keys: [{ name: 'a', secret: 'AAAA' }] } }] }]),
    /resources\[0\]\.providers\[0\]\.aesgcm\.keys\[0\]\.secret: Invalid value: secret is not of the expected length, got 3/,
  );
  assert.throws(() => parse([{ resources: ['secrets'], providers: [{ rot13: {} }] }]), EncryptionConfigurationError);
  const bad: readonly (readonly [string[], RegExp])[] = [
    [['Secrets'], /resources\[0\]\.resources\[0\]: Invalid value: "Secrets": resource name should be all lowercase/],
    [['*'], /use \*\.\* to encrypt all resources/],
    [['secrets', 'secrets'], /listed more than once/],
    [['*.*', 'secrets'], /"secrets": resource overlaps with \*\.\*/],
    [['*.apps', 'deployments.apps'], /resource overlaps with \*\.apps/],
    [['*.', 'secrets'], /resource overlaps with \*\./],
    [['deployments.*'], /resources of all groups/],
    [['sec*'], /a wildcard stands for the whole/],
  ];
  for (const [resources, words] of bad) assert.throws(() => parse([{ resources, providers: [plain] }]), words);
  const kms = (settings: object): void => parse([{ resources: ['secrets'], providers: [{ kms: settings }] }]);
  assert.throws(() => kms({ name: 'a', endpoint: 'unix:///x' }), /kms\.apiVersion: Unsupported value: "v1"/);
  assert.throws(() => kms({ apiVersion: 'v2', name: 'a:b', endpoint: 'unix:///x' }), /must not contain a colon/);
  assert.throws(() => kms({ apiVersion: 'v2', name: 'a', endpoint: 'http://x' }), /it has to be unix:/);
  assert.throws(() => kms({ apiVersion: 'v2', name: 'a', endpoint: 'unix:///x', timeout: '-1s' }), /positive duration/);
});

test('NaCl opens what secretbox wrote', () => {
  // The vector of NaCl's own tests: key, nonce and box are theirs, and so is the message.
  const hex = (text: string): Buffer => Buffer.from(text, 'hex');
  const naclKey = hex('1b27556473e985d462cd51197a9a46c76009549eac6474f206c4ee0844f68389');
  const nonce = hex('69696ee955b62b73cd62bda875fc73d68219e0036b7a0b37');
  const message = hex(
    'be075fc53c81f2d5cf141316ebeb0c7b5228c52a4c62cbd44b66849b64244ffce5ecbaaf33bd751a1ac728d45e6c61296cdc3c01233561f41db66cce314adb310e3be8250c46f06dceea3a7fa1348057e2f6556ad6b1318a024a838f21af1fde048977eb48f59ffd4924ca1c60902e52f0a089bc76897040e082f937763848645e0705',
  );
  const wanted = hex('f3ffc7703f9400e52a7dfb4b3d3305d9');
  const transformer = secretbox('k', naclKey, { ...world.random, bytes: () => nonce });
  const value = Buffer.from(transformer.encrypt(message, ''));
  const body = value.subarray(transformer.prefix.length);
  assert.deepEqual(body.subarray(0, 24), nonce);
  assert.deepEqual(body.subarray(24, 40), wanted);
  assert.deepEqual(Buffer.from(transformer.decrypt(value, '')), message);
});

test('one wildcard covers everything, another the core group', async () => {
  const below = memoryStore({ clock: world.clock });
  const text = (resources: string[]): string =>
    JSON.stringify({
      apiVersion: 'apiserver.config.k8s.io/v1',
      kind: 'EncryptionConfiguration',
      resources: [{ resources, providers: [gcm('k', 1), plain] }],
    });
  const deployment = '/registry/apps/deployments/default/d';
  const all = await encryptedStore(below, parseEncryptionConfiguration(text(['*.*']), world));
  await all.commit([put(deployment, 'd')]);
  assert.ok((await textAt(below, deployment)).startsWith('k8s:enc:'));
  const core = await encryptedStore(below, parseEncryptionConfiguration(text(['*.']), world));
  await core.commit([put(secret, 's'), put(deployment, 'd')]);
  assert.ok((await textAt(below, secret)).startsWith('k8s:enc:'));
  assert.equal(await textAt(below, deployment), 'd');
  await below.close();
});

test('a new configuration is taken while the store runs; one that lacks a key in use is not', async () => {
  const below = memoryStore({ clock: world.clock });
  const store = await under(below, gcm('k1', 1), plain);
  await store.commit([put(secret, 'one'), put('/registry/core/secrets/default/t', 'two')]);
  await store.replace(rulesOf(gcm('k2', 2), gcm('k1', 1)));
  assert.equal(store.isStale(secret), true);
  await store.commit([put(secret, 'one')]);
  assert.ok((await textAt(below, secret)).startsWith('k8s:enc:aesgcm:v1:k2:'));
  await assert.rejects(store.replace(rulesOf(gcm('k2', 2))), /default\/t was written with the key "k1" of aesgcm/);
  assert.equal(await textAt(store, '/registry/core/secrets/default/t'), 'two', 'the old configuration stays');
  await store.commit([put('/registry/core/secrets/default/t', 'two')]);
  await store.replace(rulesOf(gcm('k2', 2)));
  assert.deepEqual(
    ['s', 't'].map((name) => store.isStale(`/registry/core/secrets/default/${name}`)),
    [false, false],
  );
  await below.close();
});
