/** Rules for a pod's spec. Follows `ValidatePodSpec`. */
import { at, duplicate, forbiddenField, invalidValue, required, tooMany, type FieldError } from '../../machinery/field-error.ts';
import { isIp } from '../../machinery/ip.ts';
import { dnsLabelErrors, dnsSubdomainErrors, qualifiedNameErrors } from '../../machinery/names.ts';
import { inRange, labels, messages, oneOf, requiredOneOf } from '../field-checks.ts';
import type { V1PodSpec } from '../types.ts';
import { validateContainers } from './validate-container.ts';
import { validateResources } from './validate-resources.ts';
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
    ...nameOr(`${field}.serviceAccountName`, spec.serviceAccountName, dnsSubdomainErrors),
    ...nameOr(`${field}.nodeName`, spec.nodeName, dnsSubdomainErrors),
    ...inRange(`${field}.activeDeadlineSeconds`, spec.activeDeadlineSeconds, 1, maxInt32),
    ...nameOr(`${field}.hostname`, spec.hostname, dnsLabelErrors),
    ...nameOr(`${field}.subdomain`, spec.subdomain, dnsLabelErrors),
    ...validateTolerations(`${field}.tolerations`, spec.tolerations ?? []),
    ...validateHostAliases(`${field}.hostAliases`, spec.hostAliases ?? []),
    ...nameOr(`${field}.priorityClassName`, spec.priorityClassName, dnsSubdomainErrors),
    ...nameOr(`${field}.runtimeClassName`, spec.runtimeClassName, dnsSubdomainErrors),
    ...oneOf(`${field}.preemptionPolicy`, spec.preemptionPolicy, ['PreemptLowerPriority', 'Never']),
    ...oneOf(`${field}.os.name`, spec.os?.name, ['linux', 'windows']),
  );
  if (spec.resources !== undefined) errors.push(...validateResources(`${field}.resources`, spec.resources));
  return errors;
}

function nameOr(field: string, name: string | undefined, check: (name: string) => string[]): FieldError[] {
  return name === undefined || name === '' ? [] : messages(field, name, check(name));
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
