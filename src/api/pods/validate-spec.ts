/** Rules for a pod's spec. Follows `ValidatePodSpec`. */
import { at, duplicate, forbiddenField, invalidValue, required, tooLong, tooMany, type FieldError } from '../../machinery/field-error.ts';
import { isIp } from '../../machinery/ip.ts';
import { dnsLabelErrors, dnsSubdomainErrors, qualifiedNameErrors } from '../../machinery/names.ts';
import { inRange, labels, messages, noneSet, oneOf, optionalName, requiredOneOf } from '../field-checks.ts';
import type { V1PodResourceClaim, V1PodSpec } from '../types.ts';
import { validateContainers } from './validate-container.ts';
import { validateOverhead, validatePodResources } from './validate-resources.ts';
import { validateAffinity, validateSpread, validateTolerations } from './validate-scheduling.ts';
import { validatePodSecurity } from './validate-security.ts';
import { validateVolumes } from './validate-volumes.ts';

const maxInt32 = 2147483647;

export function validatePodSpec(field: string, spec: V1PodSpec): FieldError[] {
  const errors = validateVolumes(`${field}.volumes`, spec.volumes ?? []);
  errors.push(
    ...validateContainers(field, spec),
    ...requiredOneOf(`${field}.restartPolicy`, spec.restartPolicy, ['Always', 'OnFailure', 'Never']),
    ...requiredOneOf(`${field}.dnsPolicy`, spec.dnsPolicy, ['ClusterFirstWithHostNet', 'ClusterFirst', 'Default', 'None']),
    ...labels(`${field}.nodeSelector`, spec.nodeSelector),
    ...validatePodSecurity(`${field}.securityContext`, spec),
    ...(spec.imagePullSecrets ?? []).flatMap(({ name = '' }, index) =>
      name === '' ? [required(`${at(`${field}.imagePullSecrets`, index)}.name`)] : [],
    ),
    ...validateAffinity(`${field}.affinity`, spec.affinity),
    ...validateDns(field, spec),
    ...validateGates(field, spec),
    ...validateSpread(`${field}.topologySpreadConstraints`, spec.topologySpreadConstraints ?? []),
    ...optionalName(`${field}.serviceAccountName`, spec.serviceAccountName, dnsSubdomainErrors),
    ...optionalName(`${field}.nodeName`, spec.nodeName, dnsSubdomainErrors),
    ...inRange(`${field}.activeDeadlineSeconds`, spec.activeDeadlineSeconds, 1, maxInt32),
    ...optionalName(`${field}.hostname`, spec.hostname, dnsLabelErrors),
    ...optionalName(`${field}.subdomain`, spec.subdomain, dnsLabelErrors),
    ...validateTolerations(`${field}.tolerations`, spec.tolerations ?? []),
    ...validateHostAliases(`${field}.hostAliases`, spec.hostAliases ?? []),
    ...optionalName(`${field}.priorityClassName`, spec.priorityClassName, dnsSubdomainErrors),
    ...optionalName(`${field}.runtimeClassName`, spec.runtimeClassName, dnsSubdomainErrors),
    ...oneOf(`${field}.preemptionPolicy`, spec.preemptionPolicy, ['PreemptLowerPriority', 'Never']),
    ...validateOs(field, spec),
    ...validateOverhead(`${field}.overhead`, spec.overhead),
    ...validatePodResources(`${field}.resources`, spec),
    ...validateClaims(`${field}.resourceClaims`, spec.resourceClaims ?? []),
    ...validateHostUsers(field, spec),
    ...validateHostName(field, spec),
  );
  return errors;
}

/** A user of its own inside the container cannot share what is the host's. */
function validateHostUsers(field: string, spec: V1PodSpec): FieldError[] {
  if (spec.hostUsers !== false) return [];
  const why = 'when `hostUsers` is false';
  const errors = (['hostNetwork', 'hostPID', 'hostIPC'] as const)
    .filter((name) => spec[name] === true)
    .map((name) => forbiddenField(`${field}.${name}`, why));
  for (const list of ['containers', 'initContainers'] as const)
    for (const [index, { volumeDevices = [] }] of (spec[list] ?? []).entries())
      if (volumeDevices.length > 0) errors.push(forbiddenField(`${at(`${field}.${list}`, index)}.volumeDevices`, why));
  return errors;
}

/** What the kernel takes as a host's name. */
const maxHostName = 64;

function validateHostName(field: string, { hostnameOverride: name, setHostnameAsFQDN, hostNetwork }: V1PodSpec): FieldError[] {
  if (name === undefined) return [];
  const path = `${field}.hostnameOverride`;
  const errors = messages(path, name, dnsSubdomainErrors(name));
  if (name.length > maxHostName) errors.push(tooLong(path, maxHostName));
  if (setHostnameAsFQDN === true) errors.push(forbiddenField(`${field}.setHostnameAsFQDN`, 'may not be set when `hostnameOverride` is set'));
  if (hostNetwork === true) errors.push(forbiddenField(`${field}.hostNetwork`, 'may not be set when `hostnameOverride` is set'));
  return errors;
}

function validateClaims(field: string, claims: readonly V1PodResourceClaim[]): FieldError[] {
  return claims.flatMap(({ name, resourceClaimName, resourceClaimTemplateName }, index) => {
    const path = at(field, index);
    const errors = name === '' ? [required(`${path}.name`)] : messages(`${path}.name`, name, dnsLabelErrors(name));
    if (claims.findIndex((claim) => claim.name === name) < index) errors.push(duplicate(path, name));
    if (resourceClaimName !== undefined && resourceClaimTemplateName !== undefined) {
      errors.push(invalidValue(path, claims[index], 'at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified'));
    } else if (resourceClaimName === undefined && resourceClaimTemplateName === undefined) {
      errors.push(invalidValue(path, claims[index], 'must specify one of: `resourceClaimName`, `resourceClaimTemplateName`'));
    }
    for (const [part, value] of Object.entries({ resourceClaimName, resourceClaimTemplateName }))
      if (value !== undefined) errors.push(...messages(`${path}.${part}`, value, dnsSubdomainErrors(value)));
    return errors;
  });
}

const notOnWindows = {
  pod: ['hostPID', 'hostIPC', 'hostUsers', 'shareProcessNamespace'],
  podContext: [
    'appArmorProfile',
    'seLinuxOptions',
    'seccompProfile',
    'fsGroup',
    'fsGroupChangePolicy',
    'sysctls',
    'runAsUser',
    'runAsGroup',
    'supplementalGroups',
    'supplementalGroupsPolicy',
  ],
  containerContext: [
    'appArmorProfile',
    'seLinuxOptions',
    'seccompProfile',
    'capabilities',
    'readOnlyRootFilesystem',
    'privileged',
    'allowPrivilegeEscalation',
    'procMount',
    'runAsUser',
    'runAsGroup',
  ],
} as const;

/** Each system knows settings that mean nothing to the other. */
function validateOs(field: string, spec: V1PodSpec): FieldError[] {
  const { os, securityContext } = spec;
  if (os === undefined) return [];
  if (os.name === '') return [required(`${field}.os.name`, 'cannot be empty')];
  if (os.name !== 'linux' && os.name !== 'windows') return oneOf(`${field}.os.name`, os.name, ['linux', 'windows']);
  const errors: FieldError[] = [];
  const lists = { containers: spec.containers, initContainers: spec.initContainers ?? [], ephemeralContainers: spec.ephemeralContainers ?? [] };
  const contexts = Object.entries(lists).flatMap(([list, containers]) =>
    containers.map((container, index) => ({ path: `${at(`${field}.${list}`, index)}.securityContext`, context: container.securityContext ?? {} })),
  );
  if (os.name === 'linux') {
    const why = 'windows options cannot be set for a linux pod';
    errors.push(...noneSet(`${field}.securityContext`, securityContext ?? {}, ['windowsOptions'], why));
    for (const { path, context } of contexts) errors.push(...noneSet(path, context, ['windowsOptions'], why));
    return errors;
  }
  const why = 'cannot be set for a windows pod';
  const set = notOnWindows.pod.filter((name) => spec[name] !== undefined && (spec[name] || name === 'hostUsers'));
  errors.push(...set.map((name) => forbiddenField(`${field}.${name}`, why)));
  errors.push(...noneSet(`${field}.securityContext`, securityContext ?? {}, notOnWindows.podContext, why));
  for (const { path, context } of contexts) errors.push(...noneSet(path, context, notOnWindows.containerContext, why));
  return errors;
}

const maxNameservers = 3;
const maxSearches = 32;
const maxSearchCharacters = 2048;

function validateDns(field: string, { dnsPolicy, dnsConfig }: V1PodSpec): FieldError[] {
  const path = `${field}.dnsConfig`;
  if (dnsPolicy === 'None') {
    if (dnsConfig === undefined) return [required(path, 'must provide `dnsConfig` when `dnsPolicy` is None')];
    if ((dnsConfig.nameservers ?? []).length === 0)
      return [required(`${path}.nameservers`, 'must provide at least one DNS nameserver when `dnsPolicy` is None')];
  }
  if (dnsConfig === undefined) return [];
  const { nameservers = [], searches = [], options = [] } = dnsConfig;
  const errors: FieldError[] = [];
  if (nameservers.length > maxNameservers) {
    errors.push(invalidValue(`${path}.nameservers`, nameservers, `must not have more than ${maxNameservers} nameservers`));
  }
  for (const [index, ip] of nameservers.entries()) {
    if (!isIp(ip)) errors.push(invalidValue(at(`${path}.nameservers`, index), ip, 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'));
  }
  if (searches.length > maxSearches) errors.push(invalidValue(`${path}.searches`, searches, `must not have more than ${maxSearches} search paths`));
  if (searches.join(' ').length > maxSearchCharacters) {
    errors.push(
      invalidValue(`${path}.searches`, searches, `must not have more than ${maxSearchCharacters} characters (including spaces) in the search list`),
    );
  }
  for (const [index, search] of searches.entries()) {
    const domain = search.endsWith('.') ? search.slice(0, -1) : search;
    if (domain !== '') errors.push(...messages(at(`${path}.searches`, index), search, dnsSubdomainErrors(domain.replaceAll('_', '-'))));
  }
  for (const [index, { name = '' }] of options.entries()) if (name === '') errors.push(required(at(`${path}.options`, index), 'must not be empty'));
  return errors;
}

function validateGates(field: string, { readinessGates = [], schedulingGates = [] }: V1PodSpec): FieldError[] {
  const errors = readinessGates.flatMap(({ conditionType }, index) =>
    messages(`${at(`${field}.readinessGates`, index)}.conditionType`, conditionType, qualifiedNameErrors(conditionType)),
  );
  const seen = new Set<string>();
  for (const [index, { name }] of schedulingGates.entries()) {
    const path = at(`${field}.schedulingGates`, index);
    errors.push(...messages(`${path}.name`, name, qualifiedNameErrors(name)));
    if (seen.has(name)) errors.push(duplicate(path, name));
    seen.add(name);
  }
  if (schedulingGates.length > 64) errors.push(tooMany(`${field}.schedulingGates`, schedulingGates.length, 64));
  return errors;
}

function validateHostAliases(field: string, aliases: NonNullable<V1PodSpec['hostAliases']>): FieldError[] {
  return aliases.flatMap(({ ip, hostnames = [] }, index) => {
    const path = at(field, index);
    return [
      ...(isIp(ip) ? [] : [invalidValue(`${path}.ip`, ip, 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)')]),
      ...hostnames.flatMap((name, which) => messages(at(`${path}.hostnames`, which), name, dnsSubdomainErrors(name))),
    ];
  });
}

/** Only for ephemeral containers, which come by their own subresource. */
export function forbidEphemeral(field: string, spec: V1PodSpec): FieldError[] {
  return (spec.ephemeralContainers ?? []).length > 0 ? [forbiddenField(`${field}.ephemeralContainers`, 'cannot be set on create')] : [];
}
