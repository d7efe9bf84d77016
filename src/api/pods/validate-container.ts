/** Rules for the containers of a pod: names, images, ports, variables, mounts. Follows `validateContainers` and `validateInitContainers`. */
import { at, duplicate, fieldNotFound, forbiddenField, invalidValue, required, type FieldError } from '../../machinery/field-error.ts';
import { configMapKeyErrors, dnsLabelErrors, envVarNameErrors, ipErrors, portNameErrors, portNumberErrors } from '../../machinery/names.ts';
import { atMost, messages, noDuplicates, oneOf, requiredName, requiredOneOf } from '../field-checks.ts';
import type {
  V1Container,
  V1ContainerResizePolicy,
  V1EphemeralContainer,
  V1ContainerPort,
  V1EnvFromSource,
  V1EnvVar,
  V1EnvVarSource,
  V1PodSpec,
  V1VolumeDevice,
  V1VolumeMount,
} from '../types.ts';
import { validateLifecycle, validateProbe } from './validate-probe.ts';
import { validateResources } from './validate-resources.ts';
import { validateContainerSecurity } from './validate-security.ts';
import { validateDownwardField, validateResourceField } from './downward-fields.ts';
import { noBacksteps, relativePath } from './volume-sources.ts';

const restartPolicies = ['Always', 'Never', 'OnFailure'];
const protocols = ['SCTP', 'TCP', 'UDP'];

export function validateContainers(field: string, spec: V1PodSpec): FieldError[] {
  if ((spec.containers ?? []).length === 0)
    return [required(`${field}.containers`), ...validateList(`${field}.initContainers`, spec, spec.initContainers ?? [], new Set())];
  const used = new Set<string>();
  const errors = validateList(`${field}.containers`, spec, spec.containers, used);
  return [...errors, ...validateList(`${field}.initContainers`, spec, spec.initContainers ?? [], used)];
}

function validateList(field: string, spec: V1PodSpec, containers: readonly V1Container[], used: Set<string>): FieldError[] {
  const isInit = field.endsWith('.initContainers');
  const hostPorts = new Set<string>();
  const errors: FieldError[] = [];
  for (const [index, container] of containers.entries()) {
    const path = at(field, index);
    errors.push(...validateContainer(path, spec, container));
    if (used.has(container.name)) errors.push(duplicate(`${path}.name`, container.name));
    used.add(container.name);
    const isSidecar = isInit && container.restartPolicy === 'Always';
    errors.push(
      ...oneOf(`${path}.restartPolicy`, container.restartPolicy, restartPolicies),
      ...validateHooks(path, spec, container, isInit && !isSidecar),
      ...validateRestartRules(path, container),
    );
    if (isInit) continue;
    for (const [which, { hostPort, hostIP = '', protocol }] of (container.ports ?? []).entries()) {
      if (hostPort === undefined || hostPort === 0) continue;
      const id = `${protocol ?? ''}/${hostIP}/${hostPort}`;
      if (hostPorts.has(id)) errors.push(duplicate(`${at(`${path}.ports`, which)}.hostPort`, id));
      hostPorts.add(id);
    }
  }
  return errors;
}

export function validateContainer(field: string, spec: V1PodSpec, container: V1Container | V1EphemeralContainer): FieldError[] {
  const errors =
    (container.name ?? '') === '' ? [required(`${field}.name`)] : messages(`${field}.name`, container.name, dnsLabelErrors(container.name));
  const image = container.image ?? '';
  if (image === '') errors.push(required(`${field}.image`));
  else if (image !== image.trim()) errors.push(invalidValue(`${field}.image`, image, 'must not have leading or trailing whitespace'));
  return [
    ...errors,
    ...requiredOneOf(`${field}.terminationMessagePolicy`, container.terminationMessagePolicy, ['File', 'FallbackToLogsOnError']),
    ...validatePorts(`${field}.ports`, spec, container.ports ?? []),
    ...validateEnv(`${field}.env`, container.env ?? []),
    ...validateEnvFrom(`${field}.envFrom`, container.envFrom ?? []),
    ...validateMounts(`${field}.volumeMounts`, spec, container),
    ...validateDevices(`${field}.volumeDevices`, spec, container.volumeDevices ?? [], container.volumeMounts ?? []),
    ...requiredOneOf(`${field}.imagePullPolicy`, container.imagePullPolicy, ['Always', 'IfNotPresent', 'Never']),
    ...(container.resources === undefined ? [] : validateResources(`${field}.resources`, container.resources, claimNames(spec))),
    ...validateResizePolicy(`${field}.resizePolicy`, container.resizePolicy ?? [], spec.restartPolicy),
    ...validateContainerSecurity(`${field}.securityContext`, container.securityContext, spec),
  ];
}

function claimNames(spec: V1PodSpec): ReadonlySet<string> {
  return new Set((spec.resourceClaims ?? []).map(({ name }) => name));
}

function validateResizePolicy(field: string, policies: readonly V1ContainerResizePolicy[], podRestartPolicy: string | undefined): FieldError[] {
  const errors = noDuplicates(field, policies, ({ resourceName }) => resourceName);
  for (const [index, { resourceName, restartPolicy }] of policies.entries()) {
    const path = at(field, index);
    errors.push(...requiredOneOf(`${path}.resourceName`, resourceName, ['cpu', 'memory']));
    errors.push(...requiredOneOf(`${path}.restartPolicy`, restartPolicy, ['NotRequired', 'RestartContainer']));
    if (podRestartPolicy === 'Never' && restartPolicy === 'RestartContainer')
      errors.push(invalidValue(`${path}.restartPolicy`, restartPolicy, "must be 'NotRequired' when `restartPolicy` is 'Never'"));
  }
  return errors;
}

const maxRestartRules = 20;
const maxExitCodes = 255;

/** Exceptions to the container's own restart policy, by how it ended. */
function validateRestartRules(field: string, { restartPolicy, restartPolicyRules: rules = [] }: V1Container): FieldError[] {
  const path = `${field}.restartPolicyRules`;
  const errors = atMost(path, rules, maxRestartRules);
  if (rules.length > 0 && restartPolicy === undefined)
    errors.push(required(`${field}.restartPolicy`, 'must specify restartPolicy when restart rules are used'));
  for (const [index, { action, exitCodes }] of rules.entries()) {
    errors.push(...requiredOneOf(`${at(path, index)}.action`, action, ['Restart', 'RestartAllContainers']));
    const codes = `${at(path, index)}.exitCodes`;
    if (exitCodes === undefined) {
      errors.push(required(codes, 'must be specified'));
      continue;
    }
    errors.push(
      ...requiredOneOf(`${codes}.operator`, exitCodes.operator, ['In', 'NotIn']),
      ...atMost(`${codes}.values`, exitCodes.values, maxExitCodes),
      ...noDuplicates(`${codes}.values`, exitCodes.values),
      ...((exitCodes.values ?? []).length === 0 ? [required(`${codes}.values`, 'must specify at least one exit code')] : []),
    );
  }
  return errors;
}

/** An init container that runs once has no hooks and no probes: nobody would call them. */
function validateHooks(field: string, spec: V1PodSpec, container: V1Container, runsOnce: boolean): FieldError[] {
  const { lifecycle, livenessProbe, readinessProbe, startupProbe } = container;
  if (runsOnce) {
    return Object.entries({ lifecycle, livenessProbe, readinessProbe, startupProbe })
      .filter(([, value]) => value !== undefined)
      .map(([name]) => forbiddenField(`${field}.${name}`, 'may not be set for init containers without restartPolicy=Always'));
  }
  const grace = spec.terminationGracePeriodSeconds;
  const errors = validateLifecycle(`${field}.lifecycle`, lifecycle, grace, spec.os?.name);
  for (const [name, probe] of Object.entries({ livenessProbe, readinessProbe, startupProbe })) {
    if (probe === undefined) continue;
    errors.push(...validateProbe(`${field}.${name}`, probe));
    if (name !== 'readinessProbe' && probe.successThreshold !== undefined && probe.successThreshold !== 1) {
      errors.push(invalidValue(`${field}.${name}.successThreshold`, probe.successThreshold, 'must be 1'));
    }
    if (name === 'readinessProbe' && probe.terminationGracePeriodSeconds !== undefined) {
      errors.push(
        invalidValue(`${field}.${name}.terminationGracePeriodSeconds`, probe.terminationGracePeriodSeconds, 'must not be set for readinessProbes'),
      );
    }
  }
  return errors;
}

function validatePorts(field: string, spec: V1PodSpec, ports: readonly V1ContainerPort[]): FieldError[] {
  const used = new Set<string>();
  return ports.flatMap(({ name = '', containerPort, hostPort, hostIP, protocol }, index) => {
    const path = at(field, index);
    const errors: FieldError[] = [];
    if (name !== '') {
      const wrong = messages(`${path}.name`, name, portNameErrors(name));
      if (wrong.length > 0) errors.push(...wrong);
      else if (used.has(name)) errors.push(duplicate(`${path}.name`, name));
      used.add(name);
    }
    if (containerPort === undefined || containerPort === 0) errors.push(required(`${path}.containerPort`));
    else errors.push(...messages(`${path}.containerPort`, containerPort, portNumberErrors(containerPort)));
    if (hostPort !== undefined && hostPort !== 0) {
      errors.push(...messages(`${path}.hostPort`, hostPort, portNumberErrors(hostPort)));
      if (spec.hostNetwork === true && hostPort !== containerPort)
        errors.push(invalidValue(`${path}.containerPort`, containerPort, 'must match `hostPort` when `hostNetwork` is true'));
    }
    if (hostIP !== undefined && hostIP !== '') errors.push(...messages(`${path}.hostIP`, hostIP, ipErrors(hostIP)));
    return [...errors, ...requiredOneOf(`${path}.protocol`, protocol, protocols)];
  });
}

function validateEnv(field: string, variables: readonly V1EnvVar[]): FieldError[] {
  return variables.flatMap(({ name, value = '', valueFrom }, index) => {
    const path = at(field, index);
    const errors = name === '' ? [required(`${path}.name`)] : messages(`${path}.name`, name, envVarNameErrors(name));
    return valueFrom === undefined ? errors : [...errors, ...validateEnvSource(`${path}.valueFrom`, valueFrom, value)];
  });
}

function validateEnvSource(field: string, source: V1EnvVarSource, value: string): FieldError[] {
  const { fieldRef, resourceFieldRef, configMapKeyRef, secretKeyRef, fileKeyRef } = source;
  const errors: FieldError[] = [];
  if (fieldRef !== undefined) errors.push(...validateDownwardField(`${field}.fieldRef`, fieldRef, 'variable'));
  if (resourceFieldRef !== undefined) errors.push(...validateResourceField(`${field}.resourceFieldRef`, resourceFieldRef, 'variable'));
  if (fileKeyRef !== undefined) {
    const path = `${field}.fileKeyRef`;
    errors.push(
      ...requiredName(`${path}.key`, fileKeyRef.key, envVarNameErrors),
      ...(fileKeyRef.volumeName === ''
        ? [required(`${path}.volumeName`)]
        : messages(`${path}.volumeName`, fileKeyRef.volumeName, dnsLabelErrors(fileKeyRef.volumeName))),
      ...(fileKeyRef.path === '' ? [required(`${path}.path`)] : relativePath(`${path}.path`, fileKeyRef.path)),
    );
  }
  for (const [kind, ref] of Object.entries({ configMapKeyRef, secretKeyRef })) {
    if (ref === undefined) continue;
    if ((ref.name ?? '') === '') errors.push(required(`${field}.${kind}.name`));
    if ((ref.key ?? '') === '') errors.push(required(`${field}.${kind}.key`));
    else errors.push(...messages(`${field}.${kind}.key`, ref.key, configMapKeyErrors(ref.key)));
  }
  const count = [fieldRef, resourceFieldRef, configMapKeyRef, secretKeyRef, fileKeyRef].filter((ref) => ref !== undefined).length;
  if (count === 0) errors.push(invalidValue(field, '', 'must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`'));
  else if (value !== '') errors.push(invalidValue(field, '', 'may not be specified when `value` is not empty'));
  else if (count > 1) errors.push(invalidValue(field, '', 'may not have more than one field specified at a time'));
  return errors;
}

function validateEnvFrom(field: string, sources: readonly V1EnvFromSource[]): FieldError[] {
  return sources.flatMap(({ prefix = '', configMapRef, secretRef }, index) => {
    const path = at(field, index);
    const errors = prefix === '' ? [] : messages(`${path}.prefix`, prefix, envVarNameErrors(prefix));
    for (const [kind, ref] of Object.entries({ configMapRef, secretRef })) {
      if (ref !== undefined && (ref.name ?? '') === '') errors.push(required(`${path}.${kind}.name`));
    }
    const count = [configMapRef, secretRef].filter((ref) => ref !== undefined).length;
    if (count === 0) errors.push(invalidValue(path, '', 'must specify one of: `configMapRef` or `secretRef`'));
    if (count > 1) errors.push(invalidValue(path, '', 'may not have more than one field specified at a time'));
    return errors;
  });
}

function validateMounts(
  field: string,
  spec: V1PodSpec,
  {
    volumeMounts: mounts = [],
    volumeDevices: devices = [],
    securityContext,
  }: Pick<V1Container, 'volumeMounts' | 'volumeDevices' | 'securityContext'>,
): FieldError[] {
  const volumes = new Set((spec.volumes ?? []).map(({ name }) => name));
  const asDevices = new Map(devices.map((device) => [device.name, device.devicePath]));
  const devicePaths = new Set(asDevices.values());
  const paths = new Set<string>();
  return mounts.flatMap(({ name, mountPath, subPath = '', subPathExpr = '', mountPropagation, recursiveReadOnly, readOnly }, index) => {
    const path = at(field, index);
    const errors: FieldError[] = [];
    if (name === '') errors.push(required(`${path}.name`));
    else if (!volumes.has(name)) errors.push(fieldNotFound(`${path}.name`, name));
    if (mountPath === '') errors.push(required(`${path}.mountPath`));
    else if (paths.has(mountPath)) errors.push(invalidValue(`${path}.mountPath`, mountPath, 'must be unique'));
    paths.add(mountPath);
    if (asDevices.has(name)) errors.push(invalidValue(`${path}.name`, name, 'must not already exist in volumeDevices'));
    if (devicePaths.has(mountPath)) errors.push(invalidValue(`${path}.mountPath`, mountPath, 'must not already exist as a path in volumeDevices'));
    if (mountPropagation === 'Bidirectional' && securityContext?.privileged !== true)
      errors.push(forbiddenField(`${path}.mountPropagation`, 'Bidirectional mount propagation is available only to privileged containers'));
    if (subPath !== '') errors.push(...relativePath(`${path}.subPath`, subPath));
    if (subPathExpr !== '') {
      if (subPath !== '') errors.push(invalidValue(`${path}.subPathExpr`, subPathExpr, 'subPathExpr and subPath are mutually exclusive'));
      errors.push(...relativePath(`${path}.subPathExpr`, subPathExpr));
    }
    if (recursiveReadOnly === 'Enabled' && readOnly !== true)
      errors.push(forbiddenField(`${path}.recursiveReadOnly`, 'may only be specified when readOnly is true'));
    if ((recursiveReadOnly === 'Enabled' || recursiveReadOnly === 'IfPossible') && mountPropagation !== undefined && mountPropagation !== 'None')
      errors.push(forbiddenField(`${path}.recursiveReadOnly`, 'may only be specified when mountPropagation is None or not specified'));
    return [
      ...errors,
      ...oneOf(`${path}.mountPropagation`, mountPropagation, ['Bidirectional', 'HostToContainer', 'None']),
      ...oneOf(`${path}.recursiveReadOnly`, recursiveReadOnly, ['Disabled', 'Enabled', 'IfPossible']),
    ];
  });
}

function validateDevices(field: string, spec: V1PodSpec, devices: readonly V1VolumeDevice[], mounts: readonly V1VolumeMount[]): FieldError[] {
  const volumes = new Map((spec.volumes ?? []).map((volume) => [volume.name, volume]));
  const mounted = new Set(mounts.map(({ mountPath }) => mountPath));
  const mountedNames = new Set(mounts.map(({ name }) => name));
  const seen = new Set<string>();
  return devices.flatMap(({ name, devicePath }, index) => {
    const path = at(field, index);
    const errors: FieldError[] = [];
    if (name === '') errors.push(required(`${path}.name`));
    else if (!volumes.has(name)) errors.push(fieldNotFound(`${path}.name`, name));
    const volume = volumes.get(name);
    if (volume !== undefined && volume.persistentVolumeClaim === undefined && volume.ephemeral === undefined) {
      const why = 'can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode';
      errors.push(invalidValue(`${path}.name`, name, why));
    }
    if (mountedNames.has(name)) errors.push(invalidValue(`${path}.name`, name, 'must not already exist in volumeMounts'));
    if (devicePath === '') errors.push(required(`${path}.devicePath`));
    else errors.push(...noBacksteps(`${path}.devicePath`, devicePath));
    if (devicePath === '') return errors;
    if (seen.has(devicePath)) errors.push(invalidValue(`${path}.devicePath`, devicePath, 'must be unique'));
    else if (mounted.has(devicePath)) errors.push(invalidValue(`${path}.devicePath`, devicePath, 'must not already exist as a path in volumeMounts'));
    seen.add(devicePath);
    return errors;
  });
}
