/** Rules for security contexts of pods and containers. Follows `ValidateSecurityContext` and `validatePodSpecSecurityContext`. */
import { at, duplicate, forbiddenField, invalidValue, required, type FieldError } from '../../machinery/field-error.ts';
import { userIdErrors } from '../../machinery/names.ts';
import { messages, oneOf, requiredOneOf } from '../field-checks.ts';
import type { V1AppArmorProfile, V1PodSpec, V1SeccompProfile, V1SecurityContext } from '../types.ts';

const sysctlPattern = /^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$/;

export function validatePodSecurity(field: string, spec: V1PodSpec): FieldError[] {
  const { securityContext: context = {}, hostPID = false, shareProcessNamespace = false, hostNetwork = false } = spec;
  const errors = [
    ...userId(`${field}.fsGroup`, context.fsGroup),
    ...userId(`${field}.runAsUser`, context.runAsUser),
    ...userId(`${field}.runAsGroup`, context.runAsGroup),
  ];
  for (const [index, group] of (context.supplementalGroups ?? []).entries()) errors.push(...userId(at(`${field}.supplementalGroups`, index), group));
  if (shareProcessNamespace && hostPID)
    errors.push(invalidValue(`${field}.shareProcessNamespace`, true, 'ShareProcessNamespace and HostPID cannot both be enabled'));
  const seen = new Set<string>();
  for (const [index, { name = '' }] of (context.sysctls ?? []).entries()) {
    const path = `${at(`${field}.sysctls`, index)}.name`;
    if (name === '') errors.push(required(path));
    else if (!sysctlPattern.test(name))
      errors.push(invalidValue(path, name, `must have at most 253 characters and match regex ${sysctlPattern.source}`));
    else if (seen.has(name)) errors.push(duplicate(path, name));
    seen.add(name);
    if (hostNetwork && name.startsWith('net.')) errors.push(invalidValue(path, name, "may not be specified when 'hostNetwork' is true"));
  }
  return [
    ...errors,
    ...oneOf(`${field}.fsGroupChangePolicy`, context.fsGroupChangePolicy, ['Always', 'OnRootMismatch']),
    ...oneOf(`${field}.supplementalGroupsPolicy`, context.supplementalGroupsPolicy, ['Merge', 'Strict']),
    ...validateSeccomp(`${field}.seccompProfile`, context.seccompProfile),
    ...validateAppArmor(`${field}.appArmorProfile`, context.appArmorProfile),
  ];
}

export function validateContainerSecurity(field: string, context: V1SecurityContext | undefined): FieldError[] {
  if (context === undefined) return [];
  const errors = [
    ...userId(`${field}.runAsUser`, context.runAsUser),
    ...userId(`${field}.runAsGroup`, context.runAsGroup),
    ...oneOf(`${field}.procMount`, context.procMount, ['Default', 'Unmasked']),
    ...validateSeccomp(`${field}.seccompProfile`, context.seccompProfile),
    ...validateAppArmor(`${field}.appArmorProfile`, context.appArmorProfile),
  ];
  if (context.allowPrivilegeEscalation === false) {
    if (context.privileged === true)
      errors.push(invalidValue(field, context, 'cannot set `allowPrivilegeEscalation` to false and `privileged` to true'));
    if (context.capabilities?.add?.includes('CAP_SYS_ADMIN') === true) {
      errors.push(invalidValue(field, context, 'cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN'));
    }
  }
  return errors;
}

function userId(field: string, id: number | undefined): FieldError[] {
  return id === undefined ? [] : messages(field, id, userIdErrors(id));
}

function validateSeccomp(field: string, profile: V1SeccompProfile | undefined): FieldError[] {
  if (profile === undefined) return [];
  const errors = requiredOneOf(
    `${field}.type`,
    profile.type,
    ['Localhost', 'RuntimeDefault', 'Unconfined'],
    'type is required when seccompProfile is set',
  );
  if (profile.type === 'Localhost') {
    if ((profile.localhostProfile ?? '') === '') errors.push(required(`${field}.localhostProfile`, 'must be set when seccomp type is Localhost'));
    else if (profile.localhostProfile?.startsWith('/') === true || profile.localhostProfile?.split('/').includes('..') === true) {
      errors.push(invalidValue(`${field}.localhostProfile`, profile.localhostProfile, "must be a relative path and not contain '..'"));
    }
  } else if (profile.localhostProfile !== undefined) {
    errors.push(invalidValue(`${field}.localhostProfile`, profile, 'can only be set when seccomp type is Localhost'));
  }
  return errors;
}

function validateAppArmor(field: string, profile: V1AppArmorProfile | undefined): FieldError[] {
  if (profile === undefined) return [];
  const errors = requiredOneOf(
    `${field}.type`,
    profile.type,
    ['Localhost', 'RuntimeDefault', 'Unconfined'],
    'type is required when appArmorProfile is set',
  );
  if (profile.type === 'Localhost' && (profile.localhostProfile ?? '') === '') {
    errors.push(required(`${field}.localhostProfile`, 'must be set when AppArmor type is Localhost'));
  }
  if (profile.type !== 'Localhost' && profile.localhostProfile !== undefined) {
    errors.push(forbiddenField(`${field}.localhostProfile`, 'can only be set when AppArmor type is Localhost'));
  }
  return errors;
}
