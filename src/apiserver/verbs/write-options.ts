/** What the query of a create, update or patch says about how to write: upstream's `CreateOptions`, `UpdateOptions` and `PatchOptions`. */
import { invalid } from '../../machinery/errors.ts';
import { type FieldError, invalidValue, notSupported } from '../../machinery/field-error.ts';
import { type FieldValidation, fieldValidationOf } from '../registry/decoding.ts';
import type { Call } from '../request.ts';

export type OptionsKind = 'CreateOptions' | 'UpdateOptions' | 'PatchOptions' | 'DeleteOptions';

export interface WriteOptions {
  readonly dryRun: boolean;
  /** Who the written fields belong to. */
  readonly manager: string;
  /** The same, when the client named it. */
  readonly explicitManager: string | undefined;
  readonly fieldValidation: FieldValidation;
}

const maxManagerBytes = 128;

export function writeOptionsOf(call: Call, kind: OptionsKind): WriteOptions {
  const errors: FieldError[] = [];
  const explicitManager = call.query.get('fieldManager') ?? '';
  if (explicitManager !== '') errors.push(...managerErrors(explicitManager));
  const dryRun = call.query.getAll('dryRun').filter((value) => value !== '');
  errors.push(...dryRunErrors(dryRun));
  if (errors.length > 0) throw invalid({ group: 'meta.k8s.io', kind }, '', errors);
  return {
    dryRun: dryRun.length > 0,
    manager: explicitManager === '' ? managerOfUserAgent(call.userAgent) : explicitManager,
    explicitManager: explicitManager === '' ? undefined : explicitManager,
    fieldValidation: fieldValidationOf(call.query, kind),
  };
}

export function dryRunErrors(values: readonly string[]): FieldError[] {
  return values.every((value) => value === 'All') ? [] : [notSupported('dryRun', values, ['All'])];
}

function managerErrors(manager: string): FieldError[] {
  const errors: FieldError[] = [];
  if (Buffer.byteLength(manager) > maxManagerBytes)
    errors.push(invalidValue('fieldManager', manager, `may not be more than ${maxManagerBytes} bytes`));
  for (const character of manager) {
    if (character >= ' ' && character !== '\u007f') continue;
    errors.push(invalidValue('fieldManager', manager, 'should only contain printable characters'));
    break;
  }
  return errors;
}

/** `kubectl/v1.35.0 (linux/amd64) …` is `kubectl`. */
export function managerOfUserAgent(userAgent: string): string {
  const slash = userAgent.indexOf('/');
  const first = slash < 0 ? userAgent : userAgent.slice(0, slash);
  return first === '' ? 'unknown' : first.slice(0, maxManagerBytes);
}
