import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Pod } from '../api/kinds.ts';
import { simulatedWorld } from '../world/simulated.ts';
import { simulatedDisk } from './disk.ts';
import type { Credential } from './image-pull/credentials.ts';
import { PullRecords } from './image-pull/pull-records.ts';
import { defaultVerification } from './image-pull/verification.ts';
import { type Images, createImages } from './images.ts';
import type { Image, ImageAuth, SandboxConfig } from './runtime/runtime.ts';

const image = 'registry.example.com/app:1';
const container = { name: 'main', image };
const sandbox = {} as SandboxConfig;

function podNamed(name: string): Pod {
  const metadata = { name, namespace: 'default', uid: name, creationTimestamp: '', resourceVersion: '' };
  return { apiVersion: 'v1', kind: 'Pod', metadata, spec: { containers: [container] }, status: {} };
}

const secretOf = (name: string): Credential => ({
  auth: { username: name, password: 'p', serverAddress: '', identityToken: '', registryToken: '' },
  owner: { kind: 'secret', uid: name, namespace: 'default', name },
});

/** A registry that needs `takesMs` for a pull, and lets in whom it knows; credentials by the pod's name. */
interface MachineOptions {
  readonly takesMs?: number;
  readonly welcome?: (auth: ImageAuth | undefined) => boolean;
  readonly credentials?: Readonly<Record<string, readonly Credential[]>>;
  readonly maxParallelPulls?: number;
}

function machine({ takesMs = 0, welcome = () => true, credentials = {}, maxParallelPulls = 0 }: MachineOptions = {}) {
  const world = simulatedWorld(1);
  const present = new Map<string, Image>();
  const pulls: (string | undefined)[] = [];
  const images: Images = createImages({
    world,
    runtime: {
      imageStatus: async (name) => present.get(name),
      pullProgress: async () => ({ doneBytes: 2 ** 20, totalBytes: 4 * 2 ** 20 }),
      async pullImage(name, auth) {
        pulls.push(auth?.username);
        if (takesMs > 0) await world.clock.sleep(takesMs);
        if (!welcome(auth)) throw new Error('401 Unauthorized');
        present.set(name, { id: `sha256:${name}`, repoTags: [name], repoDigests: [`${name}@sha256:1`], sizeBytes: 7, uid: undefined, username: '' });
        return name;
      },
    },
    maxParallelPulls,
    keyring: { lookUp: async (pod) => credentials[pod.metadata.name] ?? [] },
    records: new PullRecords({ world, disk: simulatedDisk(), rootDir: '/nowhere', settings: defaultVerification }),
  });
  const told: string[] = [];
  const ensure = (name: string, imagePullPolicy = 'IfNotPresent'): Promise<Image> =>
    images.ensure({
      pod: podNamed(name),
      container: { ...container, imagePullPolicy },
      sandbox,
      tell: (_, reason, message) => told.push(`${reason}: ${message}`),
    });
  return { world, ensure, told, pulls };
}

describe('an image', () => {
  test('that takes long says how far it is, and in the end how long it took', async () => {
    const it = machine({ takesMs: 20_000 });
    const ensured = it.ensure('a');
    await it.world.advance(30_000);
    await ensured;
    assert.deepEqual(it.told, [
      `Pulling: Pulling image "${image}"`,
      `Pulling: Pulling image "${image}": 25% (1.0 of 4.0 MiB)`,
      `Pulled: Successfully pulled image "${image}" in 20s (20s including waiting). Image size: 7 bytes.`,
    ]);
  });

  test('that comes at once says nothing of it', async () => {
    const it = machine();
    await it.ensure('a');
    assert.equal(it.told.length, 2);
  });

  test('that was pulled for one is checked for another, and given to whoever may have it', async () => {
    const it = machine({ welcome: (auth) => auth !== undefined, credentials: { a: [secretOf('a')], b: [secretOf('b')] } });
    await it.ensure('a');
    await it.ensure('a');
    assert.deepEqual(it.pulls, ['a']);
    await it.ensure('b');
    await it.ensure('b');
    assert.deepEqual(it.pulls, ['a', 'b']);
    await assert.rejects(it.ensure('c', 'Never'), { reason: 'ErrImageNeverPull' });
    await assert.rejects(it.ensure('c'), { reason: 'ErrImagePull', message: '401 Unauthorized' });
    assert.deepEqual(it.pulls, ['a', 'b', undefined]);
  });

  test('is tried with each of the credentials in turn', async () => {
    const it = machine({ welcome: (auth) => auth?.username === 'b', credentials: { pod: [secretOf('a'), secretOf('b'), secretOf('c')] } });
    await it.ensure('pod');
    assert.deepEqual(it.pulls, ['a', 'b']);
  });

  for (const [maxParallelPulls, took] of [
    [0, [1000, 1000, 1000]],
    [2, [1000, 1000, 2000]],
    [1, [1000, 2000, 3000]],
  ] as const) {
    test(`waits for others when ${maxParallelPulls || 'any number'} may be pulled at a time`, async () => {
      const names = ['a', 'b', 'c'];
      const it = machine({ takesMs: 1000, maxParallelPulls, credentials: Object.fromEntries(names.map((name) => [name, [secretOf(name)]])) });
      const startMs = it.world.clock.now();
      const ended = names.map((name) => it.ensure(name, 'Always').then(() => it.world.clock.now() - startMs));
      await it.world.advance(4000);
      assert.deepEqual(await Promise.all(ended), took);
    });
  }
});
