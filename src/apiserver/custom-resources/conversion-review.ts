/**
 * What a conversion webhook is asked, and what of its answer is believed: objects of the same identity in the version asked for, whose metadata changed in
 * labels and annotations only. Pure. See https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definition-versioning/#webhook-conversion
 */
import type { KubeObject, ObjectMeta } from '../../machinery/object.ts';
import { labels as labelErrors } from '../../api/field-checks.ts';
import { type Fields, isFields, setOwn } from './structure.ts';

/** Of the versions a webhook may speak, those that are spoken here. */
export const reviewVersion = 'v1';
const reviewApiVersion = `apiextensions.k8s.io/${reviewVersion}`;

export interface Asked {
  readonly uid: string;
  readonly desiredApiVersion: string;
  /** None of them in that version already. */
  readonly objects: readonly KubeObject[];
}

export function reviewOf({ uid, desiredApiVersion, objects }: Asked): object {
  return { kind: 'ConversionReview', apiVersion: reviewApiVersion, request: { uid, desiredAPIVersion: desiredApiVersion, objects } };
}

/** `apps/v1, Kind=Deployment`, as errors name what was to be converted. */
export function shownType({ apiVersion, kind }: Pick<KubeObject, 'apiVersion' | 'kind'>): string {
  return `${apiVersion}, Kind=${kind}`;
}

/** The webhook was heard, but its answer is of no use. The message is upstream's. */
export class RefusedConversion extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'RefusedConversion';
  }
}

/** The converted objects, in order, to be changed freely. Throws {@link RefusedConversion}. */
export function convertedObjects(answer: unknown, asked: Asked): KubeObject[] {
  const type = shownType(asked.objects[0] ?? { apiVersion: '', kind: '' });
  const objects = responseObjects(answer, asked.uid, type);
  if (objects.length !== asked.objects.length) {
    throw new RefusedConversion(`conversion webhook for ${type} returned ${objects.length} objects, expected ${asked.objects.length}`);
  }
  return asked.objects.map((original, index) => {
    try {
      return checked(original, objects[index], asked.desiredApiVersion);
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      const where = error.part === 'object' ? `converted object at index ${index}` : error.part;
      throw new RefusedConversion(`conversion webhook for ${shownType(original)} returned invalid ${where}: ${error.message}`);
    }
  });
}

function responseObjects(answer: unknown, uid: string, type: string): readonly unknown[] {
  const failed = (why: string): RefusedConversion => new RefusedConversion(`conversion webhook for ${type} failed: ${why}`);
  if (!isFields(answer)) throw failed('the answer is no object');
  const { apiVersion, kind, response } = answer;
  if (apiVersion !== reviewApiVersion || kind !== 'ConversionReview') {
    throw failed(`expected webhook response of ${reviewApiVersion}, Kind=ConversionReview, got ${text(apiVersion)}, Kind=${text(kind)}`);
  }
  if (!isFields(response)) throw failed('no response provided');
  if (response['uid'] !== uid) throw failed(`expected response.uid=${JSON.stringify(uid)}, got ${JSON.stringify(response['uid'] ?? '')}`);
  const result = isFields(response['result']) ? response['result'] : {};
  if (result['status'] !== 'Success') {
    const { message } = result;
    throw failed(typeof message === 'string' && message !== '' ? message : `response.result.status was '${text(result['status'])}', not 'Success'`);
  }
  const { convertedObjects: objects = [] } = response;
  if (objects === null) return [];
  if (!Array.isArray(objects)) throw failed('response.convertedObjects is no list');
  return objects;
}

/** What is wrong with one object. */
class Fault extends Error {
  readonly part: 'object' | 'metadata';

  constructor(part: 'object' | 'metadata', message: string) {
    super(message);
    this.part = part;
  }
}

function checked(original: KubeObject, value: unknown, desiredApiVersion: string): KubeObject {
  if (!isFields(value)) throw new Fault('object', `unexpected type ${typeof value}`);
  const { apiVersion, kind, metadata } = value;
  if (apiVersion !== desiredApiVersion) {
    throw new Fault('object', `invalid groupVersion (expected ${desiredApiVersion}, received ${text(apiVersion)})`);
  }
  if (kind !== original.kind) throw new Fault('object', `invalid kind (expected ${original.kind}, received ${text(kind)})`);
  if (metadata === undefined) throw new Fault('metadata', 'missing metadata in converted object');
  if (!isFields(metadata)) throw new Fault('metadata', `invalid metadata of type ${typeof metadata} in converted object`);
  for (const [field, shown] of identity) {
    const before = original.metadata[field] ?? '';
    const after = metadata[field] ?? '';
    if (before !== after) throw new Fault('object', `must have the same ${shown}: ${before} != ${text(after)}`);
  }
  const { kind: _kind, apiVersion: _apiVersion, metadata: _metadata, status, ...rest } = value;
  return {
    kind: original.kind,
    apiVersion: desiredApiVersion,
    metadata: restoredMeta(original.metadata, metadata),
    ...rest,
    ...(status !== undefined && { status }),
  };
}

const identity = [
  ['name', 'name'],
  ['namespace', 'namespace'],
  ['uid', 'UID'],
] as const;

/** The original's metadata, with the labels and annotations of the converted object. */
function restoredMeta(original: ObjectMeta, converted: Fields): ObjectMeta {
  const { labels: _labels, annotations: _annotations, ...kept } = original;
  const labels = stringMap('labels', converted['labels']);
  const annotations = stringMap('annotations', converted['annotations']);
  const [labelError] = labels ? labelErrors('metadata.labels', labels) : [];
  if (labelError) throw new Fault('metadata', `${labelError.field}: ${labelError.detail()}`);
  return { ...kept, ...(labels && { labels }), ...(annotations && { annotations }) };
}

function stringMap(field: string, value: unknown): Record<string, string> | undefined {
  if (value === undefined || value === null) return undefined;
  if (!isFields(value)) throw new Fault('metadata', `invalid metadata.${field} of type ${typeof value} in converted object`);
  const result: Record<string, string> = {};
  for (const [key, item] of Object.entries(value)) {
    if (typeof item !== 'string')
      throw new Fault('metadata', `metadata.${field}[${key}] must be a string, but is ${typeof item} in converted object`);
    setOwn(result, key, item);
  }
  return result;
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : value === undefined ? '' : JSON.stringify(value);
}
