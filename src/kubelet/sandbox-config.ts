/** What the runtime is told about a pod's sandbox. */
import type { Pod } from '../api/kinds.ts';
import type { DnsConfig } from './dns-config.ts';
import type { PodHostname } from './hosts-file.ts';
import { podNameLabel, podNamespaceLabel, podUidLabel } from './labels.ts';
import type { IdMapping, PortMapping, SandboxConfig } from './runtime/runtime.ts';
import { sysctlName } from './security-admission.ts';
import { isPrivileged, podNamespaces, seccompProfile } from './security.ts';

export interface SandboxSetting {
  readonly pod: Pod;
  readonly attempt: number;
  readonly hostname: PodHostname;
  readonly logDirectory: string;
  readonly dns: DnsConfig;
  readonly cgroupParent: string;
  /** The RuntimeClass's handler; '' for the default. */
  readonly runtimeHandler: string;
  /** Of the pod's own; undefined for the host's. */
  readonly users: IdMapping | undefined;
  readonly seccompRoot: string;
}

export function sandboxConfig({
  pod,
  attempt,
  hostname,
  logDirectory,
  dns,
  cgroupParent,
  runtimeHandler,
  users,
  seccompRoot,
}: SandboxSetting): SandboxConfig {
  const { metadata, spec } = pod;
  const security = spec.securityContext ?? {};
  const profile = seccompProfile(security.seccompProfile);
  return {
    name: metadata.name,
    namespace: metadata.namespace,
    uid: metadata.uid,
    attempt,
    hostname: hostname.kernelHostname,
    logDirectory,
    dns,
    portMappings: spec.hostNetwork === true ? [] : portMappings(pod),
    labels: { ...metadata.labels, [podNameLabel]: metadata.name, [podNamespaceLabel]: metadata.namespace, [podUidLabel]: metadata.uid },
    annotations: metadata.annotations ?? {},
    cgroupParent,
    sysctls: Object.fromEntries((security.sysctls ?? []).map(({ name, value }) => [sysctlName(name), value])),
    ...podNamespaces(pod),
    privileged: [...(spec.initContainers ?? []), ...spec.containers].some(isPrivileged),
    ...(security.runAsUser !== undefined && { runAsUser: security.runAsUser }),
    ...(security.runAsGroup !== undefined && security.runAsUser !== undefined && { runAsGroup: security.runAsGroup }),
    supplementalGroups: [...(security.supplementalGroups ?? []), ...(security.fsGroup === undefined ? [] : [security.fsGroup])],
    ...(profile && {
      seccompProfile: profile.type === 'Localhost' ? { ...profile, localhostRef: `${seccompRoot}/${profile.localhostRef}` } : profile,
    }),
    runtimeHandler,
    ...(security.supplementalGroupsPolicy === 'Strict' && { supplementalGroupsPolicy: 'Strict' }),
    ...(users && { users }),
  };
}

function portMappings(pod: Pod): PortMapping[] {
  const mappings: PortMapping[] = [];
  for (const { ports = [] } of [...(pod.spec.initContainers ?? []), ...pod.spec.containers]) {
    for (const { protocol = 'TCP', containerPort, hostPort = 0, hostIP = '' } of ports) {
      if (protocol === 'TCP' || protocol === 'UDP' || protocol === 'SCTP') mappings.push({ protocol, containerPort, hostPort, hostIp: hostIP });
    }
  }
  return mappings;
}
