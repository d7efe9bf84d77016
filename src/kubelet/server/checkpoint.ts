/**
 * `/checkpoint/{namespace}/{pod}/{container}`: has the container runtime write what a container is doing to a file below the kubelet's directory. Most runtimes, and
 * machines without CRIU, cannot; then it is said in their words. https://kubernetes.io/docs/reference/node/kubelet-checkpoint-api/
 */
import { join } from 'node:path';
import type { World } from '../../world/world.ts';
import type { ContainerRuntime } from '../runtime/runtime.ts';
import type { StatsSubject } from '../stats/node-stats.ts';
import { HttpError } from './responses.ts';
import { type ContainerPath, findContainer } from './routes.ts';
import type { ServedPods } from './served-pods.ts';

export interface CheckpointOptions {
  readonly pods: ServedPods;
  readonly runtime: Pick<ContainerRuntime, 'checkpointContainer'>;
  readonly world: World;
  readonly subject: StatsSubject | undefined;
  readonly path: ContainerPath;
  readonly query: URLSearchParams;
}

export async function checkpointContainer({ pods, runtime, world, subject, path, query }: CheckpointOptions): Promise<{ items: string[] }> {
  const { id } = findContainer(pods, path);
  const timeout = query.getAll('timeout').at(-1) ?? '0';
  if (!/^-?\d+$/.test(timeout)) throw new HttpError(404, 'cannot parse value of timeout parameter');
  const { namespace, pod, container } = path;
  try {
    const directory = join(subject?.places?.rootDir ?? '/', 'checkpoints');
    await subject?.host.disk.makeDir(directory, 0o700);
    const time = `${new Date(world.clock.now()).toISOString().slice(0, 19)}Z`;
    const location = join(directory, `checkpoint-${pod}_${namespace}-${container}-${time}.tar`);
    await runtime.checkpointContainer(id, location, Number(timeout));
    return { items: [location] };
  } catch (error) {
    throw new HttpError(500, `checkpointing of ${namespace}/${pod}/${container} failed (${error instanceof Error ? error.message : String(error)})`);
  }
}
