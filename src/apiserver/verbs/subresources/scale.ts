/** `scale`: the replica count of any scalable kind in one shape, autoscaling/v1 Scale, read and written through the paths the kind declares. */
import { schemaOf } from '../../../api/schemas.ts';
import type { V1LabelSelector } from '../../../api/types.ts';
import { ageColumn, column, nameColumn } from '../../../api/columns.ts';
import type { Column, ScalePaths } from '../../../api/kind.ts';
import { clone } from '../../../machinery/clone.ts';
import { badRequest, invalid, notFound } from '../../../machinery/errors.ts';
import { invalidValue } from '../../../machinery/field-error.ts';
import type { KubeObject } from '../../../machinery/object.ts';
import { selectorOf } from '../../../machinery/selector.ts';
import { type AnyObject, type BodyType, decodeAs, parseBody } from '../../registry/decoding.ts';
import { encodeWhole, type Entry } from '../../registry/encoding.ts';
import { objectPath } from '../../registry/storage-key.ts';
import type { ObjectAnswer } from '../../request.ts';
import { applyOptionsOf, decodeAppliedAs, merge } from '../apply.ts';
import { changeObject, type Desired } from '../change.ts';
import { objectAnswer } from '../get.ts';
import { parsePatch, patched } from '../patch.ts';
import { nameOf, type ObjectCall, type Storage } from '../storage.ts';
import { type UpdateStrategy, wholeObject } from '../strategy.ts';
import { type WriteOptions, writeOptionsOf } from '../write-options.ts';

const scaleType: BodyType = { kind: 'Scale', apiVersion: 'autoscaling/v1', schema: schemaOf('V1Scale') };

const columns: readonly Column<KubeObject>[] = [
  nameColumn,
  column('Desired', 'How many replicas are wanted.', (scale) => countIn(scale, 'spec'), { type: 'integer' }),
  column('Available', 'How many replicas there are.', (scale) => countIn(scale, 'status'), { type: 'integer' }),
  ageColumn,
];

const throughScale: UpdateStrategy = { ...wholeObject, subresource: 'scale' };

export async function getScale(call: ObjectCall): Promise<ObjectAnswer> {
  return scaleAnswer(scaleOf(call, find(call).object as AnyObject));
}

export async function updateScale(storage: Storage, call: ObjectCall): Promise<ObjectAnswer> {
  const options = writeOptionsOf(call, 'UpdateOptions');
  const entry = find(call);
  const scale = decodeAs(parseBody(call, 'Scale'), scaleType, options.fieldValidation, call.warnings);
  return changeScale(storage, call, entry, options, () => scale);
}

export async function patchScale(storage: Storage, call: ObjectCall): Promise<ObjectAnswer> {
  if (call.contentType === 'application/apply-patch+yaml') return applyScale(storage, call);
  const options = writeOptionsOf(call, 'PatchOptions');
  const entry = find(call);
  const change = parsePatch(call, scaleType);
  let { warnings }: { warnings: string[] } = call;
  return changeScale(storage, call, entry, options, (live) => {
    const scale = patched(scaleOf(call, live), change, scaleType, options, warnings);
    warnings = [];
    return scale;
  });
}

/** A Scale says one thing about the object, its replica count: that is what is applied to it, and owned through this endpoint. */
async function applyScale(storage: Storage, call: ObjectCall): Promise<ObjectAnswer> {
  const options = applyOptionsOf(call);
  const entry = find(call);
  const scale = decodeAppliedAs(call, scaleType, options);
  const spec = scale['spec'] as { replicas?: number } | undefined;
  replicasOf(scale, nameOf(call));
  const { name, uid, resourceVersion } = scale.metadata;
  const applied: AnyObject = {
    kind: call.served.kind.kind,
    apiVersion: call.served.apiVersion,
    metadata: { ...scale.metadata, name, uid, resourceVersion },
  };
  if (spec?.replicas !== undefined) write(applied, pathsOf(call).specReplicas, spec.replicas);
  const desired = (live: AnyObject): Desired => merge(storage, call, throughScale, { live, applied, manager: options.manager });
  const encoded = await changeObject(storage, call, entry, { options, strategy: throughScale, desired }, () => missing(call));
  return scaleAnswer(scaleOf(call, encoded.object as AnyObject));
}

async function changeScale(
  storage: Storage,
  call: ObjectCall,
  entry: Entry,
  options: WriteOptions,
  wanted: (live: AnyObject) => AnyObject,
): Promise<ObjectAnswer> {
  const desired = (live: AnyObject): Desired => {
    const scale = wanted(live);
    const replicas = replicasOf(scale, nameOf(call));
    const object = clone(live);
    object.metadata.name = scale.metadata.name;
    object.metadata.resourceVersion = scale.metadata.resourceVersion;
    write(object, pathsOf(call).specReplicas, replicas);
    return { object, uid: scale.metadata.uid };
  };
  const encoded = await changeObject(storage, call, entry, { options, strategy: throughScale, desired }, () => missing(call));
  return scaleAnswer(scaleOf(call, encoded.object as AnyObject));
}

function scaleAnswer(scale: AnyObject): ObjectAnswer {
  return objectAnswer(200, encodeWhole(scale), columns);
}

function countIn(scale: KubeObject, part: 'spec' | 'status'): number {
  const { replicas = 0 } = ((scale as AnyObject)[part] ?? {}) as { replicas?: number };
  return replicas;
}

function replicasOf(scale: AnyObject, name: string): number {
  if (scale.metadata.name && scale.metadata.name !== name)
    throw badRequest(`the name of the object (${scale.metadata.name}) does not match the name on the URL (${name})`);
  scale.metadata.name = name;
  const { replicas = 0 } = (scale['spec'] ?? {}) as { replicas?: number };
  if (replicas < 0)
    throw invalid({ group: 'autoscaling', kind: 'Scale' }, name, [invalidValue('spec.replicas', replicas, 'must be greater than or equal to 0')]);
  return replicas;
}

function find(call: ObjectCall): Entry {
  const entry = call.served.cache.get(objectPath(call.target.namespace, nameOf(call)));
  if (!entry) throw missing(call);
  return entry;
}

function missing({ served, target }: ObjectCall): Error {
  return notFound({ group: served.kind.group, resource: `${served.kind.resource}/scale` }, target.name ?? '');
}

function pathsOf({ served }: ObjectCall): ScalePaths {
  const { scale } = served.kind;
  if (!scale) throw new Error(`${served.kind.resource} has a scale subresource without paths`);
  return scale;
}

/** The Scale that shows an object. */
export function scaleOf(call: ObjectCall, object: AnyObject): AnyObject {
  const paths = pathsOf(call);
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata;
  const replicas = read(object, paths.specReplicas);
  const selector = selectorText(read(object, paths.selector));
  return {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata: { name, ...(namespace !== undefined && { namespace }), uid, resourceVersion, creationTimestamp },
    // Upstream leaves a count of zero out.
    spec: typeof replicas === 'number' && replicas !== 0 ? { replicas } : {},
    status: { replicas: read(object, paths.statusReplicas) ?? 0, ...(selector !== '' && { selector }) },
  };
}

/** A label selector, the plain map replication controllers have, or the text custom resources keep, as text. */
function selectorText(selector: unknown): string {
  if (typeof selector === 'string') return selector;
  if (typeof selector !== 'object' || selector === null) return '';
  const isSelector = 'matchLabels' in selector || 'matchExpressions' in selector;
  return selectorOf(isSelector ? (selector as V1LabelSelector) : { matchLabels: selector as Record<string, string> }).toString();
}

function stepsOf(path: string): string[] {
  return path.split('.').filter((step) => step !== '');
}

function read(object: AnyObject, path: string): unknown {
  if (path === '') return undefined;
  let value: unknown = object;
  for (const step of stepsOf(path)) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = (value as Record<string, unknown>)[step];
  }
  return value;
}

function write(object: AnyObject, path: string, value: unknown): void {
  const steps = stepsOf(path);
  const last = steps.pop();
  let place: Record<string, unknown> = object;
  for (const step of steps) {
    place[step] ??= {};
    place = place[step] as Record<string, unknown>;
  }
  if (last !== undefined) place[last] = value;
}
