import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  type FieldError,
  at,
  duplicate,
  fieldNotFound,
  forbiddenField,
  invalidValue,
  notSupported,
  required,
  tooLong,
  tooMany,
  typeInvalid,
} from './field-error.ts';

describe('words', () => {
  const cases: readonly [FieldError, string, string][] = [
    [required('spec.x'), 'FieldValueRequired', 'spec.x: Required value'],
    [required('spec.x', 'must be there'), 'FieldValueRequired', 'spec.x: Required value: must be there'],
    [invalidValue('a', 'B', 'must be lower case'), 'FieldValueInvalid', 'a: Invalid value: "B": must be lower case'],
    [invalidValue('a', -1, 'too small'), 'FieldValueInvalid', 'a: Invalid value: -1: too small'],
    [invalidValue('a', undefined, 'x'), 'FieldValueInvalid', 'a: Invalid value: null: x'],
    [invalidValue('a', { b: 1 }, 'x'), 'FieldValueInvalid', 'a: Invalid value: {"b":1}: x'],
    [typeInvalid('a', true, 'x'), 'FieldValueTypeInvalid', 'a: Invalid value: true: x'],
    [notSupported('a', 'X', ['B', 'C']), 'FieldValueNotSupported', 'a: Unsupported value: "X": supported values: "B", "C"'],
    [forbiddenField('a', 'not now'), 'FieldValueForbidden', 'a: Forbidden: not now'],
    [duplicate(at('a', 1), 'x'), 'FieldValueDuplicate', 'a[1]: Duplicate value: "x"'],
    [fieldNotFound('a', 'x'), 'FieldValueNotFound', 'a: Not found: "x"'],
    [tooLong('a', 63), 'FieldValueTooLong', 'a: Too long: may not be more than 63 bytes'],
    [tooMany('a', 5, 3), 'FieldValueTooMany', 'a: Too many: 5: must have at most 3 items'],
  ];
  for (const [error, reason, text] of cases) {
    test(text, () => {
      assert.equal(error.reason, reason);
      assert.equal(error.toString(), text);
      assert.equal(`${error.field}: ${error.detail()}`, text);
    });
  }
});
