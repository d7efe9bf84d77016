/** Brings the image of a container onto the node as its pull policy says, with back-off after failures, and tells of it in events. */
import type { Pod, Secret } from '../api/kinds.ts';
import type { V1Container } from '../api/types.ts';
import type { World } from '../world/world.ts';
import { BackOff } from './back-off.ts';
import { fullImageName, parseImageName } from './image-name.ts';
import { registryCredentials } from './registry-credentials.ts';
import type { ContainerRuntime, Image, ImageAuth, SandboxConfig } from './runtime/runtime.ts';
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
}

interface Pulled {
  /** Without the time it waited for others. */
  readonly tookMs: number;
}

export interface ImagesOptions {
  readonly world: World;
  readonly runtime: ContainerRuntime;
  readonly secret: (namespace: string, name: string) => Promise<Secret | undefined>;
  /** The node's own credentials, as a Docker configuration; '' for none. */
  readonly nodeCredentials?: () => Promise<string>;
  /** How many pulls may be under way at once; 0 or absent for any number. */
  readonly maxParallelPulls?: number;
}

export function createImages({ world, runtime, secret, nodeCredentials, maxParallelPulls = 0 }: ImagesOptions): Images {
  const slots = new Slots(maxParallelPulls);
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
  function pull(image: string, auth: ImageAuth | undefined, sandbox: SandboxConfig): Promise<Pulled> {
    if (auth) return pullInTurn(image, auth, sandbox);
    let running = pulls.get(image);
    if (!running) {
      running = pullInTurn(image, undefined, sandbox).finally(() => pulls.delete(image));
      pulls.set(image, running);
    }
    return running;
  }

  async function pullInTurn(image: string, auth: ImageAuth | undefined, sandbox: SandboxConfig): Promise<Pulled> {
    const release = await slots.take();
    const startMs = world.clock.now();
    try {
      await runtime.pullImage(image, auth, sandbox);
      return { tookMs: world.clock.now() - startMs };
    } finally {
      release();
    }
  }

  async function pullWithAnyCredentials(pod: Pod, image: string, registry: string, repository: string, sandbox: SandboxConfig): Promise<Pulled> {
    const secrets = await Promise.all((pod.spec.imagePullSecrets ?? []).map(({ name = '' }) => secret(pod.metadata.namespace, name)));
    const candidates = registryCredentials(secrets, registry, repository, await nodeCredentials?.());
    if (candidates.length === 0) return pull(image, undefined, sandbox);
    let last: unknown;
    for (const auth of candidates) {
      try {
        return await pull(image, auth, sandbox);
      } catch (error) {
        last = error;
      }
    }
    throw last;
  }

  return {
    async ensure({ pod, container, sandbox, tell }) {
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
      const local = await find(image, full);
      // An image that was loaded from a file has no registry digest: there is nothing newer to pull for it.
      if (local && (policy !== 'Always' || local.repoDigests.length === 0)) {
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
      try {
        done = await pullWithAnyCredentials(pod, image, name.registry, name.repository, sandbox);
      } catch (error) {
        const message = messageOf(error);
        failures.set(key, { atMs: world.clock.now(), message });
        backOff.count(key, world.clock.now());
        tell('Warning', 'Failed', `Failed to pull image "${given}": ${message}`);
        throw new StartError(isRegistryAway(message) ? 'RegistryUnavailable' : 'ErrImagePull', message);
      }
      failures.delete(key);
      backOff.forget(key);
      const took = duration(done.tookMs);
      const altogether = duration(world.clock.now() - startMs);
      const pulled = await find(image, full);
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
