/** Rules for what containers and whole pods ask for and may use. Follows `ValidateResourceRequirements` and `validatePodResources`. */
import { own } from '../../machinery/own.ts';
import { at, forbiddenField, invalidValue, required, type FieldError } from '../../machinery/field-error.ts';
import { qualifiedNameErrors } from '../../machinery/names.ts';
import { parseQuantity, Quantity } from '../../machinery/quantity.ts';
import { messages, noDuplicates, noneSet } from '../field-checks.ts';
import type { V1PodSpec, V1ResourceRequirements } from '../types.ts';
import { podTotals } from './pod-amounts.ts';

const forContainers: ReadonlySet<string> = new Set(['cpu', 'memory', 'ephemeral-storage']);
/** What has a name of its own somewhere in the API: in quotas, limits of claims, nodes. */
const standard: ReadonlySet<string> = new Set([
  ...forContainers,
  ...'requests.cpu requests.memory requests.ephemeral-storage limits.cpu limits.memory limits.ephemeral-storage'.split(' '),
  ...'pods resourcequotas services replicationcontrollers secrets configmaps persistentvolumeclaims'.split(' '),
  ...'storage requests.storage services.nodeports services.loadbalancers'.split(' '),
]);
const hugePages = 'hugepages-';

interface Amounts {
  readonly limits?: Readonly<Record<string, string>>;
  readonly requests?: Readonly<Record<string, string>>;
}

/** `podClaims` are the names of the pod's resource claims, which containers may point at. */
export function validateResources(field: string, resources: V1ResourceRequirements, podClaims: ReadonlySet<string> = new Set()): FieldError[] {
  const { limits = {}, requests = {}, claims = [] } = resources;
  const errors: FieldError[] = [];
  for (const [name, limit] of Object.entries(limits))
    errors.push(...validateContainerResource(at(`${field}.limits`, name), name), ...validateAmount(at(`${field}.limits`, name), name, limit));
  for (const [name, request] of Object.entries(requests)) {
    const path = at(`${field}.requests`, name);
    errors.push(...validateContainerResource(path, name), ...validateAmount(path, name, request));
    const limit = own(limits, name);
    if (limit !== undefined) {
      const order = parseQuantity(request).compare(parseQuantity(limit));
      if (order !== 0 && !mayOvercommit(name)) errors.push(invalidValue(`${field}.requests`, request, `must be equal to ${name} limit of ${limit}`));
      else if (order > 0) errors.push(invalidValue(`${field}.requests`, request, `must be less than or equal to ${name} limit of ${limit}`));
    } else if (!mayOvercommit(name)) {
      errors.push(required(`${field}.limits`, 'Limit must be set for non overcommitable resources'));
    }
  }
  errors.push(...validateHugePages(field, { limits, requests }));
  for (const [index, { name }] of claims.entries()) {
    const path = `${at(`${field}.claims`, index)}.name`;
    if (name === '') errors.push(required(path));
    else if (!podClaims.has(name)) errors.push(invalidValue(path, name, 'must be one of the names in pod.spec.resourceClaims'));
  }
  return [...errors, ...noDuplicates(`${field}.claims`, claims, ({ name, request = '' }) => (request === '' ? name : `${name}/${request}`))];
}

/** Huge pages come with a request for the processor or plain memory, and only whole. */
function validateHugePages(field: string, { limits = {}, requests = {} }: Amounts): FieldError[] {
  const names = [...Object.keys(limits), ...Object.keys(requests)];
  if (!names.some((name) => name.startsWith(hugePages)) || names.includes('cpu') || names.includes('memory')) return [];
  return [forbiddenField(field, 'HugePages require cpu or memory')];
}

/** What a pod may say for all its containers together, and how it must fit to what each of them says. */
export function validatePodResources(field: string, spec: V1PodSpec): FieldError[] {
  const { resources } = spec;
  if (resources === undefined) return [];
  const { limits = {}, requests = {} } = resources;
  const errors = noneSet(field, resources, ['claims'], 'claims may not be set for Resources at pod-level');
  for (const [part, amounts] of Object.entries({ limits, requests })) {
    for (const name of Object.keys(amounts)) {
      if (name === 'cpu' || name === 'memory' || name.startsWith(hugePages)) continue;
      errors.push(invalidValue(at(`${field}.${part}`, name), name, 'must be a supported resource for pod-level: cpu, memory, hugepages-'));
    }
  }
  if (errors.length > 0) return errors;
  errors.push(...validateResources(field, { limits, requests }));
  const used = podTotals(spec, 'requests');
  for (const [name, request] of Object.entries(requests)) {
    const sum = used.get(name);
    if (sum !== undefined && sum.compare(parseQuantity(request)) > 0) {
      errors.push(
        invalidValue(at(`${field}.requests`, name), request, `must be greater than or equal to aggregate container requests of ${sum.toString()}`),
      );
    }
  }
  for (const [name, limit] of Object.entries(limits)) {
    for (const list of ['containers', 'initContainers'] as const) {
      for (const [index, container] of (spec[list] ?? []).entries()) {
        const most = own(container.resources?.limits, name);
        if (most === undefined || parseQuantity(most).compare(parseQuantity(limit)) <= 0) continue;
        const path = at(`${at(field.replace(/resources$/, list), index)}.resources.limits`, name);
        errors.push(invalidValue(path, most, `must be less than or equal to pod limits of ${limit}`));
      }
    }
  }
  return errors;
}

export function validateOverhead(field: string, overhead: Readonly<Record<string, string>> | undefined): FieldError[] {
  return Object.entries(overhead ?? {}).flatMap(([name, amount]) => [
    ...validateContainerResource(at(field, name), name),
    ...validateAmount(at(field, name), name, amount),
  ]);
}

/** Resources of devices and huge pages cannot be promised twice. */
function mayOvercommit(name: string): boolean {
  return standard.has(name) || (!name.includes('/') && !name.startsWith(hugePages)) || name.startsWith('kubernetes.io/');
}

/** Any resource's name: a known word, or one with a domain. */
export function validateResourceName(field: string, name: string): FieldError[] {
  const errors = messages(field, name, qualifiedNameErrors(name));
  if (errors.length > 0 || name.includes('/') || standard.has(name) || name.startsWith(hugePages)) return errors;
  return [invalidValue(field, name, 'must be a standard resource type or fully qualified')];
}

/** A resource that containers use. */
export function validateContainerResource(field: string, name: string): FieldError[] {
  const errors = validateResourceName(field, name);
  if (name.includes('/') || forContainers.has(name) || name.startsWith(hugePages) || qualifiedNameErrors(name).length > 0) return errors;
  return [...errors, invalidValue(field, name, 'must be a standard resource for containers')];
}

function validateAmount(field: string, name: string, amount: string): FieldError[] {
  const quantity = parseQuantity(amount);
  const errors: FieldError[] = [];
  if (quantity.compare(Quantity.zero) < 0) errors.push(invalidValue(field, amount, 'must be greater than or equal to 0'));
  const whole = !forContainers.has(name) && name.includes('/');
  if (whole && quantity.milliValue() % 1000 !== 0) errors.push(invalidValue(field, amount, 'must be an integer'));
  return errors;
}
