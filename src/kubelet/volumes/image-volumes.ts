/**
 * Volumes that are images: brought onto the node as the images of containers are, and mounted, read-only, by the runtime itself, so that nothing of them lies
 * in the pod's directory. https://kubernetes.io/docs/tasks/configure-pod-container/image-volumes/
 */
import type { Pod } from '../../api/kinds.ts';
import type { V1Container, V1Volume } from '../../api/types.ts';
import type { Images, TellOfContainer } from '../images.ts';
import type { ContainerRuntime, SandboxConfig } from '../runtime/runtime.ts';
import { StartError } from '../start-error.ts';
import { atLeast } from '../runtime/version.ts';

export interface ImageVolumesRequest {
  readonly runtime: ContainerRuntime;
  readonly images: Images;
  readonly pod: Pod;
  readonly container: V1Container;
  readonly sandbox: SandboxConfig;
  readonly tell: TellOfContainer;
}

/** Those that the container mounts. */
export function imageVolumesOf({ spec }: Pod, { volumeMounts = [] }: V1Container): V1Volume[] {
  return (spec.volumes ?? []).filter(({ name, image }) => image && volumeMounts.some((mount) => mount.name === name));
}

/** The runtime's id of the image of each volume. Throws `StartError`, as for a container's own image, or because the runtime mounts no images. */
export async function ensureImageVolumes({ runtime, images, ...request }: ImageVolumesRequest): Promise<ReadonlyMap<string, string>> {
  const { pod, container } = request;
  const volumes = imageVolumesOf(pod, container);
  if (volumes.length === 0) return none;
  const { runtimeName, runtimeVersion } = await runtime.version();
  const since = mountsImagesSince[runtimeName];
  if (since && !atLeast(runtimeVersion, since.whole)) {
    throw new StartError(
      'CreateContainerConfigError',
      `image volumes are not supported by the container runtime: they need ${runtimeName} ${since.whole} or later`,
    );
  }
  const withPart = container.volumeMounts?.find(({ name, subPath = '' }) => subPath !== '' && volumes.some((volume) => volume.name === name));
  if (since && withPart && !atLeast(runtimeVersion, since.part)) {
    const why = `volume ${withPart.name}: subPath of an image is not supported by the container runtime: it needs ${runtimeName} ${since.part} or later`;
    throw new StartError('CreateContainerConfigError', why);
  }
  const ids = new Map<string, string>();
  for (const { name, image } of volumes) {
    const { id } = await images.ensure({
      ...request,
      container: { name: container.name, image: image?.reference, imagePullPolicy: image?.pullPolicy },
    });
    ids.set(name, id);
  }
  return ids;
}

const none: ReadonlyMap<string, string> = new Map();

/** CRI has no way to ask: a runtime that does not know the fields leaves them out. */
const mountsImagesSince: Readonly<Record<string, { readonly whole: string; readonly part: string }>> = {
  containerd: { whole: '2.1', part: '2.2' },
  'cri-o': { whole: '1.31', part: '1.33' },
};
