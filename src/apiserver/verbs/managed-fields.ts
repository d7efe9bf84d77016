/** Notes on every write who now owns which fields. See https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management */
import { trackUpdate } from '../../machinery/apply.ts';
import { timestamp } from '../../world/world.ts';
import type { AnyObject } from '../registry/decoding.ts';
import type { ServedKind } from '../registry/served-kind.ts';
import type { ObjectCall, Storage } from './storage.ts';
import type { WriteOptions } from './write-options.ts';

export interface TrackedWrite {
  /** What is stored now; undefined for a new object. */
  readonly before: AnyObject | undefined;
  /** What is going to be stored; gets its `managedFields`. */
  readonly after: AnyObject;
  readonly options: Pick<WriteOptions, 'manager'>;
  readonly subresource: string;
}

export function trackWrite(storage: Storage, call: ObjectCall, { before, after, options, subresource }: TrackedWrite): void {
  const { served } = call;
  const managedFields = trackUpdate({
    before,
    after,
    schema: before === undefined ? served.schema : served.storedSchema,
    manager: options.manager,
    apiVersion: before === undefined ? served.apiVersion : served.storedApiVersion,
    subresource: subresource === '' ? undefined : subresource,
    time: timestamp(storage.world.clock.now()),
    resetFields: unwrittenFields(served, subresource),
  });
  if (managedFields.length > 0) after.metadata.managedFields = managedFields;
  else delete after.metadata.managedFields;
}

const statusField = [['status']] as const;
const specField = [['spec']] as const;

/** What a write through this endpoint leaves alone, and so nobody owns through it. */
export function unwrittenFields({ stored }: ServedKind, subresource: string): readonly (readonly string[])[] | undefined {
  if (subresource === 'status') return specField;
  return stored.subresources['status'] ? statusField : undefined;
}
