/** Rules for the parameters that classes of storage hand to drivers. Follows `validateParameters` of storage.k8s.io. */
import { invalidValue, required, tooLong, type FieldError } from '../../machinery/field-error.ts';

const maxCount = 512;
const maxBytes = 256 * 1024;

export function validateParameters(field: string, parameters: Readonly<Record<string, string>> | undefined, needed: boolean): FieldError[] {
  const entries = Object.entries(parameters ?? {});
  if (entries.length === 0) return needed ? [required(field, 'must contain at least one key/value pair')] : [];
  if (entries.length > maxCount) return [tooLong(field, maxCount)];
  const errors = '' in (parameters ?? {}) ? [invalidValue(field, '', 'field can not be empty.')] : [];
  const bytes = entries.reduce((sum, [key, value]) => sum + Buffer.byteLength(key) + Buffer.byteLength(value), 0);
  return bytes > maxBytes ? [...errors, tooLong(field, maxBytes)] : errors;
}
