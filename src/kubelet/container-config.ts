/** What the runtime is told about one instance of a container: command, environment, mounts, limits, security. */
import type { Pod } from '../api/kinds.ts';
import type { V1Container } from '../api/types.ts';
import { containerHash } from './container-hash.ts';
import type { Disk } from './disk.ts';
import { expand } from './expansion.ts';
import {
  containerNameLabel,
  gracePeriodAnnotation,
  hashAnnotation,
  podNameLabel,
  podNamespaceLabel,
  podUidLabel,
  restartCountAnnotation,
  terminationLogAnnotation,
  terminationMessagePathAnnotation,
  terminationMessagePolicyAnnotation,
} from './labels.ts';
import { type PodDirectories, containerLogPath } from './pod-directories.ts';
import type { ContainerPlace } from './allocation/placement.ts';
import type { PodVolumes } from './volumes/pod-volumes.ts';
import { containerResources } from './resources.ts';
import type { ContainerConfig, IdMapping, Image, Mount, RuntimeHandler } from './runtime/runtime.ts';
import { containerSecurity } from './security.ts';
import { volumeDevices, volumeMounts } from './volumes/volume-mounts.ts';

export interface ContainerSetting {
  readonly pod: Pod;
  readonly container: V1Container;
  readonly attempt: number;
  readonly image: Image;
  readonly env: ReadonlyMap<string, string>;
  readonly volumes: PodVolumes;
  readonly directories: PodDirectories;
  readonly disk: Disk;
  readonly nodeMemoryBytes: number;
  readonly seccompRoot: string;
  readonly seccompDefault: boolean;
  readonly place?: ContainerPlace;
  /** What the runtime can do for the pod; undefined where it does not tell. */
  readonly handler: RuntimeHandler | undefined;
  /** Of the pod's own; undefined for the host's. */
  readonly users: IdMapping | undefined;
  /** By volume: the runtime's id of the image that it is. */
  readonly imageVolumes: ReadonlyMap<string, string>;
  /** The container whose processes an ephemeral one is to see. */
  readonly targetId?: string;
}

export async function containerConfig(setting: ContainerSetting): Promise<ContainerConfig> {
  const { pod, container, attempt, image, env, directories, disk } = setting;
  const { metadata } = pod;
  const lookup = (name: string): string | undefined => env.get(name);
  const security = containerSecurity(pod, container, image, setting);
  const mounts = await volumeMounts(setting);
  const hasOwnHosts = mounts.some(({ containerPath }) => containerPath === '/etc/hosts');
  if (!hasOwnHosts) mounts.push(bindMount('/etc/hosts', directories.hostsFile));
  const messagePath = container.terminationMessagePath ?? '/dev/termination-log';
  const terminationLog = `${directories.containers}/${container.name}/${attempt}`;
  if (messagePath !== '') {
    // Whoever the container runs as must be able to write it.
    await disk.writeFile(terminationLog, '', 0o666);
    mounts.push(bindMount(messagePath, terminationLog));
  }
  return {
    name: container.name,
    attempt,
    image: image.id,
    command: (container.command ?? []).map((word) => expand(word, lookup)),
    args: (container.args ?? []).map((word) => expand(word, lookup)),
    workingDir: container.workingDir ?? '',
    env: [...env].map(([key, value]) => ({ key, value })),
    mounts,
    devices: volumeDevices(setting),
    labels: {
      [containerNameLabel]: container.name,
      [podNameLabel]: metadata.name,
      [podNamespaceLabel]: metadata.namespace,
      [podUidLabel]: metadata.uid,
    },
    annotations: {
      [hashAnnotation]: containerHash(container),
      [restartCountAnnotation]: String(attempt),
      [terminationMessagePathAnnotation]: messagePath,
      [terminationMessagePolicyAnnotation]: container.terminationMessagePolicy ?? 'File',
      [terminationLogAnnotation]: terminationLog,
      [gracePeriodAnnotation]: String(pod.spec.terminationGracePeriodSeconds ?? 30),
    },
    logPath: containerLogPath(container.name, attempt),
    stdin: container.stdin === true,
    stdinOnce: container.stdinOnce === true,
    tty: container.tty === true,
    resources: { ...containerResources(pod, container, setting.nodeMemoryBytes), ...setting.place },
    security,
  };
}

function bindMount(containerPath: string, hostPath: string): Mount {
  return { containerPath, hostPath, readonly: false, propagation: 'private' };
}
