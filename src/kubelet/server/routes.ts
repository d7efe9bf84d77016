/** The kubelet server's paths that name a container or a pod: `/exec/{namespace}/{pod}/{uid}/{container}` and their like; the uid may be left out. */
import type { Pod } from '../../api/kinds.ts';
import { HttpError } from './responses.ts';
import type { ServedContainer, ServedPods } from './served-pods.ts';

export interface PodPath {
  readonly namespace: string;
  readonly pod: string;
  readonly uid?: string;
}

export interface ContainerPath extends PodPath {
  readonly container: string;
}

/** `parts` are the path's, without the first, already decoded. */
export function podPath(parts: readonly string[]): PodPath {
  const [namespace, pod, uid] = parts;
  if (!namespace || !pod || parts.length > 3) throw new HttpError(404, '404 page not found');
  return { namespace, pod, ...(uid !== undefined && uid !== '' && { uid }) };
}

export function containerPath(parts: readonly string[]): ContainerPath {
  const [namespace, pod, uidOrContainer, container] = parts;
  const name = container ?? uidOrContainer;
  if (!namespace || !pod || !name || parts.length > 4) throw new HttpError(404, '404 page not found');
  return { namespace, pod, container: name };
}

export function findPod(pods: ServedPods, { namespace, pod }: PodPath): Pod {
  const found = pods.find(namespace, pod);
  if (found === undefined) throw new HttpError(404, `pod "${pod}" does not exist`);
  return found;
}

/** One that runs: in none other can anything be done. */
export function findContainer(pods: ServedPods, path: ContainerPath): ServedContainer {
  findPod(pods, path);
  const found = pods.container(path.namespace, path.pod, path.container);
  if (found === undefined || !found.running) throw new HttpError(404, `container not found ("${path.container}")`);
  return found;
}
