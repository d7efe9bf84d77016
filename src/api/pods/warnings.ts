/** What clients are warned of in pods and pod templates. Follows `pkg/api/pod/warnings.go`. */
import { at } from '../../machinery/field-error.ts';
import type {
  V1Affinity,
  V1Container,
  V1ContainerPort,
  V1EnvVar,
  V1EphemeralContainer,
  V1ObjectMeta,
  V1Pod,
  V1PodSpec,
  V1PodTemplateSpec,
  V1Volume,
} from '../types.ts';
import * as warn from '../warnings.ts';

export function podWarnings({ metadata, spec }: V1Pod): string[] {
  return [...warn.hostName(metadata.name, "the Pod's hostname"), ...specWarnings('', metadata, spec, false)];
}

/** `field` is where the template stands. */
export function templateWarnings(field: string, template: V1PodTemplateSpec | undefined): string[] {
  if (template?.spec === undefined) return [];
  return specWarnings(`${field}.`, template.metadata, template.spec, true);
}

const formerAnnotations: Readonly<Record<string, string>> = {
  'scheduler.alpha.kubernetes.io/critical-pod': 'non-functional in v1.16+; use the "priorityClassName" field instead',
  'security.alpha.kubernetes.io/sysctls': 'non-functional in v1.11+; use the "sysctls" field instead',
  'security.alpha.kubernetes.io/unsafe-sysctls': 'non-functional in v1.11+; use the "sysctls" field instead',
};

type AnyContainer = V1Container | V1EphemeralContainer;
type Metadata = Pick<V1ObjectMeta, 'annotations'> | undefined;

interface Placed {
  readonly path: string;
  readonly container: AnyContainer;
}

function specWarnings(prefix: string, metadata: Metadata, spec: V1PodSpec, isTemplate: boolean): string[] {
  const field = `${prefix}spec`;
  const annotations = `${prefix}metadata.annotations`;
  const containers = (['initContainers', 'containers', 'ephemeralContainers'] as const).flatMap((list): Placed[] =>
    (spec[list] ?? []).map((container, index) => ({ path: at(`${field}.${list}`, index), container })),
  );
  return [
    ...warn.nodeLabelKeys(`${field}.nodeSelector`, spec.nodeSelector),
    ...nodeAffinity(`${field}.affinity.nodeAffinity`, spec.affinity),
    ...(spec.topologySpreadConstraints ?? []).flatMap(({ topologyKey, labelSelector }, index) => {
      const path = at(`${field}.topologySpreadConstraints`, index);
      return [...warn.nodeLabel(`${path}.topologyKey`, topologyKey), ...selectsNothing(path, labelSelector)];
    }),
    ...warn.formerAnnotations(annotations, metadata, formerAnnotations),
    ...volumes(`${field}.volumes`, spec.volumes ?? []),
    ...repeated(
      `${field}.hostAliases`,
      'ip',
      (spec.hostAliases ?? []).map(({ ip }) => ip),
    ),
    ...repeated(
      `${field}.imagePullSecrets`,
      'name',
      (spec.imagePullSecrets ?? []).map(({ name = '' }) => name),
    ),
    ...(spec.imagePullSecrets ?? []).flatMap(({ name = '' }, index) =>
      name === '' ? [`${at(`${field}.imagePullSecrets`, index)}.name: invalid empty name ""`] : [],
    ),
    ...(['memory', 'ephemeral-storage'] as const).flatMap((name) => warn.wholeBytes(at(`${field}.overhead`, name), spec.overhead?.[name])),
    ...securityAnnotations(annotations, metadata, spec, containers, isTemplate),
    ...containers.flatMap(({ path, container }) => [...amounts(path, container), ...hiddenVariables(`${path}.env`, container.env ?? [])]),
    ...ports(containers),
    ...((spec.terminationGracePeriodSeconds ?? 0) < 0
      ? [`${field}.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1`]
      : []),
    ...podAffinity(`${field}.affinity`, spec.affinity),
    ...(spec.hostAliases ?? []).flatMap(({ ip }, index) => warn.address(`${at(`${field}.hostAliases`, index)}.ip`, ip)),
    ...(spec.dnsConfig?.nameservers ?? []).flatMap((ip, index) => warn.address(at(`${field}.dnsConfig.nameservers`, index), ip)),
  ];
}

function nodeAffinity(field: string, affinity: V1Affinity | undefined): string[] {
  const nodes = affinity?.nodeAffinity;
  const demanded = 'requiredDuringSchedulingIgnoredDuringExecution';
  const wished = 'preferredDuringSchedulingIgnoredDuringExecution';
  return [
    ...(nodes?.[demanded]?.nodeSelectorTerms ?? []).flatMap((term, index) =>
      warn.nodeSelectorTerm(at(`${field}.${demanded}.nodeSelectorTerms`, index), term),
    ),
    ...(nodes?.[wished] ?? []).flatMap(({ preference }, index) =>
      warn.nodeSelectorTerm(`${at(`${field}.${wished}`, index)}.preference`, preference ?? {}),
    ),
  ];
}

function podAffinity(field: string, affinity: V1Affinity | undefined): string[] {
  return (['podAffinity', 'podAntiAffinity'] as const).flatMap((name) => {
    const demanded = `${field}.${name}.requiredDuringSchedulingIgnoredDuringExecution`;
    const wished = `${field}.${name}.preferredDuringSchedulingIgnoredDuringExecution`;
    return [
      ...(affinity?.[name]?.requiredDuringSchedulingIgnoredDuringExecution ?? []).flatMap(({ labelSelector }, index) =>
        selectsNothing(at(demanded, index), labelSelector),
      ),
      ...(affinity?.[name]?.preferredDuringSchedulingIgnoredDuringExecution ?? []).flatMap(({ podAffinityTerm }, index) =>
        selectsNothing(`${at(wished, index)}.podAffinityTerm`, podAffinityTerm?.labelSelector),
      ),
    ];
  });
}

function selectsNothing(field: string, selector: object | undefined): string[] {
  return selector === undefined ? [`${field}.labelSelector: a null labelSelector results in matching no pod`] : [];
}

function repeated(field: string, part: string, values: readonly string[]): string[] {
  return values.flatMap((value, index) =>
    values.indexOf(value) < index ? [`${at(field, index)}.${part}: duplicate ${part} ${JSON.stringify(value)}`] : [],
  );
}

function volumes(field: string, list: readonly V1Volume[]): string[] {
  const tokenPaths = new Set(
    list.flatMap(({ projected }) => (projected?.sources ?? []).flatMap(({ serviceAccountToken: token }) => (token ? [token.path] : []))),
  );
  return list.flatMap((volume, index) => {
    const path = at(field, index);
    const sources = volume.projected?.sources ?? [];
    const taken = (what: string, items: readonly { path: string }[] | undefined): string[] =>
      (items ?? []).flatMap((item, which) =>
        tokenPaths.has(item.path)
          ? [`${path}.projected.sources.${what}[${which}]: has duplicated path with ServiceAccountToken ${JSON.stringify(item.path)}`]
          : [],
      );
    return [
      ...warn.volumeSource(path, volume),
      ...warn.claimSpec(`${path}.ephemeral.volumeClaimTemplate.spec`, volume.ephemeral?.volumeClaimTemplate?.spec),
      ...sources.flatMap(({ configMap, secret, downwardAPI }) => [
        ...taken('configMap', configMap?.items),
        ...taken('secrets', secret?.items),
        ...taken('downwardAPI', downwardAPI?.items),
      ]),
    ];
  });
}

const seccompPod = 'seccomp.security.alpha.kubernetes.io/pod';
const seccompContainer = 'container.seccomp.security.alpha.kubernetes.io/';
const appArmorContainer = 'container.apparmor.security.beta.kubernetes.io/';

/** Annotations that say what fields say today, where the field is not there. */
function securityAnnotations(field: string, metadata: Metadata, spec: V1PodSpec, containers: readonly Placed[], isTemplate: boolean): string[] {
  const annotations = metadata?.annotations;
  if (annotations === undefined) return [];
  const seccomp = 'non-functional in v1.27+; use the "seccompProfile" field instead';
  const found: string[] = [];
  if (seccompPod in annotations && spec.securityContext?.seccompProfile === undefined) found.push(`${at(field, seccompPod)}: ${seccomp}`);
  for (const { container } of containers) {
    const seccompKey = seccompContainer + container.name;
    if (seccompKey in annotations && container.securityContext?.seccompProfile === undefined) found.push(`${at(field, seccompKey)}: ${seccomp}`);
    const appArmorKey = appArmorContainer + container.name;
    const hasField = (container.securityContext ?? {}).appArmorProfile !== undefined || spec.securityContext?.appArmorProfile !== undefined;
    if (isTemplate && appArmorKey in annotations && !hasField)
      found.push(`${at(field, appArmorKey)}: deprecated since v1.30; use the "appArmorProfile" field instead`);
  }
  return found;
}

function amounts(field: string, { resources }: AnyContainer): string[] {
  return (['memory', 'ephemeral-storage'] as const).flatMap((name) =>
    (['limits', 'requests'] as const).flatMap((part) => warn.wholeBytes(at(`${field}.resources.${part}`, name), resources?.[part]?.[name])),
  );
}

/** A variable named twice: fine when the second is made of the first. */
function hiddenVariables(field: string, variables: readonly V1EnvVar[]): string[] {
  const seen = new Set<string>();
  return variables.flatMap(({ name, value = '', valueFrom }, index) => {
    const isSecond = seen.has(name);
    seen.add(name);
    const reference = `$(${name})`;
    const buildsOnIt = valueFrom === undefined && value !== reference && value.includes(reference);
    if (!isSecond || buildsOnIt) return [];
    return [`${at(field, index)}: hides previous definition of ${JSON.stringify(name)}, which may be dropped when using apply`];
  });
}

/** Ports that are there twice, or might be. */
function ports(containers: readonly Placed[]): string[] {
  const known = new Map<string, { path: string; port: V1ContainerPort }[]>();
  const found: string[] = [];
  for (const {
    path: container,
    container: { ports: list = [] },
  } of containers) {
    for (const [index, port] of list.entries()) {
      const path = at(`${container}.ports`, index);
      const { hostIP = '', hostPort = 0 } = port;
      if (hostIP !== '' && hostPort === 0) found.push(`${path}: hostIP set without hostPort: ${JSON.stringify(port)}`);
      const key = `${port.containerPort}/${port.protocol ?? ''}`;
      const others = known.get(key) ?? [];
      for (const other of others) {
        const [otherIp, otherPort] = [other.port.hostIP ?? '', other.port.hostPort ?? 0];
        if (hostIP === otherIp && hostPort === otherPort) found.push(`${path}: duplicate port definition with ${other.path}`);
        else if (hostPort === 0 || otherPort === 0) found.push(`${path}: overlapping port definition with ${other.path}`);
        else if (hostPort === otherPort && (hostIP === '') !== (otherIp === ''))
          found.push(`${path}: dangerously ambiguous port definition with ${other.path}`);
      }
      known.set(key, [...others, { path, port }]);
    }
  }
  return found;
}
