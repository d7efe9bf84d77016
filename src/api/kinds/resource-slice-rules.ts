/** Rules for ResourceSlices: the devices a driver offers. Follows `validateResourceSliceSpec`. */
import { at, forbiddenField, invalidValue, notSupported, required, tooLong, type FieldError } from '../../machinery/field-error.ts';
import { dnsLabelErrors, dnsSubdomainErrors, labelValueErrors, qualifiedNameErrors } from '../../machinery/names.ts';
import { atMost, immutable, messages, noDuplicates, requiredName } from '../field-checks.ts';
import { validateNodeSelector } from '../pods/validate-scheduling.ts';
import type { V1Device, V1DeviceAttribute, V1DeviceTaint, V1ResourceSliceSpec } from '../types.ts';
import { deviceKey, driverName, poolName } from './device-rules.ts';

const maxDevices = 128;
/** Fewer where devices share counters or are tainted: those cost more to look at. */
const maxCostlyDevices = 64;
const maxCounterSets = 8;
const maxCounters = 32;
const maxConsumptions = 2;
const maxProperties = 32;
const maxTaints = 16;
const maxValueLength = 64;
/** https://semver.org */
const semanticVersion = /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?(\+[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?$/;

const places = ['nodeName', 'nodeSelector', 'allNodes', 'perDeviceNodeSelection'] as const;
const placesText = 'exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required';

export function validateSlice(field: string, spec: V1ResourceSliceSpec, old: V1ResourceSliceSpec | undefined): FieldError[] {
  const { pool, devices = [], sharedCounters = [] } = spec;
  const errors = [...driverName(`${field}.driver`, spec.driver), ...poolName(`${field}.pool.name`, pool?.name)];
  if ((pool?.generation ?? 0) < 0) errors.push(invalidValue(`${field}.pool.generation`, pool.generation, 'must be greater than or equal to zero'));
  if ((pool?.resourceSliceCount ?? 0) <= 0)
    errors.push(invalidValue(`${field}.pool.resourceSliceCount`, pool?.resourceSliceCount ?? 0, 'must be greater than zero'));
  errors.push(...validatePlace(field, spec));
  const costly = devices.some(({ taints = [], consumesCounters = [] }) => taints.length + consumesCounters.length > 0);
  errors.push(
    ...atMost(`${field}.devices`, devices, costly ? maxCostlyDevices : maxDevices),
    ...noDuplicates(`${field}.devices`, devices, ({ name }) => name, '.name'),
    ...devices.flatMap((device, index) => validateDevice(at(`${field}.devices`, index), device, spec.perDeviceNodeSelection === true)),
    ...atMost(`${field}.sharedCounters`, sharedCounters, maxCounterSets),
    ...noDuplicates(`${field}.sharedCounters`, sharedCounters, ({ name }) => name, '.name'),
    ...sharedCounters.flatMap(({ name, counters }, index) => [
      ...requiredName(`${at(`${field}.sharedCounters`, index)}.name`, name, dnsLabelErrors),
      ...validateCounters(`${at(`${field}.sharedCounters`, index)}.counters`, counters),
    ]),
  );
  if (old === undefined) return errors;
  return [
    ...errors,
    ...immutable(`${field}.pool.name`, pool?.name, old.pool?.name),
    ...immutable(`${field}.driver`, spec.driver, old.driver),
    ...immutable(`${field}.nodeName`, spec.nodeName, old.nodeName),
  ];
}

function validatePlace(field: string, spec: V1ResourceSliceSpec): FieldError[] {
  const said = places.filter((place) => spec[place] !== undefined && spec[place] !== false);
  const errors: FieldError[] = [];
  if (spec.nodeName === '') errors.push(invalidValue(`${field}.nodeName`, '', 'must be either unset or set to a non-empty string'));
  else if (spec.nodeName !== undefined) errors.push(...messages(`${field}.nodeName`, spec.nodeName, dnsSubdomainErrors(spec.nodeName)));
  if (spec.nodeSelector !== undefined) {
    errors.push(...validateNodeSelector(`${field}.nodeSelector`, spec.nodeSelector));
    const terms = spec.nodeSelector.nodeSelectorTerms ?? [];
    if (terms.length !== 1) errors.push(invalidValue(`${field}.nodeSelector.nodeSelectorTerms`, terms, 'must have exactly one node selector term'));
  }
  for (const flag of ['allNodes', 'perDeviceNodeSelection'] as const)
    if (spec[flag] === false) errors.push(invalidValue(`${field}.${flag}`, false, 'must be either unset or set to true'));
  if (said.length === 0) errors.push(required(field, placesText));
  else if (said.length > 1)
    errors.push(invalidValue(field, `{${said.map((place) => `\`${place}\``).join(', ')}}`, `${placesText}, but multiple fields are set`));
  return errors;
}

function validateDevice(field: string, device: V1Device, placed: boolean): FieldError[] {
  const { attributes = {}, capacity = {}, consumesCounters = [], taints = [] } = device;
  const errors = requiredName(`${field}.name`, device.name, dnsLabelErrors);
  const count = Object.keys(attributes).length + Object.keys(capacity).length;
  if (count > maxProperties)
    errors.push(invalidValue(field, count, `the total number of attributes and capacities must not exceed ${maxProperties}`));
  for (const [key, attribute] of Object.entries(attributes))
    errors.push(...deviceKey(at(`${field}.attributes`, key), key), ...validateAttribute(at(`${field}.attributes`, key), attribute));
  for (const key of Object.keys(capacity)) errors.push(...deviceKey(at(`${field}.capacity`, key), key));
  errors.push(
    ...atMost(`${field}.consumesCounters`, consumesCounters, maxConsumptions),
    ...noDuplicates(`${field}.consumesCounters`, consumesCounters, ({ counterSet }) => counterSet, '.counterSet'),
    ...consumesCounters.flatMap(({ counterSet, counters }, index) => [
      ...requiredName(`${at(`${field}.consumesCounters`, index)}.counterSet`, counterSet, dnsLabelErrors),
      ...validateCounters(`${at(`${field}.consumesCounters`, index)}.counters`, counters),
    ]),
    ...atMost(`${field}.taints`, taints, maxTaints),
    ...taints.flatMap((taint, index) => validateTaint(at(`${field}.taints`, index), taint)),
  );
  const ownPlaces = (['nodeName', 'nodeSelector', 'allNodes'] as const).filter((place) => device[place] !== undefined);
  if (!placed) {
    const why = 'must not be set if `spec.perDeviceNodeSelection` is not set to true';
    return [...errors, ...ownPlaces.map((place) => forbiddenField(`${field}.${place}`, why))];
  }
  if (ownPlaces.length === 0)
    errors.push(
      required(
        field,
        'exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when `perDeviceNodeSelection` is set to true in the ResourceSlice spec',
      ),
    );
  return errors;
}

const scalarKinds = ['int', 'bool', 'string', 'version'] as const;
const listKinds = ['ints', 'bools', 'strings', 'versions'] as const;

function validateAttribute(field: string, attribute: V1DeviceAttribute): FieldError[] {
  const said = [...scalarKinds, ...listKinds].filter((kind) => attribute[kind] !== undefined);
  const errors: FieldError[] = [];
  if (said.length === 0) errors.push(required(field, 'exactly one value must be specified'));
  else if (said.length > 1) errors.push(invalidValue(field, attribute, 'exactly one value must be specified'));
  const texts: [string, string][] = [];
  const versions: [string, string][] = [];
  if (attribute.string !== undefined) texts.push([`${field}.string`, attribute.string]);
  if (attribute.version !== undefined) versions.push([`${field}.version`, attribute.version]);
  for (const [index, text] of (attribute.strings ?? []).entries()) texts.push([at(`${field}.strings`, index), text]);
  for (const [index, text] of (attribute.versions ?? []).entries()) versions.push([at(`${field}.versions`, index), text]);
  for (const [path, text] of [...texts, ...versions]) if (text.length > maxValueLength) errors.push(tooLong(path, maxValueLength));
  for (const [path, text] of versions)
    if (!semanticVersion.test(text)) errors.push(invalidValue(path, text, 'must be a string compatible with semver.org spec 2.0.0'));
  return errors;
}

function validateCounters(field: string, counters: Readonly<Record<string, unknown>> | undefined): FieldError[] {
  const names = Object.keys(counters ?? {});
  if (names.length === 0) return [required(field)];
  if (names.length > maxCounters) return atMost(field, names, maxCounters);
  return names.flatMap((name) => messages(at(field, name), name, dnsLabelErrors(name)));
}

function validateTaint(field: string, { key, value = '', effect }: V1DeviceTaint): FieldError[] {
  const errors = [...requiredName(`${field}.key`, key, qualifiedNameErrors), ...messages(`${field}.value`, value, labelValueErrors(value))];
  if (effect === '') return [...errors, required(`${field}.effect`)];
  const effects = ['NoExecute', 'NoSchedule', 'None'];
  return effects.includes(effect) ? errors : [...errors, notSupported(`${field}.effect`, effect, effects)];
}
