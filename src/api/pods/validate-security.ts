/** Rules for security contexts of pods and containers. Follows `ValidateSecurityContext` and `validatePodSpecSecurityContext`. */
import { at, duplicate, forbiddenField, invalidValue, required, type FieldError } from '../../machinery/field-error.ts';
import { dnsSubdomainErrors, userIdErrors } from '../../machinery/names.ts';
import { messages, oneOf, optionalName, requiredOneOf } from '../field-checks.ts';
import type { V1AppArmorProfile, V1PodSpec, V1SeccompProfile, V1SecurityContext, V1WindowsSecurityContextOptions } from '../types.ts';

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
    else if (name.length > 253 || !sysctlPattern.test(name))
      errors.push(invalidValue(path, name, `must have at most 253 characters and match regex ${sysctlPattern.source}`));
    else if (seen.has(name)) errors.push(duplicate(path, name));
    seen.add(name);
    if (hostNetwork && name.startsWith('net.')) errors.push(invalidValue(path, name, "may not be specified when 'hostNetwork' is true"));
  }
  return [
    ...errors,
    ...oneOf(`${field}.fsGroupChangePolicy`, context.fsGroupChangePolicy, ['Always', 'OnRootMismatch']),
    ...oneOf(`${field}.seLinuxChangePolicy`, context.seLinuxChangePolicy, ['MountOption', 'Recursive']),
    ...validateWindows(`${field}.windowsOptions`, context.windowsOptions),
    ...oneOf(`${field}.supplementalGroupsPolicy`, context.supplementalGroupsPolicy, ['Merge', 'Strict']),
    ...validateSeccomp(`${field}.seccompProfile`, context.seccompProfile),
    ...validateAppArmor(`${field}.appArmorProfile`, context.appArmorProfile),
  ];
}

export function validateContainerSecurity(field: string, context: V1SecurityContext | undefined, spec: V1PodSpec): FieldError[] {
  if (context === undefined) return [];
  const errors = [
    ...userId(`${field}.runAsUser`, context.runAsUser),
    ...userId(`${field}.runAsGroup`, context.runAsGroup),
    ...oneOf(`${field}.procMount`, context.procMount, ['Default', 'Unmasked']),
    ...validateSeccomp(`${field}.seccompProfile`, context.seccompProfile),
    ...validateAppArmor(`${field}.appArmorProfile`, context.appArmorProfile),
  ];
  if (context.procMount === 'Unmasked' && spec.hostUsers !== false)
    errors.push(invalidValue(`${field}.procMount`, context.procMount, '`hostUsers` must be false to use `Unmasked`'));
  errors.push(...validateWindows(`${field}.windowsOptions`, context.windowsOptions));
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

const maxCredentialBytes = 64 * 1024;
const maxUserName = 104;
const maxDomain = 256;

function validateWindows(field: string, options: V1WindowsSecurityContextOptions | undefined): FieldError[] {
  const { gmsaCredentialSpecName: name, gmsaCredentialSpec: credentials, runAsUserName: user } = options ?? {};
  const errors = optionalName(`${field}.gmsaCredentialSpecName`, name, dnsSubdomainErrors);
  if (credentials === '') errors.push(invalidValue(`${field}.gmsaCredentialSpec`, credentials, 'gmsaCredentialSpec cannot be an empty string'));
  if (credentials !== undefined && Buffer.byteLength(credentials) > maxCredentialBytes)
    errors.push(invalidValue(`${field}.gmsaCredentialSpec`, credentials, `gmsaCredentialSpec size must be under ${maxCredentialBytes / 1024} KiB`));
  if (user === undefined) return errors;
  const wrong = (why: string): number => errors.push(invalidValue(`${field}.runAsUserName`, user, `runAsUserName ${why}`));
  const [domain, account] = user.includes('\\') ? [user.slice(0, user.indexOf('\\')), user.slice(user.indexOf('\\') + 1)] : [undefined, user];
  if (user === '') wrong('cannot be an empty string');
  // eslint-disable-next-line no-control-regex -- they are what is looked for
  else if (/[\x00-\x1f]/.test(user)) wrong('cannot contain control characters');
  else if (account.includes('\\')) wrong('cannot contain more than one backslash');
  else if (domain !== undefined && domain.length >= maxDomain) wrong(`'s Domain length must be under ${maxDomain} characters`);
  else if (account === '') wrong("'s User cannot be empty");
  else if (account.length > maxUserName) wrong(`'s User length must not be longer than ${maxUserName} characters`);
  else if (/["/\\[\]:;|=,+*?<>@]/.test(account)) wrong('\'s User cannot contain the following characters: "/\\[]:;|=,+*?<>@');
  return errors;
}
