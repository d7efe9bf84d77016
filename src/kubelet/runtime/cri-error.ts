/** What a failed call to the container runtime throws: gRPC's status, in the words Go clients (and so Kubernetes' events) print it. */
import { status } from '@grpc/grpc-js';

export class RuntimeError extends Error {
  /** gRPC's status code: 4 DEADLINE_EXCEEDED, 5 NOT_FOUND, 14 UNAVAILABLE, … */
  readonly code: status;
  /** The runtime's own words, without gRPC's prefix. */
  readonly details: string;

  constructor(code: status, details: string) {
    super(`rpc error: code = ${goCodeNames[code] ?? `Code(${code})`} desc = ${details}`);
    this.code = code;
    this.details = details;
  }
}

export function isNotFound(error: unknown): boolean {
  return error instanceof RuntimeError && error.code === status.NOT_FOUND;
}

const goCodeNames = [
  'OK',
  'Canceled',
  'Unknown',
  'InvalidArgument',
  'DeadlineExceeded',
  'NotFound',
  'AlreadyExists',
  'PermissionDenied',
  'ResourceExhausted',
  'FailedPrecondition',
  'Aborted',
  'OutOfRange',
  'Unimplemented',
  'Internal',
  'Unavailable',
  'DataLoss',
  'Unauthenticated',
] as const;
