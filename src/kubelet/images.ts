/** Brings the image of a container onto the node as its pull policy says, with back-off after failures, and tells of it in events. */
import type { Pod } from '../api/kinds.ts';
import type { V1Container } from '../api/types.ts';
import type { World } from '../world/world.ts';
import { BackOff } from './back-off.ts';
import { type ImageName, fullImageName, parseImageName } from './image-name.ts';
import type { Credential } from './image-pull/credentials.ts';
import type { Keyring } from './image-pull/keyring.ts';
import { PullRate, type PullRateSettings } from './image-pull/pull-rate.ts';
import type { PullRecords } from './image-pull/pull-records.ts';
import { progressWords, tellProgress } from './image-pull/tell-progress.ts';
import type { ContainerRuntime, Image, SandboxConfig } from './runtime/runtime.ts';
import { Slots } from './slots.ts';
import { StartError } from './start-error.ts';

export type TellOfContainer = (type: 'Normal' | 'Warning', reason: string, message: string) => void;

export interface ImageRequest {
  readonly pod: Pod;
  readonly container: V1Container;
  readonly sandbox: SandboxConfig;
  readonly tell: TellOfContainer;
}

export interface Images {
  /** Throws `StartError`. */
  ensure(request: ImageRequest): Promise<Image>;
  /** When the pull may be tried again; 0 for at once. */
  retryAtMs(pod: Pod, container: V1Container): number;
  forget(pod: Pod): void;
  /** The image of this id was removed from the node. */
  removed(imageRef: string): Promise<void>;
}

interface Pulled {
  /** Without the time it waited for others. */
  readonly tookMs: number;
  /** Undefined: none were needed. */
  readonly credential: Credential | undefined;
}

export interface ImagesOptions {
  readonly world: World;
  readonly runtime: Pick<ContainerRuntime, 'imageStatus' | 'pullImage' | 'pullProgress'>;
  readonly keyring: Keyring;
  readonly records: PullRecords;
  /** How many pulls may be under way at once; 0 or absent for any number. */
  readonly maxParallelPulls?: number;
  readonly rate?: PullRateSettings;
}

const anyRate: PullRateSettings = { perSecond: 0, burst: 0 };

export function createImages({ world, runtime, keyring, records, maxParallelPulls = 0, rate: rateSettings = anyRate }: ImagesOptions): Images {
  const slots = new Slots(maxParallelPulls);
  const rate = new PullRate(world.clock, rateSettings);
  const backOff = new BackOff();
  const failures = new Map<string, { atMs: number; message: string }>();
  const pulls = new Map<string, Promise<Pulled>>();

  function keyOf(pod: Pod, image: string): string {
    return `${pod.metadata.uid}/${image}`;
  }

  async function find(image: string, full: string): Promise<Image | undefined> {
    try {
      return (await runtime.imageStatus(image)) ?? (image === full ? undefined : await runtime.imageStatus(full));
    } catch (error) {
      throw new StartError('ImageInspectError', `Failed to inspect image "${image}": ${messageOf(error)}`);
    }
  }

  /** One pull at a time for one image, whoever asks. Pods with credentials of their own pull for themselves: the pull is also a check. */
  function pull(image: string, credential: Credential | undefined, sandbox: SandboxConfig): Promise<Pulled> {
    if (credential) return pullInTurn(image, credential, sandbox);
    let running = pulls.get(image);
    if (!running) {
      running = pullInTurn(image, undefined, sandbox).finally(() => pulls.delete(image));
      pulls.set(image, running);
    }
    return running;
  }

  async function pullInTurn(image: string, credential: Credential | undefined, sandbox: SandboxConfig): Promise<Pulled> {
    const release = await slots.take();
    try {
      await rate.take();
      const startMs = world.clock.now();
      await runtime.pullImage(image, credential?.auth, sandbox);
      return { tookMs: world.clock.now() - startMs, credential };
    } finally {
      release();
    }
  }

  async function pullWithAny(credentials: readonly Credential[], image: string, sandbox: SandboxConfig): Promise<Pulled> {
    if (credentials.length === 0) return pull(image, undefined, sandbox);
    let last: unknown;
    for (const credential of credentials) {
      try {
        return await pull(image, credential, sandbox);
      } catch (error) {
        last = error;
      }
    }
    throw last;
  }

  /** And says meanwhile how far it is. */
  async function pullAndTell({ pod, sandbox, tell }: ImageRequest, given: string, image: string, name: ImageName): Promise<Pulled> {
    const { pullProgress } = runtime;
    const stop =
      pullProgress &&
      tellProgress({
        clock: world.clock,
        read: () => pullProgress(image),
        tell: (progress) => tell('Normal', 'Pulling', `Pulling image "${given}": ${progressWords(progress)}`),
      });
    try {
      return await pullWithAny(await keyring.lookUp(pod, name), image, sandbox);
    } finally {
      stop?.();
    }
  }

  return {
    async ensure(request) {
      const { pod, container, tell } = request;
      const given = container.image ?? '';
      const name = parseImageName(given);
      if (!name) {
        const why = `Failed to apply default image tag "${given}": couldn't parse image name "${given}": invalid reference format`;
        tell('Warning', 'InspectFailed', why);
        throw new StartError('InvalidImageName', why);
      }
      const image = /[:@][^/]*$/.test(given) ? given : `${given}:latest`;
      const full = fullImageName(name);
      const policy = container.imagePullPolicy ?? 'IfNotPresent';
      const repository = fullImageName({ ...name, tag: undefined, digest: undefined });
      const local = await find(image, full);
      // An image that was loaded from a file has no registry digest: there is nothing newer to pull for it.
      const isWanted = local && (policy !== 'Always' || local.repoDigests.length === 0);
      if (isWanted && !(await records.mustAsk(full, repository, local.id, () => keyring.lookUp(pod, name)))) {
        tell('Normal', 'Pulled', `Container image "${given}" already present on machine and can be accessed by the pod`);
        return local;
      }
      if (policy === 'Never') {
        const why = `Container image "${given}" is not present with pull policy of Never`;
        tell('Warning', 'ErrImageNeverPull', why);
        throw new StartError('ErrImageNeverPull', why);
      }
      const key = keyOf(pod, image);
      const failed = failures.get(key);
      if (failed && world.clock.now() < backOff.untilMs(key, failed.atMs)) {
        tell('Normal', 'BackOff', `Back-off pulling image "${given}"`);
        throw new StartError('ImagePullBackOff', `Back-off pulling image "${given}": ErrImagePull: ${failed.message}`);
      }
      tell('Normal', 'Pulling', `Pulling image "${given}"`);
      const startMs = world.clock.now();
      let done: Pulled;
      let pulled: Image | undefined;
      try {
        await records.begin(full);
        done = await pullAndTell(request, given, image, name);
        pulled = await find(image, full);
        if (pulled) await records.pulled(repository, pulled.id, done.credential);
      } catch (error) {
        const message = messageOf(error);
        failures.set(key, { atMs: world.clock.now(), message });
        backOff.count(key, world.clock.now());
        tell('Warning', 'Failed', `Failed to pull image "${given}": ${message}`);
        throw error instanceof StartError ? error : new StartError(isRegistryAway(message) ? 'RegistryUnavailable' : 'ErrImagePull', message);
      } finally {
        await records.end(full);
      }
      failures.delete(key);
      backOff.forget(key);
      const took = duration(done.tookMs);
      const altogether = duration(world.clock.now() - startMs);
      if (!pulled) throw new StartError('ImageInspectError', `Failed to inspect image "${image}": not found after it was pulled`);
      tell(
        'Normal',
        'Pulled',
        `Successfully pulled image "${given}" in ${took} (${altogether} including waiting). Image size: ${pulled.sizeBytes} bytes.`,
      );
      return pulled;
    },
    retryAtMs(pod, container) {
      const given = container.image ?? '';
      const key = keyOf(pod, /[:@][^/]*$/.test(given) ? given : `${given}:latest`);
      const failed = failures.get(key);
      return failed ? backOff.untilMs(key, failed.atMs) : 0;
    },
    removed: (imageRef) => records.forget(imageRef),
    forget(pod) {
      for (const key of failures.keys()) {
        if (!key.startsWith(`${pod.metadata.uid}/`)) continue;
        failures.delete(key);
        backOff.forget(key);
      }
    },
  };
}

/** The runtime's own word for it, at the beginning of its answer. */
function isRegistryAway(message: string): boolean {
  return /^(?:rpc error: code = \w+ desc = )?RegistryUnavailable/.test(message);
}

/** As Go prints one: `1.2s`, `850ms`, `2m3.5s`. */
function duration(ms: number): string {
  if (ms < 1000) return `${ms}ms`;
  const seconds = `${Number(((ms % 60_000) / 1000).toFixed(3))}s`;
  return ms < 60_000 ? seconds : `${Math.floor(ms / 60_000)}m${seconds}`;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
