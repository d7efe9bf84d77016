/** `/containerLogs/{namespace}/{pod}/{container}`: what a container has written, for `kubectl logs`. */
import { access } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Pod } from '../../api/kinds.ts';
import type { World } from '../../world/world.ts';
import type { ContainerRuntime } from '../runtime/runtime.ts';
import { type LogOptions, logOptionsOf } from './log-options.ts';
import { readKeptLog } from './kept-log.ts';
import { readLog } from './log-reader.ts';
import { HttpError } from './responses.ts';
import { type ContainerPath, findPod } from './routes.ts';
import type { ContainerChanges } from './container-changes.ts';
import type { ServedContainer, ServedPods } from './served-pods.ts';

export interface ContainerLogsOptions {
  readonly pods: ServedPods;
  readonly runtime: ContainerRuntime;
  readonly changes: ContainerChanges;
  readonly world: World;
  readonly path: ContainerPath;
  readonly query: URLSearchParams;
  readonly response: ServerResponse;
  readonly request: IncomingMessage;
}

export async function serveContainerLogs(served: ContainerLogsOptions): Promise<void> {
  const { pods, runtime, changes, world, path, query, response } = served;
  const options = logOptionsOf(query, world.clock.now());
  const pod = findPod(pods, path);
  const container = pods.container(path.namespace, path.pod, path.container);
  const logPath = logPathOf(pod, path, container, options);
  const id = container?.id ?? '';
  const { keptLog } = runtime;
  if (keptLog === undefined) {
    await access(logPath).catch((error: NodeJS.ErrnoException) => {
      throw error.code === 'ENOENT' ? noLogs(path, options) : error;
    });
  }
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  const asked = {
    options: options.previous ? { ...options, follow: false } : options,
    container: {
      isRunning: async () => {
        const state = (await runtime.containerStatus(id).catch(() => undefined))?.state;
        return state === 'running' || state === 'created';
      },
      onChange: (callback: () => void) => changes.on(id, callback),
    },
    signal: gone.signal,
  };
  const shownId = options.previous ? (container?.previousId ?? '') : id;
  const log = keptLog ? readKeptLog({ ...asked, read: () => keptLog(shownId) }) : readLog({ ...asked, path: logPath, world });
  response.writeHead(200, { 'Content-Type': 'text/plain' });
  // A container may be silent for long; its follower should know all the same that it is connected.
  response.flushHeaders();
  // The caller may go at any time; that is no error of ours.
  await pipeline(Readable.from(log), response).catch(() => gone.abort());
}

function logPathOf(pod: Pod, path: ContainerPath, container: ServedContainer | undefined, options: LogOptions): string {
  const { spec } = pod;
  const names = [spec.containers, spec.initContainers ?? [], spec.ephemeralContainers ?? []].flat().map(({ name }) => name);
  if (!names.includes(path.container)) throw new HttpError(404, `container "${path.container}" not found in pod "${path.pod}"`);
  if (options.previous) {
    if (container?.previousLogPath === undefined) throw noLogs(path, options);
    return container.previousLogPath;
  }
  if (container === undefined || container.id === '') throw waiting(pod, path);
  return container.logPath;
}

/** The container has not begun; its status knows why. */
function waiting(pod: Pod, { container, pod: name }: ContainerPath): HttpError {
  const { status } = pod;
  const statuses = [status.containerStatuses ?? [], status.initContainerStatuses ?? [], status.ephemeralContainerStatuses ?? []].flat();
  const reason = statuses.find((entry) => entry.name === container)?.state?.waiting?.reason ?? '';
  if (reason === 'ImagePullBackOff' || reason === 'ErrImagePull') {
    return new HttpError(400, `container "${container}" in pod "${name}" is waiting to start: trying and failing to pull image`);
  }
  return new HttpError(400, `container "${container}" in pod "${name}" is waiting to start${reason === '' ? ' - no logs yet' : `: ${reason}`}`);
}

function noLogs({ container, pod }: ContainerPath, { previous }: LogOptions): HttpError {
  const which = previous ? 'previous terminated container' : 'container';
  return new HttpError(400, `${which} "${container}" in pod "${pod}" not found`);
}
