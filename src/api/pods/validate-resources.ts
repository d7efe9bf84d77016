/** Rules for what a container asks for and may use. Follows `ValidateResourceRequirements`. */
import { at, invalidValue, required, type FieldError } from '../../machinery/field-error.ts';
import { qualifiedNameErrors } from '../../machinery/names.ts';
import { parseQuantity, Quantity } from '../../machinery/quantity.ts';
import { messages } from '../field-checks.ts';
import type { V1ResourceRequirements } from '../types.ts';

const standard: ReadonlySet<string> = new Set(['cpu', 'memory', 'ephemeral-storage']);
const hugePages = 'hugepages-';

export function validateResources(field: string, { limits = {}, requests = {} }: V1ResourceRequirements): FieldError[] {
  const errors: FieldError[] = [];
  for (const [name, limit] of Object.entries(limits))
    errors.push(...validateName(at(`${field}.limits`, name), name), ...validateAmount(at(`${field}.limits`, name), name, limit));
  for (const [name, request] of Object.entries(requests)) {
    const path = at(`${field}.requests`, name);
    errors.push(...validateName(path, name), ...validateAmount(path, name, request));
    const limit = limits[name];
    if (limit !== undefined) {
      const order = parseQuantity(request).compare(parseQuantity(limit));
      if (order !== 0 && !mayOvercommit(name)) errors.push(invalidValue(`${field}.requests`, request, `must be equal to ${name} limit of ${limit}`));
      else if (order > 0) errors.push(invalidValue(`${field}.requests`, request, `must be less than or equal to ${name} limit of ${limit}`));
    } else if (!mayOvercommit(name)) {
      errors.push(required(`${field}.limits`, 'Limit must be set for non overcommitable resources'));
    }
  }
  return errors;
}

/** Resources of devices and huge pages cannot be promised twice. */
function mayOvercommit(name: string): boolean {
  return standard.has(name) || (!name.includes('/') && !name.startsWith(hugePages)) || name.startsWith('kubernetes.io/');
}

function validateName(field: string, name: string): FieldError[] {
  const errors = messages(field, name, qualifiedNameErrors(name));
  if (errors.length > 0 || name.includes('/') || standard.has(name) || name.startsWith(hugePages)) return errors;
  return [
    invalidValue(field, name, 'must be a standard resource type or fully qualified'),
    invalidValue(field, name, 'must be a standard resource for containers'),
  ];
}

function validateAmount(field: string, name: string, amount: string): FieldError[] {
  const quantity = parseQuantity(amount);
  const errors: FieldError[] = [];
  if (quantity.compare(Quantity.zero) < 0) errors.push(invalidValue(field, amount, 'must be greater than or equal to 0'));
  const whole = !standard.has(name) && name.includes('/');
  if (whole && quantity.milliValue() % 1000 !== 0) errors.push(invalidValue(field, amount, 'must be an integer'));
  return errors;
}
