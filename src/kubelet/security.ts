/** What a pod's and a container's security contexts add up to. The container's own wins field by field. */
import type { Pod } from '../api/kinds.ts';
import type { V1Container, V1SeccompProfile } from '../api/types.ts';
import type { ContainerSecurity, IdMapping, Image, NamespaceMode, SecurityProfile } from './runtime/runtime.ts';
import { ConfigError } from './start-error.ts';
import { formatPod } from './pod-spec.ts';

/** Paths of /proc and /sys that containers must not see or write, as every runtime hides them. */
const maskedPaths = [
  '/proc/asound',
  '/proc/acpi',
  '/proc/interrupts',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/sys/firmware',
  '/sys/devices/virtual/powercap',
];
const readonlyPaths = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'];

export interface PodNamespaces {
  readonly network: NamespaceMode;
  readonly pid: NamespaceMode;
  readonly ipc: NamespaceMode;
}

export function podNamespaces({ spec }: Pod): PodNamespaces {
  return {
    network: spec.hostNetwork === true ? 'node' : 'pod',
    pid: spec.hostPID === true ? 'node' : spec.shareProcessNamespace === true ? 'pod' : 'container',
    ipc: spec.hostIPC === true ? 'node' : 'pod',
  };
}

export function isPrivileged(container: V1Container): boolean {
  return container.securityContext?.privileged === true;
}

export function seccompProfile(profile: V1SeccompProfile | undefined): SecurityProfile | undefined {
  switch (profile?.type) {
    case 'RuntimeDefault':
    case 'Unconfined':
      return { type: profile.type, localhostRef: '' };
    case 'Localhost':
      return { type: 'Localhost', localhostRef: profile.localhostProfile ?? '' };
    default:
      return undefined;
  }
}

export interface SecuritySetting {
  readonly seccompRoot: string;
  /** Whether who says nothing gets the runtime's own profile. */
  readonly seccompDefault?: boolean;
  /** The container whose processes an ephemeral one is to see. */
  readonly targetId?: string;
  /** Of the pod's own; the host's when absent. */
  readonly users?: IdMapping | undefined;
}

export function containerSecurity(
  pod: Pod,
  container: V1Container,
  image: Image,
  { seccompRoot, seccompDefault = false, targetId, users }: SecuritySetting,
): ContainerSecurity {
  const ofPod = pod.spec.securityContext ?? {};
  const own = container.securityContext ?? {};
  const privileged = own.privileged === true;
  const runAsUser = own.runAsUser ?? ofPod.runAsUser;
  const runAsGroup = own.runAsGroup ?? ofPod.runAsGroup;
  checkNonRoot(pod, container, image, runAsUser);
  const profile = seccompProfile(own.seccompProfile ?? ofPod.seccompProfile ?? (seccompDefault ? { type: 'RuntimeDefault' } : undefined));
  const supplementalGroups = [...(ofPod.supplementalGroups ?? []), ...(ofPod.fsGroup === undefined ? [] : [ofPod.fsGroup])];
  return {
    privileged,
    addCapabilities: (own.capabilities?.add ?? []).map(capability),
    dropCapabilities: (own.capabilities?.drop ?? []).map(capability),
    ...(runAsUser !== undefined && { runAsUser }),
    // An image that names no user runs as root.
    ...(runAsUser === undefined &&
      (image.username === '' || image.uid !== undefined ? { runAsUser: image.uid ?? 0 } : { runAsUsername: image.username })),
    ...(runAsGroup !== undefined && { runAsGroup }),
    supplementalGroups,
    ...(ofPod.supplementalGroupsPolicy === 'Strict' && { supplementalGroupsPolicy: 'Strict' }),
    readonlyRootfs: own.readOnlyRootFilesystem === true,
    noNewPrivileges: own.allowPrivilegeEscalation === false,
    ...(profile &&
      !privileged && {
        seccompProfile: profile.type === 'Localhost' ? { ...profile, localhostRef: `${seccompRoot}/${profile.localhostRef}` } : profile,
      }),
    ...(!privileged && own.procMount !== 'Unmasked' && { maskedPaths, readonlyPaths }),
    ...podNamespaces(pod),
    ...(targetId !== undefined && pod.spec.shareProcessNamespace !== true && pod.spec.hostPID !== true && { pid: 'target', targetId }),
    ...(users && { users }),
  };
}

/** CRI wants names without the `CAP_` that people may write. */
function capability(name: string): string {
  return name.replace(/^CAP_/i, '').toUpperCase();
}

function checkNonRoot(pod: Pod, container: V1Container, image: Image, runAsUser: number | undefined): void {
  const nonRoot = container.securityContext?.runAsNonRoot ?? pod.spec.securityContext?.runAsNonRoot;
  if (nonRoot !== true) return;
  const where = `(pod: "${formatPod(pod)}", container: ${container.name})`;
  if (runAsUser !== undefined) {
    if (runAsUser === 0) throw new ConfigError(`container's runAsUser breaks non-root policy ${where}`);
    return;
  }
  if (image.uid === 0) throw new ConfigError(`container has runAsNonRoot and image will run as root ${where}`);
  if (image.uid === undefined && image.username !== '') {
    throw new ConfigError(`container has runAsNonRoot and image has non-numeric user (${image.username}), cannot verify user is non-root ${where}`);
  }
  if (image.uid === undefined) throw new ConfigError(`container has runAsNonRoot and image will run as root ${where}`);
}
