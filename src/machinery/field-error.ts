/**
 * Validation errors: a field path, the value found and what was expected, in upstream's words (`k8s.io/apimachinery/pkg/util/validation/field`).
 * Validators collect all of them; `errors.ts` turns the list into one 422.
 */

export type FieldReason =
  | 'FieldValueRequired'
  | 'FieldValueInvalid'
  | 'FieldValueNotSupported'
  | 'FieldValueForbidden'
  | 'FieldValueDuplicate'
  | 'FieldValueNotFound'
  | 'FieldValueTooLong'
  | 'FieldValueTooMany'
  | 'FieldValueTypeInvalid'
  | 'InternalError';

export class FieldError {
  readonly reason: FieldReason;
  /** `spec.containers[0].name`; map keys in brackets: `metadata.labels[app]`. */
  readonly field: string;
  private readonly words: string;

  constructor(reason: FieldReason, field: string, words: string) {
    this.reason = reason;
    this.field = field;
    this.words = words;
  }

  /** The words without the field, as a cause's `message` has them. */
  detail(): string {
    return this.words;
  }

  toString(): string {
    return `${this.field}: ${this.words}`;
  }
}

/** Path of a list item: `at('spec.containers', 0)` is `spec.containers[0]`. */
export function at(field: string, indexOrKey: number | string): string {
  return `${field}[${indexOrKey}]`;
}

function shown(value: unknown): string {
  return value === undefined ? 'null' : JSON.stringify(value);
}

function withDetail(head: string, detail: string): string {
  return detail === '' ? head : `${head}: ${detail}`;
}

export function required(field: string, detail = ''): FieldError {
  return new FieldError('FieldValueRequired', field, withDetail('Required value', detail));
}

export function invalidValue(field: string, value: unknown, detail: string): FieldError {
  return new FieldError('FieldValueInvalid', field, withDetail(`Invalid value: ${shown(value)}`, detail));
}

export function typeInvalid(field: string, value: unknown, detail: string): FieldError {
  return new FieldError('FieldValueTypeInvalid', field, withDetail(`Invalid value: ${shown(value)}`, detail));
}

export function notSupported(field: string, value: unknown, supported: readonly string[]): FieldError {
  const list = supported.map((word) => JSON.stringify(word)).join(', ');
  return new FieldError(
    'FieldValueNotSupported',
    field,
    withDetail(`Unsupported value: ${shown(value)}`, list === '' ? '' : `supported values: ${list}`),
  );
}

export function forbiddenField(field: string, detail: string): FieldError {
  return new FieldError('FieldValueForbidden', field, withDetail('Forbidden', detail));
}

export function duplicate(field: string, value: unknown): FieldError {
  return new FieldError('FieldValueDuplicate', field, `Duplicate value: ${shown(value)}`);
}

export function fieldNotFound(field: string, value: unknown): FieldError {
  return new FieldError('FieldValueNotFound', field, `Not found: ${shown(value)}`);
}

export function tooLong(field: string, maxBytes: number): FieldError {
  return new FieldError('FieldValueTooLong', field, `Too long: may not be more than ${maxBytes} bytes`);
}

export function tooMany(field: string, actual: number, max: number): FieldError {
  return new FieldError('FieldValueTooMany', field, `Too many: ${actual}: must have at most ${max} items`);
}
