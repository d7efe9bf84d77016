import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { simulatedWorld } from '../../world/simulated.ts';
import type { Image } from '../runtime/runtime.ts';
import { createImageGarbage, defaultImageGarbage, type ImageGarbage, type ImageGarbageSettings } from './image-garbage.ts';

const gigabyte = 10 ** 9;

interface Store {
  readonly images: Image[];
  readonly used: Set<string>;
  readonly told: string[];
  readonly garbage: ImageGarbage;
  /** Lets a minute go by, in which collection looks once. */
  minute(): Promise<void>;
  names(): string[];
}

function image(name: string, more: Partial<Image> = {}): Image {
  return {
    id: `sha256:${name}`,
    repoTags: [`${name}:1`],
    repoDigests: [`${name}@sha256:0`],
    sizeBytes: gigabyte,
    uid: undefined,
    username: '',
    ...more,
  };
}

/** A disk of 100 GB on which images are all there is, beyond `others`. */
function store(images: Image[], othersBytes: number, settings: Partial<ImageGarbageSettings> = {}): Store {
  const world = simulatedWorld(1);
  const used = new Set<string>();
  const told: string[] = [];
  const list = [...images];
  const garbage = createImageGarbage({
    world,
    settings: { ...defaultImageGarbage, ...settings },
    inUse: () => used,
    room: async () => ({
      capacity: 100 * gigabyte,
      available: 100 * gigabyte - othersBytes - list.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    }),
    tell: (reason, message) => told.push(`${reason}: ${message}`),
    runtime: {
      listImages: async () => list,
      async removeImage(id) {
        list.splice(
          list.findIndex((candidate) => candidate.id === id),
          1,
        );
      },
    },
  });
  return {
    images: list,
    used,
    told,
    garbage,
    async minute() {
      await garbage.collect();
      await world.advance(60_000);
    },
    names: () => list.map(({ id }) => id.slice('sha256:'.length)),
  };
}

describe('images that nobody uses', () => {
  test('stay below the high mark', async () => {
    const it = store([image('a'), image('b')], 82 * gigabyte);
    for (let count = 0; count < 5; count++) await it.minute();
    assert.deepEqual(it.names(), ['a', 'b']);
  });

  test('go above it, the longest unused first, until the low mark is reached', async () => {
    const it = store([image('a', { sizeBytes: 4 * gigabyte }), image('b', { sizeBytes: 4 * gigabyte }), image('c')], 77 * gigabyte);
    it.used.add('sha256:a').add('c:1');
    await it.minute();
    it.used.delete('sha256:a');
    await it.minute();
    assert.deepEqual(it.names(), ['a', 'b', 'c'], 'too young');
    await it.minute();
    // 86 GB used: 6 GB have to go.
    assert.deepEqual(it.names(), ['c']);
    assert.equal(it.told.length, 2, 'it was told twice that there was nothing old enough');
  });

  test('it is told when they are too few', async () => {
    const it = store([image('a')], 90 * gigabyte);
    for (let count = 0; count < 3; count++) await it.minute();
    assert.deepEqual(it.names(), []);
    assert.match(it.told[0] ?? '', /^FreeDiskSpaceFailed: .*Attempted to free 11000000000 bytes, but only found 0 bytes eligible to free\.$/);
  });

  test('stay when they are pinned or came from no registry', async () => {
    const it = store([image('pinned', { pinned: true }), image('loaded', { repoDigests: [] }), image('a')], 95 * gigabyte);
    for (let count = 0; count < 4; count++) await it.minute();
    assert.deepEqual(it.names(), ['pinned', 'loaded']);
  });

  test('go at their highest age, whatever room there is', async () => {
    const it = store([image('old'), image('used')], 0, { maximumAgeMs: 150_000 });
    it.used.add('used@sha256:0');
    for (let count = 0; count < 4; count++) await it.minute();
    assert.deepEqual(it.names(), ['used']);
  });

  test('all go when the disk is short', async () => {
    const it = store([image('a'), image('b'), image('used')], 0);
    it.used.add('sha256:used');
    assert.equal(await it.garbage.removeUnused(), 2 * gigabyte);
    assert.deepEqual(it.names(), ['used']);
  });
});
