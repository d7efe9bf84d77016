/** Notes on every write who now owns which fields. See https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management */
import { type InVersion, trackUpdate } from '../../machinery/apply.ts';
import type { KubeObject } from '../../machinery/object.ts';
import { timestamp } from '../../world/world.ts';
import type { AnyObject } from '../registry/decoding.ts';
import type { Registry } from '../registry/registry.ts';
import type { ServedKind } from '../registry/served-kind.ts';
import type { Storage } from './storage.ts';
import type { WriteOptions } from './write-options.ts';

export interface TrackedWrite {
  /** What is stored now; undefined for a new object. */
  readonly before: AnyObject | undefined;
  /** What is going to be stored; gets its `managedFields`. */
  readonly after: AnyObject;
  readonly options: Pick<WriteOptions, 'manager'>;
  readonly subresource: string;
}

export function trackWrite(storage: Storage, served: ServedKind, { before, after, options, subresource }: TrackedWrite): void {
  // What is created is tracked before it is converted; what is updated after that.
  const shown = before === undefined ? undefined : served.fromStored;
  const managedFields = trackUpdate({
    before: before && shown ? shown(before) : before,
    after: shown ? shown(after) : after,
    schema: served.schema,
    manager: options.manager,
    apiVersion: served.apiVersion,
    inVersion: versionsOf(storage.registry, served),
    subresource: subresource === '' ? undefined : subresource,
    time: timestamp(storage.world.clock.now()),
    resetFields: unwrittenFields(served, subresource),
  });
  if (managedFields.length > 0) after.metadata.managedFields = managedFields;
  else delete after.metadata.managedFields;
}

/** How other versions of a kind show an object; undefined for the many kinds that have one version. */
export function versionsOf(registry: Registry, served: ServedKind): InVersion | undefined {
  if (!registry.hasVersions(served)) return undefined;
  const servedAs = (apiVersion: unknown): ServedKind | undefined => registry.versionOf(served, String(apiVersion));
  return (object, apiVersion) => {
    const to = servedAs(apiVersion);
    if (to === undefined) return undefined;
    const from = servedAs(object['apiVersion']);
    if (object['apiVersion'] === apiVersion || from === undefined) return { object, schema: to.schema };
    // Pruning may have left nothing of the spec; built-in conversions count on one.
    const whole = (from.kind.custom || !('spec' in from.schema.properties) ? object : { spec: {}, ...object }) as KubeObject & typeof object;
    const stored = from.toStored ? from.toStored(whole) : whole;
    // A webhook's conversion is not asked for this: most fields have the same path in all versions.
    const shown = to.fromStored ? to.fromStored(stored) : stored;
    return { object: { ...shown, apiVersion }, schema: to.schema };
  };
}

const statusField = [['status']] as const;
const specField = [['spec']] as const;
const specAndMetadata = [['spec'], ['metadata']] as const;

/** What a write through this endpoint leaves alone, and so nobody owns through it. */
export function unwrittenFields({ stored }: ServedKind, subresource: string): readonly (readonly string[])[] | undefined {
  if (subresource === 'scale') return undefined;
  if (subresource === 'status') return stored.group === '' ? specField : specAndMetadata;
  return stored.subresources['status'] ? statusField : undefined;
}
