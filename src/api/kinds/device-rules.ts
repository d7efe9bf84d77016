/**
 * Rules for claims of devices: requests, constraints between them, settings for drivers, and what was allocated. Follows
 * `pkg/apis/resource/validation`; ResourceSlices are in `resource-slice-rules.ts`.
 */
import { at, duplicate, forbiddenField, invalidValue, notSupported, required, tooLong, type FieldError } from '../../machinery/field-error.ts';
import { dnsLabelErrors, dnsSubdomainErrors, labelValueErrors, qualifiedNameErrors } from '../../machinery/names.ts';
import { atMost, immutable, messages, noDuplicates, oneOf, optionalName, requiredName } from '../field-checks.ts';
import { validateNodeSelector } from '../pods/validate-scheduling.ts';
import type {
  ResourceV1ResourceClaim,
  V1AllocationResult,
  V1DeviceClaim,
  V1DeviceClassSpec,
  V1DeviceConstraint,
  V1DeviceRequest,
  V1DeviceSelector,
  V1DeviceSubRequest,
  V1DeviceToleration,
  V1ExactDeviceRequest,
  V1OpaqueDeviceConfiguration,
} from '../types.ts';

const maxPerList = 32;
const maxAlternatives = 8;
const maxTolerations = 16;
const maxReservations = 256;
const maxExpressionBytes = 10 * 1024;
const maxParameterBytes = 10 * 1024;
const maxDomainLength = 63;
const maxIdLength = 32;
const maxPoolNameLength = 253;

const refWrong = "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'";

/** What constraints and settings may point at: each request, and `request/alternative`. */
function requestNames({ requests = [] }: V1DeviceClaim): ReadonlySet<string> {
  return new Set(requests.flatMap(({ name, firstAvailable = [] }) => [name, ...firstAvailable.map((alternative) => `${name}/${alternative.name}`)]));
}

export function validateDeviceClaim(field: string, claim: V1DeviceClaim): FieldError[] {
  const { requests = [], constraints = [], config = [] } = claim;
  const names = requestNames(claim);
  return [
    ...atMost(`${field}.requests`, requests, maxPerList),
    ...noDuplicates(`${field}.requests`, requests, ({ name }) => name),
    ...requests.flatMap((request, index) => validateRequest(at(`${field}.requests`, index), request)),
    ...atMost(`${field}.constraints`, constraints, maxPerList),
    ...constraints.flatMap((constraint, index) => validateConstraint(at(`${field}.constraints`, index), constraint, names)),
    ...atMost(`${field}.config`, config, maxPerList),
    ...config.flatMap(({ requests: about, opaque }, index) => [
      ...validateReferences(`${at(`${field}.config`, index)}.requests`, about, names),
      ...validateOpaque(`${at(`${field}.config`, index)}.opaque`, opaque),
    ]),
  ];
}

export function validateDeviceClass(field: string, { selectors = [], config = [], extendedResourceName }: V1DeviceClassSpec): FieldError[] {
  return [
    ...validateSelectors(`${field}.selectors`, selectors),
    ...atMost(`${field}.config`, config, maxPerList),
    ...config.flatMap(({ opaque }, index) => validateOpaque(`${at(`${field}.config`, index)}.opaque`, opaque)),
    ...(extendedResourceName === undefined || isExtendedResource(extendedResourceName)
      ? []
      : [invalidValue(`${field}.extendedResourceName`, extendedResourceName, 'must be a valid extended resource name')]),
  ];
}

/** A device's resource name: with a domain that is not Kubernetes' own. */
function isExtendedResource(name: string): boolean {
  return (
    name.includes('/') &&
    !/(^|\.)kubernetes\.io\//.test(name) &&
    !name.startsWith('requests.') &&
    qualifiedNameErrors(`requests.${name}`).length === 0
  );
}

function validateRequest(field: string, { name, exactly, firstAvailable = [] }: V1DeviceRequest): FieldError[] {
  const errors = requiredName(`${field}.name`, name, dnsLabelErrors);
  const oneNeeded = 'exactly one of `exactly` or `firstAvailable` is required';
  if (exactly !== undefined && firstAvailable.length > 0) return [...errors, invalidValue(field, null, `${oneNeeded}, but multiple fields are set`)];
  if (exactly !== undefined) return [...errors, ...validateDemand(`${field}.exactly`, exactly)];
  if (firstAvailable.length === 0) return [...errors, required(field, oneNeeded)];
  const path = `${field}.firstAvailable`;
  return [
    ...errors,
    ...atMost(path, firstAvailable, maxAlternatives),
    ...noDuplicates(path, firstAvailable, (alternative) => alternative.name),
    ...firstAvailable.flatMap((alternative, index) => [
      ...requiredName(`${at(path, index)}.name`, alternative.name, dnsLabelErrors),
      ...validateDemand(at(path, index), alternative),
    ]),
  ];
}

function validateDemand(field: string, demand: V1ExactDeviceRequest | V1DeviceSubRequest): FieldError[] {
  const { allocationMode: mode = '', count = 0, tolerations = [] } = demand;
  const errors = [
    ...requiredName(`${field}.deviceClassName`, demand.deviceClassName, dnsSubdomainErrors),
    ...validateSelectors(`${field}.selectors`, demand.selectors ?? []),
  ];
  if (mode === 'All') {
    if (count !== 0) errors.push(invalidValue(`${field}.count`, count, "must not be specified when allocationMode is 'All'"));
  } else if (mode === 'ExactCount') {
    if (count <= 0) errors.push(invalidValue(`${field}.count`, count, 'must be greater than zero'));
  } else {
    errors.push(notSupported(`${field}.allocationMode`, mode, ['All', 'ExactCount']));
  }
  return [
    ...errors,
    ...atMost(`${field}.tolerations`, tolerations, maxTolerations),
    ...tolerations.flatMap((toleration, index) => validateToleration(at(`${field}.tolerations`, index), toleration)),
  ];
}

function validateSelectors(field: string, selectors: readonly V1DeviceSelector[]): FieldError[] {
  return [
    ...atMost(field, selectors, maxPerList),
    ...selectors.flatMap(({ cel }, index) => {
      const path = `${at(field, index)}.cel`;
      if (cel === undefined) return [required(path)];
      if (cel.expression === '') return [required(`${path}.expression`, 'must specify an expression')];
      return Buffer.byteLength(cel.expression) > maxExpressionBytes ? [tooLong(`${path}.expression`, maxExpressionBytes)] : [];
    }),
  ];
}

function validateToleration(field: string, { key = '', operator, value = '', effect }: V1DeviceToleration): FieldError[] {
  const errors = optionalName(`${field}.key`, key, qualifiedNameErrors);
  if (operator === 'Exists') {
    if (value !== '') errors.push(invalidValue(`${field}.value`, value, 'must be empty for operator `Exists`'));
  } else if (operator === 'Equal') {
    errors.push(...messages(`${field}.value`, value, labelValueErrors(value)));
    if (key === '') errors.push(required(`${field}.key`, 'must not be empty for operator `Equal`'));
  } else {
    errors.push(
      operator === undefined || operator === '' ? required(`${field}.operator`) : notSupported(`${field}.operator`, operator, ['Equal', 'Exists']),
    );
  }
  return effect === '' ? errors : [...errors, ...oneOf(`${field}.effect`, effect, ['NoExecute', 'NoSchedule', 'None'])];
}

function validateReferences(field: string, references: readonly string[] | undefined, names: ReadonlySet<string>): FieldError[] {
  return [
    ...atMost(field, references, maxPerList),
    ...noDuplicates(field, references),
    ...(references ?? []).flatMap((reference, index) => validateReference(at(field, index), reference, names)),
  ];
}

function validateReference(field: string, reference: string, names: ReadonlySet<string>): FieldError[] {
  const parts = reference.split('/');
  const wrong = parts.length > 2 ? [] : parts.flatMap((part) => requiredName(field, part, dnsLabelErrors));
  return names.has(reference) ? wrong : [...wrong, invalidValue(field, reference, refWrong)];
}

function validateConstraint(field: string, constraint: V1DeviceConstraint, names: ReadonlySet<string>): FieldError[] {
  const { requests, matchAttribute, distinctAttribute } = constraint;
  const errors = validateReferences(`${field}.requests`, requests, names);
  if (matchAttribute !== undefined) return [...errors, ...attributeName(`${field}.matchAttribute`, matchAttribute)];
  if (distinctAttribute !== undefined) return [...errors, ...attributeName(`${field}.distinctAttribute`, distinctAttribute)];
  return [...errors, required(field, 'exactly one of "matchAttribute" or "distinctAttribute" is required')];
}

/** `domain/identifier`, both there. */
function attributeName(field: string, name: string): FieldError[] {
  if (name !== '' && !name.includes('/')) return [invalidValue(field, name, 'must include a domain')];
  return deviceKey(field, name);
}

/** Names of attributes and capacities: an identifier, with or without a domain before it. */
export function deviceKey(field: string, name: string): FieldError[] {
  if (name === '') return [required(field)];
  const slash = name.indexOf('/');
  if (slash < 0) return identifier(field, name);
  const domain = name.slice(0, slash);
  const errors = requiredName(field, domain, dnsSubdomainErrors, 'the domain must not be empty');
  if (domain.length > maxDomainLength) errors.push(tooLong(field, maxDomainLength));
  return [...errors, ...identifier(field, name.slice(slash + 1), 'the name must not be empty')];
}

function identifier(field: string, name: string, missing = ''): FieldError[] {
  if (name === '') return [required(field, missing)];
  const errors = name.length > maxIdLength ? [tooLong(field, maxIdLength)] : [];
  if (/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) return errors;
  const why = "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric characters or '_'";
  return [
    ...errors,
    invalidValue(field, name, `${why} (e.g. 'my_name',  or 'MY_NAME',  or 'MyName', regex used for validation is '[A-Za-z_][A-Za-z0-9_]*')`),
  ];
}

/** The same names as CSI drivers have. */
export function driverName(field: string, name: string | undefined): FieldError[] {
  if (name === undefined || name === '') return [required(field)];
  return [...(name.length > 63 ? [tooLong(field, 63)] : []), ...messages(field, name, dnsSubdomainErrors(name.toLowerCase()))];
}

export function poolName(field: string, name: string | undefined): FieldError[] {
  if (name === undefined || name === '') return [required(field)];
  return [
    ...(name.length > maxPoolNameLength ? [tooLong(field, maxPoolNameLength)] : []),
    ...name.split('/').flatMap((part) => messages(field, part, dnsSubdomainErrors(part))),
  ];
}

function validateOpaque(field: string, opaque: V1OpaqueDeviceConfiguration | undefined): FieldError[] {
  if (opaque === undefined) return [required(field)];
  const errors = driverName(`${field}.driver`, opaque.driver);
  const { parameters } = opaque;
  const path = `${field}.parameters`;
  if (parameters === undefined || parameters === null) return [...errors, required(path)];
  if (typeof parameters !== 'object' || Array.isArray(parameters)) errors.push(invalidValue(path, '<value omitted>', 'must be a valid JSON object'));
  if (Buffer.byteLength(JSON.stringify(parameters)) > maxParameterBytes) errors.push(tooLong(path, maxParameterBytes));
  return errors;
}

export function validateClaimStatus(claim: ResourceV1ResourceClaim, old: ResourceV1ResourceClaim): FieldError[] {
  const { allocation, reservedFor = [], devices = [] } = claim.status;
  const errors = [
    ...atMost('status.reservedFor', reservedFor, maxReservations),
    ...noDuplicates('status.reservedFor', reservedFor, ({ uid }) => uid),
    ...reservedFor.flatMap((consumer, index) =>
      (['resource', 'name', 'uid'] as const)
        .filter((part) => consumer[part] === '')
        .map((part) => required(`${at('status.reservedFor', index)}.${part}`)),
    ),
  ];
  if (reservedFor.length > 0 && allocation === undefined) {
    errors.push(forbiddenField('status.reservedFor', 'may not be specified when `allocated` is not set'));
  } else if (claim.metadata.deletionTimestamp !== undefined) {
    const before = new Set((old.status.reservedFor ?? []).map(({ uid }) => uid));
    if (reservedFor.some(({ uid }) => !before.has(uid))) {
      const why = 'new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set';
      errors.push(forbiddenField('status.reservedFor', why));
    }
  }
  if (allocation !== undefined) {
    if (old.status.allocation !== undefined) errors.push(...immutable('status.allocation', allocation, old.status.allocation));
    else errors.push(...validateAllocation('status.allocation', allocation, requestNames(claim.spec.devices ?? {})));
  }
  const id = (device: { driver: string; pool: string; device: string; shareID?: string }): string =>
    [device.driver, device.pool, device.device, ...(device.shareID === undefined ? [] : [device.shareID])].join('/');
  const allocated = new Set((allocation?.devices?.results ?? []).map(id));
  const seen = new Set<string>();
  for (const [index, device] of devices.entries()) {
    const path = at('status.devices', index);
    errors.push(
      ...driverName(`${path}.driver`, device.driver),
      ...poolName(`${path}.pool`, device.pool),
      ...requiredName(`${path}.device`, device.device, dnsLabelErrors),
    );
    if (seen.has(id(device))) errors.push(duplicate(path, id(device)));
    seen.add(id(device));
    if (!allocated.has(id(device))) errors.push(invalidValue(path, id(device), 'must be an allocated device in the claim'));
  }
  return errors;
}

function validateAllocation(field: string, { devices, nodeSelector }: V1AllocationResult, names: ReadonlySet<string>): FieldError[] {
  const { results = [], config = [] } = devices ?? {};
  const errors = [...atMost(`${field}.devices.results`, results, maxPerList), ...atMost(`${field}.devices.config`, config, 2 * maxPerList)];
  for (const [index, result] of results.entries()) {
    const path = at(`${field}.devices.results`, index);
    errors.push(
      ...validateReference(`${path}.request`, result.request, names),
      ...driverName(`${path}.driver`, result.driver),
      ...poolName(`${path}.pool`, result.pool),
      ...requiredName(`${path}.device`, result.device, dnsLabelErrors),
    );
  }
  for (const [index, { source, requests, opaque }] of config.entries()) {
    const path = at(`${field}.devices.config`, index);
    errors.push(
      ...(source === '' ? [required(`${path}.source`)] : oneOf(`${path}.source`, source, ['FromClaim', 'FromClass'])),
      ...validateReferences(`${path}.requests`, requests, names),
      ...validateOpaque(`${path}.opaque`, opaque),
    );
  }
  return nodeSelector === undefined ? errors : [...errors, ...validateNodeSelector(`${field}.nodeSelector`, nodeSelector)];
}
