/**
 * The pod security standards, one check a rule: what a pod must not do on a shared cluster (baseline), and what it must promise to be hardened
 * (restricted). Details read as upstream's. https://kubernetes.io/docs/concepts/security/pod-security-standards/
 */
import type { ObjectMeta } from '../../../machinery/object.ts';
import type { V1Container, V1PodSpec, V1PodTemplateSpec } from '../../../api/types.ts';
import type { LevelVersion } from './policy.ts';
import { addressing, named, plural, quoted, setters } from './wording.ts';

export interface CheckedPod {
  readonly metadata: Partial<ObjectMeta> | V1PodTemplateSpec['metadata'];
  readonly spec: V1PodSpec;
}

/** A rule that does not hold: its name, and who breaks it. */
export interface Violation {
  readonly reason: string;
  readonly detail: string;
}

interface Check {
  readonly id: string;
  /** From this minor release on. */
  readonly since: number;
  /** Checks that this one is the stricter form of. */
  readonly replaces?: string;
  readonly find: (pod: CheckedPod, minor: number) => Violation | undefined;
}

/** Every container of the pod, those to debug with included. */
function containersOf({ initContainers = [], containers, ephemeralContainers = [] }: V1PodSpec): readonly V1Container[] {
  return [...initContainers, ...containers, ...ephemeralContainers];
}

/** A violation by some of the containers; none when there are none. */
function byContainers(bad: readonly V1Container[], reason: string, what: string): Violation | undefined {
  return bad.length === 0 ? undefined : { reason, detail: `${named('container', bad)} ${what}` };
}

function runsOnWindows({ os }: V1PodSpec, minor: number): boolean {
  return minor >= 25 && os?.name === 'windows';
}

/** A pod in a user namespace of its own is root of nothing but itself. */
function hasOwnUsers({ hostUsers }: V1PodSpec, minor: number): boolean {
  return minor >= 35 && hostUsers === false;
}

const appArmorPrefix = 'container.apparmor.security.beta.kubernetes.io/';

const appArmorProfile: Check = {
  id: 'appArmorProfile',
  since: 0,
  find({ metadata, spec }) {
    const allowed = (type: string | undefined): boolean => type === undefined || type === 'RuntimeDefault' || type === 'Localhost';
    const podType = spec.securityContext?.appArmorProfile?.type;
    const bad = containersOf(spec).filter(({ securityContext }) => !allowed(securityContext?.appArmorProfile?.type));
    const annotations = Object.entries(metadata?.annotations ?? {})
      .filter(([key, value]) => key.startsWith(appArmorPrefix) && value !== '' && value !== 'runtime/default' && !value.startsWith('localhost/'))
      .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
      .toSorted();
    const who = setters(!allowed(podType), bad);
    if (annotations.length > 0) who.push(plural('annotation', annotations.length));
    if (who.length === 0) return undefined;
    const types = [podType, ...bad.map(({ securityContext }) => securityContext?.appArmorProfile?.type)];
    const values = [...sortedSet(types.filter((type) => !allowed(type))), ...annotations];
    return {
      reason: values.length === 1 ? 'forbidden AppArmor profile' : 'forbidden AppArmor profiles',
      detail: `${who.join(' and ')} must not set AppArmor profile type to ${quoted(values)}`,
    };
  },
};

const defaultCapabilities: ReadonlySet<string> = new Set([
  'AUDIT_WRITE',
  'CHOWN',
  'DAC_OVERRIDE',
  'FOWNER',
  'FSETID',
  'KILL',
  'MKNOD',
  'NET_BIND_SERVICE',
  'SETFCAP',
  'SETGID',
  'SETPCAP',
  'SETUID',
  'SYS_CHROOT',
]);

const capabilitiesBaseline: Check = {
  id: 'capabilities_baseline',
  since: 0,
  find({ spec }) {
    const added = addedCapabilities(containersOf(spec), (name) => defaultCapabilities.has(name));
    return byContainers(added.bad, 'non-default capabilities', `must not include ${quoted(added.names)} in securityContext.capabilities.add`);
  },
};

function addedCapabilities(containers: readonly V1Container[], isAllowed: (name: string) => boolean): { bad: V1Container[]; names: string[] } {
  const of = ({ securityContext }: V1Container): string[] => (securityContext?.capabilities?.add ?? []).filter((name) => !isAllowed(name));
  return { bad: containers.filter((container) => of(container).length > 0), names: sortedSet(containers.flatMap(of)) };
}

const hostNamespaces: Check = {
  id: 'hostNamespaces',
  since: 0,
  find({ spec }) {
    const shared = (['hostNetwork', 'hostPID', 'hostIPC'] as const).filter((field) => spec[field] === true).map((field) => `${field}=true`);
    return shared.length === 0 ? undefined : { reason: 'host namespaces', detail: shared.join(', ') };
  },
};

const hostPathVolumes: Check = {
  id: 'hostPathVolumes',
  since: 0,
  find({ spec }) {
    const bad = (spec.volumes ?? []).filter(({ hostPath }) => hostPath !== undefined);
    return bad.length === 0 ? undefined : { reason: 'hostPath volumes', detail: named('volume', bad) };
  },
};

const hostPorts: Check = {
  id: 'hostPorts',
  since: 0,
  find({ spec }) {
    const portsOf = ({ ports = [] }: V1Container): string[] => ports.flatMap(({ hostPort }) => (hostPort ? [String(hostPort)] : []));
    const bad = containersOf(spec).filter((container) => portsOf(container).length > 0);
    const ports = sortedSet(bad.flatMap(portsOf));
    return byContainers(bad, 'hostPort', `${bad.length === 1 ? 'uses' : 'use'} ${plural('hostPort', ports.length)} ${ports.join(', ')}`);
  },
};

const hostProbes: Check = {
  id: 'hostProbesAndHostLifecycle',
  since: 34,
  find({ spec }) {
    const hostsOf = (container: V1Container): string[] => {
      const { lifecycle, livenessProbe, readinessProbe, startupProbe } = container;
      const handlers = [livenessProbe, readinessProbe, startupProbe, lifecycle?.postStart, lifecycle?.preStop];
      return handlers
        .flatMap((handler) => [handler?.httpGet?.host, handler?.tcpSocket?.host])
        .filter((host) => host !== undefined && host !== '') as string[];
    };
    const bad = containersOf(spec).filter((container) => hostsOf(container).length > 0);
    const hosts = sortedSet(bad.flatMap(hostsOf));
    const what = `${bad.length === 1 ? 'uses' : 'use'} ${plural('probe or lifecycle host', hosts.length)} ${quoted(hosts)}`;
    return byContainers(bad, 'probe or lifecycle host', what);
  },
};

const privileged: Check = {
  id: 'privileged',
  since: 0,
  find({ spec }) {
    const bad = containersOf(spec).filter(({ securityContext }) => securityContext?.privileged === true);
    return byContainers(bad, 'privileged', 'must not set securityContext.privileged=true');
  },
};

const procMount: Check = {
  id: 'procMount',
  since: 0,
  find: ({ spec }, minor) => (hasOwnUsers(spec, minor) ? undefined : unmaskedProc(spec)),
};

const procMountRestricted: Check = { id: 'procMount_restricted', since: 35, replaces: 'procMount', find: ({ spec }) => unmaskedProc(spec) };

function unmaskedProc(spec: V1PodSpec): Violation | undefined {
  const typeOf = ({ securityContext }: V1Container): string => securityContext?.procMount ?? 'Default';
  const bad = containersOf(spec).filter((container) => typeOf(container) !== 'Default');
  return byContainers(bad, 'procMount', `must not set securityContext.procMount to ${quoted(sortedSet(bad.map(typeOf)))}`);
}

const seLinuxTypes: readonly string[] = ['', 'container_t', 'container_init_t', 'container_kvm_t'];

const seLinuxOptions: Check = {
  id: 'seLinuxOptions',
  since: 0,
  find({ spec }, minor) {
    const types = minor >= 31 ? [...seLinuxTypes, 'container_engine_t'] : seLinuxTypes;
    type Options = NonNullable<NonNullable<V1Container['securityContext']>['seLinuxOptions']>;
    const isBad = (options: Options | undefined): options is Options =>
      options !== undefined && (!types.includes(options.type ?? '') || Boolean(options.user) || Boolean(options.role));
    const podOptions = spec.securityContext?.seLinuxOptions;
    const bad = containersOf(spec).filter(({ securityContext }) => isBad(securityContext?.seLinuxOptions));
    const found = [podOptions, ...bad.map(({ securityContext }) => securityContext?.seLinuxOptions)].filter(isBad);
    if (found.length === 0) return undefined;
    const badTypes = sortedSet(found.map(({ type }) => type ?? '').filter((type) => !types.includes(type)));
    const what = [
      ...(badTypes.length > 0 ? [`${plural('type', badTypes.length)} ${quoted(badTypes)}`] : []),
      ...(found.some(({ user }) => user) ? ['user may not be set'] : []),
      ...(found.some(({ role }) => role) ? ['role may not be set'] : []),
    ];
    const who = setters(isBad(podOptions), bad);
    return { reason: 'seLinuxOptions', detail: `${who.join(' and ')} set forbidden securityContext.seLinuxOptions: ${what.join('; ')}` };
  },
};

const seccompTypes: readonly string[] = ['RuntimeDefault', 'Localhost'];

const seccompBaseline: Check = {
  id: 'seccompProfile_baseline',
  since: 0,
  find: ({ spec }) => explicitSeccomp(spec),
};

/** Who sets a profile to something else than the two that confine. */
function explicitSeccomp(spec: V1PodSpec): Violation | undefined {
  const isBad = (type: string | undefined): type is string => type !== undefined && !seccompTypes.includes(type);
  const podType = spec.securityContext?.seccompProfile?.type;
  const bad = containersOf(spec).filter(({ securityContext }) => isBad(securityContext?.seccompProfile?.type));
  const who = setters(isBad(podType), bad);
  if (who.length === 0) return undefined;
  const values = sortedSet([podType, ...bad.map(({ securityContext }) => securityContext?.seccompProfile?.type)].filter(isBad));
  return { reason: 'seccompProfile', detail: `${who.join(' and ')} must not set securityContext.seccompProfile.type to ${quoted(values)}` };
}

const safeSysctls: readonly (readonly [since: number, name: string])[] = [
  [0, 'kernel.shm_rmid_forced'],
  [0, 'net.ipv4.ip_local_port_range'],
  [0, 'net.ipv4.tcp_syncookies'],
  [0, 'net.ipv4.ping_group_range'],
  [0, 'net.ipv4.ip_unprivileged_port_start'],
  [27, 'net.ipv4.ip_local_reserved_ports'],
  [29, 'net.ipv4.tcp_keepalive_time'],
  [29, 'net.ipv4.tcp_fin_timeout'],
  [29, 'net.ipv4.tcp_keepalive_intvl'],
  [29, 'net.ipv4.tcp_keepalive_probes'],
  [32, 'net.ipv4.tcp_rmem'],
  [32, 'net.ipv4.tcp_wmem'],
];

const sysctls: Check = {
  id: 'sysctls',
  since: 0,
  find({ spec }, minor) {
    const isSafe = (name: string): boolean => safeSysctls.some(([since, known]) => known === name && minor >= since);
    const bad = (spec.securityContext?.sysctls ?? []).map(({ name }) => name).filter((name) => !isSafe(name));
    return bad.length === 0 ? undefined : { reason: 'forbidden sysctls', detail: bad.join(', ') };
  },
};

const windowsHostProcess: Check = {
  id: 'windowsHostProcess',
  since: 0,
  find({ spec }) {
    const bad = containersOf(spec).filter(({ securityContext }) => securityContext?.windowsOptions?.hostProcess === true);
    const who = setters(spec.securityContext?.windowsOptions?.hostProcess === true, bad);
    if (who.length === 0) return undefined;
    return { reason: 'hostProcess', detail: `${who.join(' and ')} must not set securityContext.windowsOptions.hostProcess=true` };
  },
};

const allowPrivilegeEscalation: Check = {
  id: 'allowPrivilegeEscalation',
  since: 8,
  find({ spec }, minor) {
    if (runsOnWindows(spec, minor)) return undefined;
    const bad = containersOf(spec).filter(({ securityContext }) => securityContext?.allowPrivilegeEscalation !== false);
    return byContainers(bad, 'allowPrivilegeEscalation != false', 'must set securityContext.allowPrivilegeEscalation=false');
  },
};

const capabilitiesRestricted: Check = {
  id: 'capabilities_restricted',
  since: 22,
  replaces: 'capabilities_baseline',
  find({ spec }, minor) {
    if (runsOnWindows(spec, minor)) return undefined;
    const containers = containersOf(spec);
    const keeping = containers.filter(({ securityContext }) => !securityContext?.capabilities?.drop?.includes('ALL'));
    const added = addedCapabilities(containers, (name) => name === 'NET_BIND_SERVICE');
    const details = [
      ...(keeping.length > 0 ? [`${named('container', keeping)} must set securityContext.capabilities.drop=["ALL"]`] : []),
      ...(added.bad.length > 0
        ? [`${named('container', added.bad)} must not include ${quoted(added.names)} in securityContext.capabilities.add`]
        : []),
    ];
    return details.length === 0 ? undefined : { reason: 'unrestricted capabilities', detail: details.join('; ') };
  },
};

const plainVolumes: ReadonlySet<string> = new Set([
  'configMap',
  'csi',
  'downwardAPI',
  'emptyDir',
  'ephemeral',
  'image',
  'persistentVolumeClaim',
  'projected',
  'secret',
]);

const restrictedVolumes: Check = {
  id: 'restrictedVolumes',
  since: 0,
  replaces: 'hostPathVolumes',
  find({ spec }) {
    const typeOf = (volume: object): string => Object.keys(volume).find((field) => field !== 'name') ?? 'unknown';
    const bad = (spec.volumes ?? []).filter((volume) => !plainVolumes.has(typeOf(volume)));
    if (bad.length === 0) return undefined;
    const types = sortedSet(bad.map(typeOf));
    const uses = bad.length === 1 ? 'uses' : 'use';
    return {
      reason: 'restricted volume types',
      detail: `${named('volume', bad)} ${uses} ${plural('restricted volume type', types.length)} ${quoted(types)}`,
    };
  },
};

const runAsNonRoot: Check = {
  id: 'runAsNonRoot',
  since: 0,
  find({ spec }, minor) {
    if (hasOwnUsers(spec, minor)) return undefined;
    const ofPod = spec.securityContext?.runAsNonRoot;
    const containers = containersOf(spec);
    const refusing = containers.filter(({ securityContext }) => securityContext?.runAsNonRoot === false);
    const who = setters(ofPod === false, refusing);
    const reason = 'runAsNonRoot != true';
    if (who.length > 0) return { reason, detail: `${who.join(' and ')} must not set securityContext.runAsNonRoot=false` };
    const silent = ofPod === true ? [] : containers.filter(({ securityContext }) => securityContext?.runAsNonRoot === undefined);
    return silent.length === 0 ? undefined : { reason, detail: `${addressing(silent)} must set securityContext.runAsNonRoot=true` };
  },
};

const runAsUser: Check = {
  id: 'runAsUser',
  since: 23,
  find({ spec }, minor) {
    if (hasOwnUsers(spec, minor)) return undefined;
    const bad = containersOf(spec).filter(({ securityContext }) => securityContext?.runAsUser === 0);
    const who = setters(spec.securityContext?.runAsUser === 0, bad);
    return who.length === 0 ? undefined : { reason: 'runAsUser=0', detail: `${who.join(' and ')} must not set runAsUser=0` };
  },
};

const seccompRestricted: Check = {
  id: 'seccompProfile_restricted',
  since: 19,
  replaces: 'seccompProfile_baseline',
  find({ spec }, minor) {
    if (runsOnWindows(spec, minor)) return undefined;
    const explicit = explicitSeccomp(spec);
    if (explicit) return explicit;
    if (spec.securityContext?.seccompProfile !== undefined) return undefined;
    const silent = containersOf(spec).filter(({ securityContext }) => securityContext?.seccompProfile === undefined);
    if (silent.length === 0) return undefined;
    const detail = `${addressing(silent)} must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"`;
    return { reason: 'seccompProfile', detail };
  },
};

function sortedSet(values: readonly (string | undefined)[]): string[] {
  return [...new Set(values)].filter((value) => value !== undefined).toSorted();
}

/** In the order upstream names them: by id, what is restricted after the baseline. */
const baseline: readonly Check[] = [
  appArmorProfile,
  capabilitiesBaseline,
  hostNamespaces,
  hostPathVolumes,
  hostPorts,
  hostProbes,
  privileged,
  procMount,
  seLinuxOptions,
  seccompBaseline,
  sysctls,
  windowsHostProcess,
];

const restricted: readonly Check[] = [
  allowPrivilegeEscalation,
  capabilitiesRestricted,
  procMountRestricted,
  restrictedVolumes,
  runAsNonRoot,
  runAsUser,
  seccompRestricted,
];

function checksOf({ level, minor }: LevelVersion): readonly Check[] {
  const known = (check: Check): boolean => check.since <= minor;
  if (level === 'privileged') return [];
  if (level === 'baseline') return baseline.filter(known);
  const strict = restricted.filter(known);
  return [...baseline.filter((check) => known(check) && !strict.some(({ replaces }) => replaces === check.id)), ...strict];
}

export function violationsOf(pod: CheckedPod, policy: LevelVersion): Violation[] {
  return checksOf(policy).flatMap((check) => check.find(pod, policy.minor) ?? []);
}

/** `privileged (container "c" must not set …), hostPath volumes (volume "v")` */
export function describe(violations: readonly Violation[]): string {
  return violations.map(({ reason, detail }) => `${reason} (${detail})`).join(', ');
}
