/**
 * What a pod may ask of the kernel and the runtime of this node: sysctls that touch nothing beyond the pod, or were allowed by whoever runs the node; AppArmor
 * where the kernel has it; groups without the image's where the runtime can leave those out. https://kubernetes.io/docs/tasks/administer-cluster/sysctl-cluster/
 */
import type { Pod } from '../api/kinds.ts';
import type { Rejection } from './admission.ts';

/** Namespaced, and harmless to other pods. */
const safeSysctls: ReadonlySet<string> = new Set([
  'kernel.shm_rmid_forced',
  'net.ipv4.ip_local_port_range',
  'net.ipv4.tcp_syncookies',
  'net.ipv4.ping_group_range',
  'net.ipv4.ip_unprivileged_port_start',
  'net.ipv4.ip_local_reserved_ports',
  'net.ipv4.tcp_keepalive_time',
  'net.ipv4.tcp_fin_timeout',
  'net.ipv4.tcp_keepalive_intvl',
  'net.ipv4.tcp_keepalive_probes',
  'net.ipv4.tcp_rmem',
  'net.ipv4.tcp_wmem',
]);

/** The kernel keeps these apart for each namespace of their kind; all others are the node's. */
const ipcPrefixes = ['kernel.shm', 'kernel.msg', 'fs.mqueue.'];
const netPrefix = 'net.';

export interface NodeAbilities {
  /** Names, or beginnings with `*` behind: `kernel.msg*`. */
  readonly allowedUnsafeSysctls: readonly string[];
  readonly hasAppArmor: boolean;
  /** The runtime knows `supplementalGroupsPolicy: Strict`. */
  readonly strictGroups: boolean;
}

export function admitSecurity(pod: Pod, settings: NodeAbilities): Rejection | undefined {
  return forbiddenSysctl(pod, settings) ?? missingAppArmor(pod, settings) ?? missingStrictGroups(pod, settings);
}

function forbiddenSysctl({ spec }: Pod, { allowedUnsafeSysctls }: NodeAbilities): Rejection | undefined {
  for (const given of spec.securityContext?.sysctls ?? []) {
    const name = sysctlName(given.name);
    const why = refusal(name, spec, allowedUnsafeSysctls);
    if (why !== undefined) return { reason: 'SysctlForbidden', message: `Pod was rejected: forbidden sysctl: "${given.name}" ${why}` };
  }
  return undefined;
}

/** Slashes may stand for dots: `net/ipv4/tcp_syncookies`. */
export function sysctlName(text: string): string {
  const separator = /[./]/.exec(text)?.[0];
  return separator === '/' ? text.replace(/[./]/g, (found) => (found === '/' ? '.' : '/')) : text;
}

function refusal(name: string, spec: Pod['spec'], allowed: readonly string[]): string | undefined {
  const isNet = name.startsWith(netPrefix);
  const isIpc = ipcPrefixes.some((prefix) => name.startsWith(prefix)) || name === 'kernel.sem';
  const isAllowed = allowed.some((pattern) => (pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern));
  if (!safeSysctls.has(name) && !isAllowed) return 'not allowlisted';
  if (isNet && spec.hostNetwork === true) return 'not allowed with host net enabled';
  if (isIpc && spec.hostIPC === true) return 'not allowed with host ipc enabled';
  return undefined;
}

/** Upstream refuses only where the runtime tells that it cannot; one that does not know the field would add the image's groups all the same. */
function missingStrictGroups({ spec }: Pod, { strictGroups }: NodeAbilities): Rejection | undefined {
  if (strictGroups || spec.securityContext?.supplementalGroupsPolicy !== 'Strict') return undefined;
  return {
    reason: 'SupplementalGroupsPolicyNotSupported',
    message: 'Pod was rejected: SupplementalGroupsPolicy=Strict is not supported in this node',
  };
}

function missingAppArmor({ spec, metadata }: Pod, { hasAppArmor }: NodeAbilities): Rejection | undefined {
  if (hasAppArmor) return undefined;
  const holders = [spec, ...(spec.initContainers ?? []), ...spec.containers];
  const inField = holders.some(({ securityContext }) => {
    const type = securityContext?.appArmorProfile?.type;
    return type !== undefined && type !== 'Unconfined';
  });
  const inAnnotation = Object.entries(metadata.annotations ?? {}).some(
    ([key, value]) => key.startsWith('container.apparmor.security.beta.kubernetes.io/') && value !== 'unconfined',
  );
  if (!inField && !inAnnotation) return undefined;
  return { reason: 'AppArmor', message: 'Pod was rejected: Cannot enforce AppArmor: AppArmor is not enabled on the host' };
}
