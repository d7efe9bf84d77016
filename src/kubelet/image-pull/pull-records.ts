/**
 * Remembers which images this kubelet pulled, and with whose credentials, also over a restart: one file for each image in `image_manager/pulled`, and one in
 * `image_manager/pulling` while a pull is under way, so that an image whose pull nobody saw the end of is not taken for one that was there before. Upstream: the
 * image pull manager and its records.
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { timestamp, type World } from '../../world/world.ts';
import type { Disk } from '../disk.ts';
import { messageOf } from '../handler.ts';
import type { Credential } from './credentials.ts';
import { type PullCredentials, type VerificationSettings, mayRun, mustBeVerified, withCredential } from './verification.ts';

export interface PullRecordsOptions {
  readonly world: World;
  readonly disk: Disk;
  /** The kubelet's own directory. */
  readonly rootDir: string;
  readonly settings: VerificationSettings;
}

interface PulledRecord {
  readonly lastUpdatedTime: string;
  /** The runtime's id of it. */
  readonly imageRef: string;
  /** By repository. */
  readonly credentialMapping: Readonly<Record<string, PullCredentials>>;
}

const apiVersion = 'kubelet.config.k8s.io/v1beta1';
const mostRecordBytes = 2 ** 20;

export class PullRecords {
  readonly #options: PullRecordsOptions;
  /** Null: there is none. */
  readonly #pulled = new Map<string, PulledRecord | null>();
  /** Pulls under way, by the image's name. */
  readonly #pulling = new Map<string, number>();
  readonly #interrupted: Promise<Set<string>>;

  constructor(options: PullRecordsOptions) {
    this.#options = options;
    this.#interrupted = this.#readInterrupted();
  }

  /** Whether the registry has to be asked if this pod may have the image that is here. */
  async mustAsk(image: string, repository: string, imageRef: string, credentials: () => Promise<readonly Credential[]>): Promise<boolean> {
    const record = await this.#recordOf(imageRef);
    const wasPulled = record !== null || this.#pulling.has(image) || (await this.#interrupted).has(image);
    if (!mustBeVerified(this.#options.settings, repository, wasPulled)) return false;
    const pulledWith = record?.credentialMapping[repository];
    return pulledWith?.nodePodsAccessible !== true && !mayRun(pulledWith, await credentials());
  }

  /** Before a pull. */
  async begin(image: string): Promise<void> {
    this.#pulling.set(image, (this.#pulling.get(image) ?? 0) + 1);
    await this.#write('pulling', image, { apiVersion, kind: 'ImagePullIntent', image });
  }

  async pulled(repository: string, imageRef: string, used: Credential | undefined): Promise<void> {
    const before = (await this.#recordOf(imageRef))?.credentialMapping ?? {};
    const lastUpdatedTime = timestamp(this.#options.world.clock.now());
    const record = { lastUpdatedTime, imageRef, credentialMapping: { ...before, [repository]: withCredential(before[repository], used) } };
    this.#pulled.set(imageRef, record);
    await this.#write('pulled', imageRef, { apiVersion, kind: 'ImagePulledRecord', ...record });
  }

  /** After a pull, and after it was recorded. */
  async end(image: string): Promise<void> {
    const left = (this.#pulling.get(image) ?? 1) - 1;
    if (left > 0) this.#pulling.set(image, left);
    else {
      this.#pulling.delete(image);
      (await this.#interrupted).delete(image);
      await this.#remove('pulling', image);
    }
  }

  /** The image is not here any more. */
  async forget(imageRef: string): Promise<void> {
    this.#pulled.delete(imageRef);
    await this.#remove('pulled', imageRef);
  }

  async #recordOf(imageRef: string): Promise<PulledRecord | null> {
    const known = this.#pulled.get(imageRef);
    if (known !== undefined) return known;
    const { disk, world } = this.#options;
    const text = await disk.readTail(this.#file('pulled', imageRef), mostRecordBytes);
    let record: PulledRecord | null = null;
    try {
      record = text === undefined ? null : readRecord(JSON.parse(text), imageRef);
    } catch (error) {
      // It was pulled, and nobody knows by whom: that has to be shown.
      world.log.child('images').warn('a record of a pulled image is spoiled', { imageRef, error: messageOf(error) });
      record = { lastUpdatedTime: '', imageRef, credentialMapping: {} };
    }
    this.#pulled.set(imageRef, record);
    return record;
  }

  /** Images whose pull an earlier kubelet began and did not end. */
  async #readInterrupted(): Promise<Set<string>> {
    const { disk, rootDir, world } = this.#options;
    const images = new Set<string>();
    if (!disk.keeps) return images;
    const directory = join(rootDir, 'image_manager/pulling');
    for (const name of await disk.list(directory).catch(() => [])) {
      try {
        const { image } = JSON.parse((await disk.readTail(join(directory, name), mostRecordBytes)) ?? '{}');
        if (typeof image === 'string') images.add(image);
      } catch (error) {
        world.log.child('images').warn('a record of a pull is spoiled', { name, error: messageOf(error) });
      }
    }
    return images;
  }

  async #write(what: 'pulled' | 'pulling', key: string, value: object): Promise<void> {
    if (this.#options.disk.keeps) await this.#options.disk.writeFile(this.#file(what, key), JSON.stringify(value), 0o600);
  }

  /** A record that stays makes someone ask the registry who need not. */
  async #remove(what: 'pulled' | 'pulling', key: string): Promise<void> {
    const { disk, world } = this.#options;
    if (!disk.keeps) return;
    await disk.removeTree(this.#file(what, key)).catch((error: unknown) => {
      world.log.child('images').warn('removing a record of an image failed', { key, error: messageOf(error) });
    });
  }

  #file(what: 'pulled' | 'pulling', key: string): string {
    return join(this.#options.rootDir, 'image_manager', what, `sha256-${createHash('sha256').update(key).digest('hex')}`);
  }
}

function readRecord(value: unknown, imageRef: string): PulledRecord {
  if (typeof value !== 'object' || value === null || !('credentialMapping' in value)) throw new Error('it is no ImagePulledRecord');
  const { credentialMapping } = value;
  if (typeof credentialMapping !== 'object' || credentialMapping === null) throw new Error('it has no credentialMapping');
  return { lastUpdatedTime: '', imageRef, credentialMapping: Object.fromEntries(Object.entries(credentialMapping)) };
}
