import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  type ApiError,
  alreadyExists,
  applyConflict,
  badRequest,
  conflict,
  errorFromStatus,
  expired,
  forbidden,
  internalError,
  invalid,
  isReason,
  methodNotAllowed,
  notFound,
  tooManyRequests,
} from './errors.ts';
import { invalidValue, required } from './field-error.ts';

const pods = { group: '', resource: 'pods' };
const deployments = { group: 'apps', resource: 'deployments' };

describe('on the wire', () => {
  const cases: readonly [ApiError, number, string, string, object | undefined][] = [
    [notFound(pods, 'nope'), 404, 'NotFound', 'pods "nope" not found', { name: 'nope', kind: 'pods' }],
    [alreadyExists(deployments, 'd'), 409, 'AlreadyExists', 'deployments.apps "d" already exists', { name: 'd', group: 'apps', kind: 'deployments' }],
    [
      conflict(pods, 'p'),
      409,
      'Conflict',
      'Operation cannot be fulfilled on pods "p": the object has been modified; please apply your changes to the latest version and try again',
      { name: 'p', kind: 'pods' },
    ],
    [forbidden(pods, 'p', 'no'), 403, 'Forbidden', 'pods "p" is forbidden: no', { name: 'p', kind: 'pods' }],
    [badRequest('what?'), 400, 'BadRequest', 'what?', undefined],
    [expired('too old'), 410, 'Expired', 'too old', undefined],
    [methodNotAllowed(pods, 'delete'), 405, 'MethodNotAllowed', 'delete is not supported on resources of kind "pods"', { kind: 'pods' }],
    [tooManyRequests('slow down', 5), 429, 'TooManyRequests', 'slow down', { retryAfterSeconds: 5 }],
    [internalError('bug'), 500, 'InternalError', 'Internal error occurred: bug', { causes: [{ message: 'bug' }] }],
    [applyConflict('x', [{ field: '.a' }]), 409, 'Conflict', 'x', { causes: [{ field: '.a' }] }],
  ];
  for (const [error, code, reason, message, details] of cases) {
    test(reason, () => {
      assert.deepEqual(error.toStatus(), {
        kind: 'Status',
        apiVersion: 'v1',
        metadata: {},
        status: 'Failure',
        message,
        reason,
        ...(details && { details }),
        code,
      });
      assert.deepEqual(errorFromStatus(error.toStatus(), code).toStatus(), error.toStatus());
    });
  }
});

test('validation errors become one, each a cause', () => {
  const one = invalid({ group: '', kind: 'Pod' }, 'p', [required('spec.containers')]);
  assert.equal(one.message, 'Pod "p" is invalid: spec.containers: Required value');
  const two = invalid({ group: 'apps', kind: 'Deployment' }, 'd', [required('a'), invalidValue('b', 1, 'no')]);
  assert.equal(two.message, 'Deployment.apps "d" is invalid: [a: Required value, b: Invalid value: 1: no]');
  assert.deepEqual(two.details, {
    name: 'd',
    group: 'apps',
    kind: 'Deployment',
    causes: [
      { reason: 'FieldValueRequired', message: 'Required value', field: 'a' },
      { reason: 'FieldValueInvalid', message: 'Invalid value: 1: no', field: 'b' },
    ],
  });
});

test('a status without a reason gets one from its code', () => {
  assert.equal(errorFromStatus({ message: 'x' }, 404).reason, 'NotFound');
  assert.equal(errorFromStatus({}, 502).reason, 'InternalError');
  assert.equal(errorFromStatus({ message: 'x' }, 410).reason, 'Expired');
});

test('asking for a reason', () => {
  assert.equal(isReason(notFound(pods, 'x'), 'Conflict', 'NotFound'), true);
  assert.equal(isReason(new Error('x'), 'NotFound'), false);
  assert.equal(isReason(undefined, 'NotFound'), false);
});
