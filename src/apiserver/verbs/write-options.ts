/** What the query of a create, update or patch says about how to write: upstream's `CreateOptions`, `UpdateOptions` and `PatchOptions`. */
import { invalid } from '../../machinery/errors.ts';
import { type FieldError, forbiddenField, invalidValue, notSupported } from '../../machinery/field-error.ts';
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
  if (kind === 'PatchOptions' && call.query.has('force') && call.contentType !== 'application/apply-patch+yaml')
    errors.push(forbiddenField('force', 'may not be specified for non-apply patch'));
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
    if (!unprintable.test(character)) continue;
    errors.push(invalidValue('fieldManager', manager, 'should only contain printable characters'));
    break;
  }
  return errors;
}

/** `kubectl/v1.35.0 (linux/amd64) …` is `kubectl`. What cannot be printed, or is too much, is left out. */
export function managerOfUserAgent(userAgent: string): string {
  const slash = userAgent.indexOf('/');
  let manager = '';
  let bytes = 0;
  for (const character of slash < 0 ? userAgent : userAgent.slice(0, slash)) {
    if (unprintable.test(character)) continue;
    bytes += Buffer.byteLength(character);
    if (bytes > maxManagerBytes) break;
    manager += character;
  }
  return manager === '' ? 'unknown' : manager;
}

/** Control and format characters, halves of pairs, and every space but the plain one. */
const unprintable = /[\p{C}\p{Zl}\p{Zp}]|(?! )\p{Zs}/u;
