/** What an object has to keep to before it is stored, beyond its stored kind's rules, and what its writer is told when it does. */
import type { FieldError } from '../../machinery/field-error.ts';
import type { AnyObject } from '../registry/decoding.ts';
import type { ServedKind } from '../registry/served-kind.ts';
import type { ObjectCall } from './storage.ts';

/** What the version that was asked for demands beyond what the stored one does. */
export function viewErrors({ kind, fromStored }: ServedKind, object: AnyObject, old: AnyObject | undefined): FieldError[] {
  if (fromStored === undefined || kind.validate === undefined || kind.custom) return [];
  return kind.validate(fromStored(object), old && fromStored(old));
}

/** Each is said once, however often it was found. */
export function addWarnings({ served, warnings }: ObjectCall, object: AnyObject, old: AnyObject | undefined): void {
  for (const warning of served.stored.warnings?.(object, old) ?? []) if (!warnings.includes(warning)) warnings.push(warning);
}
