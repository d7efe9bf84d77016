/** Rules for what steers a pod to nodes: affinity, tolerations, topology spread. Follows `validateAffinity`, `ValidateTolerations` and their kin. */
import { at, duplicate, forbiddenField, invalidValue, required, type FieldError } from '../../machinery/field-error.ts';
import { dnsLabelErrors, labelValueErrors, qualifiedNameErrors } from '../../machinery/names.ts';
import { labelSelector, messages, matchLabelKeys, oneOf, requiredOneOf } from '../field-checks.ts';
import type {
  V1Affinity,
  V1NodeSelector,
  V1NodeSelectorRequirement,
  V1NodeSelectorTerm,
  V1PodAffinityTerm,
  V1Toleration,
  V1TopologySpreadConstraint,
} from '../types.ts';

const whenRequired = 'requiredDuringSchedulingIgnoredDuringExecution';
const whenPreferred = 'preferredDuringSchedulingIgnoredDuringExecution';

export function validateAffinity(field: string, affinity: V1Affinity | undefined): FieldError[] {
  const errors: FieldError[] = [];
  const nodes = affinity?.nodeAffinity;
  const nodeField = `${field}.nodeAffinity`;
  const demanded = nodes?.[whenRequired];
  if (demanded !== undefined) errors.push(...validateNodeSelector(`${nodeField}.${whenRequired}`, demanded));
  for (const [index, { weight, preference }] of (nodes?.[whenPreferred] ?? []).entries()) {
    const path = at(`${nodeField}.${whenPreferred}`, index);
    errors.push(...validateWeight(`${path}.weight`, weight), ...validateNodeTerm(`${path}.preference`, preference ?? {}));
  }
  for (const name of ['podAffinity', 'podAntiAffinity'] as const) {
    const pods = affinity?.[name];
    for (const [index, term] of (pods?.[whenRequired] ?? []).entries())
      errors.push(...validatePodTerm(at(`${field}.${name}.${whenRequired}`, index), term));
    for (const [index, { weight, podAffinityTerm }] of (pods?.[whenPreferred] ?? []).entries()) {
      const path = at(`${field}.${name}.${whenPreferred}`, index);
      errors.push(...validateWeight(`${path}.weight`, weight), ...validatePodTerm(`${path}.podAffinityTerm`, podAffinityTerm ?? { topologyKey: '' }));
    }
  }
  return errors;
}

/** Also of volumes, which say where they can be reached from, and of devices. */
export function validateNodeSelector(field: string, { nodeSelectorTerms: terms }: V1NodeSelector): FieldError[] {
  const path = `${field}.nodeSelectorTerms`;
  if (terms.length === 0) return [required(path, 'must have at least one node selector term')];
  return terms.flatMap((term, index) => validateNodeTerm(at(path, index), term));
}

function validateWeight(field: string, weight: number): FieldError[] {
  return weight >= 1 && weight <= 100 ? [] : [invalidValue(field, weight, 'must be in the range 1-100')];
}

function validateNodeTerm(field: string, { matchExpressions = [], matchFields = [] }: V1NodeSelectorTerm): FieldError[] {
  return [
    ...matchExpressions.flatMap((requirement, index) => validateNodeRequirement(at(`${field}.matchExpressions`, index), requirement)),
    ...matchFields.flatMap(({ key, operator, values = [] }, index) => {
      const path = at(`${field}.matchFields`, index);
      const errors = oneOf(`${path}.operator`, operator, ['In', 'NotIn']);
      if (values.length !== 1)
        errors.push(required(`${path}.values`, "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"));
      return key === 'metadata.name' ? errors : [...errors, invalidValue(`${path}.key`, key, 'not a valid field selector key')];
    }),
  ];
}

function validateNodeRequirement(field: string, { key, operator, values = [] }: V1NodeSelectorRequirement): FieldError[] {
  const errors: FieldError[] = [];
  switch (operator) {
    case 'In':
    case 'NotIn':
      if (values.length === 0) errors.push(required(`${field}.values`, "must be specified when `operator` is 'In' or 'NotIn'"));
      break;
    case 'Exists':
    case 'DoesNotExist':
      if (values.length > 0) errors.push(forbiddenField(`${field}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"));
      break;
    case 'Gt':
    case 'Lt':
      if (values.length !== 1) errors.push(required(`${field}.values`, "must be specified single value when `operator` is 'Lt' or 'Gt'"));
      break;
    default:
      errors.push(invalidValue(`${field}.operator`, operator, 'not a valid selector operator'));
  }
  return [...errors, ...messages(`${field}.key`, key, qualifiedNameErrors(key))];
}

function validatePodTerm(field: string, term: V1PodAffinityTerm): FieldError[] {
  return [
    ...labelSelector(`${field}.labelSelector`, term.labelSelector),
    ...labelSelector(`${field}.namespaceSelector`, term.namespaceSelector),
    ...(term.namespaces ?? []).flatMap((namespace, index) => messages(at(`${field}.namespaces`, index), namespace, dnsLabelErrors(namespace))),
    ...validateTopologyKey(`${field}.topologyKey`, term.topologyKey),
    ...matchLabelKeys(`${field}.matchLabelKeys`, term.matchLabelKeys, `${field}.labelSelector`, term.labelSelector),
  ];
}

function validateTopologyKey(field: string, key: string | undefined): FieldError[] {
  const empty = key === undefined || key === '';
  return [...(empty ? [required(field, 'can not be empty')] : []), ...messages(field, key ?? '', qualifiedNameErrors(key ?? ''))];
}

const effects = ['NoSchedule', 'PreferNoSchedule', 'NoExecute'];

export function validateTolerations(field: string, tolerations: readonly V1Toleration[]): FieldError[] {
  return tolerations.flatMap((toleration, index) => {
    const { key = '', operator = 'Equal', value = '', effect = '', tolerationSeconds } = toleration;
    const path = at(field, index);
    const errors = key === '' ? [] : messages(`${path}.key`, key, qualifiedNameErrors(key));
    if (key === '' && operator !== 'Exists') {
      errors.push(
        invalidValue(`${path}.operator`, operator, 'operator must be Exists when `key` is empty, which means "match all values and all keys"'),
      );
    }
    if (tolerationSeconds !== undefined && effect !== 'NoExecute') {
      errors.push(invalidValue(`${path}.effect`, effect, "effect must be 'NoExecute' when `tolerationSeconds` is set"));
    }
    if (operator === 'Exists') {
      if (value !== '') errors.push(invalidValue(`${path}.operator`, toleration, "value must be empty when `operator` is 'Exists'"));
    } else if (operator === 'Equal' || operator === '') {
      errors.push(...messages(`${path}.operator`, value, labelValueErrors(value)));
    } else {
      errors.push(...oneOf(`${path}.operator`, operator, ['Equal', 'Exists']));
    }
    return effect === '' ? errors : [...errors, ...oneOf(`${path}.effect`, effect, effects)];
  });
}

export function validateSpread(field: string, constraints: readonly V1TopologySpreadConstraint[]): FieldError[] {
  const seen = new Set<string>();
  return constraints.flatMap((constraint, index) => {
    const path = at(field, index);
    const errors: FieldError[] = [];
    if (!(constraint.maxSkew > 0)) errors.push(invalidValue(`${path}.maxSkew`, constraint.maxSkew, 'must be greater than zero'));
    if ((constraint.topologyKey ?? '') === '') errors.push(required(`${path}.topologyKey`, 'can not be empty'));
    else errors.push(...messages(`${path}.topologyKey`, constraint.topologyKey, qualifiedNameErrors(constraint.topologyKey)));
    errors.push(...requiredOneOf(`${path}.whenUnsatisfiable`, constraint.whenUnsatisfiable, ['DoNotSchedule', 'ScheduleAnyway']));
    const pair = `{${constraint.topologyKey}, ${constraint.whenUnsatisfiable}}`;
    if (seen.has(pair)) errors.push(duplicate(`${path}.{topologyKey, whenUnsatisfiable}`, pair));
    seen.add(pair);
    if (constraint.minDomains !== undefined) {
      if (constraint.minDomains <= 0) errors.push(invalidValue(`${path}.minDomains`, constraint.minDomains, 'must be greater than zero'));
      if (constraint.whenUnsatisfiable !== 'DoNotSchedule') {
        const why = 'can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ScheduleAnyway';
        errors.push(invalidValue(`${path}.minDomains`, constraint.minDomains, why));
      }
    }
    return [
      ...errors,
      ...oneOf(`${path}.nodeAffinityPolicy`, constraint.nodeAffinityPolicy, ['Ignore', 'Honor']),
      ...oneOf(`${path}.nodeTaintsPolicy`, constraint.nodeTaintsPolicy, ['Ignore', 'Honor']),
      ...labelSelector(`${path}.labelSelector`, constraint.labelSelector),
      ...matchLabelKeys(`${path}.matchLabelKeys`, constraint.matchLabelKeys, `${path}.labelSelector`, constraint.labelSelector),
    ];
  });
}
