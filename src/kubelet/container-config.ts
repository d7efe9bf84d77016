/** What the runtime is told about one instance of a container: command, environment, mounts, limits, security. */
import { join, posix } from 'node:path';
import type { Pod } from '../api/kinds.ts';
import type { V1Container, V1VolumeMount } from '../api/types.ts';
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
import type { PodVolumes } from './pod-volumes.ts';
import { containerResources } from './resources.ts';
import type { ContainerConfig, Image, Mount } from './runtime/runtime.ts';
import { containerSecurity } from './security.ts';
import { ConfigError } from './start-error.ts';

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
}

export async function containerConfig(setting: ContainerSetting): Promise<ContainerConfig> {
  const { pod, container, attempt, image, env, directories, disk } = setting;
  const { metadata } = pod;
  const lookup = (name: string): string | undefined => env.get(name);
  const security = containerSecurity(pod, container, image, setting.seccompRoot);
  const mounts = await volumeMounts(setting);
  const hasOwnHosts = mounts.some(({ containerPath }) => containerPath === '/etc/hosts');
  if (!hasOwnHosts) mounts.push(bindMount('/etc/hosts', directories.hostsFile));
  const messagePath = container.terminationMessagePath ?? '/dev/termination-log';
  const terminationLog = join(directories.containers, container.name, String(attempt));
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
    devices: [],
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
    resources: containerResources(pod, container, setting.nodeMemoryBytes),
    security,
  };
}

function bindMount(containerPath: string, hostPath: string): Mount {
  return { containerPath, hostPath, readonly: false, propagation: 'private' };
}

const propagations: Readonly<Record<string, Mount['propagation']>> = { HostToContainer: 'host-to-container', Bidirectional: 'bidirectional' };

async function volumeMounts({ container, env, volumes, disk }: ContainerSetting): Promise<Mount[]> {
  const mounts: Mount[] = [];
  for (const mount of container.volumeMounts ?? []) {
    const root = volumes.hostPath(mount.name);
    if (root === undefined) throw new ConfigError(`cannot find volume "${mount.name}" to mount into container "${container.name}"`);
    const subPath = subPathOf(mount, env);
    let hostPath = root;
    if (subPath !== '') hostPath = await subPathTarget(disk, root, subPath);
    mounts.push({
      containerPath: mount.mountPath.startsWith('/') ? mount.mountPath : posix.join('/', mount.mountPath),
      hostPath,
      readonly: mount.readOnly === true || volumes.isReadonly(mount.name),
      propagation: propagations[mount.mountPropagation ?? ''] ?? 'private',
    });
  }
  return mounts;
}

function subPathOf(mount: V1VolumeMount, env: ReadonlyMap<string, string>): string {
  const { subPath = '', subPathExpr = '' } = mount;
  if (subPathExpr === '') return subPath;
  const missing: string[] = [];
  const expanded = expand(subPathExpr, (name) => {
    const value = env.get(name);
    if (value === undefined) missing.push(name);
    return value;
  });
  if (missing.length > 0) throw new ConfigError(`missing value for ${missing.map((name) => JSON.stringify(name)).join(', ')}`);
  return expanded;
}

/** A sub-path is made when it is missing, and must not lead out of its volume. */
async function subPathTarget(disk: Disk, root: string, subPath: string): Promise<string> {
  if (subPath.startsWith('/') || subPath.split('/').includes('..'))
    throw new ConfigError(`subPath "${subPath}" must be a relative path without '..'`);
  const target = join(root, subPath);
  if ((await disk.kind(target)) === 'absent') await disk.makeDir(target, 0o755);
  const real = await disk.realPath(target);
  const realRoot = await disk.realPath(root);
  if (real !== realRoot && !real.startsWith(`${realRoot}/`)) throw new ConfigError(`subPath "${subPath}" not within volume path "${root}"`);
  return real;
}
